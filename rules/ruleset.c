#include "rules/rule.h"

#include <assert.h>
#include <stdio.h>

#include "core/limits.h"

#define META_PATH_MAX 200 /* metas that name metas that name metas */

struct ruleset *ruleset_new(struct arena *arena, struct err *err)
{
	struct matcher *matcher = match_open(arena, err);
	if (!matcher)
		return NULL;
	struct ruleset *rs = ARENA_NEW(arena, struct ruleset);
	rs->arena = arena;
	rs->matcher = matcher;
	return rs;
}

void ruleset_free(struct ruleset **rs)
{
	if (!*rs)
		return;
	for (size_t i = 0; i < (*rs)->count; i++)
		match_release(&(*rs)->rules[i].pattern);
	match_close(&(*rs)->matcher);
	*rs = NULL;
}

struct str ruleset_default_text(void)
{
	return str_from((const char *)ruleset_defaults, ruleset_defaults_size);
}

/* ---- building ---- */

struct rule *ruleset_intern(struct ruleset *rs, struct str name)
{
	uint64_t hash = str_hash(name);

	for (size_t i = 0; i < rs->count; i++)
		if (rs->rules[i].hash == hash && str_eq(rs->rules[i].name, name))
			return &rs->rules[i];
	if (rs->count == LIMIT_RULES)
		return NULL;
	if (rs->count == rs->room) {
		size_t room = rs->room ? rs->room * 2 : 64;
		rs->rules = arena_grow(rs->arena, rs->rules, rs->count, room, sizeof(*rs->rules));
		rs->room = room;
	}
	struct rule *rule = &rs->rules[rs->count++];
	*rule = (struct rule){ .name = arena_dup(rs->arena, name), .hash = hash };
	return rule;
}

size_t ruleset_target(struct ruleset *rs, const struct target *target)
{
	const char *header = target->header ? target->header : "";

	for (size_t i = 0; i < rs->target_count; i++) {
		const struct target *t = &rs->targets[i];
		if (t->kind == target->kind && t->form == target->form &&
			strcmp(t->header ? t->header : "", header) == 0)
			return i;
	}
	if (rs->target_count == rs->target_room) {
		size_t room = rs->target_room ? rs->target_room * 2 : 16;
		rs->targets = arena_grow(rs->arena, rs->targets, rs->target_count, room,
			sizeof(*rs->targets));
		rs->target_room = room;
	}
	rs->targets[rs->target_count] = *target;
	return rs->target_count++;
}

void ruleset_warn(struct ruleset *rs, const char *file, size_t line, const char *fmt, ...)
{
	struct option_strings *w = &rs->warnings;
	va_list ap;

	if (w->n == LIMIT_CONFIG_ERRORS)
		return;
	if (w->n == rs->warning_room) {
		rs->warning_room = w->n ? w->n * 2 : 8;
		w->v = arena_grow(rs->arena, w->v, w->n, rs->warning_room, sizeof(*w->v));
	}
	va_start(ap, fmt);
	struct str text = arena_vprintf(rs->arena, fmt, ap);
	va_end(ap);
	w->v[w->n++] = arena_printf(rs->arena, "%s:%zu: %.*s", file, line, STR_ARG(text)).p;
}

const struct option_strings *ruleset_warnings(const struct ruleset *rs)
{
	return &rs->warnings;
}

const char *ruleset_version(const struct ruleset *rs)
{
	return rs->version;
}

/* ---- linking ---- */

static size_t find_rule(const struct ruleset *rs, struct str name)
{
	uint64_t hash = str_hash(name);
	for (size_t i = 0; i < rs->count; i++)
		if (rs->rules[i].hash == hash && rs->rules[i].type != RULE_NONE &&
			str_eq(rs->rules[i].name, name))
			return i;
	return RULE_FOREIGN;
}

