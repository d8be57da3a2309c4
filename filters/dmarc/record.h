/*
 * record: a DMARC policy record (RFC 9989 section 4.7).
 *
 * Reading never fails: what is wrong in a record beyond its version falls back to
 * the default, as the standard demands. Whether what is left may be applied says
 * dmarc_record_applies().
 *
 *	struct dmarc_record r;
 *	if (dmarc_record_is(txt))
 *		dmarc_record_parse(txt, &r);
 *
 * Strings point into the text.
 */
#ifndef FILTERS_DMARC_RECORD_H
#define FILTERS_DMARC_RECORD_H

#include "core/auth.h"

enum dmarc_psd { DMARC_PSD_UNKNOWN, DMARC_PSD_YES, DMARC_PSD_NO };

struct dmarc_record {
	int p, sp, np; /* enum dmarc_policy; DMARC_ABSENT if not there */
	bool broken;   /* p, sp or np has a value that is none */
	bool strict_dkim, strict_spf, testing;
	enum dmarc_psd psd;
	struct str rua, ruf, fo; /* as they stand; fo "0" unless it is valid */
	bool has_report_uri;	 /* rua holds at least one URI */
};

/* Is "v=DMARC1" its first tag? The value is case-sensitive. */
bool dmarc_record_is(struct str txt);
/* Expects dmarc_record_is(txt). Unknown tags are ignored; of a repeated one the first holds. */
void dmarc_record_parse(struct str txt, struct dmarc_record *record_r);
/* False: no DMARC at all for this domain (4.10.1: broken policies and nowhere to report). A
 * record with broken policies that does report is one of p=none; the parser has seen to that. */
bool dmarc_record_applies(const struct dmarc_record *record);

#endif
