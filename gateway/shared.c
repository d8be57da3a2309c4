#include "gateway/shared.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/ipc.h"

#define FILTERS	      64
#define RUNNING_BYTES 8192 /* whole pages: they are mapped alone */
#define RATE_GROUPS   16384
#define HOLD_GROUPS   1024 /* of each front */
#define WAYS	      8

struct shared_running {
	_Atomic uint32_t words[SHARED_INSPECTORS];
	char names[FILTERS][SHARED_FILTER_NAME];
};
_Static_assert(sizeof(struct shared_running) <= RUNNING_BYTES,
	"the running words have pages of their own");

/* Window number, what was counted in the one before it, and in it: one word, changed at once. */
#define RATE_BITS 20
#define RATE_MAX  ((1u << RATE_BITS) - 1)
struct rate {
	_Atomic uint64_t key; /* 0: free */
	_Atomic uint64_t value;
	_Atomic int64_t until; /* from this second on the value says nothing any more */
};
struct hold {
	_Atomic uint64_t key;
	_Atomic int64_t held;
};

struct shared {
	union {
		struct shared_running running;
		char pages[RUNNING_BYTES];
	};
	uint8_t hash_key[16];
	_Atomic int64_t counters[SHARED_COUNTER_COUNT];
	_Atomic int64_t gauges[ROLE_COUNT][SHARED_PROCESSES][SHARED_GAUGE_COUNT];
	struct rate rates[RATE_GROUPS][WAYS];
	/* Indexes of fronts that ever held something are below it. */
	_Atomic int64_t holders;
	struct hold holds[SHARED_PROCESSES][HOLD_GROUPS][WAYS];
};

static const struct {
	const char *name, *help;
} counter_rows[SHARED_COUNTER_COUNT] = {
	[SHARED_CONNECTIONS] = { "connections_total", "SMTP connections accepted" },
	[SHARED_CONNECTIONS_REFUSED] = { "connections_refused_total",
		"SMTP connections refused by limits, rates or lists" },
	[SHARED_TLS_SESSIONS] = { "tls_sessions_total", "SMTP sessions that use TLS" },
	[SHARED_TLS_FAILURES] = { "tls_failures_total", "TLS handshakes that failed" },
	[SHARED_AUTH_SUCCESSES] = { "auth_successes_total", "SMTP sessions that proved an account" },
	[SHARED_AUTH_FAILURES] = { "auth_failures_total", "attempts with a wrong name or password" },
	[SHARED_MESSAGE_BYTES] = { "message_bytes_total", "octets of messages received" },
	[SHARED_MESSAGES_FORWARD] = { "messages_total{action=\"forward\"}",
		"messages answered, by what was done" },
	[SHARED_MESSAGES_TAG] = { "messages_total{action=\"tag\"}", NULL },
	[SHARED_MESSAGES_QUARANTINE] = { "messages_total{action=\"quarantine\"}", NULL },
	[SHARED_MESSAGES_REJECT] = { "messages_total{action=\"reject\"}", NULL },
	[SHARED_MESSAGES_TEMPFAIL] = { "messages_total{action=\"tempfail\"}", NULL },
	[SHARED_RECIPIENTS_REFUSED] = { "recipients_refused_total", "recipients refused at RCPT" },
	[SHARED_EVALUATIONS] = { "evaluations_total", "evaluations finished, all stages" },
	[SHARED_EVALUATE_US] = { "evaluate_microseconds_total",
		"time in which inspectors evaluated" },
	[SHARED_BACKEND_CONNECTIONS] = { "backend_connections_total",
		"connections made to mailbox servers" },
	[SHARED_BACKEND_FAILURES] = { "backend_failures_total",
		"connections to mailbox servers that failed" },
	[SHARED_DELIVERY_UNCERTAIN] = { "delivery_uncertain_total",
		"mailbox servers lost after the end of a message" },
	[SHARED_DNS_QUESTIONS] = { "dns_questions_total", "DNS look-ups" },
	[SHARED_DNS_TIMEOUTS] = { "dns_timeouts_total", "DNS look-ups without an answer in time" },
	[SHARED_DNS_FAILURES] = { "dns_failures_total", "DNS look-ups that failed or were bogus" },
	[SHARED_SCANS] = { "scans_total", "messages scanned" },
	[SHARED_SCAN_FAILURES] = { "scan_failures_total", "scans without a result" },
	[SHARED_ROLE_DEATHS] = { "role_deaths_total", "processes that died and were made anew" },
	[SHARED_INSPECTOR_DEATHS] = { "inspector_deaths_total",
		"inspectors and scanners that died and were made anew" },
	[SHARED_RELOADS] = { "reloads_total", "configurations put into use" },
	[SHARED_LESSONS] = { "lessons_total", "messages learned by the classifier" },
	[SHARED_LESSONS_SPAM] = { "lessons_spam_total",
		"messages learned by the classifier as spam" },
	[SHARED_LESSONS_REFUSED] = { "lessons_refused_total", "lessons that were not learned" },
	[SHARED_LESSONS_HARMFUL] = { "lessons_harmful_total",
		"lessons refused since known messages would have been misjudged" },
};

