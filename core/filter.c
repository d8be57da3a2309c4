#include "core/filter.h"

#include <assert.h>

#include "core/headerline.h"
#include "core/json.h"
#include "core/limits.h"

#define TEXT_CAP 500 /* octets of a finding's sentence or a failure's reason */

/* Lists without a capacity of their own double whenever their length is a power of two. */
static void *room_for_one(struct arena *arena, void *v, size_t n, size_t size)
{
	return n & (n - 1) ? v : arena_grow(arena, v, n, n ? n * 2 : 1, size);
}

static uint64_t question_hash(enum dns_type type, struct str name)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (uint8_t)char_lower(name.p[i])) * 1099511628211u;
	return (h ^ (uint64_t)type) * 1099511628211u;
}

/* answer: NULL while there is none. */
static struct question *note_question(struct filter_call *call, enum dns_type type,
	struct str name, const struct dns_answer *answer)
{
	struct question_list *list = call->asked;
	uint64_t hash = question_hash(type, name);

	if (!list)
		return NULL;
	for (size_t i = 0; i < list->n; i++) {
		struct question *q = &list->v[i];

		if (q->hash == hash && q->type == (int64_t)type && dns_name_eq(q->name, name)) {
			if (answer) {
				q->answered = true;
				q->steps = answer->steps;
			}
			return q;
		}
	}
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 16;

		list->v = arena_grow(call->arena, list->v, list->n, cap, sizeof(*list->v));
		list->cap = cap;
	}
	list->v[list->n] = (struct question){
		.type = type,
		.name = arena_dup(call->arena, name),
		.hash = hash,
		.answered = answer != NULL,
		.steps = answer ? answer->steps : 0,
	};
	return &list->v[list->n++];
}

static const struct dns_answer *made_up_answer(struct filter_call *call, enum dns_type type,
	struct str name, enum dns_rcode rcode)
{
	struct dns_answer *a = ARENA_NEW(call->arena, struct dns_answer);

	a->type = type;
	a->name = arena_dup(call->arena, name);
	a->rcode = rcode;
	return a;
}

static void need_dns(struct filter_call *call, enum dns_type type, struct str name)
{
	struct needs *needs = call->needs;
	struct dns_question *q;

	for (size_t i = 0; i < needs->dns.n; i++) {
		q = &needs->dns.v[i];
		if (q->type != (int64_t)type || !dns_name_eq(q->name, name))
			continue;
		if (q->timeout_ms < call->remaining_ms)
			q->timeout_ms = call->remaining_ms;
		return;
	}
	needs->dns.v = room_for_one(call->arena, needs->dns.v, needs->dns.n, sizeof(*q));
	q = &needs->dns.v[needs->dns.n++];
	q->type = type;
	q->name = arena_dup(call->arena, name);
	q->timeout_ms = call->remaining_ms;
	q->reserved = call->filter && call->filter->has_reserve;
}

int ask_dns(struct filter_call *call, enum dns_type type, struct str name,
	const struct dns_answer **answer_r)
{
	const struct dns_answer *a = facts_dns(call->facts, name, type);
	struct question *q;
	uint8_t wire[256];
	size_t wire_length;

	if (a) {
		note_question(call, type, name, a);
		*answer_r = a;
		return 1;
	}
	/* What cannot be put into a packet cannot exist: nobody needs to be asked. */
	if (dns_name_to_wire(name, wire, &wire_length) < 0) {
		*answer_r = made_up_answer(call, type, name, DNS_NXDOMAIN);
		return 1;
	}
	q = note_question(call, type, name, NULL);
	if (q && q->refused) {
		*answer_r = made_up_answer(call, type, name, DNS_TIMEOUT);
		return 1;
	}
	need_dns(call, type, name);
	*answer_r = NULL;
	return 0;
}

int ask_scan(struct filter_call *call, const struct facts_scan **scan_r)
{
	*scan_r = call->facts->scan;
	if (*scan_r)
		return 1;
	call->needs->scan = true;
	if (call->needs->scan_timeout_ms < call->remaining_ms)
		call->needs->scan_timeout_ms = call->remaining_ms;
	return 0;
}

