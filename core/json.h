/*
 * json: the one place that writes JSON, and so the one that escapes.
 *
 * json_text() shows text: quotes, backslashes, controls, DEL, C1 controls, bidi
 * and zero-width characters and U+2028/9 are escaped as \uXXXX, an octet that is
 * not UTF-8 becomes U+FFFD, and what exceeds `cap` octets is cut and marked with
 * "…". json_octets() maps each octet to the character of that number instead, so
 * that nothing is lost. Both add the quotes. Reading is jansson's work, through
 * record_from_json().
 */
#ifndef CORE_JSON_H
#define CORE_JSON_H

#include "core/buf.h"

#define JSON_NO_CAP ((size_t)-1)

void json_text(struct buf *out, struct str s, size_t cap);
void json_octets(struct buf *out, struct str s);
/* Shortest form that reads back the same, at most 6 decimals; never NaN. */
void json_double(struct buf *out, double v);
/* The same escaping without quotes, for terminals and SMTP replies: controls and
 * whatever is not printable ASCII or well-formed, visible UTF-8 become '?'. */
void text_safe(struct buf *out, struct str s, size_t cap);

#endif
