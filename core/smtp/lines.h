/*
 * lines: the one line reader, and the only code that knows what CR, LF and a
 * leading dot mean in what comes in.
 *
 * It is fed from the stream's input buffer at whatever places TCP or TLS have
 * cut it, takes off what it has understood, and gives back commands, or spans of
 * message octets in which every line ends in CRLF and dots are unstuffed. It
 * owns no memory: lines and spans point into the input (or at a literal of its
 * own) and hold until the input is changed. The rest of an incomplete command
 * stays in the input; of a message nothing does.
 *
 *	struct lines lines;
 *	lines_init(&lines);
 *	switch (lines_command(&lines, &in, &line)) { ... }
 *
 *	lines_message(&lines, LINES_NORMALIZE, max_octets);
 *	while ((step = lines_data(&lines, &in, &span)) == LINES_SPAN)
 *		keep(span);
 *	if (step == LINES_END && lines.error == LINES_OK)
 *		judge();
 *
 * Only CRLF.CRLF ends DATA (RFC 5321 4.1.1.4). Whatever another implementation
 * might take for an end (a line that is one dot, with any other line break
 * before or behind it, NULs between or not) is an attack on somebody: the
 * message is refused and the connection closed. So every message has one
 * reading, here and downstream.
 */
#ifndef CORE_SMTP_LINES_H
#define CORE_SMTP_LINES_H

#include "core/str.h"

enum lines_step {
	LINES_MORE,  /* the input is used up: call again when there is more */
	LINES_LINE,  /* command: line_r, without its CRLF */
	LINES_BAD,   /* command: a line was taken off that is none; see .error, reply and go on */
	LINES_SPAN,  /* message: span_r, never empty */
	LINES_END,   /* message or chunk is complete; .error says whether it may be used */
	LINES_ABORT, /* reply as .error says and close: what follows cannot be trusted */
};

enum lines_error {
	LINES_OK,
	LINES_COMMAND_TOO_LONG, /* 500 5.5.2 */
	LINES_COMMAND_OCTETS,	/* 500 5.5.2: bare CR or LF, or NUL */
	LINES_BARE_LF,		/* 550 5.6.0, only with LINES_REFUSE */
	LINES_BARE_CR,		/* 550 5.6.0 */
	LINES_NUL,		/* 550 5.6.0 */
	LINES_NEAR_END,		/* 550 5.6.0: all but an end of data */
	LINES_TEXT_TOO_LONG,	/* 554 5.6.0: a line over LIMIT_TEXT_LINE */
	LINES_TOO_BIG,		/* 552 5.3.4: more than max_octets */
	LINES_ERRORS
};

/* What becomes of a bare LF inside a message. */
enum lines_policy { LINES_NORMALIZE, LINES_REFUSE };

struct lines {
	enum lines_error error; /* the first one of this command or message */
	enum lines_policy policy;
	uint64_t octets; /* of message seen so far, as they will be stored */
	uint64_t max_octets;
	/* The rest is the reader's own. */
	uint64_t discarded;   /* octets thrown away since the error */
	uint64_t chunk_left;  /* BDAT */
	uint32_t line_octets; /* of the text line so far */
	unsigned char at;     /* enum place, in lines.c */
	unsigned char loose;  /* enum loose, in lines.c */
	bool skipping;	      /* inside a command line that was too long */
	bool last;	      /* BDAT: the chunk is the last one */
};

void lines_init(struct lines *lines);

/* The next command. After LINES_BAD the next call goes on behind the line. A
 * line that is too long is thrown away up to a bound, then LINES_ABORT. */
enum lines_step lines_command(struct lines *lines, struct str *in, struct str *line_r);

/* A new message begins: DATA was answered 354, or the first BDAT came. */
void lines_message(struct lines *lines, enum lines_policy policy, uint64_t max_octets);

/* DATA. After an error the rest is read and thrown away (no more spans) up to
 * the true end, so that the sender gets its answer; LINES_ABORT where there is
 * no telling where that is, or when too much came. */
enum lines_step lines_data(struct lines *lines, struct str *in, struct str *span_r);

/* BDAT: a chunk of n octets follows; then lines_chunk_data() until LINES_END. It
 * takes exactly n octets off the input, whatever they are, and never aborts. A
 * CR that ends a chunk is held back for the next; with `last` it is bare. */
void lines_chunk(struct lines *lines, uint64_t n, bool last);
enum lines_step lines_chunk_data(struct lines *lines, struct str *in, struct str *span_r);

/* The reply, "550 5.6.0 ...", without line end. */
const char *lines_error_reply(enum lines_error error);
/* Is the connection to be closed behind that reply? */
bool lines_error_closes(enum lines_error error);

#endif
