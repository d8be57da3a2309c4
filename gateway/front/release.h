/*
 * release: messages that were released from quarantine, delivered through the same pool.
 *
 * One KEEP_PULL is outstanding at the keeper; a job that it answers is delivered with the
 * lines and cuts that were decided when the message was held, and its end is reported with
 * KEEP_JOB_DONE. The keeper decides about trying again. Never a bounce.
 */
#ifndef GATEWAY_FRONT_RELEASE_H
#define GATEWAY_FRONT_RELEASE_H

#include "gateway/front/front.h"

struct releases *releases_new(struct front *front);
void releases_free(struct releases **releases);
/* A keeper is there (again): asks it for work. */
void releases_pull(struct releases *releases);
/* Is none under way? */
bool releases_are_idle(const struct releases *releases);

#endif
