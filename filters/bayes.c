/*
 * bayes: what the classifier thinks of the message. Its log-odds are a fact of the
 * verdict; its findings put them on the scale of scores. It is silent until the
 * model has learned enough of both kinds.
 */
#include "filters/bayes.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "bayes/explain.h"
#include "bayes/findings.h"
#include "bayes/lesson.h"
#include "bayes/math.h"
#include "bayes/status.h"
#include "bayes/tenant.h"
#include "core/filter.h"

struct bayes_conf {
	const char *model_path;
	int64_t min_learned;
	/* Made by start(). */
	struct model *model;
	char *version;
};

/* What explain() needs of run(). */
struct bayes_state {
	struct features features;
};

#define AT(member) offsetof(struct bayes_conf, member)
static const struct option bayes_options[] = {
	{"model", OPTION_STRING, AT(model_path), "",
		.help = "The model's file; by default bayes/model in state_dir."},
	{"min_learned", OPTION_INT, AT(min_learned), BAYES_MIN_LEARNED, 1, 1e9,
		.help = "Messages of each kind that must have been learned before the classifier "
			"counts."},
	OPTION_ROWS_END,
};

/* How log-odds become scores: the names are SpamAssassin's, for rules that refer to them. */
static const struct {
	double least; /* log-odds from here on */
	const char *name;
} bands[] = {
	{10, "BAYES_999"},
	{6, "BAYES_99"},
	{4, "BAYES_95"},
	{2.5, "BAYES_80"},
	{1, "BAYES_60"},
	{-1, "BAYES_50"},
	{-2.5, "BAYES_40"},
	{-4, "BAYES_20"},
	{-6, "BAYES_05"},
	{-1e300, "BAYES_00"},
};
static const struct finding_def bayes_findings[] = {
	{"BAYES_999", 4.5, "The classifier is sure that this is spam."},
	{"BAYES_99", 3.5, "The classifier is nearly sure that this is spam."},
	{"BAYES_95", 3.0, "The classifier takes this for spam."},
	{"BAYES_80", 2.0, "The classifier thinks that this is spam."},
	{"BAYES_60", 1.0, "The classifier leans to spam."},
	{"BAYES_50", 0, "The classifier is undecided."},
	{"BAYES_40", -0.3, "The classifier leans to wanted mail."},
	{"BAYES_20", -0.8, "The classifier thinks that this is wanted."},
	{"BAYES_05", -1.2, "The classifier takes this for wanted mail."},
	{"BAYES_00", -1.9, "The classifier is nearly sure that this is wanted."},
	{NULL},
};

static int bayes_start(void *conf, const struct env *env, struct err *err)
{
	struct bayes_conf *c = conf;
	if (env->offline)
		return 0;
	if (!c->model_path[0])
		c->model_path = arena_printf(env->arena, "%s/bayes/model", env->state_dir).p;
	/* Nothing has been learned yet, and nobody runs a trainer: that is no error. */
	if (access(c->model_path, F_OK) < 0)
		return 0;
	c->model = model_open(c->model_path, MODEL_READ, err);
	return c->model ? 0 : -1;
}

/* Those of all filters before this one; metas come later. */
static void add_findings(const struct filter_call *call, const uint8_t salt[16], struct features *features)
{
	const struct finding_list *earlier = call->earlier;
	struct str *names = ARENA_ARRAY(call->arena, earlier->n, struct str);
	for (size_t i = 0; i < earlier->n; i++)
		names[i] = earlier->v[i].name;
	findings_add(features, salt, names, earlier->n, call->arena);
}

/* The recipients' domain, if it is that of all: one judgement is for all of them. */
static uint64_t tenant_of(const struct facts *facts, const uint8_t salt[16])
{
	char scratch[MAIL_DOMAIN_MAX];
	struct str first = STR("");
	for (size_t i = 0; i < facts->rcpt_to.n; i++) {
		struct str address = facts->rcpt_to.v[i];
		struct str domain = str_skip(address, str_rchr(address, '@') + 1);
		if (i > 0 && !str_ieq(domain, first))
			return 0;
		first = domain;
	}
	return mail_domain_key(first, scratch, &first) ? tenant_key(salt, first) : 0;
}

static enum step bayes_run(struct filter_call *call)
{
	const struct bayes_conf *c = call->conf;
	int64_t spam = 0, ham = 0;
	if (c->model)
		model_learned(c->model, &spam, &ham);
	if (!c->model || spam < c->min_learned || ham < c->min_learned)
		return STEP_DONE;
	struct features *features = &((struct bayes_state *)call->state)->features;
	features_of(call->mail, model_salt(c->model), features);
	add_findings(call, model_salt(c->model), features);
	features->tenant = tenant_of(call->facts, model_salt(c->model));
	struct opinion o = model_classify(c->model, features);
	call->verdict->bayes = ARENA_NEW(call->arena, struct verdict_bayes);
	call->verdict->bayes->log_odds = o.log_odds;
	size_t band = 0;
	while (o.log_odds < bands[band].least)
		band++;
	report(call, bands[band].name, "%s Its log-odds of spam are %.1f.",
		bayes_findings[band].sentence, o.log_odds);
	return STEP_DONE;
}

/* Nobody asks why where it is undecided. */
static void bayes_explain(struct filter_call *call)
{
	const struct bayes_conf *c = call->conf;
	const struct bayes_state *state = call->state;
	struct verdict_bayes *bayes = call->verdict->bayes;
	struct str texts[EXPLAIN_MAX];
	if (!bayes || fabs(bayes->log_odds) < 1)
		return;
	size_t n = explain(c->model, call->mail, &state->features, texts);
	bayes->strongest.v = ARENA_ARRAY(call->arena, n, struct str);
	bayes->strongest.n = n;
	for (size_t i = 0; i < n; i++)
		bayes->strongest.v[i] = arena_dup(call->arena, texts[i]);
}

int bayes_lesson(const void *conf, struct mail *mail, const struct str_list *findings, struct buf *out)
{
	const struct bayes_conf *c = conf;
	struct features features;
	if (!c->model)
		return -1;
	features_of(mail, model_salt(c->model), &features);
	findings_add(&features, model_salt(c->model), findings->v, findings->n, mail->arena);
	lesson_encode(&features, out);
	return 0;
}

const struct filter filter_bayes = {
	.name = "bayes",
	.summary = "the statistical classifier, trained by what users report",
	.stages = STAGE_MESSAGE,
	.traffic = TRAFFIC_INBOUND | TRAFFIC_OUTBOUND,
	.after = (const char *const[]){"*", NULL},
	.findings = bayes_findings,
	.options = bayes_options,
	.conf_size = sizeof(struct bayes_conf),
	.state_size = sizeof(struct bayes_state),
	.start = bayes_start,
	.run = bayes_run,
	.explain = bayes_explain,
};
