/*
 * entity: HTML's character references, to UTF-8.
 *
 * All names of the standard, decimal and hexadecimal numbers, with its rules for
 * a missing semicolon and for numbers that are no characters (WHATWG, 13.2.5.72
 * to 13.2.5.80). Knows nothing else of HTML.
 *
 *	char utf8[ENTITY_MAX];
 *	size_t n, used = entity_decode(STR("&eacute;t&eacute;"), false, utf8, &n);
 */
#ifndef CORE_MAIL_ENTITY_H
#define CORE_MAIL_ENTITY_H

#include "core/str.h"

#define ENTITY_MAX 6 /* octets of UTF-8 that one reference can give */

/*
 * s begins with '&'. Returns how many octets of s the reference takes, and puts
 * its n_r octets into out_r; 0 if there is no reference, and the '&' is itself.
 * In an attribute, a name without a semicolon that goes on is left alone, so
 * that "?a=1&copy=2" keeps its parameter.
 */
size_t entity_decode(struct str s, bool in_attribute, char out_r[ENTITY_MAX], size_t *n_r);
/* Code point to UTF-8: octets written, at most four. Surrogates and what is past
 * U+10FFFF become U+FFFD. */
size_t entity_utf8(uint32_t code, char out_r[ENTITY_MAX]);

#endif
