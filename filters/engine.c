/* Reads what the configuration says of filters, orders them, and starts those that are enabled. */
#include "filters/engine.h"

#include <assert.h>

#include "filters/rules.h"

void engine_common_options(const struct filter *filter, struct option rows_r[FILTER_COMMON_ROWS])
{
	static const char *const on_error[] = { "ignore", "tempfail", "quarantine", NULL };

	rows_r[0] = (struct option){
		.name = "enabled", .type = OPTION_BOOL,
		.offset = offsetof(struct filter_common, enabled),
		.def = filter->disabled_by_default ? "false" : "true",
		.help = "Whether the filter runs at all.",
	};
	rows_r[1] = (struct option){
		.name = "timeout", .type = OPTION_TIME,
		.offset = offsetof(struct filter_common, timeout),
		.def = filter->default_timeout ? filter->default_timeout : "20s",
		.min = 1, .max = 10 * 60 * 1000,
		.help = "How long the filter may wait for answers from outside.",
	};
	rows_r[2] = (struct option){
		.name = "on_error", .type = OPTION_ENUM,
		.offset = offsetof(struct filter_common, on_error),
		.def = filter->default_on_error ? filter->default_on_error : "ignore",
		.choices = on_error,
		.help = "What becomes of a message that the filter cannot judge: ignore (go on "
			"without it), tempfail (the sender tries again) or quarantine.",
	};
	rows_r[3] = (struct option)OPTION_ROWS_END;
}

static bool is_all(const struct filter *f)
{
	for (size_t i = 0; f->after && f->after[i]; i++)
		if (strcmp(f->after[i], "*") == 0)
			return true;
	return false;
}

/* Direct predecessors of filters[index], as bits of the registry. */
static int direct_after(size_t index, uint64_t *after_r, struct err *err)
{
	const struct filter *f = filters[index];
	uint64_t after = 0;

	for (size_t i = 0; f->after && f->after[i]; i++) {
		const char *name = f->after[i];
		size_t k = 0;

		if (strcmp(name, "*") == 0) {
			for (size_t j = 0; j < filter_count; j++)
				if (j != index && !is_all(filters[j]))
					after |= UINT64_C(1) << j;
			continue;
		}
		while (k < filter_count && strcmp(filters[k]->name, name) != 0)
			k++;
		if (k == filter_count)
			return err_set(err, "filter \"%s\" comes after \"%s\", which does not exist",
				f->name, name);
		after |= UINT64_C(1) << k;
	}
	*after_r = after;
	return 0;
}

/*
 * Fills order_r with all indexes of the registry, predecessors first, and after_r with the
 * transitive predecessors of each. Repeatedly takes the first filter that is ready, so that the
 * order of filters.def holds where `after` leaves it open.
 */
static int sort_filters(size_t order_r[ENGINE_MAX_FILTERS], uint64_t after_r[ENGINE_MAX_FILTERS],
	struct err *err)
{
	uint64_t placed = 0;

	for (size_t i = 0; i < filter_count; i++)
		if (direct_after(i, &after_r[i], err) < 0)
			return -1;
	for (size_t n = 0; n < filter_count; n++) {
		size_t i = 0;

		while (i < filter_count && (placed >> i & 1 || after_r[i] & ~placed))
			i++;
		if (i == filter_count) {
			for (i = 0; placed >> i & 1; i++)
				;
			return err_set(err, "filter \"%s\" waits for itself: a cycle in `after`",
				filters[i]->name);
		}
		for (size_t j = 0; j < filter_count; j++)
			if (after_r[i] >> j & 1)
				after_r[i] |= after_r[j];
		order_r[n] = i;
		placed |= UINT64_C(1) << i;
	}
	return 0;
}

static const struct conf_section *find_section(const struct conf *conf, const char *name)
{
	const struct conf_section *s = NULL;

	while ((s = conf_next(conf_root(conf), "filter", s)))
		if (strcmp(conf_title(s), name) == 0)
			return s;
	return NULL;
}

static void check_sections(struct conf *conf, struct arena *arena)
{
	const char **names = ARENA_ARRAY(arena, filter_count + 1, const char *);
	const struct conf_section *s = NULL;

	for (size_t i = 0; i < filter_count; i++)
		names[i] = filters[i]->name;
	while ((s = conf_next(conf_root(conf), "filter", s))) {
		const char *nearest;

		if (filter_find(conf_title(s)))
			continue;
		nearest = option_nearest(conf_title(s), names);
		conf_error(conf, s, NULL, "there is no filter \"%s\"%s%s%s", conf_title(s),
			nearest ? "; is \"" : "", nearest ? nearest : "",
			nearest ? "\" meant?" : "");
	}
}

