/*
 * header: one header block, line by line as the scanner finds them.
 *
 * It knows what a header line is, and what other readers might take for one:
 * every line that any of them could call "From" ends up as a header named
 * "From". It hides how folded lines become one header. The headers of all
 * blocks of a message are collected in one scratch array, then copied out.
 *
 *	struct mail_header_block b = { .m = m };
 *	mail_header_block_begin(&b, true);
 *	while (a line, and it is not empty)
 *		mail_header_block_line(&b, line, end, next);
 *	mail_header_block_end(&b, &part->headers, &part->header_count);
 */
#ifndef CORE_MAIL_HEADER_H
#define CORE_MAIL_HEADER_H

#include "core/mail/mail.h"

struct mail_header_block {
	struct mail *m;
	/* Where the first line stands that is no header, or NULL: a strict reader's body begins
	 * there. Lines behind it are still collected, as odd headers. */
	const char *stop;
	/* private */
	bool of_message;
	const char *begin;		  /* of the block */
	const char *start, *first_end, *end; /* of the header that is growing; start NULL: none */
	bool blank_fold;		  /* its last line was only white space */
	struct mail_header *v;		  /* scratch */
	size_t n, room;
	size_t total; /* of all blocks of this message but the first */
};

/* Starts a block; `of_message` if it is the message's own. */
void mail_header_block_begin(struct mail_header_block *b, bool of_message);
/* One line that is not empty: [line, end) without its line break, the next one at `next`. */
void mail_header_block_line(struct mail_header_block *b, const char *line, const char *end,
	const char *next);
/* Ends the block; copies its headers to the arena of the message. */
void mail_header_block_end(struct mail_header_block *b, struct mail_header **headers_r,
	size_t *count_r);

#endif
