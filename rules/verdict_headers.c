/* The header lines of ours, and the forged ones that are left out. */
#include "rules/verdict.h"

#include <math.h>

#include "core/authres.h"
#include "core/headerline.h"
#include "core/limits.h"

#define MAX_LEVEL   50	 /* asterisks */
#define TESTS_BYTES 1500 /* of X-Spam-Status */

static struct str take(struct buf *b, struct arena *arena)
{
	struct str s = arena_dup(arena, buf_str(b));

	buf_free(b);
	return s;
}

/* What downstream filters and users' rules know from SpamAssassin. */
static struct str spam_headers(const struct policy *p, struct arena *arena, const struct verdict *v,
	int action)
{
	bool spam = action >= ACTION_TAG;
	struct buf out = BUF_INIT, value = BUF_INIT;
	size_t stars = v->score >= 1 ? (size_t)fmin(v->score, MAX_LEVEL) : 0;

	if (spam)
		headerline_add(&out, "X-Spam-Flag", STR("YES"));
	buf_printf(&value, "%.1f", v->score);
	headerline_add(&out, "X-Spam-Score", buf_str(&value));
	if (stars) {
		buf_clear(&value);
		while (stars--)
			buf_char(&value, '*');
		headerline_add(&out, "X-Spam-Level", buf_str(&value));
	}
	buf_clear(&value);
	buf_printf(&value, "%s, score=%.1f required=%.1f tests=", spam ? "Yes" : "No", v->score,
		p->tag_score);
	if (!v->findings.n)
		buf_c(&value, "none");
	for (size_t i = 0; i < v->findings.n && value.n < TESTS_BYTES; i++)
		buf_printf(&value, "%s%.*s=%.1f", i ? ", " : "",
			STR_ARG(str_sub(v->findings.v[i].name, 0, 80)), v->findings.v[i].score);
	headerline_add(&out, "X-Spam-Status", buf_str(&value));
	buf_free(&value);
	return take(&out, arena);
}

/*
 * Whatever a mailbox server could take for ours: results under our name (RFC 8601 5), spam marks, and
 * what only a receiver may add (BIMI).
 */
static bool is_forged(const struct mail_header *h, const char *hostname)
{
	static const char *const prefixes[] = { "X-Spam-", "X-Gatepost-" };
	static const char *const names[] = {
		"X-Spam", "BIMI-Indicator", "BIMI-Location", "BIMI-Logo-Preference",
	};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (str_istarts(h->name, prefixes[i]))
			return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_ieq_c(h->name, names[i]))
			return true;
	return str_ieq_c(h->name, "Authentication-Results") && authres_claims(h->value, hostname);
}

static void find_cuts(const struct verdict_input *in, struct arena *arena, struct verdict *v)
{
	const struct mail *m = in->mail;
	size_t n = 0;

	v->cuts.v = arena_alloc(arena, (m->headers.n + 1) * sizeof(*v->cuts.v));
	for (size_t i = 0; i < m->headers.n; i++) {
		const struct mail_header *h = &m->headers.v[i];
		int64_t offset;

		if (!is_forged(h, in->hostname))
			continue;
		offset = h->line.p - m->raw.p;
		if (n && v->cuts.v[n - 1].offset + v->cuts.v[n - 1].length == offset)
			v->cuts.v[n - 1].length += (int64_t)h->line.n;
		else
			v->cuts.v[n++] = (struct cut){ offset, (int64_t)h->line.n };
	}
	v->cuts.n = n;
}

void verdict_headers(const struct verdict_input *in, struct arena *arena, struct verdict *v)
{
	struct buf out = BUF_INIT, value = BUF_INIT;

	if (in->mail)
		find_cuts(in, arena, v);
	if (in->facts->outbound) {
		v->headers = STR("");
		return;
	}
	authres_write(&value, in->hostname, in->facts, &v->auth);
	v->authentication_results = take(&value, arena);
	headerline_add(&out, "Authentication-Results", v->authentication_results);
	buf_str_add(&out, v->headers);
	v->headers = take(&out, arena);

	for (size_t i = 0; i < v->recipients.n; i++) {
		struct recipient_verdict *r = &v->recipients.v[i];
		const struct policy *p = policy_for(in->policies, r->address);

		if (p->spam_headers && r->action <= ACTION_QUARANTINE)
			r->headers = spam_headers(p, arena, v, r->action);
	}
}

/* "Yes, score=7.1 required=5.0 tests=SPF_FAIL=2.0, URI_IP=1.5" */
static struct str names_of(struct arena *arena, struct str status)
{
	struct str list = str_skip(status, str_find(status, STR("tests="))), item;
	struct buf out = BUF_INIT;

	list = str_skip(list, sizeof("tests=") - 1);
	while (str_cut(&list, ',', &item)) {
		item = str_trim(item);
		buf_str_add(&out, str_sub(item, 0, str_chr(item, '=')));
		if (item.n)
			buf_char(&out, ' ');
	}
	return take(&out, arena);
}

struct str verdict_headers_findings(struct mail *m, const char *hostname)
{
	const struct mail_header *h = NULL, *status = mail_header(m, "X-Spam-Status", NULL);
	size_t ours = 0;

	while ((h = mail_header(m, "Authentication-Results", h)))
		ours += authres_claims(h->value, hostname);
	if (ours != 1 || mail_header_count(m, "X-Spam-Status") != 1)
		return STR("");
	return names_of(m->arena, mail_unfold(m->arena, status->value));
}
