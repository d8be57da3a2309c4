/*
 * judge: the commands that look at mail outside the running gateway: check,
 * replay, learn, eval, doctor. `gatepost NAME …` starts this program as `judge NAME …`.
 *
 * A command is one file here, whose struct command stands in main.c's table. It opens
 * all that it needs, calls judge_confine(), and only then takes mail
 * apart.
 */
#ifndef GATEWAY_JUDGE_JUDGE_H
#define GATEWAY_JUDGE_JUDGE_H

#include "bayes/teacher.h"
#include "filters/evaluate.h"
#include "gateway/command.h"
#include "gateway/config.h"
#include "gateway/resolve.h"

extern const struct command bayes_status_command, bayes_rebuild_command, bayes_undo_command,
	bayes_rollback_command, bayes_review_command, bayes_accept_command;
extern const struct command check_command, replay_command, learn_command, eval_command,
	doctor_command, config_check_command,
	config_dump_command, config_sample_command, config_man_command;
int judge_list_filters(void);

/* "gatepost NAME: text" on stderr; both return the exit code. */
int judge_fail(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int judge_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Says so if opening the training log, or making the model again, had to give lessons up. */
void judge_tell_lost(const char *command, struct teacher *teacher);

/* A whole file, "-" for standard input. At most `cap` octets. 0 or -1. */
int judge_read_file(const char *path, size_t cap, struct arena *arena, struct str *text_r,
	struct err *err);

/* Configuration and engine. conf_file "": the built-in defaults, and no file is read. */
struct judge_setup {
	struct arena *arena; /* the caller's */
	struct config *config; /* NULL without a file */
	struct conf *conf;
	struct engine *engine;
	const char *hostname;
};
/* 0, or an exit code after the errors were shown. */
int judge_set_up(const char *command, const char *conf_file, struct judge_setup *setup);
/* Stops the engine and frees the arena; a setup that is only begun, too. */
void judge_tear_down(struct judge_setup *setup);

/* No files from here on, and no sockets but for DNS (`allow`: enum sandbox_allow). COMMAND_OK, or an
 * exit code after it was told. */
int judge_confine(const char *command, unsigned allow);

/*
 * Has the scanner look at the message, as the gateway would: it is started for that with this
 * configuration file, and ends. Before judge_confine(). NULL and err if it cannot.
 */
const struct facts_scan *judge_scan(const char *conf_file, struct str message, struct arena *arena,
	struct err *err);

/*
 * Answers needs: DNS from the zone or by the resolver; the scan that is there; counters begin at zero. The answers, and the time it took, are added to the facts.
 */
struct answers {
	struct arena *arena;
	const struct facts_zone *zone;
	struct resolve *resolve; /* used without a zone */
	struct str message;
	const struct facts_scan *scan; /* of the scanner; NULL: only EICAR's signature is known */
};
void answers_add(const struct answers *answers, const struct needs *needs, struct facts *facts);

/* Evaluates until the verdict is there. An empty message that is no message (is_message false): the
 * envelope alone. *ev_r owns the verdict. */
void judge_evaluate(struct engine *engine, const struct answers *answers, struct facts *facts,
	bool is_message, struct evaluation **ev_r, struct verdict *verdict_r);

/* LF that has no CR before it becomes CRLF. */
struct str judge_crlf(struct arena *arena, struct str text);
/* A mailbox at the first domain, where no recipient was named. */
void judge_default_recipient(const struct judge_setup *setup, struct facts *facts);

#endif