/* Puts a meta behind all that it names. */
static int place_meta(struct ruleset *rs, size_t i, unsigned depth, struct err *err)
{
	struct rule *rule = &rs->rules[i];

	if (rule->type != RULE_META || rule->mark == RULE_PLACED)
		return 0;
	if (rule->mark == RULE_ON_PATH)
		return err_set(err, "%s:%zu: the meta rule %.*s names itself, perhaps by way of others",
			rule->file, rule->line, STR_ARG(rule->name));
	if (depth == META_PATH_MAX)
		return err_set(err, "%s:%zu: meta rules name one another too many levels deep",
			rule->file, rule->line);
	rule->mark = RULE_ON_PATH;
	size_t n = meta_name_count(rule->meta);
	rule->operands = ARENA_ARRAY(rs->arena, n + 1, size_t);
	for (size_t k = 0; k < n; k++) {
		rule->operands[k] = find_rule(rs, meta_name(rule->meta, k));
		if (rule->operands[k] != RULE_FOREIGN &&
			place_meta(rs, rule->operands[k], depth + 1, err) < 0)
			return -1;
	}
	rule->mark = RULE_PLACED;
	rs->metas[rs->meta_count++] = i;
	return 0;
}

static bool is_sub_rule(const struct rule *rule)
{
	return str_starts(rule->name, "__");
}

static bool is_reported(const struct rule *rule)
{
	return rule->type != RULE_NONE && !is_sub_rule(rule) && rule->score != 0;
}

static void settle_score(struct rule *rule)
{
	if (!rule->has_score)
		rule->score = rule->nice ? -1 : str_starts(rule->name, "T_") ? 0.01 : 1;
	if (!rule->text.n)
		rule->text = STR("The message matches a rule.");
}

/* Marks what metas need, so that a rule with score 0 that nobody needs is not tried. */
static void mark_needed(const struct ruleset *rs, bool *needed)
{
	for (size_t i = 0; i < rs->count; i++)
		needed[i] |= is_reported(&rs->rules[i]);
	for (size_t m = 0; m < rs->meta_count; m++) {
		const struct rule *rule = &rs->rules[rs->metas[m]];
		for (size_t k = 0; k < meta_name_count(rule->meta); k++)
			if (rule->operands[k] != RULE_FOREIGN)
				needed[rule->operands[k]] = true;
	}
}

static void make_set(struct ruleset *rs, struct rule_group *group)
{
	const struct match_pattern **patterns =
		ARENA_ARRAY(rs->arena, group->n + 1, const struct match_pattern *);
	for (size_t i = 0; i < group->n; i++)
		patterns[i] = &rs->rules[rs->by_target[group->first + i]].pattern;
	group->set = match_set(rs->arena, patterns, group->n);
}

static void sort_by_target(struct ruleset *rs)
{
	rs->groups = ARENA_ARRAY(rs->arena, rs->target_count + 1, struct rule_group);
	bool *needed = ARENA_ARRAY(rs->arena, rs->count + 1, bool);

	mark_needed(rs, needed);
	rs->by_target = ARENA_ARRAY(rs->arena, rs->count + 1, size_t);
	for (size_t t = 0; t < rs->target_count; t++) {
		rs->groups[t].first = rs->pattern_count;
		for (size_t i = 0; i < rs->count; i++) {
			const struct rule *rule = &rs->rules[i];
			if ((rule->type == RULE_PATTERN || rule->type == RULE_EXISTS) &&
				rule->target == t && needed[i])
				rs->by_target[rs->pattern_count++] = i;
		}
		rs->groups[t].n = rs->pattern_count - rs->groups[t].first;
		make_set(rs, &rs->groups[t]);
	}
}

int ruleset_finish(struct ruleset *rs, struct err *err)
{
	rs->metas = ARENA_ARRAY(rs->arena, rs->count + 1, size_t);
	for (size_t i = 0; i < rs->count; i++) {
		settle_score(&rs->rules[i]);
		if (place_meta(rs, i, 0, err) < 0)
			return -1;
	}
	sort_by_target(rs);
	snprintf(rs->version, sizeof(rs->version), "%016llx",
		(unsigned long long)rs->version_hash);
	return 0;
}

/* ---- asking ---- */

size_t ruleset_count(const struct ruleset *rs)
{
	return rs->count;
}

struct ruleset_rule ruleset_rule(const struct ruleset *rs, size_t i)
{
	assert(i < rs->count);
	const struct rule *rule = &rs->rules[i];
	return (struct ruleset_rule){
		.name = rule->name,
		.text = rule->text,
		.score = rule->score,
		.reported = is_reported(rule),
		.is_meta = rule->type == RULE_META,
	};
}

