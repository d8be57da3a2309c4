/*
 * lesson: features on their way from where mail is taken apart (an inspector) to
 * where they are learned (the trainer).
 *
 * Counts of 4 octets (two, or three if there are findings), then the hashes, in the machine's own order: both ends are
 * processes of one gateway. What comes in is checked against the caps of features.h.
 */
#ifndef BAYES_LESSON_H
#define BAYES_LESSON_H

#include "bayes/features.h"

void lesson_encode(const struct features *features, struct buf *out);
/* Into the arena. 0, or -1 if it is malformed. */
int lesson_decode(struct str in, struct arena *arena, struct features *features_r);

#endif
