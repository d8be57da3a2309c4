#include "gateway/inspector/draft.h"

#include "core/limits.h"
#include "filters/arc/seal.h"

static void draft_dkim(const struct mail *m, const struct draft_request *r, struct sign_draft *draft_r)
{
	struct sign_how how = { .domain = r->domain, .selector = r->selector,
		.algorithm = arena_cstr(m->arena, r->algorithm), .relaxed_header = true,
		.relaxed_body = true, .now = r->now };

	sign_draft(m, &how, draft_r);
}

/* 1: drafted; 0: the message gets no set. */
static int draft_arc(const struct mail *m, const struct draft_request *r, struct str *below_r,
	struct sign_draft *draft_r, struct err *err)
{
	struct arc_sealer sealer = { .domain = r->domain, .selector = r->selector,
		.algorithm = arena_cstr(m->arena, r->algorithm), .now = r->now };
	struct arc_chain *chain = ARENA_NEW(m->arena, struct arc_chain);

	arc_chain_read(m, m->arena, chain);
	/* What was judged is what is sealed; what is malformed fails whatever was found. */
	if ((r->chain == AUTH_NONE) != (chain->result == AUTH_NONE) ||
		(r->chain == AUTH_PASS && chain->result != AUTH_PASS) ||
		(r->chain != AUTH_NONE && r->chain != AUTH_PASS && r->chain != AUTH_FAIL))
		return err_set(err, "the message has another ARC chain than was judged");
	/* Nobody looked at so many: they are not called broken, and may be whole for the next. */
	if (chain->n >= LIMIT_ARC_SIGNATURES)
		return 0;
	chain->result = r->chain;
	if (r->kind == DRAFT_ARC_MESSAGE)
		return arc_seal_message(m, chain, r->results, &sealer, below_r, draft_r);
	return arc_seal_chain(m, chain, r->set, &sealer, draft_r, err) < 0 ? -1 : 1;
}

static int draft(const struct mail *m, const struct draft_request *r, struct draft_reply *reply_r,
	struct err *err)
{
	struct sign_draft draft;
	int result = 1;

	*reply_r = (struct draft_reply){ .below = STR("") };
	if (r->kind == DRAFT_DKIM)
		draft_dkim(m, r, &draft);
	else
		result = draft_arc(m, r, &reply_r->below, &draft, err);
	if (result < 1)
		return result;
	reply_r->head = draft.head;
	reply_r->tail = draft.tail;
	reply_r->digest = arena_dup(m->arena, str_from((const char *)draft.digest, sizeof(draft.digest)));
	return 0;
}

int draft_answer(const struct ipc_packet *request, struct arena *arena, struct draft_reply *reply_r,
	struct err *err)
{
	struct draft_request r;
	struct str message;

	if (record_decode(&draft_request_record, request->payload, arena, &r, err) != 0)
		return -1;
	if (request->fd_count != 1 ||
		memfd_map(request->fds[0], LIMIT_MESSAGE_BYTES, &message, err) != 0)
		return err_set(err, "a message is to be signed, but did not come");
	int result = draft(mail_parse(arena, message), &r, reply_r, err);
	memfd_unmap(message);
	return result;
}
