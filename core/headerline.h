/*
 * headerline: writes one header line of ours, so that no value can start another.
 *
 *	headerline_add(&headers, "X-Spam-Score", STR("9.3"));
 *
 * The value is unfolded text; whatever came from a peer is safe to pass.
 */
#ifndef CORE_HEADERLINE_H
#define CORE_HEADERLINE_H

#include "core/buf.h"

/*
 * Appends "NAME: value" CRLF, folded at blanks so that lines stay within 78 octets where the
 * words allow it (RFC 5322 2.1.1, 2.2.3). Every octet outside printable ASCII becomes '?': our
 * lines must be readable to mailbox servers without SMTPUTF8. A value over 4000 octets is cut, a
 * word over 700 broken.
 */
void headerline_add(struct buf *out, const char *name, struct str value);

#endif
