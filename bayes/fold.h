/*
 * fold: text as a reader sees it: lower case, look-alikes of Latin letters as those
 * letters, no invisible characters, white space as single blanks.
 */
#ifndef BAYES_FOLD_H
#define BAYES_FOLD_H

#include "core/buf.h"

/* Appends at most `cap` octets of UTF-8; octets that are no UTF-8 stay as they are. */
void fold_text(struct str text, size_t cap, struct buf *out);

#endif