/* ---- running ---- */

/* Which patterns of a group can match which of its texts: text by text, one flag a pattern. */
static const bool *candidates_of(const struct rule_group *group, struct arena *arena,
	const struct target_text *t)
{
	bool *candidates = ARENA_ARRAY(arena, t->n * group->n + 1, bool);
	for (size_t k = 0; k < t->n; k++)
		match_candidates(group->set, t->v[k], candidates + k * group->n);
	return candidates;
}

static enum match_result try_rule(const struct ruleset *rs, const struct rule *rule,
	const struct target_text *t, const bool *candidates, size_t stride)
{
	enum match_result result = MATCH_NO;

	if (rule->type == RULE_EXISTS)
		return t->present ? MATCH_YES : MATCH_NO;
	if (!t->present && rule->has_unset)
		result = match_try(rs->matcher, &rule->pattern, rule->unset);
	for (size_t k = 0; k < t->n && result == MATCH_NO; k++)
		if (candidates[k * stride])
			result = match_try(rs->matcher, &rule->pattern, t->v[k]);
	if (rule->negated && result != MATCH_LIMIT)
		return result == MATCH_YES ? MATCH_NO : MATCH_YES;
	return result;
}

struct str ruleset_run(const struct ruleset *rs, const struct ruleset_input *in, bool *hits)
{
	struct str hard = STR("");
	size_t hard_count = 0;

	for (size_t g = 0; g < rs->target_count; g++) {
		const struct rule_group *group = &rs->groups[g];
		struct target_text text;

		if (!group->n)
			continue;
		target_text(&rs->targets[g], in, &text);
		const bool *candidates = candidates_of(group, in->arena, &text);
		for (size_t p = 0; p < group->n && hard_count < LIMIT_RULES_HARD; p++) {
			size_t i = rs->by_target[group->first + p];
			enum match_result result =
				try_rule(rs, &rs->rules[i], &text, candidates + p, group->n);
			hits[i] = result == MATCH_YES;
			if (result == MATCH_LIMIT && hard_count++ == 0)
				hard = rs->rules[i].name;
		}
	}
	return hard;
}

/* ---- metas ---- */

struct lookup {
	const struct rule *rule;
	const bool *hits;
	const struct finding_list *all;
};

static bool is_found(void *context, size_t i)
{
	const struct lookup *l = context;
	struct str name = meta_name(l->rule->meta, i);

	if (l->rule->operands[i] != RULE_FOREIGN && l->hits[l->rule->operands[i]])
		return true;
	for (size_t k = 0; k < l->all->n; k++)
		if (str_eq(l->all->v[k].name, name))
			return true;
	return false;
}

static void add_finding(struct finding_list *all, struct arena *arena, const struct rule *rule,
	double score)
{
	if (all->n >= LIMIT_FINDINGS)
		return;
	struct finding *v = ARENA_ARRAY(arena, all->n + 1, struct finding);
	if (all->n)
		memcpy(v, all->v, all->n * sizeof(*v));
	v[all->n] = (struct finding){
		.name = rule->name,
		.filter = STR("rules"),
		.score = score,
		.text = rule->text,
		.stage = STAGE_MESSAGE,
	};
	all->v = v;
	all->n++;
}

void ruleset_metas(const struct ruleset *rs, const bool *hits, struct finding_list *all,
	struct arena *arena, double (*score)(const void *context, struct str finding, double def),
	const void *context)
{
	bool *own = ARENA_ARRAY(arena, rs->count + 1, bool);

	if (hits)
		memcpy(own, hits, rs->count * sizeof(*own));
	for (size_t m = 0; m < rs->meta_count; m++) {
		const struct rule *rule = &rs->rules[rs->metas[m]];
		struct lookup lookup = { rule, own, all };
		if (meta_eval(rule->meta, is_found, &lookup) == 0)
			continue;
		own[rs->metas[m]] = true;
		if (is_reported(rule))
			add_finding(all, arena, rule,
				score ? score(context, rule->name, rule->score) : rule->score);
	}
}
