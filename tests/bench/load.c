/*
 * load: sends a list of messages over parallel SMTP sessions, and measures.
 *
 *	load [OPTION]... META
 *
 * META has a line a message, fields separated by tabs: path, client address,
 * HELO, MAIL FROM, RCPT TO (several: by commas), host name (not used here). With
 * more messages to send than lines it goes round. The octets go out as they are,
 * but for dots doubled at the beginning of lines; a file without any CRLF gets
 * CR before each LF. So a bare CR or LF that is in the file is sent.
 *
 * One process, one thread, epoll. Latency is from the last octet of the final
 * dot being handed to the kernel to the whole reply. One line of JSON says what
 * came of it; --output writes a line a message: path, code, milliseconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIELDS	  6
#define HEAD_MAX  8192
#define REPLY_MAX 16384
#define CODE_LOST 0 /* connection lost, or no reply */

struct message {
	const char *path, *ip, *helo, *from, *rcpt;
	char *wire; /* dot-stuffed, with the final dot */
	size_t octets;
};

enum phase { CLOSED, CONNECTING, BANNER, HELLO, ENVELOPE, BODY, DOT, GOODBYE };

struct session {
	int fd;
	enum phase phase;
	size_t index; /* of the message that is under way */
	bool busy;
	unsigned left;	  /* messages that this connection may still take */
	unsigned replies; /* of the envelope that are to come, DATA's included */
	int worst;	  /* code of the envelope that was no 2xx or 3xx */
	char head[HEAD_MAX];
	size_t head_octets;
	const char *out;
	size_t out_left;
	char in[REPLY_MAX];
	size_t in_octets;
	double dot_at;
};

struct result {
	int code;
	double ms;
};

static struct {
	const char *host, *output;
	unsigned port, sessions, per_session;
	size_t count;
	bool proxy, no_pipelining, lmtp;
} options = { .host = "127.0.0.1", .sessions = 8, .per_session = 1 };

static struct message *messages;
static size_t message_count, next_index, finished, connections;
static struct result *results;
static int poller;

static double now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- messages ---- */

static char *read_file(const char *path, size_t *n_r)
{
	FILE *f = fopen(path, "rb");

	if (!f || fseek(f, 0, SEEK_END))
		die(path);
	long n = ftell(f);
	rewind(f);
	char *p = malloc((size_t)n + 1);
	if (!p || fread(p, 1, (size_t)n, f) != (size_t)n)
		die(path);
	fclose(f);
	*n_r = (size_t)n;
	return p;
}

static void stuff(struct message *m, const char *p, size_t n)
{
	bool add_cr = !memmem(p, n, "\r\n", 2), start = true;
	char *to = malloc(2 * n + 6);

	if (!to)
		die("memory");
	m->wire = to;
	for (size_t i = 0; i < n; i++) {
		if (start && p[i] == '.')
			*to++ = '.';
		if (p[i] == '\n' && add_cr)
			*to++ = '\r';
		*to++ = p[i];
		start = p[i] == '\n' && (add_cr || (i && p[i - 1] == '\r'));
	}
	if (!start) {
		*to++ = '\r';
		*to++ = '\n';
	}
	memcpy(to, ".\r\n", 3);
	m->octets = (size_t)(to + 3 - m->wire);
}

static void read_meta(const char *path)
{
	size_t n, room = 0, octets;
	char *rest = read_file(path, &n);

	rest[n] = '\0';
	for (char *line; (line = strsep(&rest, "\n"));) {
		const char *field[FIELDS] = { "", "", "", "", "", "" };
		if (!*line)
			continue;
		for (int i = 0; i < FIELDS && line; i++)
			field[i] = strsep(&line, "\t");
		if (message_count == room) {
			room = room ? 2 * room : 1024;
			messages = realloc(messages, room * sizeof(*messages));
			if (!messages)
				die("memory");
		}
		struct message *m = &messages[message_count++];
		*m = (struct message){ field[0], field[1], field[2], field[3], field[4], NULL, 0 };
		char *file = read_file(m->path, &octets);
		stuff(m, file, octets);
		free(file);
	}
	if (!message_count) {
		fprintf(stderr, "load: %s holds no messages\n", path);
		exit(1);
	}
}

