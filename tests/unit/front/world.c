#include "tests/unit/front/world.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/limits.h"
#include "core/smtp/lines.h"
#include "core/smtp/stream.h"
#include "gateway/inspector/draft.h"
#include "gateway/front/callout.h"
#include "gateway/front/poison.h"
#include "gateway/front/release.h"
#include "gateway/front/session.h"
#include "gateway/front/upstream.h"
#include "gateway/log.h"

enum { ENTRIES = 64, MESSAGES = 64, PATIENCE_MS = 20000 };

struct entry {
	char id[80];
	bool pending, gone;
};

struct world {
	struct play play;
	struct front front;
	struct role_self self;
	struct listener listener;
	struct channel *inspector, *keeper; /* their ends */
	int64_t inspector_index;
	int listening;
	struct loop_io *accepting;
	struct mailbox *mailboxes;
	struct buf messages[MESSAGES];
	size_t message_count;
	struct entry entries[ENTRIES];
	size_t entry_count, drafts;
	int job_result;
	struct stream *client;
	struct buf transcript, codes;
	size_t replies;
	bool ended;
	size_t wanted;
	struct loop_timer *patience, *turn;
};

/* Mailbox server */

struct mailbox {
	struct mailbox *next;
	struct world *world;
	struct stream *stream;
	struct lines lines;
	bool in_mail, in_data;
	struct buf message;
};

static void mailbox_close(struct mailbox *m)
{
	struct mailbox **link = &m->world->mailboxes;

	while (*link != m)
		link = &(*link)->next;
	*link = m->next;
	stream_free(&m->stream);
	buf_free(&m->message);
	free(m);
}

static bool mailbox_message(struct mailbox *m)
{
	const char *reply = m->world->play.after_dot ? m->world->play.after_dot : "250 2.0.0 Taken";

	m->in_data = m->in_mail = false;
	if (!*reply)
		return false;
	reply_line(stream_out(m->stream), reply);
	if (reply[0] == '2' && m->world->message_count < MESSAGES)
		m->world->messages[m->world->message_count++] = m->message;
	else
		buf_free(&m->message);
	m->message = (struct buf)BUF_INIT;
	return true;
}

