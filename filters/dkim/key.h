/* key: which of a name's TXT records is the DKIM key (RFC 6376 section 3.6). */
#ifndef FILTERS_DKIM_KEY_H
#define FILTERS_DKIM_KEY_H

#include "core/dns.h"

/* The library's buffer takes this much; a key of 4096 bits needs 740 octets. */
#define DKIM_KEY_RECORD_MAX 1000

/*
 * 0 with the record, notes and blanks taken out, and at most DKIM_KEY_RECORD_MAX
 * octets; -1 with the reason for a permerror. The answer must not be an error
 * (dns_answer_is_error). algorithm: a= of the signature; a key of another type than its is
 * refused here, since the library overlooks it. Other tags are checked by the library.
 */
int dkim_key_select(const struct dns_answer *answer, struct str algorithm, struct arena *arena,
	struct str *record_r, const char **reason_r);

#endif
