/*
 * What an inspector drafts for a message, and what becomes of it in the front. The first line is the value of
 * our Authentication-Results, the rest the message; the octets as they stand are read as request and reply too.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <unistd.h>

#include "core/limits.h"
#include "filters/arc/chain.h"
#include "filters/arc/seal.h"
#include "gateway/front/deliver.h"
#include "gateway/inspector/draft.h"

/* As gateway/front/signing.c puts a line together; empty: there is none. */
static struct str draft(struct arena *arena, struct draft_request *r, struct str message, struct str below)
{
	struct ipc_packet packet = { .fd_count = 1 };
	struct buf payload = BUF_INIT, line = BUF_INIT;
	struct draft_reply reply;
	struct err err;

	r->domain = STR("example.net");
	r->selector = STR("s1");
	r->algorithm = STR("rsa-sha256");
	r->now = 1795176000;
	record_encode(&draft_request_record, r, &payload);
	packet.payload = buf_str(&payload);
	packet.fds[0] = memfd_sealed("fuzz", message, NULL);
	assert(draft_answer(&packet, arena, &reply, &err) == 0);
	assert(reply.digest.n == (reply.head.n ? SIGN_DIGEST : 0));
	if (reply.head.n) {
		struct sign_draft d = { .head = reply.head, .tail = reply.tail };
		sign_finish(&d, STR("AAAA"), r->kind == DRAFT_DKIM, &line);
		buf_str_add(&line, reply.below);
		buf_str_add(&line, below);
	}
	struct str result = arena_dup(arena, buf_str(&line));
	close(packet.fds[0]);
	buf_free(&payload);
	buf_free(&line);
	return result;
}

static void check(struct arena *arena, struct str lines, struct str message)
{
	struct str *spans;

	assert(lines.n <= LIMIT_SIGNATURE_BYTES);
	assert(!lines.n || deliver_spans(arena, lines, message, NULL, 0, &spans) > 0);
}

/* The result that arc.c would have found, or a failure of its keys. */
static void draft_arc(struct arena *arena, struct str results, struct str message)
{
	struct arc_chain *chain = ARENA_NEW(arena, struct arc_chain);

	arc_chain_read(mail_parse(arena, message), arena, chain);
	for (int result = chain->result; result >= 0; result = result == AUTH_PASS ? AUTH_FAIL : -1) {
		struct draft_request r = { .kind = DRAFT_ARC_MESSAGE, .chain = result, .results = results };
		struct str set = draft(arena, &r, message, STR(""));
		r = (struct draft_request){ .kind = DRAFT_ARC_SEAL, .chain = result, .set = set };
		if (set.n)
			check(arena, draft(arena, &r, message, set), message);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct str input = str_from((const char *)data, size), results, message = input;
	struct draft_request r = { .kind = DRAFT_DKIM };
	struct ipc_packet packet = { .payload = input, .fd_count = 1 };
	struct draft_reply reply;
	struct err err;

	str_cut(&message, '\n', &results);
	message = str_from(message.n ? message.p : "", message.n);
	check(arena, draft(arena, &r, message, STR("")), message);
	draft_arc(arena, str_sub(results, 0, 4000), message);
	record_decode(&draft_reply_record, input, arena, &reply, &err);
	packet.fds[0] = memfd_sealed("fuzz", message, NULL);
	draft_answer(&packet, arena, &reply, &err);
	close(packet.fds[0]);
	arena_free(&arena);
	return 0;
}
