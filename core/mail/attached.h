/*
 * attached: the messages that a message carries: what people forward as an attachment,
 * and what mailbox providers send back as feedback reports (ARF, RFC 5965).
 *
 *	struct mail_attached attached;
 *	mail_attached(mail_parse(arena, raw), 50, &attached);
 *	for (size_t i = 0; i < attached.messages.n; i++) ... mail_parse(arena, attached.messages.v[i])
 *
 * Only the outermost: what an attached message itself carries is a part of it.
 */
#ifndef CORE_MAIL_ATTACHED_H
#define CORE_MAIL_ATTACHED_H

#include "core/mail/mail.h"

struct mail_attached {
	/* Transfer encoding taken off, every line ended by CRLF; in the mail's arena, or its octets. */
	LIST(struct str) messages;
	size_t count; /* of all that there are: messages.n, or more where max was reached */
	/* A feedback report's type, lower case: "abuse", "fraud", "virus", "other" (RFC 5965
	 * 3.1), "not-spam" (RFC 6430); empty if it is none. */
	struct str feedback;
};

/*
 * message/rfc822 and message/global, a digest's parts, and files named .eml, whatever type they
 * were given. What begins without a From header is no message; headers alone (text/rfc822-headers)
 * are none either.
 */
void mail_attached(struct mail *m, size_t max, struct mail_attached *attached_r);

/* Appends octets with LF or CRLF line ends as lines that all end in CRLF. */
void mail_add_crlf(struct str octets, struct buf *out);

#endif
