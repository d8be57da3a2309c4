#include "gateway/judge/eval_plan.h"

#include "core/hash.h"
#include "core/option.h"

static void put_u64(uint8_t *p, uint64_t v)
{
	for (size_t i = 0; i < sizeof(v); i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t draw(const struct eval_plan *plan, const char *purpose, size_t at)
{
	uint8_t key[16], number[8];
	put_u64(key, plan->seed);
	put_u64(key + 8, str_hash(str_c(purpose)));
	put_u64(number, at);
	return hash_sip(key, str_from((const char *)number, sizeof(number)));
}

static bool is_within(const struct eval_plan *plan, const char *purpose, size_t at, double percent)
{
	double share = (double)(draw(plan, purpose, at) >> 11) / 9007199254740992.0; /* 2^53 */
	return 100 * share < percent;
}

int eval_plan_feedback(struct eval_plan *plan, const char *text, struct err *err)
{
	static const struct option
		delay = { "delayed", OPTION_INT, offsetof(struct eval_plan, delay), "0", 0, 1e9 },
		percent = { "partial", OPTION_NUMBER, offsetof(struct eval_plan, percent), "100", 0, 100 };
	struct str value = str_c(text), kind;
	struct err why;
	int rc = 0;
	plan->delay = 0;
	plan->percent = 100;
	plan->errors_only = strcmp(text, "errors") == 0;
	if (plan->errors_only || strcmp(text, "immediate") == 0)
		return 0;
	kind = str_sub(value, 0, str_chr(value, '='));
	value = str_skip(value, kind.n + 1);
	if (str_eq_c(kind, delay.name))
		rc = option_parse(&delay, value, plan, &why);
	else if (str_eq_c(kind, percent.name))
		rc = option_parse(&percent, value, plan, &why);
	else
		return err_set(err, "--feedback is immediate, delayed=N, partial=PERCENT or errors");
	return rc == 0 ? 0 : err_set(err, "--feedback %.*s %s", STR_ARG(kind), why.text);
}

bool eval_plan_tells(const struct eval_plan *plan, size_t at)
{
	return (int64_t)at < plan->learn_count && is_within(plan, "partial", at, plan->percent);
}

bool eval_plan_label(const struct eval_plan *plan, size_t at, bool spam)
{
	return spam != is_within(plan, "flip", at, plan->flip_percent);
}

/* Fisher and Yates. */
void eval_plan_shuffle(const struct eval_plan *plan, struct eval_sample *samples, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = draw(plan, "shuffle", i) % i;
		struct eval_sample last = samples[i - 1];
		samples[i - 1] = samples[j];
		samples[j] = last;
	}
}