static const struct {
	const char *name, *help;
} gauge_rows[SHARED_GAUGE_COUNT] = {
	[SHARED_OPEN_CONNECTIONS] = { "connections_open", "connections open" },
	[SHARED_BUFFERED_BYTES] = { "buffered_bytes", "octets of messages held" },
	[SHARED_OPEN_BACKENDS] = { "backend_connections_open", "connections to mailbox servers" },
	[SHARED_EVALUATIONS_QUEUED] = { "evaluations_queued", "evaluations that wait" },
	[SHARED_IN_FLIGHT] = { "requests_in_flight", "requests that a role works on" },
};

static void *map(int fd, size_t size, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_sys(err, "shared table"), NULL;
	if (st.st_size != sizeof(struct shared))
		return err_set(err, "shared table is of another build"), NULL;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(err, "cannot map the shared table"), NULL;
	return p;
}

struct shared *shared_create(int *fd_r, struct err *err)
{
	int fd = memfd_open("gatepost-shared", err);
	if (fd < 0)
		return NULL;
	/* Its size is fixed, so that no role can make the others fault; content stays writable. */
	if (ftruncate(fd, sizeof(struct shared)) != 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		err_sys(err, "cannot make the shared table");
		close(fd);
		return NULL;
	}
	struct shared *shared = map(fd, sizeof(*shared), err);
	if (shared == NULL) {
		close(fd);
		return NULL;
	}
	hash_random(shared->hash_key, sizeof(shared->hash_key));
	*fd_r = fd;
	return shared;
}

struct shared *shared_map(int fd, struct err *err)
{
	return map(fd, sizeof(struct shared), err);
}

void shared_unmap(struct shared **shared)
{
	if (*shared != NULL)
		munmap(*shared, sizeof(**shared));
	*shared = NULL;
}

/* Counters and gauges */

void shared_add(struct shared *shared, enum shared_counter counter, int64_t n)
{
	atomic_fetch_add_explicit(&shared->counters[counter], n, memory_order_relaxed);
}

int64_t shared_get(const struct shared *shared, enum shared_counter counter)
{
	return atomic_load_explicit(&shared->counters[counter], memory_order_relaxed);
}

enum shared_counter shared_action_counter(int action)
{
	assert(action >= ACTION_FORWARD && action <= ACTION_TEMPFAIL);
	return SHARED_MESSAGES_FORWARD + (enum shared_counter)action;
}

static _Atomic int64_t *gauge_at(struct shared *shared, enum role role, int64_t index,
	enum shared_gauge gauge)
{
	assert(role < ROLE_COUNT && index >= 0 && index < SHARED_PROCESSES);
	return &shared->gauges[role][index][gauge];
}

void shared_gauge_add(struct shared *shared, enum role role, int64_t index, enum shared_gauge gauge,
	int64_t n)
{
	atomic_fetch_add_explicit(gauge_at(shared, role, index, gauge), n, memory_order_relaxed);
}

void shared_gauge_set(struct shared *shared, enum role role, int64_t index, enum shared_gauge gauge,
	int64_t value)
{
	atomic_store_explicit(gauge_at(shared, role, index, gauge), value, memory_order_relaxed);
}

int64_t shared_gauge_sum(const struct shared *shared, enum role role, enum shared_gauge gauge)
{
	int64_t sum = 0;

	for (size_t i = 0; i < SHARED_PROCESSES; i++)
		sum += atomic_load_explicit(&shared->gauges[role][i][gauge], memory_order_relaxed);
	return sum;
}

/* Rates */

uint64_t shared_key(const struct shared *shared, const char *purpose, struct str value)
{
	/* The purpose goes into the key of the hash: no value can be made to look like another
	 * kind's. */
	uint8_t key[16];
	uint64_t kind = str_hash(str_c(purpose));

	memcpy(key, shared->hash_key, sizeof(key));
	for (size_t i = 0; i < sizeof(kind); i++)
		key[i] ^= (uint8_t)(kind >> (8 * i));
	uint64_t hash = hash_sip(key, value);
	return hash != 0 ? hash : 1;
}

