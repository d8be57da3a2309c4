#include "gateway/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/json.h"

#define TEXT_CAP 1000

struct log_line {
	struct buf buf;
	bool is_open, is_written;
};

static const struct {
	const char *name;
	int priority; /* of syslog(3), as journald reads it */
} levels[] = {
	[LOG_LEVEL_DEBUG] = { "debug", 7 },
	[LOG_LEVEL_INFO] = { "info", 6 },
	[LOG_LEVEL_WARNING] = { "warning", 4 },
	[LOG_LEVEL_ERROR] = { "error", 3 },
};

/* A process has one log, as it has one standard error. */
static struct {
	const char *role;
	int64_t index;
	enum log_level level;
	bool for_journal;
	uint64_t dropped;
	struct log_line line;
} self = { .role = "gatepost", .index = -1, .level = LOG_LEVEL_INFO };

void log_start(const char *role, int64_t index)
{
	self.role = role;
	self.index = index;
	self.for_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level level)
{
	self.level = level;
}

static void key_add(struct log_line *line, const char *key)
{
	assert(line->is_open);
	buf_char(&line->buf, ',');
	json_text(&line->buf, str_c(key), JSON_NO_CAP);
	buf_char(&line->buf, ':');
}

struct log_line *log_line(enum log_level level, const char *event)
{
	struct log_line *line = &self.line;
	struct timespec ts;
	struct tm tm;
	char when[32];

	assert(!line->is_open);
	line->is_open = true;
	line->is_written = level >= self.level;
	buf_clear(&line->buf);
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	if (self.for_journal)
		buf_printf(&line->buf, "<%d>", levels[level].priority);
	buf_printf(&line->buf, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"role\":\"%s\"", when,
		ts.tv_nsec / 1000000, levels[level].name, self.role);
	if (self.index >= 0)
		log_int(line, "index", self.index);
	log_int(line, "pid", getpid());
	log_c(line, "event", event);
	return line;
}

void log_str(struct log_line *line, const char *key, struct str value)
{
	key_add(line, key);
	json_text(&line->buf, value, TEXT_CAP);
}

void log_c(struct log_line *line, const char *key, const char *value)
{
	log_str(line, key, str_c(value));
}

void log_int(struct log_line *line, const char *key, int64_t value)
{
	key_add(line, key);
	buf_printf(&line->buf, "%lld", (long long)value);
}

void log_double(struct log_line *line, const char *key, double value)
{
	key_add(line, key);
	json_double(&line->buf, value);
}

void log_bool(struct log_line *line, const char *key, bool value)
{
	key_add(line, key);
	buf_c(&line->buf, value ? "true" : "false");
}

void log_json(struct log_line *line, const char *key, struct str json)
{
	key_add(line, key);
	buf_str_add(&line->buf, json);
}

/* A reader that is stuck must not stop mail. */
static bool can_write(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

void log_end(struct log_line *line)
{
	assert(line->is_open);
	line->is_open = false;
	if (!line->is_written)
		return;
	if (!can_write()) {
		self.dropped++;
		return;
	}
	if (self.dropped > 0)
		buf_printf(&line->buf, ",\"lines_dropped\":%llu", (unsigned long long)self.dropped);
	self.dropped = 0;
	buf_c(&line->buf, "}\n");
	struct str rest = buf_str(&line->buf);
	while (rest.n > 0) {
		ssize_t n = write(STDERR_FILENO, rest.p, rest.n);
		if (n < 0 && errno != EINTR)
			return;
		if (n > 0)
			rest = str_skip(rest, (size_t)n);
	}
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	struct err text = { "" };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text.text, sizeof(text.text), fmt, ap);
	va_end(ap);
	struct log_line *line = log_line(level, event);
	log_c(line, "text", text.text);
	log_end(line);
}
