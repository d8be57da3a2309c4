#include "filters/arc/seal.h"

#include "core/hash.h"
#include "core/headerline.h"
#include "core/mail/canonical.h"

/* 4.1.2: the DKIM signatures that are there too; never results, nor what belongs to ARC. */
static struct str names_of(const struct mail *m, const struct arc_sealer *sealer)
{
	size_t signatures = mail_header_count(m, "DKIM-Signature");
	struct buf out = BUF_INIT;

	if (sealer->names.n)
		return sealer->names;
	buf_str_add(&out, sign_names(m));
	for (size_t i = 0; i < signatures && i < LIMIT_DKIM_SIGNATURES; i++)
		buf_c(&out, ":DKIM-Signature");
	struct str names = arena_dup(m->arena, buf_str(&out));
	buf_free(&out);
	return names;
}

int arc_seal_message(const struct mail *m, const struct arc_chain *chain, struct str results,
	const struct arc_sealer *sealer, struct str *results_r, struct sign_draft *draft_r)
{
	struct str names = names_of(m, sealer);
	struct buf line = BUF_INIT, tail = BUF_INIT;

	if (chain->has_failed_before || chain->n >= LIMIT_ARC_SETS)
		return 0;
	headerline_add(&line, "ARC-Authentication-Results",
		arena_printf(m->arena, "i=%zu; %.*s", chain->n + 1, STR_ARG(results)));
	*results_r = arena_dup(m->arena, buf_str(&line));
	buf_free(&line);
	draft_r->head = arena_printf(m->arena, "ARC-Message-Signature: a=%s;\r\n\tb=",
		sealer->algorithm);
	buf_c(&tail, ";\r\n\tbh=");
	buf_str_add(&tail, sign_body_hash(m, true));
	buf_c(&tail, "; c=relaxed/relaxed;\r\n\td=");
	buf_str_add(&tail, sealer->domain);
	buf_c(&tail, ";\r\n\th=");
	sign_fold_names(&tail, names, 10);
	/* Folded by a blank: dkimpy looks for " i=1;" in the raw line. */
	buf_printf(&tail, ";\r\n i=%zu; s=", chain->n + 1);
	buf_str_add(&tail, sealer->selector);
	buf_printf(&tail, "; t=%lld", (long long)sealer->now);
	draft_r->tail = arena_dup(m->arena, buf_str(&tail));
	buf_free(&tail);
	sign_hash(m, names, true, draft_r);
	return 1;
}

static int read_set(const struct mail *m, struct str lines, struct arc_set *set_r, struct err *err)
{
	const struct mail *set = mail_parse(m->arena, lines);

	if (set->headers.n != 2 || set->body.n ||
		!str_ieq_c(set->headers.v[0].name, "ARC-Message-Signature") ||
		!str_ieq_c(set->headers.v[1].name, "ARC-Authentication-Results"))
		return err_set(err, "what is to be sealed is no ARC set");
	*set_r = (struct arc_set){ .message = &set->headers.v[0], .results = &set->headers.v[1] };
	return 0;
}

int arc_seal_chain(const struct mail *m, const struct arc_chain *chain, struct str lines,
	const struct arc_sealer *sealer, struct sign_draft *draft_r, struct err *err)
{
	static const char *const cv[] = { [AUTH_NONE] = "none", [AUTH_PASS] = "pass",
		[AUTH_FAIL] = "fail" };
	struct buf text = BUF_INIT;
	size_t last = chain->n;

	if (last >= LIMIT_ARC_SETS)
		return err_set(err, "the ARC chain has no room");
	struct arc_chain *extended = ARENA_NEW(m->arena, struct arc_chain);
	*extended = *chain;
	extended->n++;
	if (read_set(m, lines, &extended->sets[last], err) < 0)
		return -1;
	draft_r->head = arena_printf(m->arena, "ARC-Seal: a=%s;\r\n\tb=", sealer->algorithm);
	draft_r->tail = arena_printf(m->arena, "; cv=%s;\r\n\td=%.*s; i=%zu; s=%.*s;\r\n\tt=%lld",
		cv[chain->result], STR_ARG(sealer->domain), extended->n, STR_ARG(sealer->selector),
		(long long)sealer->now);
	/* 5.1.2: of a chain that does not hold only the new set is signed. */
	arc_chain_sealed(&text, extended, chain->result == AUTH_FAIL ? last : 0, last);
	canonical_signature(&text, arena_printf(m->arena, "%.*s%.*s", STR_ARG(draft_r->head),
		STR_ARG(draft_r->tail)), true);
	hash_sha256(buf_str(&text), draft_r->digest);
	buf_free(&text);
	return 0;
}
