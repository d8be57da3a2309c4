/*
 * mail: a message taken apart, as offsets over its raw octets.
 *
 * Nothing is copied and nothing is mended: headers and parts point into the
 * message (CRLF line ends, as the front received it), duplicates are all kept,
 * and whatever two parsers could read differently is an anomaly, which filters
 * turn into findings. Decoded forms are made when asked for, in the arena of
 * the mail, and kept. Caps: core/limits.h; past one, an anomaly, and the rest is
 * not taken apart (the raw octets are still there).
 *
 *	struct mail *m = mail_parse(arena, raw);
 *	struct mail_header *from = mail_header(m, "From", NULL);
 *	for (size_t i = 0; i < m->parts.n; i++)
 *		struct str text = mail_part_text(m, &m->parts.v[i]);
 */
#ifndef CORE_MAIL_MAIL_H
#define CORE_MAIL_MAIL_H

#include "core/record.h"

/* Each is one bit; mail_anomaly_name() and _text() give its finding. */
enum mail_anomaly {
	MAIL_NO_HEADERS,	  /* the first line is no header */
	MAIL_NO_BLANK_LINE,	  /* header block ended by something else, or by the end */
	MAIL_HEADER_MALFORMED,	  /* a line without a colon, or an empty or odd name */
	MAIL_HEADER_SPACE,	  /* white space before the colon, or a first line that is folded */
	MAIL_HEADER_NUL,
	MAIL_HEADER_8BIT,	  /* not UTF-8 */
	MAIL_HEADER_LIMIT,	  /* more headers or octets than are parsed */
	MAIL_BARE_CR,
	MAIL_BARE_LF,
	MAIL_NUL,
	MAIL_LONG_LINE,		  /* over 998 octets */
	MAIL_DUP_CONTENT_TYPE,
	MAIL_DUP_CTE,
	MAIL_BAD_CONTENT_TYPE,	  /* syntax, or a parameter that stands twice */
	MAIL_BAD_CTE,		  /* unknown, with comments, or several */
	MAIL_BOUNDARY_MISSING,	  /* multipart without a usable boundary */
	MAIL_BOUNDARY_ODD,	  /* blanks, quotes, 2231, control characters, too long */
	MAIL_BOUNDARY_UNCLOSED,
	MAIL_BOUNDARY_REUSED,	  /* inner and outer boundary are equal or prefixes */
	MAIL_HIDDEN_CONTENT,	  /* MIME-like content in a preamble or epilogue */
	MAIL_BASE64_ODD,	  /* foreign characters, data after the padding, broken end */
	MAIL_QP_ODD,		  /* illegal or unfinished escapes */
	MAIL_ENCODED_WORD_ODD,
	MAIL_CHARSET_UNKNOWN,
	MAIL_CHARSET_BROKEN,	  /* octets that the charset does not have */
	MAIL_DEPTH_LIMIT,
	MAIL_PARTS_LIMIT,
	MAIL_PARTIAL,		  /* message/partial, external-body */
	MAIL_UUENCODE,
	MAIL_PARAM_AMBIGUOUS,	  /* filename and filename* that differ, and the like */
	MAIL_ANOMALY_COUNT
};
const char *mail_anomaly_name(enum mail_anomaly a); /* "MIME_BOUNDARY_MISSING" */
const char *mail_anomaly_text(enum mail_anomaly a); /* a sentence */

struct mail_header {
	struct str name;  /* without white space before the colon */
	struct str value; /* raw, folds and all, without the first blank and the last CRLF */
	struct str line;  /* the whole: from the name to the last CRLF */
	bool odd;	  /* had white space before its colon, or malformed */
};

enum mail_encoding { MAIL_7BIT, MAIL_8BIT, MAIL_BINARY, MAIL_BASE64, MAIL_QP, MAIL_UNKNOWN_ENCODING };

