/*
 * conf: what `filter "clamav"` is told, for the filter (in the inspector) and for
 * the engine (in the scanner); both read it from the same section.
 */
#ifndef FILTERS_CLAMAV_CONF_H
#define FILTERS_CLAMAV_CONF_H

#include "core/option.h"

struct clamav_conf {
	struct option_strings database; /* folders or files; those that are missing are left out */
	bool built_in;			/* our own few signatures, EICAR's among them */
	int64_t scan_size, file_size;	/* octets: of all that comes out of a message, and of one object */
	int64_t depth, files;
	int64_t scan_time;	 /* ms, of libclamav's own clock */
	int64_t ratio;		 /* how many times its packed size an archive member may have */
	bool macros, encrypted;	 /* report these */
};

extern const struct option clamav_options[];

#endif