int ask_counter(struct filter_call *call, struct str key, int64_t n, int64_t window_s,
	int64_t *value_r)
{
	struct needs *needs = call->needs;
	struct need_counter *need;

	for (size_t i = 0; i < call->facts->counters.n; i++) {
		if (!str_eq(call->facts->counters.v[i].key, key))
			continue;
		*value_r = call->facts->counters.v[i].value;
		return 1;
	}
	*value_r = 0;
	for (size_t i = 0; i < needs->counters.n; i++)
		if (str_eq(needs->counters.v[i].key, key))
			return 0;
	needs->counters.v = room_for_one(call->arena, needs->counters.v, needs->counters.n,
		sizeof(*need));
	need = &needs->counters.v[needs->counters.n++];
	need->key = arena_dup(call->arena, key);
	need->add = n;
	need->window_s = window_s;
	return 0;
}

static struct str safe_text(struct arena *arena, struct str raw)
{
	struct buf b = BUF_INIT;
	struct str s;

	text_safe(&b, raw, TEXT_CAP);
	s = arena_dup(arena, buf_str(&b));
	buf_free(&b);
	return s;
}

static unsigned first_stage(const struct filter *filter)
{
	unsigned stages = filter->stages | STAGE_MESSAGE;

	return stages & -stages;
}

static void add_finding(struct filter_call *call, struct str name, double score, int action,
	struct str text)
{
	struct finding_list *list = call->findings;
	struct finding *f;

	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i].name, name))
			return;
	if (list->n >= LIMIT_FINDINGS)
		return;
	list->v = room_for_one(call->arena, list->v, list->n, sizeof(*f));
	f = &list->v[list->n++];
	f->name = name;
	f->filter = str_c(call->filter->name);
	f->score = call->score ? call->score(call->score_context, name, score) : score;
	f->text = safe_text(call->arena, text);
	f->stage = first_stage(call->filter);
	f->action = action;
}

static const struct finding_def *find_def(const struct filter_call *call, const char *name)
{
	const struct finding_def *def = call->filter->findings;

	while (def && def->name && strcmp(def->name, name) != 0)
		def++;
	/* A name outside the filter's table is a bug of that filter. */
	assert(def && def->name);
	return def;
}

static struct str __attribute__((format(printf, 3, 0))) sentence(struct filter_call *call,
	const char *fallback, const char *fmt, va_list ap)
{
	if (!fmt)
		return str_c(fallback);
	return arena_vprintf(call->arena, fmt, ap);
}

void report(struct filter_call *call, const char *name, const char *fmt, ...)
{
	const struct finding_def *def = find_def(call, name);
	va_list ap;

	va_start(ap, fmt);
	add_finding(call, str_c(def->name), def->score, def->action,
		sentence(call, def->sentence, fmt, ap));
	va_end(ap);
}

void report_score(struct filter_call *call, const char *name, double score, const char *fmt, ...)
{
	const struct finding_def *def = find_def(call, name);
	va_list ap;

	va_start(ap, fmt);
	add_finding(call, str_c(def->name), score, def->action,
		sentence(call, def->sentence, fmt, ap));
	va_end(ap);
}

void report_named(struct filter_call *call, struct str name, double score, int action,
	const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_finding(call, arena_dup(call->arena, name), score, action,
		sentence(call, "", fmt, ap));
	va_end(ap);
}

bool reported(const struct filter_call *call, const char *name)
{
	for (size_t i = 0; call->earlier && i < call->earlier->n; i++)
		if (str_eq_c(call->earlier->v[i].name, name))
			return true;
	return false;
}

enum step filter_fail(struct filter_call *call, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	call->fail_reason = safe_text(call->arena, arena_vprintf(call->arena, fmt, ap));
	va_end(ap);
	return STEP_FAIL;
}

void propose_header(struct filter_call *call, const char *name, struct str value)
{
	if (call->headers)
		headerline_add(call->headers, name, value);
}
