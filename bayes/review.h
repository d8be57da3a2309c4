/* review: the lessons that were refused as harmful (teacher.h), as JSON, for people and the API. */
#ifndef BAYES_REVIEW_H
#define BAYES_REVIEW_H

#include "bayes/journal.h"
#include "core/record.h"

enum { BAYES_REVIEW_MOST = 100 };

struct bayes_refused {
	int64_t id, time;
	bool spam;
	struct str who, channel, tenant, hash;
};
struct bayes_review {
	LIST(struct bayes_refused) refused; /* the newest BAYES_REVIEW_MOST, newest first */
};
extern const struct record bayes_review_record;

int bayes_review_read(
	struct journal *journal, struct arena *arena, struct bayes_review *review_r, struct err *err);

#endif
