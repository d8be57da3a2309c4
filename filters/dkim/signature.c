#include "filters/dkim/signature.h"

#include "core/mail/pubkey.h"

void dkim_signature_settle(struct dkim_signature *signature, int result, const char *reason)
{
	signature->settled = true;
	signature->result = result;
	signature->reason = str_c(reason);
}

/* -1 if absent. False if it is no number; at most 12 digits, as the standard asks of readers. */
static bool read_number(const struct tags *tags, const char *name, int64_t *value_r)
{
	struct str s = tags_get(tags, name);

	*value_r = -1;
	return !s.p || str_to_i64(s, 0, 999999999999, value_r) == 0;
}

static bool names_signatures(struct str h)
{
	struct str name;

	while (str_cut(&h, ':', &name))
		if (str_ieq_c(str_trim_crlf(name), "DKIM-Signature"))
			return true;
	return false;
}

static bool read_names(const struct tags *tags, struct arena *arena,
	struct dkim_signature *signature)
{
	struct pubkey_owner owner;
	bool is_named = pubkey_owner(tags, arena, &owner) == 0;

	signature->domain = owner.domain;
	signature->selector = owner.selector;
	signature->key_name = owner.name;
	return is_named;
}

static bool is_known_algorithm(struct str a)
{
	return str_eq_c(a, "rsa-sha256") || str_eq_c(a, "ed25519-sha256") ||
	       str_eq_c(a, "rsa-sha1");
}

void dkim_signature_read(
	const struct mail_header *header, struct arena *arena, struct dkim_signature *signature_r)
{
	struct dkim_signature *s = signature_r;
	struct tags tags;

	*s = (struct dkim_signature){
		.header = header, .signed_at = -1, .expires = -1, .length = -1
	};
	if (tags_parse(header->value, arena, &tags) < 0) {
		dkim_signature_settle(s, AUTH_PERMERROR, "the signature header is malformed");
		return;
	}
	struct str canonical = tags_squeeze(tags_get(&tags, "c"), arena);
	size_t slash = str_chr(canonical, '/');
	s->relaxed_body =
		slash < canonical.n && str_ieq_c(str_skip(canonical, slash + 1), "relaxed");
	s->algorithm = arena_lower(arena, tags_squeeze(tags_get(&tags, "a"), arena));
	s->identity = tags_get(&tags, "i");
	s->b = tags_squeeze(tags_get(&tags, "b"), arena);
	s->bh = tags_squeeze(tags_get(&tags, "bh"), arena);
	s->signs_signatures = names_signatures(tags_get(&tags, "h"));
	if (!str_eq_c(tags_get(&tags, "v"), "1"))
		dkim_signature_settle(s, AUTH_PERMERROR, "the signature's version is not 1");
	else if (!read_names(&tags, arena, s))
		dkim_signature_settle(
			s, AUTH_PERMERROR, "the signature's domain or selector is no name");
	else if (!is_known_algorithm(s->algorithm))
		dkim_signature_settle(s, AUTH_PERMERROR, "the signature's algorithm is unknown");
	else if (!read_number(&tags, "t", &s->signed_at) || !read_number(&tags, "x", &s->expires) ||
		 !read_number(&tags, "l", &s->length))
		dkim_signature_settle(s, AUTH_PERMERROR, "a number in the signature is malformed");
}
