/* `gatepost replay`: evaluates what was recorded once more, and tells what comes out differently. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "core/limits.h"
#include "gateway/judge/judge.h"

struct replay_values {
	const char *conf;
};

static const struct command_option options[] = {
	COMMAND_OPTION('c', "config", "CONF", OPTION_STRING, struct replay_values, conf, NULL,
		"Judge by this configuration; without it by the built-in defaults."),
	COMMAND_OPTIONS_END,
};

#define SCORE_STEP 0.0005 /* verdicts print three decimals */

static const char *text_of(json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static json_t *find_finding(json_t *findings, struct str name)
{
	size_t i;
	json_t *f;

	json_array_foreach(findings, i, f)
		if (str_eq_c(name, text_of(f, "name")))
			return f;
	return NULL;
}

static bool has_finding(const struct verdict *v, const char *name)
{
	for (size_t i = 0; i < v->findings.n; i++)
		if (str_eq_c(v->findings.v[i].name, name))
			return true;
	return false;
}

static unsigned compare_findings(json_t *findings, const struct verdict *v)
{
	unsigned differences = 0;
	size_t i;
	json_t *old;

	for (i = 0; i < v->findings.n; i++) {
		const struct finding *f = &v->findings.v[i];
		double before;

		old = find_finding(findings, f->name);
		before = json_number_value(json_object_get(old, "score"));
		if (old && fabs(before - f->score) < SCORE_STEP)
			continue;
		differences++;
		if (old)
			printf("%.*s: score %g, was %g\n", STR_ARG(f->name), f->score, before);
		else
			printf("%.*s: new, score %g\n", STR_ARG(f->name), f->score);
	}
	json_array_foreach(findings, i, old) {
		if (has_finding(v, text_of(old, "name")))
			continue;
		differences++;
		printf("%s: gone\n", text_of(old, "name"));
	}
	return differences;
}

static unsigned compare_recipients(json_t *recipients, const struct verdict *v)
{
	unsigned differences = 0;

	for (size_t i = 0; i < v->recipients.n; i++) {
		const struct recipient_verdict *r = &v->recipients.v[i];
		const char *before = text_of(json_array_get(recipients, i), "action");

		if (strcmp(before, action_names[r->action]) == 0)
			continue;
		differences++;
		printf("recipient %zu: %s, was %s\n", i + 1, action_names[r->action], before);
	}
	return differences;
}

static unsigned compare(json_t *recorded, const struct verdict *v)
{
	unsigned differences = 0;

	if (strcmp(text_of(recorded, "action"), action_names[v->action]) != 0) {
		differences++;
		printf("action: %s, was %s\n", action_names[v->action], text_of(recorded, "action"));
	}
	differences += compare_recipients(json_object_get(recorded, "recipients"), v);
	differences += compare_findings(json_object_get(recorded, "findings"), v);
	if (!differences)
		printf("the same: %s\n", action_names[v->action]);
	return differences;
}

static int evaluate_again(struct judge_setup *setup, struct facts *facts,
	const struct facts_zone *zone, bool is_message, struct str message, json_t *recorded)
{
	struct answers answers = { .arena = setup->arena, .zone = zone, .message = message };
	struct evaluation *ev;
	struct verdict v;
	int rc;

	judge_evaluate(setup->engine, &answers, facts, is_message, &ev, &v);
	rc = compare(recorded, &v) ? COMMAND_FAILED : COMMAND_OK;
	evaluation_free(&ev);
	return rc;
}

static int replay(const struct replay_values *o, int argc, char **argv, struct judge_setup *setup)
{
	struct arena *arena = setup->arena;
	struct facts facts = { 0 };
	struct facts_zone *zone;
	struct str facts_text, verdict_text, message = STR("");
	json_error_t where;
	json_t *recorded;
	struct err err;
	int rc;

	if (judge_read_file(argv[0], LIMIT_FACTS_BYTES, arena, &facts_text, &err) < 0 ||
		judge_read_file(argv[1], LIMIT_FACTS_BYTES, arena, &verdict_text, &err) < 0 ||
		(argc > 2 &&
			judge_read_file(argv[2], LIMIT_MESSAGE_BYTES, arena, &message, &err) < 0))
		return judge_fail("replay", "%s", err.text);
	if (facts_from_json(facts_text, arena, &facts, &zone, &err) < 0)
		return judge_usage("replay", "%s: %s", argv[0], err.text);
	recorded = json_loadb(verdict_text.p, verdict_text.n, JSON_ALLOW_NUL, &where);
	if (!json_is_object(recorded)) {
		json_decref(recorded);
		return judge_usage("replay", "%s: this is no verdict in JSON", argv[1]);
	}
	rc = judge_set_up("replay", o->conf, setup);
	if (rc == COMMAND_OK)
		rc = judge_confine("replay", 0);
	if (rc == COMMAND_OK)
		rc = evaluate_again(setup, &facts, zone, argc > 2, message, recorded);
	json_decref(recorded);
	return rc;
}

static int run(const struct command *command, const void *values, int argc, char **argv)
{
	struct judge_setup setup = { .arena = arena_new(SIZE_MAX) };
	int rc = replay(values, argc, argv, &setup);

	judge_tear_down(&setup);
	return rc;
}

const struct command replay_command = {
	.name = "replay",
	.summary = "Evaluates recorded facts again and tells what comes out differently.",
	.arguments = "FACTS VERDICT [MESSAGE]",
	.min_args = 2,
	.max_args = 3,
	.description = "FACTS and VERDICT are JSON as recorded, MESSAGE the octets as they came. The "
		"exit code is 0 if actions and findings are the same, and 1 if they differ.",
	.options = options,
	.size = sizeof(struct replay_values),
	.run = run,
};
