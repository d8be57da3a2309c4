#include "core/mail/sign.h"

#include <openssl/evp.h>

#include "core/hash.h"
#include "core/mail/canonical.h"

#define FOLD_AT 76

/* 5.4.1, and what else changes how a message looks or what a click does. */
static const struct {
	const char *name;
	bool is_unique; /* at most one may stand in a message (RFC 5322 3.6): no other can be added */
} signed_headers[] = {
	{ "From", true },
	{ "Sender", true },
	{ "Reply-To", true },
	{ "To", true },
	{ "Cc", true },
	{ "Subject", true },
	{ "Date", true },
	{ "Message-ID", true },
	{ "In-Reply-To", true },
	{ "References", true },
	{ "MIME-Version", true },
	{ "Content-Type", true },
	{ "Content-Transfer-Encoding", true },
	{ "Auto-Submitted", false },
	{ "List-Id", false },
	{ "List-Unsubscribe", false },
	{ "List-Unsubscribe-Post", false }, /* RFC 8058 4 */
};

struct str sign_names(const struct mail *m)
{
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < sizeof(signed_headers) / sizeof(signed_headers[0]); i++) {
		size_t count = mail_header_count(m, signed_headers[i].name);
		count = (count < SIGN_INSTANCES_MAX ? count : SIGN_INSTANCES_MAX) +
			signed_headers[i].is_unique;
		while (count-- > 0)
			buf_printf(&out, "%s%s", out.n ? ":" : "", signed_headers[i].name);
	}
	struct str names = arena_dup(m->arena, buf_str(&out));
	buf_free(&out);
	return names;
}

struct str sign_body_hash(const struct mail *m, bool relaxed)
{
	uint8_t digest[32];
	char *text = arena_alloc(m->arena, 48);

	canonical_body_hash(m->body, relaxed, digest);
	return str_from(text, (size_t)EVP_EncodeBlock((uint8_t *)text, digest, sizeof(digest)));
}

void sign_fold_names(struct buf *out, struct str names, size_t column)
{
	struct str name;
	bool is_first = true;

	while (str_cut(&names, ':', &name)) {
		if (!is_first)
			buf_char(out, ':');
		column += name.n + 1;
		if (!is_first && column > FOLD_AT) {
			buf_c(out, "\r\n\t");
			column = 8 + name.n;
		}
		buf_str_add(out, name);
		is_first = false;
	}
}

void sign_hash(const struct mail *m, struct str names, bool relaxed, struct sign_draft *draft)
{
	struct buf text = BUF_INIT, line = BUF_INIT;

	buf_str_add(&line, draft->head);
	buf_str_add(&line, draft->tail);
	canonical_headers(&text, m, names, NULL, relaxed);
	canonical_signature(&text, buf_str(&line), relaxed);
	hash_sha256(buf_str(&text), draft->digest);
	buf_free(&line);
	buf_free(&text);
}

void sign_draft(const struct mail *m, const struct sign_how *how, struct sign_draft *draft_r)
{
	struct str names = how->names.n ? how->names : sign_names(m);
	struct buf head = BUF_INIT;

	buf_printf(&head, "DKIM-Signature: v=1; a=%s; c=%s/%s;\r\n\td=", how->algorithm,
		how->relaxed_header ? "relaxed" : "simple", how->relaxed_body ? "relaxed" : "simple");
	buf_str_add(&head, how->domain);
	buf_c(&head, "; s=");
	buf_str_add(&head, how->selector);
	buf_printf(&head, ";\r\n\tt=%lld;", (long long)how->now);
	if (how->lifetime_s)
		buf_printf(&head, " x=%lld;", (long long)(how->now + how->lifetime_s));
	buf_c(&head, "\r\n\th=");
	sign_fold_names(&head, names, 10);
	buf_c(&head, ";\r\n\tbh=");
	buf_str_add(&head, sign_body_hash(m, how->relaxed_body));
	buf_c(&head, ";\r\n\tb=");
	draft_r->head = arena_dup(m->arena, buf_str(&head));
	draft_r->tail = STR("");
	buf_free(&head);
	sign_hash(m, names, how->relaxed_header, draft_r);
}

void sign_finish(const struct sign_draft *draft, struct str signature, bool is_folded, struct buf *out)
{
	size_t first = is_folded ? FOLD_AT - 10 : signature.n;

	buf_str_add(out, draft->head);
	for (size_t at = 0, n = first; at < signature.n; at += n, n = FOLD_AT - 8) {
		if (at)
			buf_c(out, "\r\n\t");
		buf_str_add(out, str_sub(signature, at, n));
	}
	buf_str_add(out, draft->tail);
	buf_c(out, "\r\n");
}
