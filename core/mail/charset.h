/*
 * charset: text in any charset to UTF-8.
 *
 * Converters are opened once for the process and kept: in an empty root
 * iconv_open() finds nothing, so mail_charset_preload() runs before the sandbox
 * closes. UTF-8, ASCII and the windows-1252 family need no converter.
 *
 *	mail_charset_preload(&err);
 *	struct str text = mail_charset_to_utf8(m, octets, STR("iso-8859-15"));
 */
#ifndef CORE_MAIL_CHARSET_H
#define CORE_MAIL_CHARSET_H

#include "core/err.h"
#include "core/mail/mail.h"

/* Opens all converters. -1 if the system lacks one: err names it. Without this call each is
 * opened when it is first needed. */
int mail_charset_preload(struct err *err);
/* The charsets that are known, under their preferred names; NULL-terminated. */
const char *const *mail_charset_names(void);

/*
 * The octets as UTF-8, which is always well-formed: what the charset does not have becomes
 * U+FFFD, and MAIL_CHARSET_BROKEN. An empty charset is ASCII, or UTF-8 if it is that; an unknown
 * one (MAIL_CHARSET_UNKNOWN) UTF-8 if it is that, else windows-1252. ASCII and good UTF-8 are
 * returned as they lie, other text in the arena of `m`; of that at most LIMIT_CHARSET_BYTES
 * octets are converted.
 */
struct str mail_charset_to_utf8(struct mail *m, struct str octets, struct str charset);

#endif