/* ---- what is said ---- */

static void add_head(struct session *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void add_head(struct session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(s->head + s->head_octets, HEAD_MAX - s->head_octets, fmt, ap);
	va_end(ap);
	if (n < 0 || s->head_octets + (size_t)n >= HEAD_MAX) {
		fprintf(stderr, "load: an envelope is too large\n");
		exit(1);
	}
	s->head_octets += (size_t)n;
}

static void send_head(struct session *s)
{
	s->out = s->head;
	s->out_left = s->head_octets;
	s->head_octets = 0;
}

/* MAIL, each RCPT, DATA: in one go, or the one that is due. */
static void say_envelope(struct session *s, unsigned from, unsigned to)
{
	const struct message *m = &messages[s->index % message_count];
	const char *rcpt = m->rcpt;
	unsigned at = 0;

	if (from == 0)
		add_head(s, "MAIL FROM:<%s>\r\n", m->from);
	while (*rcpt) {
		size_t n = strcspn(rcpt, ",");
		if (++at >= from && at <= to && at)
			add_head(s, "RCPT TO:<%.*s>\r\n", (int)n, rcpt);
		rcpt += n + (rcpt[n] == ',');
	}
	if (++at <= to)
		add_head(s, "DATA\r\n");
	s->phase = ENVELOPE;
	send_head(s);
}

static unsigned envelope_commands(const struct message *m)
{
	unsigned n = 2;
	for (const char *p = m->rcpt; *p; n++)
		p += strcspn(p, ",") + (p[strcspn(p, ",")] == ',');
	return n;
}

static void begin_message(struct session *s)
{
	if (!s->busy) {
		if (next_index == options.count) {
			add_head(s, "QUIT\r\n");
			s->phase = GOODBYE;
			send_head(s);
			return;
		}
		s->index = next_index++;
		s->busy = true;
	}
	s->left--;
	s->worst = 0;
	s->replies = envelope_commands(&messages[s->index % message_count]);
	say_envelope(s, 0, options.no_pipelining ? 0 : s->replies);
}

static void say_hello(struct session *s)
{
	const struct message *m = &messages[s->index % message_count];

	add_head(s, "%s %s\r\n", options.lmtp ? "LHLO" : "EHLO", *m->helo ? m->helo : "localhost");
	s->phase = HELLO;
	send_head(s);
}

/* ---- sessions ---- */

static void watch(struct session *s)
{
	struct epoll_event e = { .data.ptr = s };

	e.events = s->out_left || s->phase == CONNECTING ? EPOLLIN | EPOLLOUT : EPOLLIN;
	epoll_ctl(poller, EPOLL_CTL_MOD, s->fd, &e);
}

static void open_session(struct session *s)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)options.port) };
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = s };
	int one = 1;

	inet_pton(AF_INET, options.host, &sin.sin_addr);
	if (!s->busy) {
		if (next_index == options.count)
			return;
		s->index = next_index++;
		s->busy = true;
	}
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		die("socket");
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	connections++;
	s->phase = CONNECTING;
	s->left = options.per_session;
	s->in_octets = s->out_left = s->head_octets = 0;
	connect(s->fd, (struct sockaddr *)&sin, sizeof(sin));
	if (epoll_ctl(poller, EPOLL_CTL_ADD, s->fd, &e))
		die("epoll");
}

static void finish_message(struct session *s, int code, double ms)
{
	results[s->index] = (struct result){ code, ms };
	s->busy = false;
	finished++;
}

static void close_session(struct session *s)
{
	if (s->busy && s->phase != CLOSED)
		finish_message(s, CODE_LOST, 0);
	close(s->fd);
	s->fd = -1;
	s->phase = CLOSED;
	open_session(s);
}

static void after_message(struct session *s, int code)
{
	if (s->busy)
		finish_message(s, code, s->dot_at > 0 ? now_ms() - s->dot_at : 0);
	s->dot_at = 0;
	if (s->left && next_index < options.count && code >= 200 && code < 300) {
		begin_message(s);
		return;
	}
	add_head(s, "QUIT\r\n");
	s->phase = GOODBYE;
	send_head(s);
}