static uint64_t rate_pack(uint64_t window, uint64_t before, uint64_t current)
{
	return window << (2 * RATE_BITS) | before << RATE_BITS | current;
}

static uint64_t rate_window(uint64_t value)
{
	return value >> (2 * RATE_BITS);
}

/* The same count seen from a later window. */
static uint64_t rate_advance(uint64_t value, uint64_t window)
{
	const uint64_t mask = (UINT64_C(1) << (64 - 2 * RATE_BITS)) - 1;
	uint64_t passed = (window - rate_window(value)) & mask;

	if (passed == 0)
		return value;
	return rate_pack(window & mask, passed == 1 ? value & RATE_MAX : 0, 0);
}

/* How much an entry is worth keeping: the free ones least, then those that say nothing any more. */
static uint64_t rate_worth(const struct rate *rate, int64_t now_s)
{
	if (atomic_load_explicit(&rate->key, memory_order_relaxed) == 0)
		return 0;
	if (atomic_load_explicit(&rate->until, memory_order_relaxed) <= now_s)
		return 1;
	uint64_t value = atomic_load_explicit(&rate->value, memory_order_relaxed);
	return 2 + (value & RATE_MAX) + ((value >> RATE_BITS) & RATE_MAX);
}

static struct rate *rate_find(struct shared *shared, uint64_t key, int64_t now_s, bool add)
{
	struct rate *group = shared->rates[key % RATE_GROUPS], *victim = group;

	for (size_t i = 0; i < WAYS; i++) {
		if (atomic_load_explicit(&group[i].key, memory_order_relaxed) == key)
			return &group[i];
		if (rate_worth(&group[i], now_s) < rate_worth(victim, now_s))
			victim = &group[i];
	}
	if (!add)
		return NULL;
	uint64_t there = atomic_load_explicit(&victim->key, memory_order_relaxed);
	/* Whoever loses this race counts into the winner's entry once: harmless. */
	if (atomic_compare_exchange_strong(&victim->key, &there, key))
		atomic_store_explicit(&victim->value, 0, memory_order_relaxed);
	return victim;
}

int64_t shared_rate(struct shared *shared, uint64_t key, int64_t n, int64_t window_s, int64_t now_s)
{
	assert(n >= 0 && window_s > 0 && now_s >= 0);
	const uint64_t window = (uint64_t)(now_s / window_s) & ((UINT64_C(1) << 24) - 1);
	/* Of the window before, the part that is still within window_s of now. */
	const double part = 1.0 - (double)(now_s % window_s) / (double)window_s;

	/* The same key over another span is another entry. */
	key ^= (uint64_t)window_s * UINT64_C(0x9e3779b97f4a7c15);
	if (key == 0)
		key = 1;
	struct rate *rate = rate_find(shared, key, now_s, n > 0);
	if (rate == NULL)
		return 0;
	atomic_store_explicit(&rate->until, (now_s / window_s + 2) * window_s,
		memory_order_relaxed);
	uint64_t old = atomic_load_explicit(&rate->value, memory_order_relaxed), new;
	do {
		new = rate_advance(old, window);
		uint64_t current = (new &RATE_MAX) + (uint64_t)n;
		if (current > RATE_MAX)
			current = RATE_MAX;
		new = (new & ~(uint64_t)RATE_MAX) | current;
	} while (!atomic_compare_exchange_weak(&rate->value, &old, new));
	uint64_t before = (new >> RATE_BITS) & RATE_MAX;
	return (int64_t)(new &RATE_MAX) + (int64_t)(part * (double)before);
}

/* Holds */

static int64_t held_by(const struct shared *shared, size_t index, uint64_t key)
{
	const struct hold *group = shared->holds[index][key % HOLD_GROUPS];

	for (size_t i = 0; i < WAYS; i++)
		if (atomic_load_explicit(&group[i].key, memory_order_relaxed) == key)
			return atomic_load_explicit(&group[i].held, memory_order_relaxed);
	return 0;
}

