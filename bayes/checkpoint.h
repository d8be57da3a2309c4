/*
 * checkpoint: copies of the model as it was, with which making it again begins, and to
 * which it can be taken back.
 *
 *	DIR/checkpoint.0 … DIR/checkpoint.2
 *
 * Which of them hold, and their checksums, stand in the training log: a checkpoint is
 * void as soon as any lesson that it has learned is undone, or accepted later.
 */
#ifndef BAYES_CHECKPOINT_H
#define BAYES_CHECKPOINT_H

#include "bayes/journal.h"
#include "bayes/model.h"

/* The oldest gives way. The model must be what the log says up to its position. */
int checkpoint_save(const char *folder, const struct model *model, struct journal *journal,
	int64_t time, struct err *err);
/* The newest that holds and whose file is whole: 1, and the model (MODEL_MEMORY) is that; 0: there is
 * none, and it is as it was; -1. */
int checkpoint_load(
	const char *folder, struct model *model, struct journal *journal, struct err *err);

#endif
