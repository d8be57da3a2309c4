#include "core/mail/anomaly.h"

#include <assert.h>

_Static_assert(MAIL_ANOMALY_COUNT <= 64, "anomalies are bits of a uint64_t");

static const struct {
	const char *name, *text;
} anomalies[MAIL_ANOMALY_COUNT] = {
	[MAIL_NO_HEADERS] = {"MIME_NO_HEADERS", "The message does not begin with a header."},
	[MAIL_NO_BLANK_LINE] = {"MIME_NO_BLANK_LINE", "A header block ends without its blank line: "
						      "readers differ in where the body begins."},
	[MAIL_HEADER_MALFORMED] = {"MIME_HEADER_MALFORMED",
		"A line among the headers has no colon, or no proper header name."},
	[MAIL_HEADER_SPACE] = {"MIME_HEADER_SPACE", "A header has white space where some readers "
						    "do not see it: before its name or colon."},
	[MAIL_HEADER_NUL] = {"MIME_HEADER_NUL", "The headers contain a NUL octet."},
	[MAIL_HEADER_8BIT] = {"MIME_HEADER_8BIT",
		"The headers contain octets that are neither ASCII nor UTF-8."},
	[MAIL_HEADER_LIMIT] = {"MIME_HEADER_LIMIT", "There are more headers than are looked at."},
	[MAIL_BARE_CR] = {"MIME_BARE_CR", "A carriage return stands without its line feed."},
	[MAIL_BARE_LF] = {"MIME_BARE_LF", "A line feed stands without its carriage return."},
	[MAIL_NUL] = {"MIME_NUL", "The message contains a NUL octet."},
	[MAIL_LONG_LINE] = {"MIME_LONG_LINE", "A line is longer than 998 octets."},
	[MAIL_DUP_CONTENT_TYPE] = {"MIME_DUP_CONTENT_TYPE",
		"A part has more than one Content-Type header."},
	[MAIL_DUP_CTE] = {"MIME_DUP_CTE",
		"A part has more than one Content-Transfer-Encoding header."},
	[MAIL_BAD_CONTENT_TYPE] = {"MIME_BAD_CONTENT_TYPE",
		"A Content-Type header is not in the standard's syntax, or repeats a parameter."},
	[MAIL_BAD_CTE] = {"MIME_BAD_CTE", "A Content-Transfer-Encoding is unknown, ambiguous, or "
					  "not allowed where it stands."},
	[MAIL_BOUNDARY_MISSING] = {"MIME_BOUNDARY_MISSING",
		"A multipart has no boundary, or its boundary is never found."},
	[MAIL_BOUNDARY_ODD] = {"MIME_BOUNDARY_ODD",
		"A boundary is written in a way that readers understand differently."},
	[MAIL_BOUNDARY_UNCLOSED] = {"MIME_BOUNDARY_UNCLOSED", "A multipart is not closed."},
	[MAIL_BOUNDARY_REUSED] = {"MIME_BOUNDARY_REUSED",
		"A multipart has the boundary of the one around it, or the beginning of it."},
	[MAIL_HIDDEN_CONTENT] = {"MIME_HIDDEN_CONTENT",
		"There is content before the first boundary or after the last, where few readers "
		"look."},
	[MAIL_BASE64_ODD] = {"MIME_BASE64_ODD",
		"Base64 content has foreign characters, data after its padding, or a broken end."},
	[MAIL_QP_ODD] = {"MIME_QP_ODD", "Quoted-printable content has illegal escapes."},
	[MAIL_ENCODED_WORD_ODD] = {"MIME_ENCODED_WORD_ODD",
		"A header has an encoded word that is not in the standard's syntax."},
	[MAIL_CHARSET_UNKNOWN] = {"MIME_CHARSET_UNKNOWN", "A character set is unknown."},
	[MAIL_CHARSET_BROKEN] = {"MIME_CHARSET_BROKEN",
		"Text has octets that its character set does not have."},
	[MAIL_DEPTH_LIMIT] = {"MIME_DEPTH_LIMIT", "Parts are nested deeper than is looked at."},
	[MAIL_PARTS_LIMIT] = {"MIME_PARTS_LIMIT", "There are more parts than are looked at."},
	[MAIL_PARTIAL] = {"MIME_PARTIAL",
		"A part is a fragment of a message, or stands for content that lies elsewhere."},
	[MAIL_UUENCODE] = {"MIME_UUENCODE", "Text contains a file encoded by uuencode."},
	[MAIL_PARAM_AMBIGUOUS] = {"MIME_PARAM_AMBIGUOUS",
		"A parameter, such as a file name, is given twice with different values."},
};

const char *mail_anomaly_name(enum mail_anomaly a)
{
	assert(a < MAIL_ANOMALY_COUNT);
	return anomalies[a].name;
}

const char *mail_anomaly_text(enum mail_anomaly a)
{
	assert(a < MAIL_ANOMALY_COUNT);
	return anomalies[a].text;
}