static void on_envelope_reply(struct session *s, int code)
{
	const struct message *m = &messages[s->index % message_count];
	bool last = --s->replies == 0;

	if (code >= 400 && !s->worst)
		s->worst = code;
	if (!last && options.no_pipelining) {
		unsigned at = envelope_commands(m) - s->replies;
		if (s->worst)
			after_message(s, s->worst);
		else
			say_envelope(s, at, at);
		return;
	}
	if (!last)
		return;
	if (code != 354) {
		after_message(s, s->worst ? s->worst : code);
		return;
	}
	s->phase = BODY;
	s->out = m->wire;
	s->out_left = m->octets;
}

static void on_reply(struct session *s, int code)
{
	const struct message *m = &messages[s->index % message_count];

	switch (s->phase) {
	case CONNECTING:
	case BANNER:
		if (code != 220)
			after_message(s, code);
		else
			say_hello(s);
		break;
	case HELLO:
		if (code != 250)
			after_message(s, code);
		else
			begin_message(s);
		break;
	case ENVELOPE:
		on_envelope_reply(s, code);
		break;
	case BODY:
		finish_message(s, code, 0);
		s->phase = GOODBYE;
		s->out_left = 0;
		shutdown(s->fd, SHUT_WR);
		break;
	case DOT:
		/* LMTP: a reply a recipient; the last one counts for the message. */
		if (options.lmtp && s->replies == 0)
			s->replies = envelope_commands(m) - 2;
		if (!options.lmtp || --s->replies == 0)
			after_message(s, code);
		break;
	case GOODBYE:
	case CLOSED:
		break;
	}
}

