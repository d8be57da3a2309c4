#include "gateway/draft.h"

#include "core/limits.h"
#include "core/mail/sign.h"

int draft_answer(const struct ipc_packet *request, struct arena *arena, struct draft_reply *reply_r,
	struct err *err)
{
	struct draft_request r;
	struct sign_draft draft;
	struct str message;

	if (record_decode(&draft_request_record, request->payload, arena, &r, err) != 0)
		return -1;
	if (request->fd_count != 1 ||
		memfd_map(request->fds[0], LIMIT_MESSAGE_BYTES, &message, err) != 0)
		return err_set(err, "a message is to be signed, but did not come");
	struct sign_how how = { .domain = r.domain, .selector = r.selector,
		.algorithm = arena_cstr(arena, r.algorithm), .relaxed_header = true,
		.relaxed_body = true, .now = r.now };
	sign_draft(mail_parse(arena, message), &how, &draft);
	memfd_unmap(message);
	*reply_r = (struct draft_reply){ draft.head, draft.tail,
		arena_dup(arena, str_from((const char *)draft.digest, sizeof(draft.digest))) };
	return 0;
}
