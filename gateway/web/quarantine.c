/* The quarantine over HTTP: the index is read here, all else is asked of the keeper and the trainer. */
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/json.h"
#include "core/limits.h"
#include "gateway/web/web.h"

/* Looking */

struct page {
	struct buf out;
	size_t count;
};

/* A list shows what a person chooses by; the rest (facts, verdict, headers) is shown one by one. */
static bool add_entry(void *context, const struct store_found *found)
{
	struct page *page = context;
	const struct quarantine_entry *e = &found->entry;
	buf_c(&page->out, page->count++ ? ", {\"id\": " : "{\"id\": ");
	json_text(&page->out, e->id, JSON_NO_CAP);
	buf_printf(&page->out, ", \"time\": %lld, \"state\": ", (long long)e->time);
	json_text(&page->out, found->state, JSON_NO_CAP);
	buf_c(&page->out, ", \"mail_from\": ");
	json_text(&page->out, e->mail_from, 320);
	buf_c(&page->out, ", \"from\": ");
	json_text(&page->out, e->from, 320);
	buf_c(&page->out, ", \"subject\": ");
	json_text(&page->out, e->subject, 400);
	buf_c(&page->out, ", \"rcpt_to\": [");
	for (size_t i = 0; i < e->rcpt_to.n; i++) {
		if (i)
			buf_c(&page->out, ", ");
		json_text(&page->out, e->rcpt_to.v[i], 320);
	}
	buf_c(&page->out, "], \"score\": ");
	json_double(&page->out, e->score);
	buf_c(&page->out, ", \"reason\": ");
	json_text(&page->out, e->reason, 1000);
	buf_c(&page->out, ", \"virus\": ");
	json_text(&page->out, e->virus, 200);
	buf_printf(&page->out, ", \"size\": %lld, \"label\": ", (long long)e->size);
	json_text(&page->out, found->label, 16);
	buf_char(&page->out, '}');
	return true;
}

static int read_query(struct web *web, struct http_request *r, struct store_query *query)
{
	uint64_t limit = 100, before = 0;
	struct str value = http_query(r, "limit");
	if (value.n && str_to_u64(value, 1, STORE_LIST_MAX, &limit) < 0)
		return -1;
	value = http_query(r, "before");
	if (value.n && str_to_u64(value, 0, INT64_MAX, &before) < 0)
		return -1;
	query->limit = (int64_t)limit;
	query->before = (int64_t)before;
	return 0;
}

void web_quarantine_list(void *context, struct http_request *r)
{
	struct web *web = context;
	struct store_query query = { 0 };
	struct page page = { .out = BUF_INIT };
	struct err err = { "" };
	char recipient[320], text[200];
	if (read_query(web, r, &query) < 0) {
		http_error(r, 400, "limit must lie within 1 and %d, before be a time in seconds",
			STORE_LIST_MAX);
		return;
	}
	if (!web_index(web, r))
		return;
	/* http_query() keeps one value at a time. */
	snprintf(recipient, sizeof(recipient), "%s", http_query(r, "recipient").p);
	snprintf(text, sizeof(text), "%s", http_query(r, "text").p);
	query.recipient = str_c(recipient);
	query.text = str_c(text);
	buf_c(&page.out, "{\"entries\": [");
	if (store_list(web->index, &query, web->arena, add_entry, &page, &err) != STORE_OK) {
		http_error(r, 503, "%s", err.text);
	} else {
		buf_c(&page.out, "]}\n");
		http_json(r, 200, buf_str(&page.out));
	}
	buf_free(&page.out);
}

void web_quarantine_show(void *context, struct http_request *r)
{
	struct web *web = context;
	struct store_found found;
	struct err err = { "" };
	if (!web_index(web, r))
		return;
	arena_reset(web->arena);
	enum store_result result = store_get(web->index, http_segment(r), web->arena, &found, &err);
	if (result != STORE_OK) {
		http_error(r, result == STORE_NOT_FOUND ? 404 : 503, "%s", err.text);
		return;
	}
	struct buf out = BUF_INIT;
	record_to_json(&store_found_record, &found, &out);
	buf_char(&out, '\n');
	http_json(r, 200, buf_str(&out));
	buf_free(&out);
}

/* Asking the keeper */

