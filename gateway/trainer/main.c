/*
 * trainer: the only writer of the classifier's model. It never sees a message: the
 * bench inspector takes it apart and hands back its features.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bayes/lesson.h"
#include "bayes/teacher.h"
#include "core/limits.h"
#include "gateway/log.h"
#include "gateway/trainer/orders.h"

/* OPEN_LESSONS: each holds a descriptor. */
enum {
	SYNC_MS = 2000,
	REQUEST_MEMORY = 8 << 20,
	OPEN_LESSONS = 256,
	TRIM_AGAIN_SECONDS = 3600,
};

struct trainer {
	struct role_self *self;
	struct teacher *teacher;
	struct orders *orders;
	struct channel *bench, *web;
	struct arena *arena;
	struct loop_timer *sync;
	int64_t trim_from; /* when it may be tried again */
	size_t open_lessons;
};

/* A lesson on its way through the bench inspector: a message, or all that are attached to it. */
struct lesson {
	struct trainer *trainer;
	struct channel *from; /* NULL once it has gone away */
	uint32_t request;
	int fd; /* the message */
	bool spam;
	int64_t attached; /* 0, or which one it is the turn of, from 1 */
	struct buf who, channel, tenant, findings;
	struct lesson *next;
};
static struct lesson *lessons;

static void answer(struct channel *channel, uint32_t id, enum keep_result result, struct str text)
{
	struct keep_reply reply = {.result = (int)result, .text = text};
	struct buf payload = BUF_INIT;
	record_encode(&keep_reply_record, &reply, &payload);
	struct ipc_packet packet = {.id = id, .payload = buf_str(&payload)};
	channel_send(channel, &packet);
	buf_free(&payload);
}

static void finish(struct lesson *lesson, enum keep_result result, const char *text)
{
	struct lesson **at = &lessons;
	while (*at != lesson)
		at = &(*at)->next;
	*at = lesson->next;
	if (lesson->from)
		answer(lesson->from, lesson->request, result, str_c(text));
	lesson->trainer->open_lessons--;
	if (lesson->trainer->self->is_draining && lesson->trainer->open_lessons == 0)
		role_exit(lesson->trainer->self);
	buf_free(&lesson->who);
	buf_free(&lesson->channel);
	buf_free(&lesson->tenant);
	buf_free(&lesson->findings);
	close(lesson->fd);
	free(lesson);
}

static void on_features(void *context, const struct ipc_packet *packet);

static bool is_automatic(const struct lesson *lesson)
{
	return str_eq_c(buf_str(&lesson->channel), "auto");
}

static void ask_inspector(struct lesson *lesson)
{
	struct trainer *t = lesson->trainer;
	struct tokens_request ask = {
		.tenant = buf_str(&lesson->tenant), .attached = lesson->attached,
		.findings = buf_str(&lesson->findings),
		/* What is attached to mail anybody may have written, and what has just come in too. */
		.believes_headers = lesson->attached == 0 && !is_automatic(lesson)};
	struct buf payload = BUF_INIT;
	record_encode(&tokens_request_record, &ask, &payload);
	if (!t->bench || channel_request(t->bench, EVALUATE_TOKENS, buf_str(&payload), &lesson->fd,
				 1, on_features, lesson) == 0)
		finish(lesson, KEEP_IO_ERROR,
			"no inspector is there to take the message apart: try again");
	buf_free(&payload);
}

/* NULL, or why what is attached is not learned. The first answer says it, before anything is. */
static const char *check_attached(const struct lesson *lesson, const struct tokens_reply *reply)
{
	static const char *const spam_types[] = {"abuse", "fraud", "virus"};
	bool says_spam = false, says_ham = str_eq_c(reply->feedback, "not-spam");
	for (size_t i = 0; i < sizeof(spam_types) / sizeof(spam_types[0]); i++)
		says_spam |= str_eq_c(reply->feedback, spam_types[i]);
	if (reply->attached == 0)
		return "No message is attached: forward it as an attachment";
	if (reply->attached > LIMIT_ATTACHED_LESSONS)
		return "Too many messages are attached: send them in several";
	if (lesson->spam ? says_ham : says_spam)
		return "The feedback report says the opposite of the address that it was sent to";
	return NULL;
}