struct mail_part {
	size_t index;
	int parent; /* index, or -1 */
	unsigned depth;
	struct mail_header *headers;
	size_t header_count;
	struct str type, subtype; /* lower case, "text" "plain" if absent */
	struct str charset;	  /* lower case, empty if absent */
	struct str boundary;
	struct str filename;	  /* decoded to UTF-8; empty if none */
	struct str disposition;	  /* lower case */
	struct str content_id;
	enum mail_encoding encoding;
	enum mail_encoding last_encoding; /* where several are declared, else the same */
	struct str body;	  /* raw */
	bool is_multipart, is_message, has_children;
	/* caches */
	bool decoded_known, text_known;
	struct str decoded, text;
};

enum mail_url_source { MAIL_URL_TEXT, MAIL_URL_HREF, MAIL_URL_SRC, MAIL_URL_FORM, MAIL_URL_OTHER };
struct mail_url {
	struct str url;	 /* as it stands, entities decoded, at most LIMIT_URL_BYTES */
	struct str scheme, host; /* lower case; host an A-label form, or as it came if that fails */
	struct str text; /* of the link, in HTML */
	enum mail_url_source source;
	size_t part;
};

struct mail {
	struct arena *arena;
	struct str raw;
	LIST(struct mail_header) headers; /* of the message itself, all of them, in order */
	size_t header_bytes;		  /* up to and with the blank line */
	struct str body;		  /* behind it */
	LIST(struct mail_part) parts;	  /* [0] is the message itself; parents before children */
	uint64_t anomalies;		  /* bits of enum mail_anomaly; grows while decoding */
	/* caches */
	bool text_known, urls_known;
	struct str text;
	LIST(struct mail_url) urls;
	struct mail_html_facts {
		bool present;
		size_t links, images, remote_images, forms, scripts, hidden_octets, tags, comments;
	} html;
};

struct mail *mail_parse(struct arena *arena, struct str raw);
static inline bool mail_has(const struct mail *m, enum mail_anomaly a)
{
	return m->anomalies >> a & 1;
}

/* The next header of this name (without case) behind `after` (NULL: the first), or NULL. */
const struct mail_header *mail_header(const struct mail *m, const char *name,
	const struct mail_header *after);
const struct mail_header *mail_part_header(const struct mail_part *p, const char *name,
	const struct mail_header *after);
size_t mail_header_count(const struct mail *m, const char *name);
/* Unfolded (CRLF before white space taken out), trimmed, nothing decoded. */
struct str mail_unfold(struct arena *arena, struct str value);
/* Unfolded, and encoded words (RFC 2047) decoded to UTF-8. */
struct str mail_decode_header(struct mail *m, struct str value);

/* Transfer encoding taken off; octets. Where it is unknown or declared twice, by the one that
 * makes sense of the body. */
struct str mail_part_decoded(struct mail *m, struct mail_part *p);
/* Of text parts: as UTF-8, markup removed from HTML; empty for other types. At most LIMIT_TEXT_BYTES. */
struct str mail_part_text(struct mail *m, struct mail_part *p);
/* The text of all parts in order, a newline between them. */
struct str mail_text(struct mail *m);
/* Links of all text parts, at most LIMIT_URLS. */
void mail_urls(struct mail *m);

/* An address of a From, To, Reply-To or Sender header (RFC 5322 3.4, RFC 6854 groups). */
struct mail_address {
	struct str display; /* decoded to UTF-8 */
	struct str local, domain; /* domain: canonical A-labels, lower case; empty if invalid */
	struct str raw_domain;
};
struct mail_addresses {
	LIST(struct mail_address) list;
	bool valid; /* all of the value was the standard's syntax, without obsolete routes */
};
void mail_parse_addresses(struct mail *m, struct str value, struct mail_addresses *out_r);
/* A domain as peers write it (U-labels, case, final dot) to lower-case A-labels (IDNA2008,
 * nontransitional). 0, or -1 when it is none. */
int mail_domain_canonical(struct arena *arena, struct str domain, struct str *canonical_r);
/* The same for looking one up among canonical names, without an arena and without refusing what is
 * odd but ASCII: it is not among them. False where there is nothing to look up. */
#define MAIL_DOMAIN_MAX 256
bool mail_domain_key(struct str domain, char scratch[MAIL_DOMAIN_MAX], struct str *key_r);

#endif