static const int status_of[] = { [KEEP_OK] = 200, [KEEP_NOT_FOUND] = 404, [KEEP_NO_SPACE] = 507,
	[KEEP_IO_ERROR] = 500, [KEEP_REFUSED] = 409 };

/* 0 with *reply_r, or -1: the request has been answered. */
static int read_reply(struct http_request *r, const struct ipc_packet *packet, struct arena *arena,
	struct keep_reply *reply_r)
{
	struct err err;
	if (!packet) {
		http_error(r, 503, "the process that does this has just gone away: try again");
		return -1;
	}
	if (record_decode(&keep_reply_record, packet->payload, arena, reply_r, &err) < 0) {
		http_error(r, 500, "%s", err.text);
		return -1;
	}
	if (reply_r->result != KEEP_OK) {
		http_error(r, status_of[reply_r->result], "%.*s", STR_ARG(reply_r->text));
		return -1;
	}
	return 0;
}

static void on_done(void *context, const struct ipc_packet *packet)
{
	struct http_request *r = context;
	struct arena *arena = arena_new(1 << 16);
	struct keep_reply reply;
	if (read_reply(r, packet, arena, &reply) == 0)
		http_json(r, 200, STR("{\"ok\": true}\n"));
	arena_free(&arena);
}

static void on_message(void *context, const struct ipc_packet *packet)
{
	struct http_request *r = context;
	struct arena *arena = arena_new(1 << 16);
	struct keep_reply reply;
	struct str message;
	struct err err;
	if (read_reply(r, packet, arena, &reply) == 0) {
		if (packet->fd_count != 1 ||
			memfd_map(packet->fds[0], LIMIT_MESSAGE_BYTES, &message, &err) < 0) {
			http_error(r, 500, "the message cannot be mapped");
		} else {
			/* Octets, never shown as what they may claim to be. */
			http_reply(r, 200, "application/octet-stream", message);
			memfd_unmap(message);
		}
	}
	for (unsigned i = 0; packet && i < packet->fd_count; i++)
		close(packet->fds[i]);
	arena_free(&arena);
}

static void ask(struct web *web, struct http_request *r, struct channel *peer, uint16_t type,
	const struct record *rec, const void *object, const int *fd, channel_reply_fn *done)
{
	struct buf payload = BUF_INIT;
	record_encode(rec, object, &payload);
	if (!peer || channel_request(peer, type, buf_str(&payload), fd, fd ? 1 : 0, done, r) == 0)
		http_error(r, 503, "the process that does this is away or busy: try again");
	buf_free(&payload);
}

void web_quarantine_message(void *context, struct http_request *r)
{
	struct web *web = context;
	struct keep_id which = { .id = http_segment(r) };
	ask(web, r, web->keeper, KEEP_READ, &keep_id_record, &which, NULL, on_message);
}

void web_quarantine_delete(void *context, struct http_request *r)
{
	struct web *web = context;
	struct quarantine_order order = { .id = http_segment(r), .who = str_c(http_who(r)) };
	ask(web, r, web->keeper, KEEP_DELETE, &quarantine_order_record, &order, NULL, on_done);
}

struct release_body {
	struct str_list recipients;
};
static const struct field release_fields[] = {
	FIELD_STRS(struct release_body, recipients),
	FIELD_END,
};
static const struct record release_record = RECORD("release", struct release_body, release_fields);

void web_quarantine_release(void *context, struct http_request *r)
{
	struct web *web = context;
	struct release_body body = { 0 };
	struct err err = { "" };
	arena_reset(web->arena);
	if (http_body(r).n && record_from_json(&release_record, http_body(r), web->arena, &body, &err) < 0) {
		http_error(r, 400, "%s", err.text);
		return;
	}
	struct quarantine_order order = { .id = http_segment(r), .who = str_c(http_who(r)),
		.rcpt_to = body.recipients };
	ask(web, r, web->keeper, KEEP_RELEASE, &quarantine_order_record, &order, NULL, on_done);
}

/* Learning */

static int read_label(struct http_request *r, bool *spam_r)
{
	struct str label = http_query(r, "label");
	*spam_r = str_eq_c(label, "spam");
	if (*spam_r || str_eq_c(label, "ham"))
		return 0;
	http_error(r, 400, "say label=spam or label=ham");
	return -1;
}

