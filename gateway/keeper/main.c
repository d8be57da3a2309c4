/*
 * keeper: what must be durable. It alone writes the quarantine, the release jobs
 * and the DMARC counters, and does nothing else: quick writes, many of them in
 * one fsync (group commit). It never takes a message apart.
 *
 * A round of the loop gathers what has arrived; the flush at its end makes all of
 * it durable, and only then are the answers sent. A front that goes away leaves
 * its pending entries as held ones, and its release jobs open again.
 */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "core/limits.h"
#include "gateway/fault.h"
#include "gateway/keeper/peer.h"
#include "gateway/log.h"
#include "gateway/role.h"
#include "quarantine/store.h"
#include "reports/collect.h"

_Static_assert((int)STORE_OK == (int)KEEP_OK && (int)STORE_NOT_FOUND == (int)KEEP_NOT_FOUND &&
		       (int)STORE_NO_SPACE == (int)KEEP_NO_SPACE &&
		       (int)STORE_IO_ERROR == (int)KEEP_IO_ERROR && (int)STORE_REFUSED == (int)KEEP_REFUSED,
	"a store's result is sent as it is");

enum { JOB_LOOK_MS = 15000, REQUEST_MEMORY = 4 << 20 };

struct keeper {
	struct role_self *self;
	struct store *store;
	struct collect *collect;
	struct arena *arena; /* of one request */
	struct peer *peers;
	struct loop_timer *flush, *jobs;
	bool is_flush_due;
};

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

/* When a job that could not be done now is due again. */
static int64_t retry_at(const struct keeper *k)
{
	return now_s() + k->self->config->limits.release_retry / 1000;
}

static void warn(const char *event, enum store_result result, const struct err *err)
{
	if (result != STORE_OK && result != STORE_NOT_FOUND && result != STORE_REFUSED)
		log_event(LOG_LEVEL_ERROR, event, "%s", err->text);
}

static void answer(struct channel *channel, uint32_t id, enum store_result result, const char *text,
	const int *fd)
{
	struct keep_reply reply = { .result = (int)result, .text = str_c(text) };
	struct buf payload = BUF_INIT;
	record_encode(&keep_reply_record, &reply, &payload);
	struct ipc_packet packet = { .id = id, .payload = buf_str(&payload) };
	if (fd) {
		packet.fds[0] = *fd;
		packet.fd_count = 1;
	}
	channel_send(channel, &packet);
	buf_free(&payload);
}

/* Flushing */

static void on_flush(void *context)
{
	struct keeper *k = context;
	struct err err = { "" };
	k->is_flush_due = false;
	enum store_result result = fault_point("keeper.flush") ? STORE_IO_ERROR : store_flush(k->store, &err);
	warn("quarantine-not-durable", result, &err);
	if (fault_point("keeper.after-flush"))
		result = STORE_IO_ERROR;
	for (struct peer *p = k->peers; p; p = p->next)
		peer_answer_stored(p, result, err.text, answer);
	if (collect_flush(k->collect, &err) < 0)
		log_event(LOG_LEVEL_ERROR, "report-count-lost", "%s", err.text);
}

static void flush_soon(struct keeper *k)
{
	if (k->is_flush_due)
		return;
	k->is_flush_due = true;
	loop_timer_set(k->flush, 0);
}

/* Release jobs */

