/* bayes: the classifier's filter, and what the inspector does for the trainer with the same model. */
#ifndef FILTERS_BAYES_H
#define FILTERS_BAYES_H

#include "core/mail/mail.h"

/* The features of a message under the model's salt, in the form that model lessons travel in
 * (bayes/lesson.h), appended. -1 if there is no model. */
int bayes_lesson(const void *conf, struct mail *mail, struct buf *out);

#endif
