#include "filters/arc/chain.h"

#include <openssl/evp.h>

#include "core/hash.h"
#include "core/mail/canonical.h"

/* Clocks of others go wrong by this much before x= counts as past. */
#define CLOCK_SKEW_S 300

void arc_chain_fail(struct arc_chain *chain, const char *reason)
{
	chain->result = AUTH_FAIL;
	chain->reason = reason;
}

/* ------------------------------------------------------------------ reading */

/* 1 to 50 (4.2.1); 0 for anything else. */
static size_t read_instance(struct str value)
{
	uint64_t i;

	return value.n <= 2 && str_to_u64(value, 1, LIMIT_ARC_SETS, &i) == 0 ? (size_t)i : 0;
}

/* An AAR begins with "i=N;", and the rest is an Authentication-Results value (4.1.1). */
static size_t results_instance(struct str value)
{
	size_t semicolon = str_chr(value, ';');
	struct str info = str_trim_crlf(str_sub(value, 0, semicolon));
	size_t equals = str_chr(info, '=');

	if (semicolon == value.n || !str_eq_c(str_trim_crlf(str_sub(info, 0, equals)), "i"))
		return 0;
	return read_instance(str_trim_crlf(str_skip(info, equals + 1)));
}

static size_t tagged_instance(struct str value, struct arena *arena)
{
	struct tags tags;

	if (tags_parse(value, arena, &tags) < 0)
		return 0;
	return read_instance(tags_get(&tags, "i"));
}

/* NULL, or why the header cannot be part of it. */
static const char *collect(struct arc_chain *chain, const struct mail_header *h, struct arena *arena)
{
	bool is_results = str_ieq_c(h->name, "ARC-Authentication-Results");
	size_t i = is_results ? results_instance(h->value) : tagged_instance(h->value, arena);

	if (i == 0)
		return "an ARC header has no valid instance";
	struct arc_set *set = &chain->sets[i - 1];
	const struct mail_header **place = is_results ? &set->results :
		str_ieq_c(h->name, "ARC-Seal") ? &set->seal : &set->message;
	if (i > chain->n)
		chain->n = i;
	if (*place)
		return "an ARC header stands twice in a set";
	*place = h;
	return NULL;
}

static bool is_arc(struct str name)
{
	return str_ieq_c(name, "ARC-Seal") || str_ieq_c(name, "ARC-Message-Signature") ||
		str_ieq_c(name, "ARC-Authentication-Results");
}

/* All of them, also once it is clear that it fails: the next set's number is above theirs. */
static const char *collect_all(struct arc_chain *chain, const struct mail *m, struct arena *arena)
{
	const char *reason = NULL;

	for (size_t i = 0; i < m->headers.n; i++) {
		const struct mail_header *h = &m->headers.v[i];
		const char *why = is_arc(h->name) ? collect(chain, h, arena) : NULL;
		if (!reason)
			reason = why;
	}
	for (size_t i = 0; i < chain->n && !reason; i++) {
		const struct arc_set *set = &chain->sets[i];
		if (!set->results || !set->message || !set->seal)
			reason = "the ARC sets are not complete";
	}
	return reason;
}

/* Absent, or digits; an empty value is neither. */
static bool is_time(const struct tags *tags, const char *name, int64_t *time_r)
{
	struct str s = tags_get(tags, name);

	*time_r = -1;
	return !s.p || str_to_i64(s, 0, 999999999999, time_r) == 0;
}

/* What seals and message signatures have in common; NULL, or why it is no signature. */
static const char *read_signature(struct arc_signature *s, struct arena *arena)
{
	int64_t time;

	if (tags_parse(s->header->value, arena, &s->tags) < 0)
		return "an ARC signature is malformed";
	if (pubkey_owner(&s->tags, arena, &s->owner) < 0)
		return "the domain or selector of an ARC signature is no name";
	s->algorithm = arena_lower(arena, tags_get(&s->tags, "a"));
	if (!str_eq_c(s->algorithm, "rsa-sha256") && !str_eq_c(s->algorithm, "ed25519-sha256"))
		return "the algorithm of an ARC signature is unknown";
	s->b = tags_squeeze(tags_get(&s->tags, "b"), arena);
	if (s->b.n == 0)
		return "an ARC signature is empty";
	if (!is_time(&s->tags, "t", &time) || !is_time(&s->tags, "x", &time))
		return "a number in an ARC signature is malformed";
	return NULL;
}

/* 4.1.3: the first seal found no chain, the later ones found one that passed. */
static const char *read_seal(struct arc_chain *chain, size_t i, struct arc_signature *s,
	struct arena *arena)
{
	s->header = chain->sets[i].seal;
	const char *reason = read_signature(s, arena);
	if (reason)
		return reason;
	if (tags_get(&s->tags, "h").p)
		return "an ARC seal has a list of headers";
	chain->sets[i].cv = tags_get(&s->tags, "cv");
	if (str_eq_c(chain->sets[i].cv, "fail"))
		return "the ARC chain had failed before";
	if (!str_eq_c(chain->sets[i].cv, i == 0 ? "none" : "pass"))
		return "an ARC seal contradicts its place in the chain";
	return NULL;
}

/* Of a chain that is verified by somebody else it is still to be known whether it may be added to. */
static bool says_failed(const struct arc_set *newest, struct arena *arena)
{
	struct tags tags;

	return newest->seal && tags_parse(newest->seal->value, arena, &tags) == 0 &&
		str_eq_c(tags_get(&tags, "cv"), "fail");
}