static bool hand_out(struct keeper *k, struct peer *peer, const struct store_job *job)
{
	struct buf body = BUF_INIT, payload = BUF_INIT;
	struct err err = { "" };
	struct delivery_job out = { .job = job->job, .id = job->id, .mail_from = job->entry.mail_from,
		.headers = job->entry.headers, .rcpt_to = job->recipients };
	out.cuts.v = job->entry.cuts.v;
	out.cuts.n = job->entry.cuts.n;
	bool sent = false;
	if (store_read(k->store, job->id, &body, &err) == STORE_OK) {
		int fd = memfd_sealed("release", buf_str(&body), &err);
		if (fd >= 0) {
			record_encode(&delivery_job_record, &out, &payload);
			struct ipc_packet packet = { .id = peer_take_pull(peer),
				.payload = buf_str(&payload), .fds = { fd }, .fd_count = 1 };
			sent = channel_send(peer->channel, &packet) == 0;
			close(fd);
		}
	}
	if (!sent)
		log_event(LOG_LEVEL_ERROR, "release-failed", "%.*s: %s", STR_ARG(job->id), err.text);
	else
		peer_add_job(peer, job->job);
	buf_free(&body);
	buf_free(&payload);
	return sent;
}

static void give_back(struct keeper *k, int64_t job, int64_t due)
{
	static const struct str_list none = { NULL, 0 };
	struct err err = { "" };
	warn("release-not-remembered", store_job_done(k->store, job, &none, STORE_IO_ERROR, due, &err), &err);
	flush_soon(k);
}

static struct peer *waiting_peer(struct keeper *k)
{
	for (struct peer *p = k->peers; p; p = p->next)
		if (p->pull_count)
			return p;
	return NULL;
}

static void on_jobs(void *context)
{
	struct keeper *k = context;
	struct peer *peer;
	struct err err = { "" };
	int found = 0;
	while (!k->self->is_draining && (peer = waiting_peer(k))) {
		struct store_job job;
		arena_reset(k->arena);
		found = store_job_next(k->store, now_s(), k->arena, &job, &err);
		if (found < 0)
			log_event(LOG_LEVEL_ERROR, "release-failed", "%s", err.text);
		if (found <= 0)
			break;
		if (!hand_out(k, peer, &job))
			give_back(k, job.job, retry_at(k));
	}
	int64_t retry_ms = k->self->config->limits.release_retry;
	loop_timer_set(k->jobs, retry_ms < JOB_LOOK_MS ? retry_ms : JOB_LOOK_MS);
}

/* Requests */

static struct str message_of(const struct ipc_packet *packet, struct err *err)
{
	struct str message = { NULL, 0 };
	if (packet->fd_count != 1)
		err_set(err, "the message did not come with it");
	else if (memfd_map(packet->fds[0], LIMIT_MESSAGE_BYTES, &message, err) < 0)
		message = (struct str){ NULL, 0 };
	return message;
}

static void on_store(struct keeper *k, struct peer *peer, const struct ipc_packet *packet)
{
	struct quarantine_entry entry;
	struct err err = { "" };
	enum store_result result = STORE_IO_ERROR;
	struct str message = message_of(packet, &err);
	int fault = fault_point("keeper.store");
	if (fault)
		result = fault == ENOSPC ? STORE_NO_SPACE : STORE_IO_ERROR;
	else if (message.p && record_decode(&quarantine_entry_record, packet->payload, k->arena, &entry,
				      &err) == 0)
		result = store_put(k->store, &entry, message, &err);
	if (message.p)
		memfd_unmap(message);
	/* Also upon a failure: a transaction may have begun, or been rolled back. */
	flush_soon(k);
	if (result != STORE_OK) {
		warn("quarantine-store-failed", result, &err);
		answer(peer->channel, packet->id, result, err.text, NULL);
		return;
	}
	peer_add_stored(peer, packet->id, entry.id, entry.pending);
}

static void on_settle(struct keeper *k, struct peer *peer, const struct ipc_packet *packet)
{
	struct keep_id which;
	struct err err = { "" };
	if (record_decode(&keep_id_record, packet->payload, k->arena, &which, &err) < 0)
		return;
	bool commit = packet->type == KEEP_COMMIT;
	enum store_result result = commit ? store_commit(k->store, which.id, &err) :
					    store_drop(k->store, which.id, &err);
	warn("quarantine-settle-failed", result, &err);
	peer_settle(peer, which.id);
	flush_soon(k);
}

