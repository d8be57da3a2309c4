/*
 * corpus: the messages behind a path: a file, an mbox, a Maildir, or a folder of these.
 *
 * A file that begins with "From " is an mbox (RFC 4155; ">From " lines lose one '>');
 * a message begins at a "From " line with a time of day, behind an empty line.
 * A folder is walked down to a depth; names that begin with '.' are left out, so that
 * a Maildir gives what is in cur and new.
 */
#ifndef GATEWAY_JUDGE_CORPUS_H
#define GATEWAY_JUDGE_CORPUS_H

#include "core/arena.h"
#include "core/err.h"

/* Calls for each message, CRLF ended. each returning -1 ends the walk. The arena is reset between
 * files. */
int corpus_walk(const char *path, struct arena *arena,
	int (*each)(void *context, struct str message, struct err *err), void *context,
	struct err *err);

#endif
