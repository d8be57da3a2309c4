/*
 * poison: the contents that killed inspectors twice, so that the next copy of the same
 * message goes to quarantine without killing anybody. A small table of this process;
 * the oldest gives way.
 */
#ifndef GATEWAY_FRONT_POISON_H
#define GATEWAY_FRONT_POISON_H

#include <stdbool.h>

#include "core/str.h"

struct poison;

struct poison *poison_new(void);
void poison_free(struct poison **poison);
void poison_remember(struct poison *poison, struct str content);
/* Costs a hash of the content, but only once there is something to compare with. */
bool poison_knows(const struct poison *poison, struct str content);

#endif
