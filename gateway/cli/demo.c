/* demo: sends messages of ours through a running gateway and shows what became of each.
 * They come from where they say they come from: a PROXY header names the client. */
#include "gateway/cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "core/limits.h"
#include "core/smtp/dot.h"
#include "core/smtp/reply.h"

#define WAIT_S	       60
#define LOG_WAIT_MS    5000
#define LOG_STEP_MS    50
#define LOG_BYTES_MAX  (16u << 20)
#define INDEX	       "messages.json"

struct demo_values {
	struct cli_common common;
	const char *folder, *log;
};
static const struct command_option demo_options[] = {
	CLI_COMMON(struct demo_values),
	COMMAND_OPTION('d', "folder", "FOLDER", OPTION_STRING, struct demo_values, folder, NULL,
		"Folder with messages.json and the messages (default: ours)."),
	COMMAND_OPTION('l', "log", "FILE", OPTION_STRING, struct demo_values, log, NULL,
		"The gateway's log (default: gatepost.log in state_dir); without it there is "
		"no score."),
	COMMAND_OPTIONS_END,
};

/* One line of the index. */
struct parcel {
	const char *title, *file, *client, *helo, *mail_from, *rcpt_to;
};
struct outcome {
	int code;
	struct buf text;   /* the reply's */
	struct buf action, reason; /* from the log */
	double score;
	bool has_score;
};

/* ---- the messages ---- */

/* Split, so that neither stands in a file of ours: mail and virus scanners know them. */
static const char *const eicar[] = { "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD",
	"-ANTIVIRUS-TEST-FILE!$H+H*" };
static const char *const gtube[] = { "XJS*C4JDBQADN1.NSBN3*2IDNEN*",
	"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X" };

static void add_date(struct buf *out)
{
	time_t now = time(NULL);
	struct tm tm;
	char text[64];
	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	buf_c(out, text);
}

/* Fills in @EICAR@, @GTUBE@, @DATE@, and makes every line end CRLF. */
static void prepare(struct str text, struct buf *out)
{
	while (text.n) {
		if (str_starts(text, "@EICAR@")) {
			buf_printf(out, "%s%s", eicar[0], eicar[1]);
			text = str_skip(text, 7);
		} else if (str_starts(text, "@GTUBE@")) {
			buf_printf(out, "%s%s", gtube[0], gtube[1]);
			text = str_skip(text, 7);
		} else if (str_starts(text, "@DATE@")) {
			add_date(out);
			text = str_skip(text, 6);
		} else {
			if (text.p[0] == '\n')
				buf_char(out, '\r');
			buf_char(out, text.p[0]);
			text = str_skip(text, 1);
		}
	}
}

static int find_folder(const char *given, char *path_r, size_t size, struct err *err)
{
	static const char *const places[] = { "../share/gatepost/demo", "../../corpus/demo" };
	char self[2048], index[4200];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (*given) {
		snprintf(path_r, size, "%s", given);
		return 0;
	}
	for (size_t i = 0; n > 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		int folder = (int)str_rchr(str_from(self, (size_t)n), '/');
		snprintf(path_r, size, "%.*s/%s", folder, self, places[i]);
		snprintf(index, sizeof(index), "%s/" INDEX, path_r);
		if (access(index, R_OK) == 0)
			return 0;
	}
	return err_set(err, "the messages of the demonstration are not found: name their --folder");
}

/* ---- SMTP, one step after the other ---- */

struct peer {
	int fd;
	struct buf in;
};