static void on_record(struct keeper *k, struct peer *peer, const struct ipc_packet *packet)
{
	struct keep_record record;
	struct err err = { "" };
	if (record_decode(&keep_record_record, packet->payload, k->arena, &record, &err) < 0 ||
		(record.dmarc && collect_add(k->collect, record.dmarc, record.time, &err) < 0))
		log_event(LOG_LEVEL_ERROR, "report-count-lost", "%s", err.text);
	flush_soon(k);
}

static void on_pull(struct keeper *k, struct peer *peer, const struct ipc_packet *packet)
{
	peer_add_pull(peer, packet->id);
	loop_timer_set(k->jobs, 0);
}

/* Its own, or one that it was handed by the keeper before this one. */
static bool may_finish(const struct keeper *k, const struct peer *peer, int64_t job)
{
	for (const struct peer *p = k->peers; p; p = p->next)
		if (p != peer && peer_has_job(p, job))
			return false;
	return true;
}

static void on_job_done(struct keeper *k, struct peer *peer, const struct ipc_packet *packet)
{
	struct delivery_done done;
	struct err err = { "" };
	if (record_decode(&delivery_done_record, packet->payload, k->arena, &done, &err) < 0 ||
		!may_finish(k, peer, done.job))
		return;
	peer_remove_job(peer, done.job);
	enum store_result result = store_job_done(k->store, done.job, &done.delivered,
		(enum store_result)done.result, retry_at(k), &err);
	warn("release-not-remembered", result, &err);
	flush_soon(k);
	struct log_line *line = log_line(done.result == KEEP_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
		done.result == KEEP_OK ? "released" : "release-failed");
	log_int(line, "job", done.job);
	log_str(line, "text", done.text);
	log_end(line);
}

static void on_release(struct keeper *k, struct peer *peer, const struct ipc_packet *packet)
{
	struct quarantine_order order;
	struct err err = { "" };
	enum store_result result = STORE_REFUSED;
	if (record_decode(&quarantine_order_record, packet->payload, k->arena, &order, &err) == 0)
		result = store_release(k->store, order.id, &order.rcpt_to, order.who, &err);
	warn("release-failed", result, &err);
	answer(peer->channel, packet->id, result, err.text, NULL);
	loop_timer_set(k->jobs, 0);
}

static void on_delete(struct keeper *k, struct peer *peer, const struct ipc_packet *packet)
{
	struct quarantine_order order;
	struct err err = { "" };
	enum store_result result = STORE_REFUSED;
	if (record_decode(&quarantine_order_record, packet->payload, k->arena, &order, &err) == 0)
		result = store_delete(k->store, order.id, &err);
	warn("delete-failed", result, &err);
	flush_soon(k);
	answer(peer->channel, packet->id, result, err.text, NULL);
}

static void on_read(struct keeper *k, struct peer *peer, const struct ipc_packet *packet)
{
	struct keep_id which;
	struct err err = { "" };
	struct buf body = BUF_INIT;
	int fd = -1;
	enum store_result result = STORE_REFUSED;
	if (record_decode(&keep_id_record, packet->payload, k->arena, &which, &err) == 0)
		result = store_read(k->store, which.id, &body, &err);
	if (result == STORE_OK && (fd = memfd_sealed("held", buf_str(&body), &err)) < 0)
		result = STORE_IO_ERROR;
	answer(peer->channel, packet->id, result, err.text, fd >= 0 ? &fd : NULL);
	if (fd >= 0)
		close(fd);
	buf_free(&body);
}

static void on_label(struct keeper *k, struct peer *peer, const struct ipc_packet *packet)
{
	struct keep_label which;
	struct err err = { "" };
	enum store_result result = STORE_REFUSED;
	if (record_decode(&keep_label_record, packet->payload, k->arena, &which, &err) == 0)
		result = store_label(k->store, which.id, which.label, &err);
	answer(peer->channel, packet->id, result, err.text, NULL);
}

