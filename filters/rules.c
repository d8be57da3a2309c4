/*
 * rules: what the administrator's expressions, and those that come with the program, find.
 */
#include "filters/rules.h"

#include <stdio.h>

#include "core/conf.h"
#include "core/limits.h"

struct rules_conf {
	bool defaults;
	struct option_strings files;
	struct ruleset *ruleset;
};

/* A cache for the metas: in the transaction's arena, as long as the evaluation lasts. */
struct rules_state {
	const bool *hits;
};

static const struct option options[] = {
	{ .name = "defaults", .type = OPTION_BOOL, .offset = offsetof(struct rules_conf, defaults),
		.def = "true", .help = "Whether the rules that come with the program are used." },
	{ .name = "files", .type = OPTION_LIST, .offset = offsetof(struct rules_conf, files),
		.help = "Files with rules in SpamAssassin's language, read after the program's own; "
			"a later rule of the same name replaces an earlier one." },
	OPTION_ROWS_END
};

static const struct finding_def findings[] = {
	{ "RULES_LIMIT", 0.5,
		"A rule's expression needed too many steps on this message and was given up." },
	{ .name = NULL },
};

/* ---- start ---- */

static int read_file(struct ruleset *rs, const char *path, struct err *err)
{
	struct buf text = BUF_INIT;
	FILE *f = fopen(path, "re");
	size_t n;
	int rc;

	if (!f)
		return err_sys(err, "%s", path);
	do {
		n = fread(buf_reserve(&text, 65536), 1, 65536, f);
		buf_commit(&text, n);
	} while (n && text.n <= LIMIT_CONFIG_BYTES);
	if (ferror(f))
		rc = err_sys(err, "%s", path);
	else if (text.n > LIMIT_CONFIG_BYTES)
		rc = err_set(err, "%s: larger than %u octets", path, LIMIT_CONFIG_BYTES);
	else
		rc = ruleset_read(rs, path, buf_str(&text), err);
	fclose(f);
	buf_free(&text);
	return rc;
}

static void show_warnings(const struct ruleset *rs, const struct env *env)
{
	const struct option_strings *warnings = ruleset_warnings(rs);
	for (size_t i = 0; env->conf && env->section && i < warnings->n; i++)
		conf_warn(env->conf, env->section, "files", "%s", warnings->v[i]);
}

static int start(void *conf, const struct env *env, struct err *err)
{
	struct rules_conf *c = conf;

	c->ruleset = ruleset_new(env->arena, err);
	if (!c->ruleset)
		return -1;
	if (c->defaults &&
		ruleset_read(c->ruleset, "default.rules", ruleset_default_text(), err) < 0)
		return -1;
	for (size_t i = 0; i < c->files.n && !env->offline; i++)
		if (read_file(c->ruleset, c->files.v[i], err) < 0)
			return -1;
	if (ruleset_finish(c->ruleset, err) < 0)
		return -1;
	show_warnings(c->ruleset, env);
	return 0;
}

static const char *version(const void *conf)
{
	const struct rules_conf *c = conf;
	return c->ruleset ? ruleset_version(c->ruleset) : NULL;
}

/* ---- run ---- */

static enum step run(struct filter_call *call)
{
	const struct rules_conf *c = call->conf;
	struct rules_state *state = call->state;

	if (call->stage != STAGE_MESSAGE)
		return STEP_DONE;
	const struct ruleset *rs = c->ruleset;
	struct ruleset_input in = {
		.mail = call->mail,
		.envelope_from = call->facts->mail_from,
		.arena = call->arena,
	};
	bool *hits = ARENA_ARRAY(call->arena, ruleset_count(rs) + 1, bool);
	struct str hard = ruleset_run(rs, &in, hits);

	state->hits = hits;
	for (size_t i = 0; i < ruleset_count(rs); i++) {
		struct ruleset_rule rule = ruleset_rule(rs, i);
		if (hits[i] && rule.reported)
			report_named(call, rule.name, rule.score, ACTION_FORWARD, "%.*s",
				STR_ARG(rule.text));
	}
	if (hard.n)
		report(call, "RULES_LIMIT",
			"The expression of rule %.*s needed too many steps and was given up.",
			STR_ARG(hard));
	return STEP_DONE;
}

/* ---- metas ---- */

const struct ruleset *rules_ruleset(const void *conf)
{
	return ((const struct rules_conf *)conf)->ruleset;
}

void rules_metas(const void *conf, const void *state, struct finding_list *all,
	struct arena *arena, double (*score)(const void *context, struct str finding, double def),
	const void *context)
{
	const struct rules_state *s = state;
	const struct ruleset *rs = rules_ruleset(conf);

	if (rs)
		ruleset_metas(rs, s ? s->hits : NULL, all, arena, score, context);
}

const struct filter filter_rules = {
	.name = "rules",
	.summary = "expressions over headers, text and links, in SpamAssassin's language",
	.stages = STAGE_MESSAGE,
	.traffic = TRAFFIC_INBOUND | TRAFFIC_OUTBOUND,
	.findings = findings,
	.options = options,
	.conf_size = sizeof(struct rules_conf),
	.state_size = sizeof(struct rules_state),
	.start = start,
	.run = run,
	.version = version,
};