static int peer_connect(struct peer *peer, const struct config_address *address, struct err *err)
{
	struct sockaddr_storage sa;
	struct timeval wait = { .tv_sec = WAIT_S };
	socklen_t size = ip_to_sockaddr(&address->ip, address->port, &sa);
	*peer = (struct peer){ .fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	if (peer->fd < 0)
		return err_sys(err, "socket");
	setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(peer->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(peer->fd, (struct sockaddr *)&sa, size) == 0)
		return 0;
	err_sys(err, "the gateway does not answer on port %u: is it running?", address->port);
	close(peer->fd);
	return -1;
}

static void peer_close(struct peer *peer)
{
	close(peer->fd);
	buf_free(&peer->in);
}

static int peer_send(struct peer *peer, struct str s, struct err *err)
{
	while (s.n) {
		ssize_t n = send(peer->fd, s.p, s.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "sending");
		s = str_skip(s, (size_t)n);
	}
	return 0;
}

static int peer_reply(struct peer *peer, struct reply *reply, struct err *err)
{
	reply_clear(reply);
	for (;;) {
		struct str in = buf_str(&peer->in);
		int done = reply_read(reply, &in, err);
		buf_consume(&peer->in, peer->in.n - in.n);
		if (done)
			return done == 1 ? 0 : -1;
		ssize_t n = recv(peer->fd, buf_reserve(&peer->in, 4096), 4096, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(err, "waiting for a reply") :
				err_set(err, "the gateway closed the connection");
		buf_commit(&peer->in, (size_t)n);
	}
}

__attribute__((format(printf, 4, 5)))
static int peer_command(struct peer *peer, struct reply *reply, struct err *err, const char *fmt, ...)
{
	struct buf line = BUF_INIT;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	int result = peer_send(peer, buf_str(&line), err);
	buf_free(&line);
	return result == 0 ? peer_reply(peer, reply, err) : -1;
}

static int send_message(struct peer *peer, struct reply *reply, struct str message, struct err *err)
{
	struct buf out = BUF_INIT;
	struct dot dot;
	int result;
	dot_init(&dot);
	if (dot_write(&dot, &out, message) != 0 || dot_end(&dot, &out) != 0)
		result = err_set(err, "the message has a bare CR or LF");
	else
		result = peer_send(peer, buf_str(&out), err);
	buf_free(&out);
	return result == 0 ? peer_reply(peer, reply, err) : -1;
}

/* The first reply that is no success ends it, and is the answer. */
static int converse(struct peer *peer, const struct parcel *p, struct str message,
	struct reply *reply, struct err *err)
{
	const char *family = strchr(p->client, ':') ? "TCP6" : "TCP4";
	const char *own = strchr(p->client, ':') ? "::1" : "127.0.0.1";
	if (peer_command(peer, reply, err, "PROXY %s %s %s 40000 25\r\n", family, p->client, own) != 0)
		return -1;
	if (!reply_is_positive(reply))
		return 0;
	if (peer_command(peer, reply, err, "EHLO %s\r\n", p->helo) != 0)
		return -1;
	if (!reply_is_positive(reply))
		return 0;
	if (peer_command(peer, reply, err, "MAIL FROM:<%s>\r\n", p->mail_from) != 0)
		return -1;
	if (!reply_is_positive(reply))
		return 0;
	if (peer_command(peer, reply, err, "RCPT TO:<%s>\r\n", p->rcpt_to) != 0)
		return -1;
	if (!reply_is_positive(reply))
		return 0;
	if (peer_command(peer, reply, err, "DATA\r\n") != 0)
		return -1;
	if (reply->code != 354)
		return 0;
	return send_message(peer, reply, message, err);
}

/* ---- what the log says of it ---- */

static off_t log_end_of(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 ? st.st_size : -1;
}

/* A message's line that was written since `from`. */
static json_t *search_log(const char *path, off_t from)
{
	json_t *found = NULL;
	struct str rest, line;
	FILE *f = fopen(path, "re");
	if (!f)
		return NULL;
	struct buf b = BUF_INIT;
	if (fseeko(f, from, SEEK_SET) == 0) {
		size_t n;
		while (b.n < LOG_BYTES_MAX && (n = fread(buf_reserve(&b, 65536), 1, 65536, f)))
			buf_commit(&b, n);
	}
	fclose(f);
	rest = buf_str(&b);
	while (!found && rest.n && str_cut(&rest, '\n', &line)) {
		json_t *json = json_loadb(line.p, line.n, 0, NULL);
		if (strcmp(cli_text(json, "event"), "message") == 0)
			found = json;
		else
			json_decref(json);
	}
	buf_free(&b);
	return found;
}

/* The line follows the reply; it is there soon, or never (a refusal before the message). */
static void read_log(const char *path, off_t from, struct outcome *o)
{
	json_t *line = NULL;
	for (int waited = 0; !line && waited < LOG_WAIT_MS; waited += LOG_STEP_MS) {
		line = search_log(path, from);
		if (!line)
			poll(NULL, 0, LOG_STEP_MS);
	}
	if (!line)
		return;
	const json_t *score = json_object_get(line, "score");
	buf_c(&o->action, cli_text(line, "action"));
	buf_c(&o->reason, cli_text(line, "reason"));
	o->has_score = json_is_number(score);
	o->score = json_number_value(score);
	json_decref(line);
}

/* ---- the table ---- */

static void print_outcome(const struct parcel *p, struct outcome *o)
{
	struct buf out = BUF_INIT;
	const char *action = o->code >= 500 ? "reject" : o->code >= 400 ? "tempfail" : "accept";
	buf_char(&o->text, '\0');
	buf_char(&o->action, '\0');
	buf_char(&o->reason, '\0');
	cli_cell(&out, p->title, 34);
	buf_c(&out, "  ");
	cli_cell(&out, *o->action.p ? o->action.p : action, 10);
	if (o->has_score)
		buf_printf(&out, "  %6.1f  ", o->score);
	else
		buf_c(&out, "       -  ");
	cli_cell(&out, *o->reason.p ? o->reason.p : o->text.p, 0);
	buf_char(&out, '\n');
	cli_print(&out);
}

static json_t *outcome_json(const struct parcel *p, const struct outcome *o)
{
	return json_pack("{s:s, s:i, s:s%, s:s%, s:s%, s:o}", "message", p->title, "code", o->code,
		"reply", o->text.n ? o->text.p : "", o->text.n, "action",
		o->action.n ? o->action.p : "", o->action.n, "reason",
		o->reason.n ? o->reason.p : "", o->reason.n, "score",
		o->has_score ? json_real(o->score) : json_null());
}

struct demo {
	const struct demo_values *values;
	const struct config_address *address;
	const char *folder, *log;
	struct arena *arena;
	json_t *results;
};

static int send_one(struct demo *demo, const struct parcel *p)
{
	struct outcome o = { 0 };
	struct buf message = BUF_INIT;
	struct reply reply = REPLY_INIT;
	struct peer peer;
	struct str text;
	struct err err;
	off_t from = log_end_of(demo->log);
	const char *path = arena_printf(demo->arena, "%s/%s", demo->folder, p->file).p;
	int result = -1;
	if (config_load(path, demo->arena, &text, &err) == 0 &&
		peer_connect(&peer, demo->address, &err) == 0) {
		prepare(text, &message);
		result = converse(&peer, p, buf_str(&message), &reply, &err);
		peer_close(&peer);
	}
	if (result != 0) {
		cli_fail("%s: %s", p->title, err.text);
	} else {
		o.code = reply.code;
		buf_str_add(&o.text, buf_str(&reply.text));
		if (from >= 0)
			read_log(demo->log, from, &o);
		if (demo->results)
			json_array_append_new(demo->results, outcome_json(p, &o));
		else
			print_outcome(p, &o);
	}
	reply_free(&reply);
	buf_free(&message);
	buf_free(&o.text);
	buf_free(&o.action);
	buf_free(&o.reason);
	return result;
}

static int send_all(struct demo *demo, const json_t *index)
{
	const json_t *row;
	size_t i;
	if (!demo->results)
		printf("%-34s  %-10s  %6s  %s\n", "MESSAGE", "ACTION", "SCORE", "REASON");
	json_array_foreach(index, i, row) {
		struct parcel p = { cli_text(row, "title"), cli_text(row, "file"),
			cli_text(row, "client"), cli_text(row, "helo"), cli_text(row, "mail_from"),
			cli_text(row, "rcpt_to") };
		if (send_one(demo, &p) != 0)
			return COMMAND_FAILED;
	}
	return demo->results ? cli_print_json(demo->results) : COMMAND_OK;
}

static const struct config_address *proxy_listener(const struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].proxy_net_count)
			return &config->listeners[i].address;
	return NULL;
}

