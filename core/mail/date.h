/*
 * date: a Date header's value to a time.
 *
 *	int64_t when;
 *	if (date_parse(STR("Fri, 20 Nov 2026 12:00:00 +0100 (CET)"), &when))
 *		when is 1795172400
 */
#ifndef CORE_MAIL_DATE_H
#define CORE_MAIL_DATE_H

#include "core/str.h"

/*
 * RFC 5322 3.3, with the obsolete forms of 4.3 (two-digit years, zones by name) and
 * comments. `value` is unfolded or not. True, and seconds since 1970 UTC in *when_r, or
 * false if it is none. The name of the day is not checked against the date.
 */
bool date_parse(struct str value, int64_t *when_r);

#endif
