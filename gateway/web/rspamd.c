/*
 * The part of Rspamd's HTTP protocol that mail systems speak: /checkv2, /learnspam,
 * /learnham, /stat, /ping, with the token as "Password:". So rspamc, Dovecot's
 * IMAPSieve recipes and MTAs' plug-ins work unchanged. Inputs that name files of this
 * machine (File, Path, Shm) are not taken.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/mail/attached.h"
#include "gateway/lesson.h"
#include "gateway/web/bench.h"

void web_ping(void *context, struct http_request *r)
{
	http_reply(r, 200, "text/plain", STR("pong\r\n"));
}

/* Its words for our actions. What we hold, an MTA without a quarantine is better told to mark. */
static const char *const action_words[] = {
	[ACTION_FORWARD] = "no action",
	[ACTION_TAG] = "add header",
	[ACTION_QUARANTINE] = "add header",
	[ACTION_REJECT] = "reject",
	[ACTION_TEMPFAIL] = "soft reject",
};

static void add_symbols(const struct verdict *v, struct buf *out)
{
	buf_c(out, ", \"symbols\": {");
	for (size_t i = 0; i < v->findings.n; i++) {
		const struct finding *f = &v->findings.v[i];
		if (i)
			buf_c(out, ", ");
		json_text(out, f->name, 100);
		buf_c(out, ": {\"name\": ");
		json_text(out, f->name, 100);
		buf_c(out, ", \"score\": ");
		json_double(out, f->score);
		buf_c(out, ", \"metric_score\": ");
		json_double(out, f->score);
		buf_c(out, ", \"description\": ");
		json_text(out, f->text, 300);
		buf_char(out, '}');
	}
	buf_char(out, '}');
}

static void on_judged(void *context, const struct verdict *v)
{
	struct http_request *r = context;
	struct buf out = BUF_INIT;
	if (!v) {
		http_error(r, 503, "no inspector could judge the message: try again");
		return;
	}
	buf_printf(&out, "{\"is_skipped\": false, \"score\": ");
	json_double(&out, v->score);
	buf_c(&out, ", \"required_score\": ");
	json_double(&out, v->required);
	buf_printf(&out, ", \"action\": \"%s\"", action_words[v->action]);
	add_symbols(v, &out);
	buf_c(&out, ", \"message-id\": ");
	json_text(&out, v->record.message_id, 300);
	buf_c(&out, ", \"messages\": {\"smtp_message\": ");
	json_text(&out, v->reason, 500);
	buf_c(&out, "}}\n");
	http_json(r, 200, buf_str(&out));
	buf_free(&out);
}

struct recipients {
	struct arena *arena;
	struct str *v;
	size_t n;
};

static void add_recipient(void *context, struct str value)
{
	struct recipients *to = context;
	if (to->n < LIMIT_RECIPIENTS && value.n)
		to->v[to->n++] = value;
}

static struct str without_brackets(struct str address)
{
	address = str_trim(address);
	if (address.n >= 2 && address.p[0] == '<' && address.p[address.n - 1] == '>')
		return str_sub(address, 1, address.n - 2);
	return address;
}

static int read_envelope(struct web *web, struct http_request *r, struct facts *facts_r)
{
	struct recipients to = { web->arena, ARENA_ARRAY(web->arena, LIMIT_RECIPIENTS, struct str), 0 };
	struct str ip_text = http_header(r, "IP");
	struct ip ip;
	static uint64_t serial;
	http_each_header(r, "Rcpt", add_recipient, &to);
	for (size_t i = 0; i < to.n; i++)
		to.v[i] = without_brackets(to.v[i]);
	*facts_r = (struct facts){ .now = (int64_t)time(NULL), .helo = http_header(r, "Helo"),
		.mail_from = without_brackets(http_header(r, "From")), .has_mail_from = true,
		.rcpt_to = { to.v, to.n }, .message_size = (int64_t)http_body(r).n,
		.transaction_id = arena_printf(web->arena, "bench.%llu", (unsigned long long)++serial) };
	facts_r->has_helo = facts_r->helo.n > 0;
	if (ip_text.n && ip_parse(ip_text, &ip) < 0)
		return -1;
	if (ip_text.n)
		facts_r->client_ip = ip_str(web->arena, &ip);
	return 0;
}

/* A body with LF line ends, as clients read it from files, is taken as CRLF. */
static int message_fd(struct str body, struct err *err)
{
	struct buf crlf = BUF_INIT;
	mail_add_crlf(body, &crlf);
	int fd = memfd_sealed("checked", buf_str(&crlf), err);
	buf_free(&crlf);
	return fd;
}

static bool is_compressed(struct http_request *r)
{
	if (http_header(r, "Compression").n == 0 && http_header(r, "Content-Encoding").n == 0)
		return false;
	http_error(r, 415, "compressed bodies are not taken");
	return true;
}