/* Whole replies from what has come. */
static void take_replies(struct session *s)
{
	size_t used = 0;
	char *lf;

	while ((lf = memchr(s->in + used, '\n', s->in_octets - used))) {
		const char *line = s->in + used;
		size_t n = (size_t)(lf - line);
		used += n + 1;
		if (n >= 3 && (n == 3 || line[3] != '-'))
			on_reply(s, (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0');
	}
	memmove(s->in, s->in + used, s->in_octets - used);
	s->in_octets -= used;
}

/* False: the connection is gone. */
static bool read_in(struct session *s)
{
	if (s->in_octets == sizeof(s->in))
		return false;
	ssize_t n = recv(s->fd, s->in + s->in_octets, sizeof(s->in) - s->in_octets, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	s->in_octets += (size_t)n;
	take_replies(s);
	return true;
}

static bool write_out(struct session *s)
{
	while (s->out_left) {
		ssize_t n = send(s->fd, s->out, s->out_left, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		s->out += n;
		s->out_left -= (size_t)n;
	}
	if (s->phase == BODY) {
		s->phase = DOT;
		s->replies = 0;
		s->dot_at = now_ms();
	}
	return true;
}

static bool on_connected(struct session *s)
{
	const struct message *m = &messages[s->index % message_count];
	int number = 0;
	socklen_t n = sizeof(number);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &number, &n) || number)
		return false;
	s->phase = BANNER;
	if (options.proxy && *m->ip) {
		bool v6 = strchr(m->ip, ':');
		add_head(s, "PROXY TCP%d %s %s 40000 25\r\n", v6 ? 6 : 4, m->ip,
			v6 ? "::1" : "127.0.0.1");
		send_head(s);
	}
	return true;
}

static void handle(struct session *s, uint32_t events)
{
	bool on = true;

	if (s->phase == CONNECTING)
		on = on_connected(s);
	if (on && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		on = read_in(s);
	if (on)
		on = write_out(s);
	if (on)
		watch(s);
	else
		close_session(s);
}

/* ---- the end ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double cpu_ms(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static void write_output(void)
{
	FILE *f = fopen(options.output, "w");

	if (!f)
		die(options.output);
	for (size_t i = 0; i < options.count; i++)
		fprintf(f, "%s\t%d\t%.3f\n", messages[i % message_count].path, results[i].code,
			results[i].ms);
	if (fclose(f))
		die(options.output);
}

static void print_results(double ms, double cpu)
{
	double *latency = calloc(options.count, sizeof(*latency));
	size_t n = 0, codes[1000] = { 0 };
	const char *comma = "";

	for (size_t i = 0; i < options.count; i++) {
		codes[results[i].code > 0 && results[i].code < 1000 ? results[i].code : 0]++;
		if (results[i].ms > 0)
			latency[n++] = results[i].ms;
	}
	qsort(latency, n, sizeof(*latency), by_value);
	printf("{\"messages\": %zu, \"seconds\": %.3f, \"rate\": %.1f, \"connections\": %zu, "
	       "\"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f, \"client_cpu_ms\": %.3f, "
	       "\"codes\": {",
		options.count, ms / 1e3, (double)options.count / ms * 1e3, connections,
		n ? latency[n / 2] : 0, n ? latency[n * 99 / 100] : 0, n ? latency[n - 1] : 0,
		cpu / (double)options.count);
	for (size_t code = 0; code < 1000; code++)
		if (codes[code]) {
			printf("%s\"%zu\": %zu", comma, code, codes[code]);
			comma = ", ";
		}
	printf("}}\n");
	free(latency);
}

static const char usage[] =
	"usage: load [OPTION]... META\n"
	"  -p, --port PORT          of the SMTP server (needed)\n"
	"  -H, --host ADDRESS       (127.0.0.1)\n"
	"  -c, --sessions N         at once (8)\n"
	"  -n, --count N            messages to send (each line of META once)\n"
	"  -k, --per-session N      messages over one connection (1)\n"
	"  -x, --proxy              begin with a PROXY line for the message's client address\n"
	"  -1, --no-pipelining      wait for each reply\n"
	"  -l, --lmtp\n"
	"  -o, --output FILE        a line a message: path, code, milliseconds\n";

static unsigned long number(const char *text)
{
	char *end;
	errno = 0;
	unsigned long n = strtoul(text, &end, 10);
	if (errno || *end || end == text) {
		fprintf(stderr, "load: %s: not a number\n", text);
		exit(2);
	}
	return n;
}

static void read_options(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "host", required_argument, NULL, 'H' },
		{ "sessions", required_argument, NULL, 'c' },
		{ "count", required_argument, NULL, 'n' },
		{ "per-session", required_argument, NULL, 'k' },
		{ "proxy", no_argument, NULL, 'x' },
		{ "no-pipelining", no_argument, NULL, '1' },
		{ "lmtp", no_argument, NULL, 'l' },
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	for (int o; (o = getopt_long(argc, argv, "p:H:c:n:k:x1lo:h", long_options, NULL)) != -1;)
		switch (o) {
		case 'p':
			options.port = (unsigned)number(optarg);
			break;
		case 'H':
			options.host = optarg;
			break;
		case 'c':
			options.sessions = (unsigned)number(optarg);
			break;
		case 'n':
			options.count = number(optarg);
			break;
		case 'k':
			options.per_session = (unsigned)number(optarg);
			break;
		case 'x':
			options.proxy = true;
			break;
		case '1':
			options.no_pipelining = true;
			break;
		case 'l':
			options.lmtp = true;
			break;
		case 'o':
			options.output = optarg;
			break;
		default:
			fputs(usage, o == 'h' ? stdout : stderr);
			exit(o == 'h' ? 0 : 2);
		}
	if (optind != argc - 1 || !options.port || !options.sessions || !options.per_session) {
		fputs(usage, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[256];

	read_options(argc, argv);
	read_meta(argv[optind]);
	if (!options.count)
		options.count = message_count;
	results = calloc(options.count, sizeof(*results));
	struct session *sessions = calloc(options.sessions, sizeof(*sessions));
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (!results || !sessions || poller < 0)
		die("start");
	double start = now_ms(), cpu = cpu_ms();
	for (unsigned i = 0; i < options.sessions; i++)
		open_session(&sessions[i]);
	while (finished < options.count) {
		int n = epoll_wait(poller, events, 256, -1);
		for (int i = 0; i < n; i++)
			handle(events[i].data.ptr, events[i].events);
	}
	print_results(now_ms() - start, cpu_ms() - cpu);
	if (options.output)
		write_output();
	free(sessions);
	return fflush(stdout) ? 1 : 0;
}
