#include "bayes/review.h"

static const struct field refused_fields[] = {
	FIELD_INT(struct bayes_refused, id),
	FIELD_INT(struct bayes_refused, time),
	FIELD_BOOL(struct bayes_refused, spam),
	FIELD_STR(struct bayes_refused, who),
	FIELD_STR(struct bayes_refused, channel),
	FIELD_STR(struct bayes_refused, tenant),
	FIELD_STR(struct bayes_refused, hash),
	FIELD_END,
};
static const struct record refused_record = RECORD("refused", struct bayes_refused, refused_fields);
static const struct field review_fields[] = {
	FIELD_RECORDS(struct bayes_review, refused, &refused_record),
	FIELD_END,
};
const struct record bayes_review_record = RECORD("bayes_review", struct bayes_review, review_fields);

struct reading {
	struct arena *arena;
	struct bayes_review *review;
};

static int keep(void *context, const struct journal_entry *e, struct err *err)
{
	struct reading *r = context;
	r->review->refused.v[r->review->refused.n++] = (struct bayes_refused){
		.id = e->id,
		.time = e->time,
		.spam = e->spam,
		.who = arena_dup(r->arena, e->who),
		.channel = arena_dup(r->arena, e->channel),
		.tenant = arena_dup(r->arena, e->tenant),
		.hash = arena_dup(r->arena, e->hash),
	};
	return 0;
}

int bayes_review_read(
	struct journal *journal, struct arena *arena, struct bayes_review *review_r, struct err *err)
{
	struct reading r = {arena, review_r};
	review_r->refused.v = ARENA_ARRAY(arena, BAYES_REVIEW_MOST, struct bayes_refused);
	review_r->refused.n = 0;
	return journal_refused(journal, BAYES_REVIEW_MOST, keep, &r, err);
}