/* A held message is learned in three steps: read, train, label. */
struct lesson {
	struct web *web;
	struct http_request *r;
	char id[STORE_ID_MAX + 1];
	bool spam;
};

static void on_trained(void *context, const struct ipc_packet *packet)
{
	struct lesson *lesson = context;
	struct arena *arena = arena_new(1 << 16);
	struct keep_reply reply;
	if (read_reply(lesson->r, packet, arena, &reply) == 0) {
		struct keep_label label = { .id = str_c(lesson->id),
			.label = str_c(lesson->spam ? "spam" : "ham") };
		ask(lesson->web, lesson->r, lesson->web->keeper, KEEP_LABEL, &keep_label_record, &label, NULL,
			on_done);
	}
	arena_free(&arena);
	free(lesson);
}

static void train(struct web *web, struct http_request *r, bool spam, struct str findings, int fd,
	channel_reply_fn *done, void *done_context)
{
	struct train_request order = { .spam = spam, .findings = findings, .who = str_c(http_who(r)),
		.channel = STR("api") };
	struct buf payload = BUF_INIT;
	record_encode(&train_request_record, &order, &payload);
	if (!web->trainer || channel_request(web->trainer, TRAIN, buf_str(&payload), &fd, 1, done,
				     done_context) == 0) {
		http_error(r, 503, "the trainer is away or busy: try again");
		if (done_context != r)
			free(done_context);
	}
	buf_free(&payload);
}

/* What was found in it when it was held: names, blanks between. */
static void recorded_findings(struct web *web, struct str id, struct arena *arena, struct buf *out)
{
	struct store_found found;
	if (!web->index)
		web->index = store_open(web->self->config->state_dir, true, NULL);
	if (!web->index || store_get(web->index, id, arena, &found, NULL) != STORE_OK)
		return;
	json_t *verdict = json_loadb(found.entry.verdict.p, found.entry.verdict.n, 0, NULL), *finding;
	size_t i;
	json_array_foreach(json_object_get(verdict, "findings"), i, finding) {
		const char *name = json_string_value(json_object_get(finding, "name"));
		buf_printf(out, "%s ", name ? name : "");
	}
	json_decref(verdict);
}

static void on_lesson_read(void *context, const struct ipc_packet *packet)
{
	struct lesson *lesson = context;
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct keep_reply reply;
	if (read_reply(lesson->r, packet, arena, &reply) < 0) {
		free(lesson);
	} else if (packet->fd_count != 1) {
		http_error(lesson->r, 500, "the message did not come");
		free(lesson);
	} else {
		struct buf findings = BUF_INIT;
		recorded_findings(lesson->web, str_c(lesson->id), arena, &findings);
		train(lesson->web, lesson->r, lesson->spam, buf_str(&findings), packet->fds[0], on_trained,
			lesson);
		buf_free(&findings);
	}
	for (unsigned i = 0; packet && i < packet->fd_count; i++)
		close(packet->fds[i]);
	arena_free(&arena);
}

void web_quarantine_learn(void *context, struct http_request *r)
{
	struct web *web = context;
	bool spam;
	if (read_label(r, &spam) < 0)
		return;
	struct lesson *lesson = calloc(1, sizeof(*lesson));
	struct keep_id which = { .id = http_segment(r) };
	struct buf payload = BUF_INIT;
	lesson->web = web;
	lesson->r = r;
	lesson->spam = spam;
	snprintf(lesson->id, sizeof(lesson->id), "%.*s", (int)which.id.n, which.id.p);
	record_encode(&keep_id_record, &which, &payload);
	if (!web->keeper || channel_request(web->keeper, KEEP_READ, buf_str(&payload), NULL, 0,
				    on_lesson_read, lesson) == 0) {
		http_error(r, 503, "the keeper is away or busy: try again");
		free(lesson);
	}
	buf_free(&payload);
}

/* A message of one's own: the body of the request. */
void web_learn(void *context, struct http_request *r)
{
	struct web *web = context;
	struct err err = { "" };
	bool spam;
	if (read_label(r, &spam) < 0)
		return;
	int fd = memfd_sealed("lesson", http_body(r), &err);
	if (fd < 0) {
		http_error(r, 500, "%s", err.text);
		return;
	}
	train(web, r, spam, STR(""), fd, on_done, r);
	close(fd);
}
