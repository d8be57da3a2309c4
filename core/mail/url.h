/*
 * url: finds URLs in plain text, and tells where a URL leads.
 *
 * Hosts are read as browsers read them (URL standard of the WHATWG, section 4.4),
 * since that is where a click goes: a backslash is a slash, what stands before the
 * last '@' is no host, percent escapes in a host are decoded, and an IPv4 address
 * may be one number, octal or hexadecimal.
 *
 *	size_t at = 0;
 *	struct str found;
 *	while (url_find(text, &at, &found)) {
 *		struct mail_url url;
 *		url_parse(arena, found, &url);
 *	}
 */
#ifndef CORE_MAIL_URL_H
#define CORE_MAIL_URL_H

#include "core/mail/mail.h"

/*
 * The next URL at or behind *at, which is moved past it: http, https, ftp and
 * mailto with their scheme, "www.example.org", and "example.org/path" if the
 * last label is a top-level domain. Punctuation at the end that belongs to the
 * sentence is not part of it. False at the end. Linear in the text.
 */
bool url_find(struct str text, size_t *at, struct str *url_r);

/*
 * Fills url (cut to LIMIT_URL_BYTES), scheme and host of *url_r; zeroes the rest.
 * The host is in lower-case A-labels, a dotted IPv4 address, or an IPv6 address
 * in brackets; as it came, in lower case, if it is none of them; empty if the URL
 * has none (relative, cid:, javascript:). Without a scheme, what looks like a host
 * is taken for http.
 */
void url_parse(struct arena *arena, struct str raw, struct mail_url *url_r);

#endif