static void mailbox_command(struct mailbox *m, struct str line)
{
	struct buf *out = stream_out(m->stream);

	if (str_istarts(line, "EHLO"))
		buf_c(out, "250-fake\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
	else if (str_istarts(line, "RCPT TO:<nobody"))
		reply_line(out, "550 5.1.1 Unknown");
	else if (str_istarts(line, "RCPT TO:<later"))
		reply_line(out, "450 4.2.1 Later");
	else if (str_istarts(line, "MAIL") && m->in_mail)
		reply_line(out, "503 5.5.1 Nested");
	else if (str_istarts(line, "DATA") && m->world->play.data) {
		reply_line(out, m->world->play.data);
		m->world->play.data = NULL;
	} else if (str_istarts(line, "DATA")) {
		reply_line(out, "354 Go");
		lines_message(&m->lines, LINES_REFUSE, LIMIT_MESSAGE_BYTES);
		m->in_data = true;
	} else {
		m->in_mail = str_istarts(line, "MAIL") ||
			     (m->in_mail && !str_istarts(line, "RSET"));
		reply_line(out, "250 2.0.0 Ok");
	}
}

static void mailbox_input(void *context, struct buf *in)
{
	struct mailbox *m = context;
	struct str rest = buf_str(in), piece;
	enum lines_step step = LINES_LINE;

	while (step != LINES_MORE) {
		if (!m->in_data) {
			step = lines_command(&m->lines, &rest, &piece);
			if (step == LINES_LINE)
				mailbox_command(m, piece);
			continue;
		}
		step = lines_data(&m->lines, &rest, &piece);
		if (step == LINES_SPAN)
			buf_str_add(&m->message, piece);
		else if (step != LINES_MORE && !mailbox_message(m)) {
			mailbox_close(m);
			return;
		}
	}
	buf_consume(in, in->n - rest.n);
	stream_flush(m->stream);
}

static void mailbox_end(void *context, enum stream_end why, const struct err *err)
{
	mailbox_close(context);
}

static void mailbox_accept(void *context, int fd, unsigned events)
{
	static const struct stream_ops ops = { .on_input = mailbox_input, .on_end = mailbox_end };
	struct world *w = context;
	struct mailbox *m = calloc(1, sizeof(*m));

	m->world = w;
	m->next = w->mailboxes;
	w->mailboxes = m;
	lines_init(&m->lines);
	m->stream = stream_new(w->front.loop, accept4(fd, NULL, NULL, SOCK_CLOEXEC), &ops, m);
	stream_write(m->stream, STR("220 fake\r\n"));
}

/* Inspector */

static void answer_packet(struct channel *channel, uint16_t type, uint32_t id,
	const struct record *record, const void *object)
{
	struct buf payload = BUF_INIT;
	struct ipc_packet packet = { .type = type, .id = id };

	record_encode(record, object, &payload);
	packet.payload = buf_str(&payload);
	channel_send(channel, &packet);
	buf_free(&payload);
}

static int action_of(struct str address)
{
	if (str_starts(address, "held"))
		return ACTION_QUARANTINE;
	if (str_starts(address, "refused"))
		return ACTION_REJECT;
	if (str_starts(address, "wait"))
		return ACTION_TEMPFAIL;
	return ACTION_FORWARD;
}

static void judge(struct world *w, struct channel *channel, struct ipc_packet *packet,
	struct arena *arena)
{
	struct evaluate_request request;
	struct verdict v = { .reason = STR("a test"), .headers = STR("X-Test: 1\r\n") };

	if (record_decode(&evaluate_request_record, packet->payload, arena, &request, NULL) != 0)
		abort();
	v.sign_for = str_c(w->play.sign_for);
	v.auth.arc = ARENA_NEW(arena, struct auth_arc);
	v.auth.arc->result = AUTH_NONE;
	v.authentication_results = STR("mx.example.net; none");
	v.action = ACTION_FORWARD;
	v.reply = STR("250 2.0.0 Ok");
	v.recipients.n = request.facts.rcpt_to.n;
	v.recipients.v = arena_array(arena, v.recipients.n, sizeof(v.recipients.v[0]));
	for (size_t i = 0; i < v.recipients.n; i++) {
		struct recipient_verdict *r = &v.recipients.v[i];

		r->address = request.facts.rcpt_to.v[i];
		r->action = action_of(r->address);
		if (request.stage != STAGE_MESSAGE && r->action == ACTION_QUARANTINE)
			r->action = ACTION_FORWARD;
		if (r->action == ACTION_REJECT)
			v.reply = r->reply = STR("550 5.7.1 Refused by a test");
		if (r->action == ACTION_TEMPFAIL)
			v.reply = r->reply = STR("451 4.7.1 Wait, says a test");
	}
	answer_packet(channel, EVALUATE_VERDICT, packet->id, &verdict_record, &v);
}

static void ask_for_too_much(struct channel *channel, struct ipc_packet *packet,
	struct arena *arena)
{
	struct needs needs = { .dns.n = 20000 };

	needs.dns.v = ARENA_ARRAY(arena, needs.dns.n, struct dns_question);
	for (size_t i = 0; i < needs.dns.n; i++)
		needs.dns.v[i] = (struct dns_question){ .type = DNS_A,
			.name = arena_printf(arena, "%zu.example", i) };
	answer_packet(channel, EVALUATE_NEEDS, packet->id, &needs_record, &needs);
}

static void wire_inspector(struct world *w);

/* As a real one does it. */
static void draft(struct world *w, struct channel *channel, const struct ipc_packet *packet,
	struct arena *arena)
{
	struct draft_reply reply;

	if (w->play.draft_hangs_up && w->client) {
		stream_free(&w->client);
		w->ended = true;
		loop_stop(w->front.loop);
		return;
	}
	if (draft_answer(packet, arena, &reply, NULL) != 0)
		abort();
	answer_packet(channel, EVALUATE_DRAFT, packet->id, &draft_reply_record, &reply);
}

static void inspector_packet(void *context, struct channel *channel, struct ipc_packet *packet)
{
	struct world *w = context;
	bool message = packet->fd_count > 0;
	struct arena *arena;
	bool draft_dies = packet->type == EVALUATE_DRAFT && w->play.drafts_die &&
			  w->drafts >= w->play.drafts_live;

	w->drafts += packet->type == EVALUATE_DRAFT;
	w->play.drafts_die -= draft_dies;
	if (draft_dies || (message && w->play.inspector_dies)) {
		w->play.inspector_dies -= !draft_dies;
		ipc_close_fds(packet);
		channel_free(&w->inspector);
		wire_inspector(w);
		return;
	}
	arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	if (packet->type == EVALUATE_DRAFT)
		draft(w, channel, packet, arena);
	else if (w->play.greedy)
		ask_for_too_much(channel, packet, arena);
	else
		judge(w, channel, packet, arena);
	ipc_close_fds(packet);
	arena_free(&arena);
}

static void peer_closed(void *context, struct channel *channel)
{
	struct world *w = context;

	if (w->inspector == channel)
		w->inspector = NULL;
	if (w->keeper == channel)
		w->keeper = NULL;
}

static void wire_inspector(struct world *w)
{
	static const struct channel_ops ops = { inspector_packet, peer_closed };
	int fds[2];

	if (ipc_pair(fds, NULL) != 0)
		abort();
	w->inspector = channel_new(w->front.loop, fds[1], 0, &ops, w);
	workers_wire(w->front.inspectors, w->inspector_index++, 1, fds[0]);
}

/* Keeper */

static struct entry *entry_find(struct world *w, struct str id)
{
	for (size_t i = 0; i < w->entry_count; i++)
		if (str_eq_c(id, w->entries[i].id) && !w->entries[i].gone)
			return &w->entries[i];
	return NULL;
}

static void keep(struct world *w, struct channel *channel, struct ipc_packet *packet,
	struct arena *arena)
{
	struct quarantine_entry entry;
	struct keep_reply reply = { .result = w->play.store };

	if (record_decode(&quarantine_entry_record, packet->payload, arena, &entry, NULL) != 0)
		abort();
	if (reply.result == KEEP_OK && w->entry_count < ENTRIES) {
		struct entry *e = &w->entries[w->entry_count++];

		snprintf(e->id, sizeof(e->id), "%.*s", STR_ARG(entry.id));
		e->pending = entry.pending;
	}
	answer_packet(channel, 0, packet->id, &keep_reply_record, &reply);
}

/* Its one job, to the first that asks. */
static void give_job(struct world *w, struct channel *channel, const struct ipc_packet *packet)
{
	struct str to = STR("alice@example.net");
	struct delivery_job job = { .job = 1, .id = STR("1"), .rcpt_to = { &to, 1 },
		.sign_for = str_c(w->play.sign_for) };
	struct buf payload = BUF_INIT;

	if (!w->play.job)
		return;
	record_encode(&delivery_job_record, &job, &payload);
	struct ipc_packet answer = { .id = packet->id, .payload = buf_str(&payload), .fd_count = 1 };
	answer.fds[0] = memfd_sealed("job", str_c(w->play.job), NULL);
	channel_send(channel, &answer);
	close(answer.fds[0]);
	buf_free(&payload);
	w->play.job = NULL;
}

static void take_result(struct world *w, const struct ipc_packet *packet, struct arena *arena)
{
	struct delivery_done done;

	if (record_decode(&delivery_done_record, packet->payload, arena, &done, NULL) != 0)
		abort();
	w->job_result = done.result;
}

static void keeper_packet(void *context, struct channel *channel, struct ipc_packet *packet)
{
	struct world *w = context;
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct keep_id which;
	struct entry *e = NULL;

	if (packet->type == KEEP_STORE)
		keep(w, channel, packet, arena);
	if (packet->type == KEEP_PULL)
		give_job(w, channel, packet);
	if (packet->type == KEEP_JOB_DONE)
		take_result(w, packet, arena);
	if (packet->type == KEEP_COMMIT || packet->type == KEEP_DROP) {
		if (record_decode(&keep_id_record, packet->payload, arena, &which, NULL) == 0)
			e = entry_find(w, which.id);
		if (e && packet->type == KEEP_COMMIT)
			e->pending = false;
		else if (e)
			e->gone = true;
	}
	ipc_close_fds(packet);
	arena_free(&arena);
}

static void wire_keeper(struct world *w)
{
	static const struct channel_ops theirs = { keeper_packet, peer_closed };
	static const struct channel_ops ours = { keeper_packet, peer_closed };
	int fds[2];

	if (ipc_pair(fds, NULL) != 0)
		abort();
	w->keeper = channel_new(w->front.loop, fds[1], 0, &theirs, w);
	w->front.keeper = channel_new(w->front.loop, fds[0], LIMIT_IPC_WINDOW, &ours, w);
}

/* Client */

static void client_input(void *context, struct buf *in)
{
	struct world *w = context;
	struct str rest = buf_str(in), line;

	for (;;) {
		size_t n = str_find(rest, STR("\r\n"));

		if (n == rest.n)
			break;
		line = str_sub(rest, 0, n);
		rest = str_skip(rest, n + 2);
		buf_str_add(&w->transcript, line);
		buf_char(&w->transcript, '\n');
		if (line.n >= 4 && line.p[3] == '-')
			continue;
		if (w->codes.n)
			buf_char(&w->codes, ' ');
		buf_str_add(&w->codes, str_sub(line, 0, 3));
		w->replies++;
	}
	buf_consume(in, in->n - rest.n);
	if (w->replies >= w->wanted)
		loop_stop(w->front.loop);
}

static void client_end(void *context, enum stream_end why, const struct err *err)
{
	struct world *w = context;

	w->ended = true;
	buf_c(&w->codes, w->codes.n ? " EOF" : "EOF");
	loop_stop(w->front.loop);
}

static void on_impatient(void *context)
{
	struct world *w = context;

	buf_c(&w->codes, " STUCK");
	w->ended = true;
	loop_stop(w->front.loop);
}

static const struct stream_ops client_ops = { .on_input = client_input, .on_end = client_end };

static void wait_for(struct world *w, size_t replies)
{
	w->wanted = w->replies + replies;
	loop_timer_set(w->patience, PATIENCE_MS);
	while (w->replies < w->wanted && !w->ended)
		loop_run(w->front.loop);
	loop_timer_clear(w->patience);
}

static void on_turn(void *context)
{
	struct world *w = context;

	loop_stop(w->front.loop);
}

static bool is_busy(const struct world *w)
{
	return w->front.session_count > 0 || !releases_are_idle(w->front.releases);
}

void world_settle(struct world *w)
{
	/* A few empty turns let what is in the sockets arrive. While a client is there, its session
	 * may wait for it for ever. */
	for (unsigned quiet = 0; quiet < 8;) {
		loop_timer_set(w->turn, 0);
		loop_run(w->front.loop);
		quiet = is_busy(w) && !w->client ? 0 : quiet + 1;
	}
}

static void begin(struct world *w)
{
	static struct facts_tls tls = { STR("TLSv1.3"), STR("TLS_AES_256_GCM_SHA384") };
	struct ip ip = { .family = IP_V4, .octets = { 192, 0, 2, 1 } };
	int fds[2];

	buf_clear(&w->codes);
	buf_clear(&w->transcript);
	w->replies = 0;
	w->ended = false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0 ||
		!ledger_take_descriptors(&w->front.ledger, 1))
		abort();
	w->client = stream_new(w->front.loop, fds[1], &client_ops, w);
	session_new(&w->listener, fds[0], &ip, 4321);
	/* As if the handshake were over. */
	if (w->play.accounts && w->front.sessions)
		w->front.sessions->facts.tls = &tls;
	wait_for(w, 1);
}

