/*
 * template: what must be remembered of a message whatever becomes of it: the
 * record template of a verdict (design: "One message, from end to end", 6).
 */
#ifndef RULES_TEMPLATE_H
#define RULES_TEMPLATE_H

#include "rules/verdict.h"

/*
 * Fills v->record: the message's own header texts (decoded, capped), attachment names, content hash,
 * and the row for DMARC aggregate reports where a policy was found. After verdict_decide.
 */
void template_fill(const struct verdict_input *in, struct arena *arena, struct verdict *v);

#endif