/* Only the front itself writes its own part, so entries are claimed without a race. */
static void hold_change(struct shared *shared, int64_t index, uint64_t key, int64_t n)
{
	struct hold *group = shared->holds[index][key % HOLD_GROUPS], *entry = NULL;

	for (size_t i = 0; i < WAYS && (entry == NULL || entry->key != key); i++)
		if (group[i].key == key || (group[i].held == 0 && entry == NULL))
			entry = &group[i];
	/* A full group is not counted rather than refused: the limit on all connections holds. */
	if (entry == NULL || (n < 0 && entry->key != key))
		return;
	if (entry->key != key) {
		atomic_store_explicit(&entry->held, 0, memory_order_relaxed);
		atomic_store_explicit(&entry->key, key, memory_order_release);
	}
	int64_t held = entry->held + n;
	atomic_store_explicit(&entry->held, held > 0 ? held : 0, memory_order_relaxed);
}

int64_t shared_hold(struct shared *shared, int64_t index, uint64_t key, int64_t n)
{
	int64_t sum = 0;

	assert(index >= 0 && index < SHARED_PROCESSES);
	int64_t holders = atomic_load_explicit(&shared->holders, memory_order_relaxed);
	while (n != 0 && index >= holders &&
		!atomic_compare_exchange_weak(&shared->holders, &holders, index + 1))
		;
	if (n != 0)
		hold_change(shared, index, key, n);
	for (int64_t i = 0; i < holders || i <= index; i++)
		sum += held_by(shared, (size_t)i, key);
	return sum;
}

void shared_forget(struct shared *shared, enum role role, int64_t index)
{
	for (int gauge = 0; gauge < SHARED_GAUGE_COUNT; gauge++)
		shared_gauge_set(shared, role, index, (enum shared_gauge)gauge, 0);
	if (role != ROLE_FRONT)
		return;
	for (size_t g = 0; g < HOLD_GROUPS; g++)
		for (size_t i = 0; i < WAYS; i++)
			if (shared->holds[index][g][i].key != 0)
				shared->holds[index][g][i].held = 0;
}

/* Running words */

struct shared_running *shared_map_running(int fd, struct err *err)
{
	return map(fd, RUNNING_BYTES, err);
}

struct shared_running *shared_running_of(struct shared *shared)
{
	return &shared->running;
}

void shared_running_names(struct shared_running *running, const char *const *names, size_t count)
{
	for (size_t i = 0; i < FILTERS; i++)
		snprintf(running->names[i], SHARED_FILTER_NAME, "%s", i < count ? names[i] : "");
}

volatile uint32_t *shared_running_word(struct shared_running *running, int64_t index)
{
	if (index < 0 || index >= SHARED_INSPECTORS)
		return NULL;
	return (volatile uint32_t *)&running->words[index];
}

void shared_running_filter(const struct shared_running *running, int64_t index,
	char name_r[SHARED_FILTER_NAME])
{
	memset(name_r, 0, SHARED_FILTER_NAME);
	if (index < 0 || index >= SHARED_INSPECTORS)
		return;
	uint32_t word = atomic_load_explicit(&running->words[index], memory_order_relaxed);
	if (word == 0 || word > FILTERS)
		return;
	for (size_t i = 0; i < SHARED_FILTER_NAME - 1; i++) {
		char c = running->names[word - 1][i];
		if (!char_is_alnum(c) && c != '-' && c != '_')
			break;
		name_r[i] = c;
	}
}

/* Metrics */

void shared_metrics(const struct shared *shared, struct buf *out)
{
	for (int i = 0; i < SHARED_COUNTER_COUNT; i++) {
		struct str name = str_c(counter_rows[i].name);
		if (counter_rows[i].help != NULL) {
			struct str base = str_sub(name, 0, str_chr(name, '{'));
			buf_printf(out, "# HELP gatepost_%.*s %s\n", STR_ARG(base),
				counter_rows[i].help);
			buf_printf(out, "# TYPE gatepost_%.*s counter\n", STR_ARG(base));
		}
		buf_printf(out, "gatepost_%s %lld\n", counter_rows[i].name,
			(long long)shared_get(shared, (enum shared_counter)i));
	}
	for (int g = 0; g < SHARED_GAUGE_COUNT; g++) {
		buf_printf(out, "# HELP gatepost_%s %s\n", gauge_rows[g].name, gauge_rows[g].help);
		buf_printf(out, "# TYPE gatepost_%s gauge\n", gauge_rows[g].name);
		for (int role = 0; role < ROLE_COUNT; role++)
			buf_printf(out, "gatepost_%s{role=\"%s\"} %lld\n", gauge_rows[g].name,
				role_names[role],
				(long long)shared_gauge_sum(shared, (enum role)role,
					(enum shared_gauge)g));
	}
}
