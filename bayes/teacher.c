#include "bayes/teacher.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bayes/checkpoint.h"
#include "bayes/known.h"
#include "bayes/tenant.h"

enum { LESSONS_A_STEP = 50, DAY = 86400 };

struct teacher {
	struct model *model, *fresh; /* fresh: the one that is being made again, or NULL */
	bool is_stale_again; /* what it has learned may have been relabeled since */
	struct journal *journal;
	char *folder;
	int64_t last_time; /* of a lesson */
	uint32_t half_life;
	int64_t lost;	   /* lessons, with the base */
	struct teacher_quotas quotas;
	/* What the guards know of the log; made when it is first needed, then kept up. */
	struct near *near;    /* NULL: to be read again */
	struct known *known;
	int64_t known_since; /* when it was chosen; 0: to be chosen again */
};

static int learn_entry(void *context, const struct journal_entry *e, struct err *err)
{
	struct model *model = context;
	struct features features = e->features;
	features.tenant = tenant_key(model_salt(model), e->tenant);
	if (e->is_counted)
		model_count(model, e->spam);
	else
		model_learn(model, &features, e->spam, e->time);
	model_set_position(model, e->id);
	return 0;
}

static struct model *new_model(const struct teacher *t, struct err *err)
{
	struct model *model = model_open(NULL, MODEL_MEMORY, err);
	if (!model)
		return NULL;
	model_set_salt(model, model_salt(t->model));
	model_set_half_life(model, t->half_life);
	return model;
}

/* What the guards know of the log is not true any more. */
static void forget_log(struct teacher *t)
{
	near_free(&t->near);
	t->known_since = 0;
}

/* Without them the log tells less than the model knows, but it is all that there is. */
static int give_up_base(struct teacher *t, struct err *err)
{
	int64_t count;
	if (journal_lose_base(t->journal, &count, err) < 0)
		return -1;
	t->lost += count;
	forget_log(t);
	return 0;
}

