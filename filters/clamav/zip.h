/*
 * zip: what a ZIP archive's central directory claims, without unpacking it.
 *
 * libclamav scans the start of a member that is larger than its limit and then
 * calls the archive clean; so the directory is read here first. Members' local
 * headers are not believed or needed. Bounded by the number of entries.
 */
#ifndef FILTERS_CLAMAV_ZIP_H
#define FILTERS_CLAMAV_ZIP_H

#include "core/str.h"

struct zip_limits {
	uint64_t file_size, scan_size, ratio, files;
};

/* NULL: nothing over a limit (or no ZIP at all); else a phrase that says which. */
const char *zip_over_limit(struct str archive, const struct zip_limits *limits);

#endif