const char *world_talk(struct world *w, const char *const *steps)
{
	begin(w);
	for (; *steps && !w->ended; steps += 2) {
		uint64_t replies = 0;

		if (**steps == '-')
			break;
		/* More than it can say: until it closes. */
		if (str_to_u64(str_c(steps[0]), 0, 1000, &replies) != 0)
			replies = SIZE_MAX / 2;
		stream_write(w->client, str_c(steps[1]));
		wait_for(w, replies);
	}
	stream_free(&w->client);
	world_settle(w);
	buf_char(&w->codes, '\0');
	buf_char(&w->transcript, '\0');
	return w->codes.p;
}

void world_feed(struct world *w, struct str octets)
{
	struct str piece;

	begin(w);
	while (!w->ended && str_cut(&octets, '\xff', &piece)) {
		stream_write(w->client, piece);
		loop_timer_set(w->turn, 0);
		loop_run(w->front.loop);
	}
	world_settle(w);
	stream_free(&w->client);
	world_settle(w);
}

/* Life */

static void make_config(struct world *w)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof(sin);
	struct conf *conf;
	struct str text;

	w->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(w->listening, (struct sockaddr *)&sin, sizeof(sin)) != 0 ||
		getsockname(w->listening, (struct sockaddr *)&sin, &length) != 0)
		abort();
	if (!w->play.no_backend && listen(w->listening, 16) != 0)
		abort();
	text = arena_printf(w->self.arena,
		"hostname = \"mx.example.net\"\nfronts = 1\n"
		"limits { message_size = \"100k\" front_memory = \"64MB\" }\n"
		"domain \"example.net\" { backend = { \"smtp://127.0.0.1:%u\" } }\n"
		"domain \"example.com\" { backend = { \"smtp://127.0.0.1:%u\" } tag_score = 1 }\n"
		"arc { seal_as = \"%s\" }\n%s",
		ntohs(sin.sin_port), ntohs(sin.sin_port), w->play.seal_as ? w->play.seal_as : "",
		w->play.sign_for || w->play.accounts ? arena_printf(w->self.arena,
			"listen \"127.0.0.1:25\" { outbound_from = \"%s\" }\n"
			"outbound { relay = \"smtp://127.0.0.1:%u\" }\n",
			w->play.accounts ? "accounts" : "192.0.2.1", ntohs(sin.sin_port)).p : "");
	w->self.config = config_read(text, "test", w->self.arena, &conf);
	if (conf_errors(conf)->n) {
		fprintf(stderr, "%s\n", conf_errors(conf)->v[0]);
		abort();
	}
}

