/*
 * filter: the interface of everything that judges.
 *
 * A filter is one file in filters/ and one line in filters/filters.def. It looks
 * at facts, asks for what it lacks, and reports findings. It never replies,
 * rejects, edits, logs or decides: rules/verdict.c does.
 *
 *	static enum step run(struct filter_call *call)
 *	{
 *		const struct dns_answer *a;
 *		if (!ask_dns(call, DNS_TXT, STR("example.org"), &a))
 *			return STEP_WAIT;
 *		if (dns_answer_is_error(a))
 *			return STEP_FAIL;
 *		if (!dns_answer_is_void(a))
 *			report(call, "EXAMPLE_LISTED", "example.org has %zu records", a->data.n);
 *		return STEP_DONE;
 *	}
 *
 * run() is called again from its beginning when what it asked for has arrived;
 * what it reported before STEP_WAIT is forgotten. So ask for all that can be known
 * to be needed, then return STEP_WAIT once. What is costly may be kept in `state`,
 * zeroed at first and only a cache: the next call may find it empty again. There
 * is no clock; the time is call->facts->now.
 *
 * TIMEOUT and SERVFAIL reach a filter as answers. Either it has a result for
 * them (SPF: temperror), or it returns STEP_FAIL, and `on_error` applies.
 */
#ifndef CORE_FILTER_H
#define CORE_FILTER_H

#include "core/mail/mail.h"
#include "core/option.h"
#include "core/verdict.h"

enum step { STEP_DONE, STEP_WAIT, STEP_FAIL };

struct finding_def {
	const char *name;     /* "SPF_FAIL"; the prefix is the filter's */
	double score;	      /* default, on SpamAssassin's scale */
	const char *sentence; /* when report() is given no text */
	int action;	      /* enum action that it asks for by itself; ACTION_FORWARD for none */
};

/* What start() may use: all that is opened or compiled happens there, before the sandbox. */
struct policy_set;
struct env {
	const char *state_dir;
	const char *hostname;
	struct arena *arena; /* of the process */
	struct conf *conf; /* for sections that a filter reads beside its own */
	const struct policy_set *policies; /* rules/policy.h: what domains are ours, among others */
	const struct conf_section *section; /* the filter's own, for its sub-sections; may be NULL */
	bool offline; /* `gatepost check --facts` without -c: no file may be read */
};

/* Titled sub-sections of a filter's section, which its start() reads. */
struct filter_section {
	const char *name;
	const struct option *options;
};

struct filter;
struct filter_call {
	const struct facts *facts;
	enum stage stage;
	struct mail *mail; /* NULL before STAGE_MESSAGE */
	const void *conf;
	void *state;
	struct arena *arena; /* of the transaction */
	struct auth *auth;   /* own slots written, others' read as `after` says */
	/* The rest is the runner's. */
	const struct filter *filter;
	struct finding_list *findings; /* of this call */
	const struct finding_list *earlier; /* of the filters that this one comes after */
	struct needs *needs;
	struct verdict *verdict; /* virus, bayes, proposed headers, record */
	struct str fail_reason;
	struct question_list *asked; /* what this call asked, answered or not; may be NULL */
	struct buf *headers;	     /* that it proposes, as CRLF-ended lines; may be NULL */
	int64_t remaining_ms;	     /* how long it may still wait */
	/* The administrator's score for a finding, or `def`; may be NULL. */
	double (*score)(const void *context, struct str finding, double def);
	const void *score_context;
};

/* Questions are counted, with the steps of their aliases: see LIMIT_DNS_QUESTIONS,
 * LIMIT_AUTH_DNS_QUESTIONS. */
struct question {
	int64_t type;
	struct str name;
	uint64_t hash; /* of name and type, without case */
	bool answered, refused;
	int64_t steps; /* of the answer */
};
struct question_list {
	struct question *v;
	size_t n, cap;
};

/* Look-ups that a filter will surely need, and that are known with MAIL: they are asked for then, and
 * nobody waits for them. That is all that such a filter wants of a session's envelope stages. */
enum ahead {
	AHEAD_SENDER_TXT = 1,	/* of MAIL FROM's domain */
	AHEAD_HELO_TXT = 2,	/* of HELO's */
};

struct filter {
	const char *name, *summary;
	unsigned stages;		/* bits of enum stage; at MESSAGE all filters run */
	unsigned ahead;			/* bits of enum ahead */
	unsigned traffic;		/* bits of enum traffic; 0: inbound alone, since what proves or
					   suspects a stranger is no question to one's own users */
	const char *const *after;	/* NULL-terminated; "*": all that do not come after this one
					   themselves; cycles are refused at start */
	const struct finding_def *findings; /* ends with a NULL name */
	const char *named_prefix; /* of findings beside the table, by report_named(); may be NULL */
	const struct option *options;
	size_t conf_size, state_size;
	const char *default_timeout;	/* "10s"; NULL: 20 seconds */
	const char *default_on_error;	/* "ignore" (also NULL), "tempfail" or "quarantine" */
	const struct filter_section *sections; /* that its section may hold; ends with a NULL name */
	bool disabled_by_default;
	bool authenticates;		/* counts against LIMIT_AUTH_DNS_QUESTIONS: iprev, spf, dkim, dmarc, arc */
	bool has_reserve;		/* … with LIMIT_DMARC_DNS_QUESTIONS of them for itself */
	int (*start)(void *conf, const struct env *env, struct err *err); /* may be NULL */
	void (*stop)(void *conf); /* gives back what start() took outside the arena; may be NULL */
	const char *(*version)(const void *conf); /* of the data it judges by, one word; may be NULL */
	enum step (*run)(struct filter_call *call);
	/* Adds to what run() left in call->verdict what people alone read, if somebody may: see
	 * evaluation_explain(). May be NULL. */
	void (*explain)(struct filter_call *call);
};

/* 1: *answer_r is the answer (maybe TIMEOUT). 0: registered, return STEP_WAIT soon. */
int ask_dns(struct filter_call *call, enum dns_type type, struct str name,
	const struct dns_answer **answer_r);
int ask_scan(struct filter_call *call, const struct facts_scan **scan_r);
/* Adds n to a counter shared by all, once an evaluation, and reads it: how often in window_s. */
int ask_counter(struct filter_call *call, struct str key, int64_t n, int64_t window_s,
	int64_t *value_r);

/* fmt NULL: the definition's sentence. The name must be one of the filter's findings; a name
 * that is not is a bug (assert). Peers' text is passed through text_safe() here. A finding counts
 * once a message: reporting a name again changes nothing. */
void report(struct filter_call *call, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* With another score than the default (still overridden by `scores`). */
void report_score(struct filter_call *call, const char *name, double score, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* For findings that the administrator named (rules, DNS zones): not in the table. Takes its
 * score from `scores` if it stands there. */
void report_named(struct filter_call *call, struct str name, double score, int action,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Has a filter that ran before reported this? */
bool reported(const struct filter_call *call, const char *name);
/* The reason behind STEP_FAIL, for the log and the reply. Returns STEP_FAIL. */
enum step filter_fail(struct filter_call *call, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* A header on top of the message, if it is delivered: name and unfolded value; controls are escaped. */
void propose_header(struct filter_call *call, const char *name, struct str value);

#endif
