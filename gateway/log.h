/*
 * log: one JSON object a line on standard error, for every event of a role.
 *
 *	struct log_line *line = log_line(LOG_LEVEL_WARNING, "backend-down");
 *	log_str(line, "backend", name);
 *	log_int(line, "after_ms", ms);
 *	log_end(line);
 *
 *	log_event(LOG_LEVEL_ERROR, "start-failed", "cannot read %s", path);
 *
 * Each line has time, level, role, index, pid and event; all text is escaped
 * (core/json.h), so peers' octets may be passed as they are. Under systemd a line
 * starts with "<N>", its level. Never blocks: while nobody reads, lines are
 * dropped, and the next one that passes says how many. Only gateway/ logs.
 */
#ifndef GATEWAY_LOG_H
#define GATEWAY_LOG_H

#include "core/err.h"
#include "core/str.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* Who we are; index -1 for what there is only one of. Copies nothing: role is a literal. */
void log_start(const char *role, int64_t index);
/* Lines below this level are not written. The default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

struct log_line;
/* Begins the line (there is one: end it before the next). event: a literal, "role-died". */
struct log_line *log_line(enum log_level level, const char *event);
/* Each key once; text longer than 1,000 octets is cut. */
void log_str(struct log_line *line, const char *key, struct str value);
void log_c(struct log_line *line, const char *key, const char *value);
void log_int(struct log_line *line, const char *key, int64_t value);
void log_double(struct log_line *line, const char *key, double value);
void log_bool(struct log_line *line, const char *key, bool value);
/* A value that is JSON already, built with core/json.h. */
void log_json(struct log_line *line, const char *key, struct str json);
void log_end(struct log_line *line);

/* A line with one key, "text". */
void log_event(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