static int teach(struct lesson *lesson, const struct tokens_reply *reply, struct err *err)
{
	struct trainer *t = lesson->trainer;
	enum journal_change change;
	struct journal_entry entry = {
		.time = time(NULL),
		.spam = lesson->spam,
		.hash = reply->hash,
		.octets = reply->octets,
		.who = buf_str(&lesson->who),
		.channel = buf_str(&lesson->channel),
		.tenant = buf_str(&lesson->tenant),
		.sender = reply->sender,
	};
	if (lesson_decode(reply->tokens, t->arena, &entry.features) < 0)
		return err_set(err, "the message could not be taken apart for learning");
	if (teacher_teach(t->teacher, &entry, &change, err) < 0) {
		/* Nobody gave it who would miss it, and a used-up quota is soon met by all mail. */
		log_event(is_automatic(lesson) ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
			"lesson-refused", "%s", err->text);
		return -1;
	}
	if (change == JOURNAL_REFUSED) {
		log_event(LOG_LEVEL_WARNING, "lesson-harmful", "%s", err->text);
		shared_add(t->self->shared, SHARED_LESSONS_HARMFUL, 1);
		return -1;
	}
	loop_timer_set(t->sync, SYNC_MS);
	shared_add(t->self->shared, SHARED_LESSONS, change != JOURNAL_KNOWN);
	shared_add(t->self->shared, SHARED_LESSONS_SPAM,
		change != JOURNAL_KNOWN && lesson->spam);
	return change == JOURNAL_KNOWN;
}

/* The sender of an accepted mail keeps nothing: so its lessons are on the disk before it is. */
static void finish_attached(struct lesson *lesson)
{
	struct err err;
	if (journal_sync(teacher_journal(lesson->trainer->teacher), &err) < 0)
		finish(lesson, KEEP_IO_ERROR, err.text);
	else
		finish(lesson, KEEP_OK, "");
}

static void learn(struct lesson *lesson, const struct tokens_reply *reply)
{
	struct err err;
	const char *refusal = lesson->attached == 1 ? check_attached(lesson, reply) : NULL;
	int known = refusal ? err_set(&err, "%s", refusal) : teach(lesson, reply, &err);
	if (known < 0) {
		shared_add(lesson->trainer->self->shared, SHARED_LESSONS_REFUSED,
			!is_automatic(lesson));
		finish(lesson, KEEP_REFUSED, err.text);
	} else if (lesson->attached == 0)
		finish(lesson, KEEP_OK, known ? "known already" : "");
	else if (lesson->attached >= reply->attached || lesson->attached >= LIMIT_ATTACHED_LESSONS)
		finish_attached(lesson);
	else {
		lesson->attached++;
		ask_inspector(lesson);
	}
}

static void on_features(void *context, const struct ipc_packet *packet)
{
	struct lesson *lesson = context;
	struct trainer *t = lesson->trainer;
	struct tokens_reply reply;
	struct err err;
	arena_reset(t->arena);
	if (!packet)
		finish(lesson, KEEP_IO_ERROR,
			"the inspector that takes messages apart has died: try again");
	else if (record_decode(&tokens_reply_record, packet->payload, t->arena, &reply, &err) < 0)
		finish(lesson, KEEP_REFUSED, "the message could not be taken apart for learning");
	else
		learn(lesson, &reply);
	for (unsigned i = 0; packet && i < packet->fd_count; i++)
		close(packet->fds[i]);
}

static void on_train(struct trainer *t, struct channel *channel, const struct ipc_packet *packet)
{
	struct train_request order;
	struct err err;
	arena_reset(t->arena);
	if (t->open_lessons >= OPEN_LESSONS) {
		answer(channel, packet->id, KEEP_IO_ERROR, STR("too many lessons at once: try again"));
		return;
	}
	int fd = packet->fd_count == 1 ? fcntl(packet->fds[0], F_DUPFD_CLOEXEC, 0) : -1;
	if (fd < 0 ||
		record_decode(&train_request_record, packet->payload, t->arena, &order, &err) < 0) {
		answer(channel, packet->id, KEEP_REFUSED, STR("the lesson makes no sense"));
		if (fd >= 0)
			close(fd);
		return;
	}
	struct lesson *lesson = calloc(1, sizeof(*lesson));
	*lesson = (struct lesson){.trainer = t,
		.from = channel,
		.request = packet->id,
		.fd = fd,
		.spam = order.spam,
		.attached = order.attached,
		.next = lessons};
	buf_str_add(&lesson->who, order.who);
	buf_str_add(&lesson->channel, order.channel);
	buf_str_add(&lesson->tenant, order.tenant);
	buf_str_add(&lesson->findings, order.findings);
	lessons = lesson;
	t->open_lessons++;
	ask_inspector(lesson);
}