void arc_chain_read(const struct mail *m, struct arena *arena, struct arc_chain *chain)
{
	*chain = (struct arc_chain){ .result = AUTH_NONE, .reason = "" };
	const char *reason = collect_all(chain, m, arena);
	if (chain->n)
		chain->has_failed_before = says_failed(&chain->sets[chain->n - 1], arena);
	if (reason) {
		arc_chain_fail(chain, reason);
		return;
	}
	if (chain->n == 0)
		return;
	if (chain->n + 1 > LIMIT_ARC_SIGNATURES) {
		arc_chain_fail(chain, "the ARC chain is longer than is verified");
		return;
	}
	struct arc_signature *message = &chain->signatures[0];
	message->header = chain->sets[chain->n - 1].message;
	reason = read_signature(message, arena);
	for (size_t k = 1; k <= chain->n && !reason; k++)
		reason = read_seal(chain, chain->n - k, &chain->signatures[k], arena);
	if (reason) {
		arc_chain_fail(chain, reason);
		return;
	}
	chain->signature_count = chain->n + 1;
	chain->result = AUTH_PASS;
}

/* ---------------------------------------------------------------- verifying */

static const char *check(const struct arc_signature *s, struct str signed_text, const struct mail *m)
{
	uint8_t digest[32];
	const char *reason;

	hash_sha256(signed_text, digest);
	if (pubkey_verify(s->key, s->algorithm, digest, s->b, m->arena, &reason) == 1)
		return NULL;
	return reason;
}

/* c= (RFC 6376 3.5): header and body; a missing half is simple. Where it is missing as a whole all who
 * verify ARC, and its test suite, take it as relaxed. */
static bool read_canonical(const struct tags *tags, bool *header_r, bool *body_r)
{
	struct str c = tags_get(tags, "c"), header;

	*header_r = *body_r = !c.p;
	if (!c.p)
		return true;
	str_cut(&c, '/', &header);
	*header_r = str_ieq_c(header, "relaxed");
	*body_r = str_ieq_c(c, "relaxed");
	return (*header_r || str_ieq_c(header, "simple")) &&
		(!c.p || *body_r || str_ieq_c(c, "simple"));
}

static bool names_seals(struct str names)
{
	struct str name;

	while (str_cut(&names, ':', &name))
		if (str_ieq_c(str_trim_crlf(name), "ARC-Seal"))
			return true;
	return false;
}

/* bh= and l=: all of the body must be signed. */
static const char *check_body(const struct arc_signature *s, const struct mail *m, bool relaxed)
{
	uint8_t digest[32], claimed[48];
	struct str bh = tags_squeeze(tags_get(&s->tags, "bh"), m->arena);
	int64_t length, l;

	if (!is_time(&s->tags, "l", &l))
		return "a number in an ARC signature is malformed";
	length = canonical_body_hash(m->body, relaxed, digest);
	if (bh.n != 44 || EVP_DecodeBlock(claimed, (const uint8_t *)bh.p, 44) != 33 ||
		memcmp(claimed, digest, 32) != 0)
		return "the body was changed since it was signed for ARC";
	return l >= 0 && l != length ? "only a part of the body is signed for ARC" : NULL;
}

/* 4.1.2: as DKIM, without v=, and without seals among its headers. */
static const char *check_message(const struct arc_signature *s, const struct mail *m, int64_t now)
{
	struct str names = tags_get(&s->tags, "h");
	bool relaxed_header, relaxed_body;
	struct buf text = BUF_INIT;
	int64_t expires;

	if (!names.p || names_seals(names))
		return "the ARC message signature has no valid list of headers";
	if (!read_canonical(&s->tags, &relaxed_header, &relaxed_body))
		return "the canonicalisation of the ARC message signature is unknown";
	if (is_time(&s->tags, "x", &expires) && expires >= 0 && now > expires + CLOCK_SKEW_S)
		return "the ARC message signature has expired";
	const char *reason = check_body(s, m, relaxed_body);
	if (reason)
		return reason;
	canonical_headers(&text, m, names, s->header, relaxed_header);
	canonical_signature(&text, s->header->line, relaxed_header);
	reason = check(s, buf_str(&text), m);
	buf_free(&text);
	return reason;
}

void arc_chain_sealed(struct buf *out, const struct arc_chain *chain, size_t from, size_t i)
{
	for (; from <= i; from++) {
		const struct arc_set *set = &chain->sets[from];
		canonical_header(out, set->results->line, true);
		canonical_header(out, set->message->line, true);
		if (from < i)
			canonical_header(out, set->seal->line, true);
	}
}

/* 5.1.1: a seal signs all sets up to its own, in order, and relaxed whatever the message signature
 * says. */
static const char *check_seal(const struct arc_chain *chain, size_t i, const struct arc_signature *s,
	const struct mail *m)
{
	struct buf text = BUF_INIT;

	arc_chain_sealed(&text, chain, 0, i);
	canonical_signature(&text, s->header->line, true);
	const char *reason = check(s, buf_str(&text), m);
	buf_free(&text);
	return reason;
}

void arc_chain_verify(struct arc_chain *chain, const struct mail *m, int64_t now)
{
	if (chain->result != AUTH_PASS)
		return;
	const char *reason = check_message(&chain->signatures[0], m, now);
	for (size_t k = 1; k <= chain->n && !reason; k++)
		reason = check_seal(chain, chain->n - k, &chain->signatures[k], m);
	if (reason)
		arc_chain_fail(chain, reason);
}
