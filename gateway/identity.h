/*
 * identity: which message is it, for lessons? A message counts once in the training log, and
 * what a user says of it takes the place of what was learned without him: both need to
 * know it again when a delivered copy comes back from a mailbox.
 *
 * It is a hash over what its sender gave, and not over what was added on the way from here into
 * the mailbox:
 *
 *   header  what stands below our own Received line (the lowest, if it came by here several
 *	     times): mailbox servers put their lines above it, as we do. Of what
 *	     stands above only From, Subject and Content-*, so that a forged line of ours does not
 *	     hide them, nor makes the same octets be read otherwise.
 *	     Nowhere what we cut or add, and what mailboxes keep in a message: Authentication-Results,
 *	     X-Spam-*, Return-Path, Delivered-To, Status …
 *   body    all of it
 *
 * Line ends, folds and runs of blanks count for nothing, nor do empty lines at the end. Everything
 * else does: two deliveries of a newsletter are two messages, since the lines of the hosts before us
 * differ; and a mailbox server that writes anew what it takes for malformed (Postfix does, in address
 * lines, for clients on its own host: 3 of 594 real messages) makes another message of it. Nobody can
 * make a message that passes for another without giving it that one's body and header lines; then
 * it is its copy, and whoever reports it speaks of both.
 *
 *	char hash[IDENTITY_SIZE];
 *	identity_of(mail_parse(arena, octets), config->hostname, hash);
 */
#ifndef GATEWAY_IDENTITY_H
#define GATEWAY_IDENTITY_H

#include "core/mail/mail.h"

enum { IDENTITY_SIZE = 65 }; /* hexadecimal digits, and a NUL */
/* hostname: by which our own Received lines are known. */
void identity_of(const struct mail *mail, const char *hostname, char hash_r[IDENTITY_SIZE]);

/* Is this Received field, folded or not, one that the gateway with this name wrote? */
bool identity_is_own_line(struct str field, const char *hostname);

#endif