static const struct {
	uint16_t type;
	void (*handle)(struct keeper *k, struct peer *peer, const struct ipc_packet *packet);
} handlers[] = {
	{ KEEP_STORE, on_store },     { KEEP_COMMIT, on_settle },     { KEEP_DROP, on_settle },
	{ KEEP_RECORD, on_record },   { KEEP_PULL, on_pull },	      { KEEP_JOB_DONE, on_job_done },
	{ KEEP_RELEASE, on_release }, { KEEP_DELETE, on_delete },     { KEEP_READ, on_read },
	{ KEEP_LABEL, on_label },
};

static void on_packet(void *context, struct channel *channel, struct ipc_packet *packet)
{
	struct peer *peer = context;
	struct keeper *k = peer->keeper;
	bool may = peer_may(peer, packet->type);
	if (!may)
		log_event(LOG_LEVEL_ERROR, "request-not-allowed", "role %s may not send a packet of type %u",
			role_names[peer->role], packet->type);
	arena_reset(k->arena);
	for (size_t i = 0; may && i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].type == packet->type)
			handlers[i].handle(k, peer, packet);
	for (unsigned i = 0; i < packet->fd_count; i++)
		close(packet->fds[i]);
}

static void on_closed(void *context, struct channel *channel)
{
	struct peer *peer = context;
	struct keeper *k = peer->keeper;
	struct err err = { "" };
	/* A duplicate rather than a loss: whether it was forwarded, its front knew alone. */
	for (size_t i = 0; i < peer->pending_count; i++)
		warn("quarantine-settle-failed", store_commit(k->store, str_c(peer->pending[i].id), &err), &err);
	for (size_t i = 0; i < peer->job_count; i++)
		give_back(k, peer->jobs[i], now_s());
	peer_free(&k->peers, peer);
	flush_soon(k);
	loop_timer_set(k->jobs, 0);
}

/* The role */

static int load(struct role_self *self, struct err *err)
{
	struct keeper *k = ARENA_NEW(self->arena, struct keeper);
	const char *dir = self->config->state_dir;
	self->context = k;
	k->self = self;
	k->arena = arena_new(REQUEST_MEMORY);
	k->flush = loop_timer_new(self->loop, on_flush, k);
	k->jobs = loop_timer_new(self->loop, on_jobs, k);
	if (role_folder(self, dir, err) < 0 || role_as_user(self, err) < 0)
		return -1;
	k->store = store_open(dir, false, err);
	k->collect = k->store ? collect_open(dir, false, err) : NULL;
	int recovered = k->collect ? store_recover(k->store, retry_at(k), err) : -1;
	if (recovered > 0)
		log_event(LOG_LEVEL_WARNING, "quarantine-recovered",
			"%d entries were pending when the last keeper ended; they count as held", recovered);
	return recovered < 0 ? -1 : 0;
}

static void wire(struct role_self *self, const struct ctl_peer *peer, int fd)
{
	static const struct channel_ops ops = { .packet = on_packet, .closed = on_closed };
	struct keeper *k = self->context;
	struct peer *p = peer_new(&k->peers);
	p->keeper = k;
	p->role = (enum role)peer->role;
	p->channel = channel_new(self->loop, fd, LIMIT_IPC_WINDOW, &ops, p);
}

static void start(struct role_self *self)
{
	struct keeper *k = self->context;
	loop_timer_set(k->jobs, 0);
}

static void drain(struct role_self *self)
{
	struct keeper *k = self->context;
	on_flush(k);
	collect_close(&k->collect);
	store_close(&k->store);
	role_exit(self);
}

int main(int argc, char **argv)
{
	static const struct role_def keeper = {
		.role = ROLE_KEEPER,
		.allow = SANDBOX_FILES | SANDBOX_MEMFD,
		.load = load,
		.wire = wire,
		.start = start,
		.drain = drain,
	};
	return role_main(&keeper, argc, argv);
}