static void check_subsections(struct conf *conf, struct arena *arena,
	const struct conf_section *section, const struct filter_section *allowed)
{
	const char **names;
	size_t n = 0;

	while (allowed && allowed[n].name)
		n++;
	names = ARENA_ARRAY(arena, n + 1, const char *);
	for (size_t i = 0; i < n; i++)
		names[i] = allowed[i].name;
	conf_allow(conf, section, names);
}

static void read_runner(struct conf *conf, struct engine *e, struct runner *r)
{
	static const struct option no_options[] = { OPTION_ROWS_END };
	const struct filter *f = r->filter;
	const struct conf_section *section = find_section(conf, f->name);
	struct option *common = ARENA_ARRAY(e->arena, FILTER_COMMON_ROWS, struct option);

	r->conf = arena_alloc(e->arena, f->conf_size ? f->conf_size : 1);
	engine_common_options(f, common);
	conf_read2(conf, section, common, &r->common, f->options ? f->options : no_options,
		r->conf);
	if (section)
		check_subsections(conf, e->arena, section, f->sections);
}

static void start_runner(struct conf *conf, const struct env *env,
	const struct policy_set *policies, struct runner *r)
{
	const struct filter *f = r->filter;
	struct env own = *env;
	struct err err;

	own.section = find_section(conf, f->name);
	own.conf = conf;
	own.policies = policies;
	r->started = true;
	if (f->start && f->start(r->conf, &own, &err) < 0)
		conf_error(conf, own.section ? own.section : conf_root(conf), NULL,
			"filter \"%s\": %s", f->name, err.text);
}

static const struct ruleset *engine_ruleset(const struct engine *e)
{
	const void *conf = engine_conf(e, "rules");

	return conf ? rules_ruleset(conf) : NULL;
}

struct str engine_failure_name(const struct filter *filter, struct arena *arena)
{
	struct str s = arena_printf(arena, "%s_FAILED", filter->name);
	char *name = arena_cstr(arena, s);

	for (size_t i = 0; i < s.n; i++)
		if (name[i] >= 'a' && name[i] <= 'z')
			name[i] = (char)(name[i] - 32);
	return str_from(name, s.n);
}

/* In its table, or by the prefix of what the administrator names? */
static bool has_in_table(const struct filter *f, struct str name)
{
	for (const struct finding_def *d = f->findings; d && d->name; d++)
		if (str_eq_c(name, d->name))
			return true;
	return f->named_prefix && str_starts(name, f->named_prefix);
}

/* Does anything report this finding? Those of rules are known only once these are read. */
static bool is_reported(const struct engine *e, const char *name)
{
	const struct ruleset *rules = engine_ruleset(e);

	for (size_t i = 0; i < filter_count; i++) {
		const struct filter *f = filters[i];

		if (has_in_table(f, str_c(name)) || str_eq_c(engine_failure_name(f, e->arena), name))
			return true;
	}
	for (size_t i = 0; rules && i < ruleset_count(rules); i++)
		if (str_eq_c(ruleset_rule(rules, i).name, name))
			return true;
	return false;
}

bool engine_finds(const struct engine *e, struct str name)
{
	const struct ruleset *rules = engine_ruleset(e);

	for (size_t i = 0; i < filter_count; i++)
		if (has_in_table(filters[i], name))
			return strcmp(filters[i]->name, "bayes") != 0;
	for (size_t i = 0; rules && i < ruleset_count(rules); i++)
		if (str_eq(ruleset_rule(rules, i).name, name))
			return !ruleset_rule(rules, i).is_meta;
	return false;
}

void engine_pick_findings(const struct engine *e, struct str names, size_t most,
	struct arena *arena, struct str_list *findings_r)
{
	struct str name;

	*findings_r = (struct str_list){ ARENA_ARRAY(arena, most, struct str), 0 };
	while (findings_r->n < most && str_word(&names, &name))
		if (engine_finds(e, name))
			findings_r->v[findings_r->n++] = name;
}

struct score_check {
	const struct engine *engine;
	struct conf *conf;
	const struct conf_section *section;
};

static void check_score(void *context, const char *key, double value)
{
	const struct score_check *c = context;

	if (!is_reported(c->engine, key))
		conf_warn(c->conf, c->section, key, "no filter reports \"%s\"", key);
}

/* A misspelt name would change nothing, and nobody would notice. */
static void check_scores(struct conf *conf, const struct engine *e)
{
	struct score_check c = { e, conf, conf_next(conf_root(conf), "scores", NULL) };

	if (c.section)
		conf_each_number(conf, c.section, check_score, &c);
}

