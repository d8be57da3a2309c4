#include "filters/arc/seal.h"

#include "core/hash.h"
#include "core/headerline.h"
#include "core/mail/canonical.h"
#include "core/mail/sign.h"

struct str arc_seal_results(const struct mail *m, const char *authserv_id)
{
	const struct mail_header *h = NULL;
	struct buf out = BUF_INIT;

	while ((h = mail_header(m, "Authentication-Results", h))) {
		struct str rest = mail_unfold(m->arena, h->value), id;
		str_cut(&rest, ';', &id);
		rest = str_trim(rest);
		if (!str_ieq_c(str_trim(id), authserv_id) || rest.n == 0)
			continue;
		if (out.n == 0)
			buf_c(&out, authserv_id);
		buf_c(&out, "; ");
		buf_str_add(&out, rest);
	}
	struct str results = arena_dup(m->arena, buf_str(&out));
	buf_free(&out);
	return results;
}

/* The finished line. Its signature is not folded, as the test suite has it: whoever refolds it would
 * break the seals above. */
static struct str sign_line(const struct mail *m, const struct arc_sealer *sealer,
	const struct sign_draft *draft)
{
	struct buf line = BUF_INIT;

	buf_str_add(&line, draft->head);
	sealer->sign(sealer->context, draft->digest, &line);
	buf_str_add(&line, draft->tail);
	buf_c(&line, "\r\n");
	struct str kept = arena_dup(m->arena, buf_str(&line));
	buf_free(&line);
	return kept;
}

static struct str message_signature(const struct mail *m, size_t instance,
	const struct arc_sealer *sealer)
{
	struct buf tail = BUF_INIT;
	struct sign_draft draft;

	draft.head = arena_printf(m->arena, "ARC-Message-Signature: a=%s;\r\n\tb=", sealer->algorithm);
	buf_c(&tail, ";\r\n\tbh=");
	buf_str_add(&tail, sign_body_hash(m, true));
	buf_c(&tail, "; c=relaxed/relaxed;\r\n\td=");
	buf_str_add(&tail, sealer->domain);
	buf_c(&tail, ";\r\n\th=");
	sign_fold_names(&tail, sealer->names, 10);
	buf_printf(&tail, ";\r\n\ti=%zu; s=", instance);
	buf_str_add(&tail, sealer->selector);
	buf_printf(&tail, "; t=%lld", (long long)sealer->now);
	draft.tail = arena_dup(m->arena, buf_str(&tail));
	buf_free(&tail);
	sign_hash(m, sealer->names, true, &draft);
	return sign_line(m, sealer, &draft);
}

/* 5.1.2: of a chain that does not hold only the new set is signed. */
static struct str seal(const struct mail *m, const struct arc_chain *chain,
	const struct arc_sealer *sealer)
{
	static const char *const cv[] = { [AUTH_NONE] = "none", [AUTH_PASS] = "pass",
		[AUTH_FAIL] = "fail" };
	size_t last = chain->n - 1;
	struct buf text = BUF_INIT;
	struct sign_draft draft;

	draft.head = arena_printf(m->arena, "ARC-Seal: a=%s;\r\n\tb=", sealer->algorithm);
	draft.tail = arena_printf(m->arena, "; cv=%s;\r\n\td=%.*s; i=%zu; s=%.*s;\r\n\tt=%lld",
		cv[chain->result], STR_ARG(sealer->domain), chain->n, STR_ARG(sealer->selector),
		(long long)sealer->now);
	arc_chain_sealed(&text, chain, chain->result == AUTH_FAIL ? last : 0, last);
	canonical_signature(&text, arena_printf(m->arena, "%.*s%.*s", STR_ARG(draft.head),
		STR_ARG(draft.tail)), true);
	hash_sha256(buf_str(&text), draft.digest);
	buf_free(&text);
	return sign_line(m, sealer, &draft);
}

int arc_seal(const struct mail *m, const struct arc_chain *chain, struct str results,
	const struct arc_sealer *sealer, struct buf *out)
{
	struct mail_header aar = { .line = STR("") }, ams = { .line = STR("") };
	struct buf line = BUF_INIT;

	if (chain->has_failed_before || chain->n >= LIMIT_ARC_SETS)
		return 0;
	struct arc_chain *extended = ARENA_NEW(m->arena, struct arc_chain);
	*extended = *chain;
	struct arc_set *set = &extended->sets[extended->n++];
	headerline_add(&line, "ARC-Authentication-Results", arena_printf(m->arena, "i=%zu; %.*s",
		extended->n, STR_ARG(results)));
	aar.line = arena_dup(m->arena, buf_str(&line));
	buf_free(&line);
	ams.line = message_signature(m, extended->n, sealer);
	set->results = &aar;
	set->message = &ams;
	buf_str_add(out, seal(m, extended, sealer));
	buf_str_add(out, ams.line);
	buf_str_add(out, aar.line);
	return 1;
}
