/* bayes: the classifier's filter, and what the inspector does for the trainer with the same model. */
#ifndef FILTERS_BAYES_H
#define FILTERS_BAYES_H

#include "core/mail/mail.h"

/*
 * The features of a message under the model's salt, in the form that lessons travel in
 * (bayes/lesson.h), appended; `findings` are the names of what other filters found in it (see
 * engine_finds()), none if that is not known. -1 if there is no model.
 */
int bayes_lesson(const void *conf, struct mail *mail, const struct str_list *findings, struct buf *out);

#endif