static void give_account(struct world *w)
{
	static const uint8_t octets[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0secret"; /* no salt */
	struct account *account = ARENA_NEW(w->self.arena, struct account);

	account->address = STR("alice@example.net");
	hash_sha256(str_from((const char *)octets, sizeof(octets) - 1), account->hash);
	w->front.accounts.list.v = account;
	w->front.accounts.list.n = 1;
}

static void no_kill(void *context, const struct ctl_peer *peer)
{
}

struct world *world_new(const struct play *play)
{
	struct world *w = calloc(1, sizeof(*w));
	struct workers_options workers = { .role = ROLE_INSPECTOR, .wall_ms = 10000,
		.kill = no_kill };
	int shared_fd;

	log_set_level(LOG_LEVEL_ERROR + 1);
	w->play = *play;
	w->job_result = -1;
	w->self.arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	w->self.loop = loop_new();
	w->self.shared = shared_create(&shared_fd, NULL);
	w->self.judge.stages = w->self.judge.stages_outbound = play->stages;
	close(shared_fd);
	make_config(w);
	if (play->accounts)
		give_account(w);
	w->front.self = &w->self;
	w->front.loop = workers.loop = w->self.loop;
	w->front.config = w->self.config;
	w->front.shared = w->self.shared;
	ledger_init(&w->front.ledger, (uint64_t)w->self.config->limits.front_memory);
	w->front.inspectors = workers_new(&workers);
	w->front.poison = poison_new();
	w->front.callouts = callout_cache_new();
	w->front.releases = releases_new(&w->front);
	w->front.upstream = upstream_new(&w->front, NULL);
	w->listener.front = &w->front;
	w->listener.config = &w->self.config->listeners[0];
	w->listener.fd = -1;
	w->patience = loop_timer_new(w->self.loop, on_impatient, w);
	w->turn = loop_timer_new(w->self.loop, on_turn, w);
	w->accepting = loop_io_new(w->self.loop, w->listening, mailbox_accept, w);
	if (!play->no_backend)
		loop_io_want(w->accepting, LOOP_READ);
	if (!play->no_inspector)
		wire_inspector(w);
	if (!play->no_keeper)
		wire_keeper(w);
	return w;
}

void world_free(struct world **world)
{
	struct world *w = *world;

	*world = NULL;
	channel_free(&w->front.keeper);
	releases_free(&w->front.releases);
	workers_free(&w->front.inspectors);
	upstream_free(&w->front.upstream);
	keyring_free(&w->front.keyring);
	callout_cache_free(&w->front.callouts);
	poison_free(&w->front.poison);
	channel_free(&w->keeper);
	channel_free(&w->inspector);
	while (w->mailboxes)
		mailbox_close(w->mailboxes);
	loop_io_free(&w->accepting);
	close(w->listening);
	loop_timer_free(&w->patience);
	loop_timer_free(&w->turn);
	for (size_t i = 0; i < w->message_count; i++)
		buf_free(&w->messages[i]);
	buf_free(&w->codes);
	buf_free(&w->transcript);
	shared_unmap(&w->self.shared);
	loop_free(&w->self.loop);
	arena_free(&w->self.arena);
	free(w);
}

const char *world_transcript(const struct world *w)
{
	return w->transcript.p;
}

size_t world_delivered(const struct world *w)
{
	return w->message_count;
}

struct str world_message(const struct world *w, size_t i)
{
	return buf_str(&w->messages[i]);
}

static size_t count_entries(const struct world *w, bool pending)
{
	size_t n = 0;

	for (size_t i = 0; i < w->entry_count; i++)
		n += !w->entries[i].gone && w->entries[i].pending == pending;
	return n;
}

size_t world_held(const struct world *w)
{
	return count_entries(w, false);
}

size_t world_pending(const struct world *w)
{
	return count_entries(w, true);
}

size_t world_drafts(const struct world *w)
{
	return w->drafts;
}

int world_job_result(const struct world *w)
{
	return w->job_result;
}

struct front *world_front(struct world *w)
{
	return &w->front;
}
