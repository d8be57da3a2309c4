#include "bayes/teacher.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LESSONS_A_STEP = 50 };

struct teacher {
	struct model *model, *fresh; /* fresh: the one that is being made again, or NULL */
	struct journal *journal;
};

static int learn_entry(void *context, const struct journal_entry *e, struct err *err)
{
	struct model *model = context;
	model_learn(model, &e->features, e->spam, e->time);
	model_set_position(model, e->id);
	return 0;
}

int teacher_begin_rebuild(struct teacher *t, struct err *err)
{
	model_close(&t->fresh);
	/* Aside, so that those who read the model meanwhile find it as it was. */
	t->fresh = model_open(NULL, MODEL_MEMORY, err);
	if (!t->fresh)
		return -1;
	model_set_salt(t->fresh, model_salt(t->model));
	return journal_begin_fresh(t->journal, err);
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
	int rc = journal_replay(t->journal, before, LESSONS_A_STEP, learn_entry, t->fresh, err);
	if (rc == 0 && model_position(t->fresh) != before)
		return 1;
	if (rc == 0) {
		model_assign(t->model, t->fresh);
		rc = model_sync(t->model, err);
	}
	model_close(&t->fresh);
	return rc < 0 ? -1 : journal_set_fresh(t->journal, err);
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
	if (agree_on_salt(t, &differed, err) < 0)
		return -1;
	int stale = journal_is_stale(t->journal, err);
	if (stale < 0)
		return -1;
	if (stale || differed || model_is_unclean(t->model))
		return teacher_rebuild(t, err);
	return journal_replay(t->journal, model_position(t->model), -1, learn_entry, t->model, err);
}

struct teacher *teacher_open(const char *folder, struct err *err)
{
	char model[4096], journal[4096];
	struct teacher *t = calloc(1, sizeof(*t));
	assert(t);
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
	model_close(&(*teacher)->model);
	journal_close(&(*teacher)->journal);
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

/* Whoever may report mail may also try to spoil the model: not by numbers. */
static int check_quota(struct teacher *t, const struct journal_entry *e, struct err *err)
{
	struct journal_which of_today = {e->time - 86400, e->who};
	int64_t count = 0;
	if (str_eq_c(e->channel, "cli") || str_eq_c(e->channel, "api") ||
		str_eq_c(e->channel, "rspamd"))
		return 0;
	if (journal_count(t->journal, &of_today, &count, err) < 0)
		return -1;
	if (count < TEACHER_LESSONS_A_DAY)
		return 0;
	return err_set(err, "%.*s has given %d lessons within a day: no more until tomorrow",
		STR_ARG(e->who), TEACHER_LESSONS_A_DAY);
}

int teacher_teach(struct teacher *t, const struct journal_entry *entry,
	enum journal_change *change_r, struct err *err)
{
	struct journal_entry e = *entry;
	if (check_quota(t, &e, err) < 0 || journal_add(t->journal, &e, &e.id, change_r, err) < 0)
		return -1;
	if (*change_r == JOURNAL_KNOWN)
		return 0;
	return learn_entry(t->model, &e, err);
}

int teacher_sync(struct teacher *t, struct err *err)
{
	/* The log first: the model must know nothing that the log does not. */
	return journal_sync(t->journal, err) < 0 ? -1 : model_sync(t->model, err);
}

int teacher_undo(
	struct teacher *t, const struct journal_which *which, int64_t *count_r, struct err *err)
{
	if (journal_undo(t->journal, which, count_r, err) < 0)
		return -1;
	return *count_r > 0 ? teacher_begin_rebuild(t, err) : 0;
}
