/*
 * decode: transfer encodings taken off, tolerantly: whatever any client would
 * decode is decoded, and odd_r says that some would not.
 */
#ifndef CORE_MAIL_DECODE_H
#define CORE_MAIL_DECODE_H

#include "core/mail/mail.h"

/* RFC 2045 6.8. Foreign characters are left out; decoding goes on behind padding. *odd_r is
 * only ever set. */
struct str mail_decode_base64(struct arena *arena, struct str in, bool *odd_r);
/* RFC 2045 6.7. Illegal escapes stay as they stand. */
struct str mail_decode_qp(struct arena *arena, struct str in, bool *odd_r);

#endif
