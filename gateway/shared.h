/*
 * shared: one fixed piece of memory that all roles see: counters, gauges, rates.
 *
 * The supervisor makes it (a memfd), every role maps it; all of it is atomics, so
 * that no role can hold another up, and whoever dies leaves it usable. Nothing in
 * it is needed to be right for mail to be safe: it is for limits and for figures.
 *
 * Its first pages stand apart: the words by which inspectors say what they do.
 * Inspectors and scanners map those and nothing else.
 */
#ifndef GATEWAY_SHARED_H
#define GATEWAY_SHARED_H

#include "core/buf.h"
#include "core/err.h"
#include "gateway/protocol.h"

/* Indexes of live processes are below these; they are handed out by the supervisor. */
#define SHARED_PROCESSES   160 /* of one role, old and new generations together */
#define SHARED_INSPECTORS  1024
#define SHARED_FILTER_NAME 32

struct shared;

/* Supervisor: makes and maps it. *fd_r is what roles are given. */
struct shared *shared_create(int *fd_r, struct err *err);
struct shared *shared_map(int fd, struct err *err);
void shared_unmap(struct shared **shared);

/* Counters: only grow; one row each in shared.c with its name and help for /metrics. */
enum shared_counter {
	SHARED_CONNECTIONS,	    /* accepted */
	SHARED_CONNECTIONS_REFUSED, /* limits, rates, lists */
	SHARED_TLS_SESSIONS,
	SHARED_TLS_FAILURES,
	SHARED_AUTH_SUCCESSES,
	SHARED_AUTH_FAILURES,
	SHARED_MESSAGE_BYTES,	 /* octets of messages received */
	SHARED_MESSAGES_FORWARD, /* the five in the order of enum action */
	SHARED_MESSAGES_TAG,
	SHARED_MESSAGES_QUARANTINE,
	SHARED_MESSAGES_REJECT,
	SHARED_MESSAGES_TEMPFAIL,
	SHARED_RECIPIENTS_REFUSED,
	SHARED_EVALUATIONS,
	SHARED_EVALUATE_US, /* microseconds in inspectors, as the front sees them */
	SHARED_BACKEND_CONNECTIONS,
	SHARED_BACKEND_FAILURES,
	SHARED_DELIVERY_UNCERTAIN,
	SHARED_DNS_QUESTIONS,
	SHARED_DNS_TIMEOUTS,
	SHARED_DNS_FAILURES,
	SHARED_SCANS,
	SHARED_SCAN_FAILURES,
	SHARED_ROLE_DEATHS,
	SHARED_INSPECTOR_DEATHS,
	SHARED_RELOADS,
	SHARED_LESSONS, /* learned by the classifier */
	SHARED_LESSONS_SPAM, /* those of them that were spam */
	SHARED_LESSONS_REFUSED, /* by quotas, or since they make no sense */
	SHARED_LESSONS_HARMFUL, /* those of them that would have spoilt known messages */
	SHARED_COUNTER_COUNT
};
void shared_add(struct shared *shared, enum shared_counter counter, int64_t n);
int64_t shared_get(const struct shared *shared, enum shared_counter counter);
/* The counter of an action: SHARED_MESSAGES_FORWARD + action. */
enum shared_counter shared_action_counter(int action);

/* Gauges: a value of each process; zeroed by the supervisor when it dies. */
enum shared_gauge {
	SHARED_OPEN_CONNECTIONS,
	SHARED_BUFFERED_BYTES, /* the ledger: message octets held */
	SHARED_OPEN_BACKENDS,
	SHARED_EVALUATIONS_QUEUED,
	SHARED_IN_FLIGHT, /* requests that a role works on */
	SHARED_GAUGE_COUNT
};
void shared_gauge_add(struct shared *shared, enum role role, int64_t index, enum shared_gauge gauge,
	int64_t n);
void shared_gauge_set(struct shared *shared, enum role role, int64_t index, enum shared_gauge gauge,
	int64_t value);
/* Over all processes of the role. */
int64_t shared_gauge_sum(const struct shared *shared, enum role role, enum shared_gauge gauge);

/* A key for what peers choose (SipHash under a key of this run). purpose keeps kinds apart. */
uint64_t shared_key(const struct shared *shared, const char *purpose, struct str value);
/*
 * Rates. Adds n to what this key did, and returns how often it did so in the last
 * window_s seconds, estimated from two windows (exact for what fits into one); n 0 only
 * reads. The table is fixed: when it is full the quietest entry of a group gives way.
 */
int64_t shared_rate(struct shared *shared, uint64_t key, int64_t n, int64_t window_s,
	int64_t now_s);
/*
 * Holds: how many of something are held at this moment (connections of a client, sessions
 * to a backend). Adds n (+1, -1) for the front `index`, and returns the sum over all
 * fronts; what a front held is given back when it dies.
 */
int64_t shared_hold(struct shared *shared, int64_t index, uint64_t key, int64_t n);

/* Supervisor: a process is gone, so are its gauges and holds. */
void shared_forget(struct shared *shared, enum role role, int64_t index);

/*
 * Running: the filter that an inspector runs at this moment, index + 1 into the names that
 * its loader gave, 0 between filters. What an inspector writes is not trusted.
 */
struct shared_running;
struct shared_running *shared_map_running(int fd, struct err *err);
/* The same within the whole. */
struct shared_running *shared_running_of(struct shared *shared);
void shared_running_names(struct shared_running *running, const char *const *names, size_t count);
/* The word for evaluation_new(). NULL if index is out of range. */
volatile uint32_t *shared_running_word(struct shared_running *running, int64_t index);
/* The name of the filter that ran when the inspector stopped; "" if none, or a word that
 * makes no sense. */
void shared_running_filter(const struct shared_running *running, int64_t index,
	char name_r[SHARED_FILTER_NAME]);

/* Appends all counters and gauges in Prometheus's text form. */
void shared_metrics(const struct shared *shared, struct buf *out);

#endif
