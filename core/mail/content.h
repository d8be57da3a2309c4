/*
 * content: what a part says of itself in its headers (RFC 2045, 2183).
 */
#ifndef CORE_MAIL_CONTENT_H
#define CORE_MAIL_CONTENT_H

#include "core/mail/mail.h"

/*
 * Fills in type, charset, boundary, filename, disposition, content_id and encoding of a part
 * whose headers are there. `in_digest`: without a Content-Type it is a message (RFC 2046
 * 5.1.5). Of several headers the first counts; but a boundary is taken from any of them, so
 * that no reader sees parts that are not taken apart here.
 */
void mail_content_read(struct mail *m, struct mail_part *p, bool in_digest);

#endif