static void on_order(struct trainer *t, struct channel *channel, const struct ipc_packet *packet)
{
	struct buf text = BUF_INIT;
	enum keep_result result;
	/* Fronts, which speak with strangers, give lessons and nothing else. */
	if (channel != t->web) {
		answer(channel, packet->id, KEEP_REFUSED, STR("orders are web's"));
		return;
	}
	orders_take(t->orders, packet, &result, &text);
	answer(channel, packet->id, result, buf_str(&text));
	buf_free(&text);
}

static void on_packet(void *context, struct channel *channel, struct ipc_packet *packet)
{
	if (packet->type == TRAIN)
		on_train(context, channel, packet);
	else if (packet->type == TRAIN_ORDER)
		on_order(context, channel, packet);
	for (unsigned i = 0; i < packet->fd_count; i++)
		close(packet->fds[i]);
}

static void on_closed(void *context, struct channel *channel)
{
	struct trainer *t = context;
	if (t->bench == channel)
		t->bench = NULL;
	if (t->web == channel)
		t->web = NULL;
	for (struct lesson *l = lessons; l; l = l->next)
		if (l->from == channel)
			l->from = NULL;
}

static void sync_all(struct trainer *t)
{
	struct err err;
	if (teacher_sync(t->teacher, &err) < 0)
		log_event(LOG_LEVEL_ERROR, "model-not-durable", "%s", err.text);
}

static void on_sync(void *context)
{
	struct trainer *t = context;
	struct err err;
	sync_all(t);
	if (time(NULL) < t->trim_from)
		return;
	int rc = teacher_trim(t->teacher, t->self->config->learn.kept_lessons, &err);
	if (rc < 0) {
		/* It costs a second, and a full disk is seldom empty at once. */
		t->trim_from = time(NULL) + TRIM_AGAIN_SECONDS;
		log_event(LOG_LEVEL_ERROR, "log-not-trimmed", "%s", err.text);
	} else if (rc > 0)
		loop_timer_set(t->sync, SYNC_MS);
}

/* Made by whoever came first, maybe as root: all belongs to the folder's owner. */
static int give_away(const char *folder, struct arena *arena, struct err *err)
{
	static const char *const names[] = {"model", "log.db", "log.db-wal", "log.db-shm",
		"checkpoint.0", "checkpoint.1", "checkpoint.2", "base.0", "base.1"};
	struct stat st;
	if (geteuid() != 0)
		return 0;
	if (stat(folder, &st) < 0)
		return err_sys(err, "%s cannot be looked at", folder);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *path = arena_printf(arena, "%s/%s", folder, names[i]).p;
		if (chown(path, st.st_uid, st.st_gid) < 0 && errno != ENOENT)
			return err_sys(err, "%s cannot be given to the trainer", path);
	}
	return 0;
}

static int load(struct role_self *self, struct err *err)
{
	struct trainer *t = ARENA_NEW(self->arena, struct trainer);
	const char *folder = config_path(self->config, self->arena, "bayes");
	self->context = t;
	t->self = self;
	t->arena = arena_new(REQUEST_MEMORY);
	t->sync = loop_timer_new(self->loop, on_sync, t);
	if (role_folder(self, folder, err) < 0)
		return -1;
	t->teacher = teacher_open(folder, self->config->learn.half_life, err);
	if (!t->teacher)
		return -1;
	orders_tell_lost(t->teacher);
	t->orders = orders_new(self, t->teacher);
	const struct config_learn *learn = &self->config->learn;
	teacher_set_quotas(t->teacher, &(struct teacher_quotas){learn->user_quota,
		learn->user_ham_quota, learn->sender_quota, learn->tenant_quota,
		learn->auto_quota});
	return give_away(folder, self->arena, err);
}

static void wire(struct role_self *self, const struct ctl_peer *peer, int fd)
{
	static const struct channel_ops ops = {.packet = on_packet, .closed = on_closed};
	struct trainer *t = self->context;
	struct channel *channel = channel_new(self->loop, fd, LIMIT_IPC_WINDOW, &ops, t);
	if (peer->role == ROLE_INSPECTOR)
		t->bench = channel;
	if (peer->role == ROLE_WEB)
		t->web = channel;
}

static void drain(struct role_self *self)
{
	struct trainer *t = self->context;
	sync_all(t);
	if (t->open_lessons == 0)
		role_exit(self);
}

int main(int argc, char **argv)
{
	static const struct role_def trainer = {
		.role = ROLE_TRAINER,
		.allow = SANDBOX_FILES,
		.load = load,
		.wire = wire,
		.drain = drain,
	};
	return role_main(&trainer, argc, argv);
}