void web_checkv2(void *context, struct http_request *r)
{
	struct web *web = context;
	struct facts facts;
	struct err err;
	arena_reset(web->arena);
	if (is_compressed(r))
		return;
	if (read_envelope(web, r, &facts) < 0) {
		http_error(r, 400, "IP is no address");
		return;
	}
	int fd = message_fd(http_body(r), &err);
	if (fd < 0) {
		http_error(r, 500, "%s", err.text);
		return;
	}
	bench_judge(web, &facts, fd, on_judged, r);
	close(fd);
}

static void on_learned(void *context, const struct ipc_packet *packet)
{
	struct http_request *r = context;
	struct arena *arena = arena_new(1 << 16);
	struct keep_reply reply;
	struct err err;
	if (!packet || record_decode(&keep_reply_record, packet->payload, arena, &reply, &err) < 0)
		http_error(r, 503, "the trainer has just gone away: try again");
	else if (reply.result != KEEP_OK)
		http_error(r, 500, "%.*s", STR_ARG(reply.text));
	else
		http_json(r, 200, STR("{\"success\": true}\n"));
	arena_free(&arena);
}

/* Who asks has the token, and may say for whom: a mailbox server for the owner of the mailbox
 * (rspamc -d, or -u), who has quotas. Empty: for himself. */
static struct str owner(struct http_request *r)
{
	struct str who = http_header(r, "Deliver-To");
	if (who.n == 0)
		who = http_header(r, "User");
	return str_sub(who, 0, LIMIT_PATH);
}

static void learn(struct web *web, struct http_request *r, bool spam)
{
	struct str who = owner(r);
	struct train_request order = { .spam = spam,
		.who = who.n ? who : str_c(http_who(r)),
		.channel = who.n ? STR("mailbox") : STR("rspamd"),
		.tenant = lesson_tenant(web->self->config, who) };
	struct buf payload = BUF_INIT;
	struct err err;
	if (is_compressed(r))
		return;
	int fd = message_fd(http_body(r), &err);
	record_encode(&train_request_record, &order, &payload);
	if (fd < 0)
		http_error(r, 500, "%s", err.text);
	else if (!web->trainer || channel_request(web->trainer, TRAIN, buf_str(&payload), &fd, 1, on_learned,
					  r) == 0)
		http_error(r, 503, "the trainer is away or busy: try again");
	if (fd >= 0)
		close(fd);
	buf_free(&payload);
}

void web_learnspam(void *context, struct http_request *r)
{
	learn(context, r, true);
}

void web_learnham(void *context, struct http_request *r)
{
	learn(context, r, false);
}

/* A "statfile" a label; what was learned is its revision. */
static void add_lessons(const struct shared *s, struct buf *out)
{
	int64_t all = shared_get(s, SHARED_LESSONS), spam = shared_get(s, SHARED_LESSONS_SPAM);
	buf_c(out, ", \"statfiles\": [");
	for (int ham = 0; ham < 2; ham++)
		buf_printf(out, "%s{\"symbol\": \"BAYES_%s\", \"type\": \"gatepost\","
				" \"revision\": %lld, \"total\": 0, \"used\": 0, \"size\": 0,"
				" \"languages\": 0, \"users\": 0}",
			ham ? ", " : "", ham ? "HAM" : "SPAM", (long long)(ham ? all - spam : spam));
	buf_char(out, ']');
}

void web_stat(void *context, struct http_request *r)
{
	struct web *web = context;
	const struct shared *s = web->self->shared;
	struct buf out = BUF_INIT;
	int64_t of[ACTION_TEMPFAIL + 1], scanned = 0;
	for (int a = ACTION_FORWARD; a <= ACTION_TEMPFAIL; a++)
		scanned += of[a] = shared_get(s, shared_action_counter(a));
	int64_t spam = of[ACTION_TAG] + of[ACTION_QUARANTINE] + of[ACTION_REJECT];
	buf_c(&out, "{\"version\": \"Gatepost " GATEPOST_VERSION "\"");
	buf_printf(&out, ", \"uptime\": %lld, \"scanned\": %lld, \"spam_count\": %lld, \"ham_count\": %lld",
		(long long)(time(NULL) - web->started), (long long)scanned, (long long)spam,
		(long long)of[ACTION_FORWARD]);
	buf_printf(&out, ", \"connections\": %lld, \"learned\": %lld", (long long)shared_get(s, SHARED_CONNECTIONS),
		(long long)shared_get(s, SHARED_LESSONS));
	buf_printf(&out, ", \"actions\": {\"reject\": %lld, \"soft reject\": %lld, \"add header\": %lld,"
			 " \"no action\": %lld}", (long long)of[ACTION_REJECT],
		(long long)of[ACTION_TEMPFAIL], (long long)(of[ACTION_TAG] + of[ACTION_QUARANTINE]),
		(long long)of[ACTION_FORWARD]);
	add_lessons(s, &out);
	buf_c(&out, "}\n");
	http_json(r, 200, buf_str(&out));
	buf_free(&out);
}
