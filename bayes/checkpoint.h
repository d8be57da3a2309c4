/*
 * checkpoint: copies of the model as it was, with which making it again begins, and to
 * which it can be taken back.
 *
 *	DIR/checkpoint.0 … DIR/checkpoint.2
 *
 * Which of them hold, and their checksums, stand in the training log: a checkpoint is
 * void as soon as any lesson that it has learned is undone, or accepted later.
 *
 *	DIR/base.0 or DIR/base.1
 *
 * The base is one that is never void: it has learned lessons of which the log has no features any
 * more. It is made by replaying the log, from the base before it on, and never from the live
 * model.
 */
#ifndef BAYES_CHECKPOINT_H
#define BAYES_CHECKPOINT_H

#include "bayes/journal.h"
#include "bayes/model.h"

/* The oldest gives way. The model must be what the log says up to its position. */
int checkpoint_save(const char *folder, const struct model *model, struct journal *journal,
	int64_t time, struct err *err);
/* The newest that holds and whose file is whole, the base not among them: 1, and the model
 * (MODEL_MEMORY) is that; 0: there is none, and it is as it was; -1. */
int checkpoint_load(
	const char *folder, struct model *model, struct journal *journal, struct err *err);

enum checkpoint_base { CHECKPOINT_NO_BASE, CHECKPOINT_BASE, CHECKPOINT_BASE_LOST };
/* The same of the base. LOST: its file is not there, damaged, or of another version of the model. One
 * that cannot be read is an error. 0 or -1. */
int checkpoint_load_base(const char *folder, struct model *model, struct journal *journal,
	enum checkpoint_base *base_r, struct err *err);
/* The model, which is what the log says up to `position`, becomes the base, and the log is trimmed. */
int checkpoint_save_base(const char *folder, const struct model *model, struct journal *journal,
	int64_t position, struct err *err);

#endif