static const char *list_versions(const struct engine *e)
{
	struct buf b = BUF_INIT;
	const char *text;

	for (size_t i = 0; i < e->count; i++) {
		const struct filter *f = e->runners[i].filter;
		const char *version = f->version ? f->version(e->runners[i].conf) : NULL;

		if (version)
			buf_printf(&b, "%s%s=%s", b.n ? " " : "", f->name, version);
	}
	text = arena_cstr(e->arena, buf_str(&b));
	buf_free(&b);
	return text;
}

/* Turns predecessors by registry index into predecessors by place among those that are enabled. */
static void renumber_after(struct engine *e)
{
	for (size_t i = 0; i < e->count; i++) {
		uint64_t by_index = e->runners[i].after;

		e->runners[i].after = 0;
		for (size_t j = 0; j < i; j++)
			if (by_index >> e->runners[j].index & 1)
				e->runners[i].after |= UINT64_C(1) << j;
	}
}

struct engine *engine_start(struct conf *conf, const struct env *env, struct err *err)
{
	struct arena *arena = env->arena;
	struct engine *e = ARENA_NEW(arena, struct engine);
	size_t order[ENGINE_MAX_FILTERS];
	uint64_t after[ENGINE_MAX_FILTERS];

	assert(filter_count <= ENGINE_MAX_FILTERS);
	e->arena = arena;
	e->hostname = env->hostname;
	e->runners = ARENA_ARRAY(arena, filter_count + 1, struct runner);
	if (sort_filters(order, after, err) < 0)
		return NULL;
	check_sections(conf, arena);
	e->policies = policy_set_read(conf, arena);
	for (size_t i = 0; i < filter_count; i++) {
		struct runner *r = &e->runners[e->count];

		*r = (struct runner){
			.filter = filters[order[i]], .index = order[i], .after = after[order[i]]
		};
		read_runner(conf, e, r);
		if (r->common.enabled)
			e->count++;
	}
	renumber_after(e);
	/* With errors in what was read so far, a start would only add their consequences. */
	for (size_t i = 0; i < e->count && !conf_errors(conf)->n; i++)
		start_runner(conf, env, e->policies, &e->runners[i]);
	if (!conf_errors(conf)->n)
		check_scores(conf, e);
	e->versions = conf_errors(conf)->n ? "" : list_versions(e);
	return e;
}

const void *engine_conf(const struct engine *engine, const char *filter)
{
	for (size_t i = 0; i < engine->count; i++)
		if (strcmp(engine->runners[i].filter->name, filter) == 0)
			return engine->runners[i].conf;
	return NULL;
}

void engine_stop(struct engine **engine)
{
	struct engine *e = *engine;

	*engine = NULL;
	for (size_t i = 0; e && i < e->count; i++)
		if (e->runners[i].started && e->runners[i].filter->stop)
			e->runners[i].filter->stop(e->runners[i].conf);
}

bool engine_looks_at(const struct filter *filter, enum traffic traffic)
{
	return (filter->traffic ? filter->traffic : TRAFFIC_INBOUND) & traffic;
}

unsigned engine_stages(const struct engine *engine, enum traffic traffic)
{
	unsigned stages = STAGE_MESSAGE;

	for (size_t i = 0; i < engine->count; i++) {
		const struct filter *f = engine->runners[i].filter;

		if (engine_looks_at(f, traffic) && !f->ahead)
			stages |= f->stages;
	}
	return stages;
}

unsigned engine_ahead(const struct engine *engine, enum traffic traffic)
{
	unsigned ahead = 0;

	for (size_t i = 0; i < engine->count; i++)
		if (engine_looks_at(engine->runners[i].filter, traffic))
			ahead |= engine->runners[i].filter->ahead;
	return ahead;
}

const char *engine_versions(const struct engine *engine)
{
	return engine->versions;
}

void engine_list(struct buf *out)
{
	static const char *const stage_names[] = { "connect", "mail", "rcpt", "message" };

	for (size_t i = 0; i < filter_count; i++) {
		const struct filter *f = filters[i];
		unsigned stages = f->stages | STAGE_MESSAGE;
		struct buf b = BUF_INIT;

		for (unsigned k = 0; k < 4; k++)
			if (stages >> k & 1)
				buf_printf(&b, "%s%s", b.n ? "," : "", stage_names[k]);
		buf_printf(out, "%-10s %-26.*s %-4s %-4s %s\n", f->name, STR_ARG(buf_str(&b)),
			!engine_looks_at(f, TRAFFIC_OUTBOUND) ? "in" :
			!engine_looks_at(f, TRAFFIC_INBOUND) ? "out" : "both",
			f->disabled_by_default ? "off" : "on", f->summary);
		buf_free(&b);
	}
}