static int load_start(struct teacher *t, struct model *model, struct err *err)
{
	enum checkpoint_base base;
	int rc = checkpoint_load(t->folder, model, t->journal, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (checkpoint_load_base(t->folder, model, t->journal, &base, err) < 0)
		return -1;
	return base == CHECKPOINT_BASE_LOST ? give_up_base(t, err) : 0;
}

int teacher_begin_rebuild(struct teacher *t, struct err *err)
{
	model_close(&t->fresh);
	/* Aside, so that those who read the model meanwhile find it as it was. */
	t->fresh = new_model(t, err);
	if (!t->fresh)
		return -1;
	t->is_stale_again = false;
	if (load_start(t, t->fresh, err) >= 0)
		return 0;
	model_close(&t->fresh);
	return -1;
}

int64_t teacher_lost(struct teacher *t)
{
	int64_t lost = t->lost;
	t->lost = 0;
	return lost;
}

bool teacher_is_rebuilding(const struct teacher *t)
{
	return t->fresh != NULL;
}

int teacher_step_rebuild(struct teacher *t, struct err *err)
{
	if (!t->fresh)
		return 0;
	int64_t before = model_position(t->fresh);
	const struct journal_span span = {.after = before, .most = LESSONS_A_STEP};
	int rc = journal_replay(t->journal, &span, learn_entry, t->fresh, err);
	if (rc == 0 && model_position(t->fresh) != before)
		return 1;
	if (rc == 0) {
		model_assign(t->model, t->fresh);
		rc = model_sync(t->model, err);
	}
	model_close(&t->fresh);
	return rc < 0 ? -1 : t->is_stale_again ? 0 : journal_set_fresh(t->journal, err);
}

static int finish_rebuild(struct teacher *t, struct err *err)
{
	int rc;
	while ((rc = teacher_step_rebuild(t, err)) > 0)
		continue;
	return rc;
}

int teacher_rebuild(struct teacher *t, struct err *err)
{
	return teacher_begin_rebuild(t, err) < 0 ? -1 : finish_rebuild(t, err);
}

/* Checkpoints are of models that faded otherwise. 1: they did, and must be made again. */
static int agree_on_half_life(struct teacher *t, struct err *err)
{
	if (model_half_life(t->model) == t->half_life)
		return 0;
	for (int64_t slot = 0; slot < JOURNAL_CHECKPOINTS; slot++)
		if (journal_drop_checkpoint(t->journal, slot, err) < 0)
			return -1;
	return 1;
}

/* The log's salt is the older truth: a model that was deleted and made anew takes it over. */
static int agree_on_salt(struct teacher *t, bool *differed_r, struct err *err)
{
	uint8_t salt[16];
	int rc = journal_salt(t->journal, salt, err);
	*differed_r = rc > 0 && memcmp(salt, model_salt(t->model), sizeof(salt)) != 0;
	if (*differed_r) {
		model_clear(t->model);
		model_set_salt(t->model, salt);
	}
	return rc == 0 ? journal_set_salt(t->journal, model_salt(t->model), err) : rc < 0 ? -1 : 0;
}

static int catch_up(struct teacher *t, struct err *err)
{
	bool differed;
	struct journal_checkpoint base;
	const struct journal_span rest = {.after = model_position(t->model)};
	if (agree_on_salt(t, &differed, err) < 0 || journal_base(t->journal, &base, err) < 0)
		return -1;
	int stale = journal_is_stale(t->journal, err), fades_otherwise = agree_on_half_life(t, err);
	if (stale < 0 || fades_otherwise < 0)
		return -1;
	/* What it lacks of the base can be had from there alone. */
	if (stale || differed || fades_otherwise || model_is_unclean(t->model) || rest.after < base.position)
		return teacher_rebuild(t, err);
	return journal_replay(t->journal, &rest, learn_entry, t->model, err);
}

struct teacher *teacher_open(const char *folder, int64_t half_life, struct err *err)
{
	char model[4096], journal[4096];
	struct teacher *t = calloc(1, sizeof(*t));
	assert(t);
	t->folder = strdup(folder);
	assert(t->folder);
	t->half_life = (uint32_t)half_life;
	t->quotas = (struct teacher_quotas)TEACHER_QUOTAS;
	snprintf(model, sizeof(model), "%s/model", folder);
	snprintf(journal, sizeof(journal), "%s/log.db", folder);
	if (model_ensure(model, err) < 0 || !(t->model = model_open(model, MODEL_WRITE, err)) ||
		!(t->journal = journal_open(journal, false, err)) || catch_up(t, err) < 0)
		teacher_close(&t);
	return t;
}

void teacher_close(struct teacher **teacher)
{
	if (!*teacher)
		return;
	model_close(&(*teacher)->fresh);
	near_free(&(*teacher)->near);
	known_free(&(*teacher)->known);
	model_close(&(*teacher)->model);
	journal_close(&(*teacher)->journal);
	free((*teacher)->folder);
	free(*teacher);
	*teacher = NULL;
}

const struct model *teacher_model(const struct teacher *t)
{
	return t->model;
}

struct journal *teacher_journal(const struct teacher *t)
{
	return t->journal;
}

void teacher_set_quotas(struct teacher *t, const struct teacher_quotas *quotas)
{
	t->quotas = *quotas;
}

/* Guards */

static bool is_trusted(const struct journal_entry *e)
{
	return str_eq_c(e->channel, "cli") || str_eq_c(e->channel, "api") ||
	       str_eq_c(e->channel, "rspamd");
}

static bool is_automatic(const struct journal_entry *e)
{
	return str_eq_c(e->channel, "auto");
}

static int check_quotas(struct teacher *t, const struct journal_entry *e, struct err *err)
{
	const int64_t since = e->time - DAY;
	const struct {
		int64_t most;
		struct str whose;
		const char *says;
		struct journal_given given;
	} rows[] = {
		{is_automatic(e) ? t->quotas.automatic : t->quotas.user, e->who, "lessons by",
			{since, .who = e->who}},
		{e->spam || is_automatic(e) ? 0 : t->quotas.user_ham, e->who, "lessons of ham by",
			{since, .who = e->who, .only = JOURNAL_HAM}},
		{TEACHER_REFUSALS, e->who, "lessons that had to be refused by",
			{since, .who = e->who, .only = JOURNAL_HARMFUL}},
		{t->quotas.sender, e->sender, "lessons about mail of", {since, .sender = e->sender}},
		{t->quotas.tenant, e->tenant, "lessons for", {since, .tenant = e->tenant}},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t count = 0;
		if (rows[i].most == 0 || rows[i].whose.n == 0)
			continue;
		if (journal_given(t->journal, &rows[i].given, &count, err) < 0)
			return -1;
		if (count >= rows[i].most)
			return err_set(err, "%lld %s %.*s within a day: no more until tomorrow",
				(long long)count, rows[i].says, STR_ARG(rows[i].whose));
	}
	return 0;
}

bool teacher_heeds_copy(int64_t n)
{
	return n <= TEACHER_COPIES || (n & (n - 1)) == 0;
}

static int look_for_copies(struct teacher *t, struct journal_entry *e, struct err *err)
{
	int64_t copies = 0;
	if (!t->near) {
		t->near = near_new();
		if (journal_load_near(t->journal, t->near, err) < 0) {
			near_free(&t->near);
			return -1;
		}
	}
	near_sketch(&e->features, &e->sketch);
	e->near = near_find(t->near, &e->sketch, e->spam);
	if (e->near && journal_copies(t->journal, e->near, &copies, err) < 0)
		return -1;
	e->is_counted = e->near && !teacher_heeds_copy(copies + 1);
	return 0;
}

/* Known messages that are a day old will do: which ones they are changes slowly. */
static int choose_known(struct teacher *t, int64_t time, struct err *err)
{
	if (!t->known)
		t->known = known_new(t->model, err);
	if (!t->known)
		return -1;
	if (t->known_since && time - t->known_since < DAY)
		return 0;
	if (known_load(t->known, t->journal, time, err) < 0)
		return -1;
	t->known_since = time;
	return 0;
}

/* A model that has learned little takes longer steps, right ones too. */
static int64_t harm_most(const struct teacher *t)
{
	int64_t spam, ham;
	model_learned(t->model, &spam, &ham);
	int64_t least = spam < ham ? spam : ham;
	return least >= TEACHER_HARM_KNOWN ? TEACHER_HARM_MOST
					   : TEACHER_HARM_MOST * TEACHER_HARM_KNOWN / (least + 1);
}

/* 1: it does harm, with the reason in err. */
static int try_it(struct teacher *t, struct journal_entry *e, struct err *err)
{
	const int64_t all_off = (int64_t)TEACHER_HARM_DAYS * DAY, most = harm_most(t);
	int64_t balance = 0, then = 0;
	if (choose_known(t, e->time, err) < 0 ||
		journal_harm(t->journal, e->who, &balance, &then, err) < 0)
		return -1;
	int64_t age = e->time - then;
	if (age > 0)
		balance = age < all_off ? balance - balance * age / all_off : 0;
	int64_t harm = known_harm(t->known, e);
	e->harm = balance + harm < -most ? -most : balance + harm;
	if (harm <= 0 || e->harm <= most)
		return 0;
	err_set(err, "%.*s: learning this as %s would misjudge known mail (by %.4f, after %.4f);"
		" it is kept for review", STR_ARG(e->who), e->spam ? "spam" : "ham",
		(double)harm / KNOWN_ONE, (double)balance / KNOWN_ONE);
	e->harm = balance;
	return 1;
}

static int guard(struct teacher *t, struct journal_entry *e, struct err *err)
{
	e->is_trusted = is_trusted(e);
	if ((!e->is_trusted && check_quotas(t, e, err) < 0) || look_for_copies(t, e, err) < 0)
		return -1;
	if (e->is_trusted || e->is_counted)
		return 0;
	int rc = try_it(t, e, err);
	e->is_refused = rc > 0;
	return rc < 0 ? -1 : 0;
}

/* The same, after a lesson. */
static void note(struct teacher *t, const struct journal_entry *e, enum journal_change change)
{
	if (change == JOURNAL_RELABELED)
		forget_log(t);
	if (t->near && !e->near)
		near_add(t->near, &e->sketch, e->spam, e->id);
	if (e->is_trusted)
		t->known_since = 0;
}

int teacher_teach(struct teacher *t, const struct journal_entry *entry,
	enum journal_change *change_r, struct err *err)
{
	struct journal_entry e = *entry;
	e.near = e.harm = 0;
	e.is_counted = e.is_refused = false;
	e.features.tenant = tenant_key(model_salt(t->model), e.tenant);
	if (journal_find(t->journal, &e, change_r, err) < 0)
		return -1;
	if (*change_r == JOURNAL_RELABELED && is_automatic(&e))
		*change_r = JOURNAL_KNOWN;
	if (*change_r == JOURNAL_REFUSED)
		err_set(err, "this lesson was refused before, and is kept for review");
	if (*change_r == JOURNAL_KNOWN || *change_r == JOURNAL_REFUSED)
		return 0;
	if (guard(t, &e, err) < 0 || journal_add(t->journal, &e, &e.id, change_r, err) < 0)
		return -1;
	if (*change_r == JOURNAL_REFUSED)
		return 0;
	note(t, &e, *change_r);
	t->is_stale_again |= *change_r == JOURNAL_RELABELED;
	t->last_time = e.time;
	return learn_entry(t->model, &e, err);
}

/* Not while the log is stale: the model knows lessons then that do not hold. */
static int save_checkpoint(struct teacher *t, struct err *err)
{
	struct journal_checkpoint last = {.position = 0};
	int stale = journal_is_stale(t->journal, err);
	if (stale != 0)
		return stale < 0 ? -1 : 0;
	if (journal_checkpoint(t->journal, 0, &last, err) < 0)
		return -1;
	if (model_position(t->model) - last.position < TEACHER_CHECKPOINT_LESSONS ||
		t->last_time - last.time < (int64_t)TEACHER_CHECKPOINT_DAYS * DAY)
		return 0;
	return checkpoint_save(t->folder, t->model, t->journal, t->last_time, err);
}

int teacher_sync(struct teacher *t, struct err *err)
{
	/* The log first: the model must know nothing that the log does not. */
	if (journal_sync(t->journal, err) < 0 || model_sync(t->model, err) < 0)
		return -1;
	return save_checkpoint(t, err);
}

int teacher_undo(struct teacher *t, const struct journal_which *which,
	struct journal_undone *undone_r, struct err *err)
{
	if (journal_undo(t->journal, which, undone_r, err) < 0)
		return -1;
	forget_log(t);
	return undone_r->count > 0 ? teacher_begin_rebuild(t, err) : 0;
}

int teacher_roll_back(
	struct teacher *t, int64_t nth, struct journal_undone *undone_r, struct err *err)
{
	struct journal_checkpoint c;
	int rc = journal_checkpoint(t->journal, nth, &c, err);
	*undone_r = (struct journal_undone){0};
	if (rc <= 0)
		return rc;
	const struct journal_which later = {.after = c.position};
	return teacher_undo(t, &later, undone_r, err) < 0 ? -1 : 1;
}

/* Replays what lies between the old base and the new one. If only the live model knows what a lost base
 * knew, it is the new one, though then no lesson stays whole. 1: done, 0: not now, -1. */
static int make_base(struct teacher *t, struct model *model, int64_t to, struct err *err)
{
	enum checkpoint_base old;
	int stale = journal_is_stale(t->journal, err);
	if (stale < 0 || checkpoint_load_base(t->folder, model, t->journal, &old, err) < 0)
		return -1;
	if (old == CHECKPOINT_BASE_LOST && stale)
		return 0; /* with the next start it is made again, from what there is */
	if (old == CHECKPOINT_BASE_LOST) {
		model_assign(model, t->model);
		to = model_position(model);
	}
	const struct journal_span span = {.after = model_position(model), .to = to};
	if (model_position(model) < to && journal_replay(t->journal, &span, learn_entry, model, err) < 0)
		return -1;
	return checkpoint_save_base(t->folder, model, t->journal, to, err) < 0 ? -1 : 1;
}

int teacher_trim(struct teacher *t, int64_t kept, struct err *err)
{
	int64_t whole, to;
	/* A rebuild under way may be in the midst of what would go. */
	if (kept == 0 || t->fresh)
		return 0;
	if (journal_count_whole(t->journal, &whole, err) < 0)
		return -1;
	if (whole <= kept + kept / TEACHER_TRIM_SLACK)
		return 0;
	int64_t left = whole - kept > TEACHER_TRIM_AT_ONCE ? whole - TEACHER_TRIM_AT_ONCE : kept;
	struct model *model = new_model(t, err);
	int rc = model && journal_find_old(t->journal, left, &to, err) == 0 ? make_base(t, model, to, err) : -1;
	model_close(&model);
	return rc < 0 ? -1 : rc > 0 && left > kept;
}

int teacher_accept(struct teacher *t, int64_t id, struct err *err)
{
	int rc = journal_accept(t->journal, id, err);
	if (rc <= 0)
		return rc;
	forget_log(t);
	return teacher_begin_rebuild(t, err) < 0 ? -1 : 1;
}
