/*
 * psl: organizational domains by the public suffix list (RFC 7489 section 3.2),
 * for sites that want that way of discovery. The list is read once a process.
 */
#ifndef FILTERS_DMARC_PSL_H
#define FILTERS_DMARC_PSL_H

#include "core/str.h"
#include "core/err.h"

/*
 * path: the list to read; "": the distribution's, or else the library's own.
 * offline: the library's own whatever path says, no file is read. 0 or -1.
 */
int dmarc_psl_start(const char *path, bool offline, struct err *err);
/* domain: canonical A-labels. Points into it; the domain itself if it is a public suffix. */
struct str dmarc_psl_organizational(struct str domain);

#endif