static int run(struct demo *demo, const struct config *config)
{
	char folder[4096];
	struct str text;
	struct err err;
	int code;
	demo->address = proxy_listener(config);
	if (!demo->address)
		return cli_fail("the demonstration needs a listener with proxy_protocol_from, as in the "
			"configuration that ./start writes: name that one with -c");
	demo->log = *demo->values->log ? demo->values->log :
		config_path(config, demo->arena, "gatepost.log");
	if (find_folder(demo->values->folder, folder, sizeof(folder), &err) != 0 ||
		config_load(arena_printf(demo->arena, "%s/" INDEX, folder).p, demo->arena, &text,
			&err) != 0)
		return cli_fail("%s", err.text);
	json_t *index = json_loadb(text.p, text.n, 0, NULL);
	if (!json_is_array(index)) {
		json_decref(index);
		return cli_fail("%s/" INDEX " is no list", folder);
	}
	demo->folder = folder;
	demo->results = demo->values->common.json ? json_array() : NULL;
	code = send_all(demo, index);
	json_decref(demo->results);
	json_decref(index);
	return code;
}

static int demo_run(const struct command *command, const void *values, int argc, char **argv)
{
	struct demo demo = { .values = values, .arena = arena_new(LIMIT_TRANSACTION_MEMORY) };
	const struct config *config = cli_config(demo.values->common.config, demo.arena);
	int code = config ? run(&demo, config) : COMMAND_FAILED;
	arena_free(&demo.arena);
	return code;
}

const struct command cli_demo = {
	"demo", "Sends a dozen messages of ours and shows what becomes of each.",
	.description = "The gateway that runs must be the one of ./start, or have a listener with "
		       "proxy_protocol_from for this machine, and ask the DNS of corpus/demo/dns.json.",
	.options = demo_options, .size = sizeof(struct demo_values), .run = demo_run,
};
