/*
 * headers: is there exactly one author, and is the message what the standards call one?
 *
 * Whom a message is from is decided here once for all filters: every way of writing From that
 * two readers could understand differently is refused, since DMARC (RFC 9989 11.5) leaves that
 * to the receiver. The rest are signs with scores: missing and repeated headers, dates, and what
 * the parser of core/mail found odd.
 */
#include "core/filter.h"
#include "core/limits.h"
#include "core/mail/date.h"

#define DAY 86400

static const struct finding_def findings[] = {
	{ "HEADERS_FROM_MISSING", 5, "The message has no From header.", ACTION_REJECT },
	{ "HEADERS_FROM_REPEATED", 5, "The message has more than one From header.", ACTION_REJECT },
	{ "HEADERS_FROM_MALFORMED", 5,
		"The From header is written in a way that mail programs understand differently.",
		ACTION_REJECT },
	{ "HEADERS_FROM_INVALID", 5, "The From header does not hold one valid address.",
		ACTION_REJECT },
	{ "HEADERS_FROM_SEVERAL", 5, "The From header names more than one author.", ACTION_REJECT },
	{ "HEADERS_AMBIGUOUS", 5,
		"The message does not begin with a header, so headers put on top would change what "
		"it says.", ACTION_REJECT },
	{ "HEADERS_TOO_MANY_HOPS", 5,
		"The message has passed through too many mail servers: it is in a loop.",
		ACTION_REJECT },
	{ "HEADERS_BARE_CR", 5, "A header contains a carriage return without its line feed.",
		ACTION_REJECT },
	{ "HEADERS_FROM_OTHER_ADDRESS", 1.2,
		"The name in From is an address of another domain than the address itself." },
	{ "HEADERS_DATE_MISSING", 1, "The message has no Date header." },
	{ "HEADERS_DATE_INVALID", 1.2, "The Date header is not a date." },
	{ "HEADERS_DATE_FUTURE", 2, "The message is dated more than a day in the future." },
	{ "HEADERS_DATE_PAST", 0.5, "The message is dated more than a month ago." },
	{ "HEADERS_MESSAGE_ID_MISSING", 0.8, "The message has no Message-ID header." },
	{ "HEADERS_MESSAGE_ID_INVALID", 0.3, "The Message-ID is not of the form <left@right>." },
	{ "HEADERS_REPEATED", 1.5, "A header that must be unique stands twice." },
	{ "HEADERS_TO_MISSING", 0.4, "The message has no To or Cc header." },
	{ "HEADERS_SUBJECT_MISSING", 0.5, "The message has no Subject header." },
	/* What core/mail found: the sentences are those of mail_anomaly_text(). */
	{ "MIME_NO_HEADERS", 5, NULL, ACTION_REJECT },
	{ "MIME_NO_BLANK_LINE", 2 },
	{ "MIME_HEADER_MALFORMED", 1.5 },
	{ "MIME_HEADER_SPACE", 1.5 },
	{ "MIME_HEADER_NUL", 5, NULL, ACTION_REJECT },
	{ "MIME_HEADER_8BIT", 0.6 },
	/* What lies beyond is not seen here, but may be by others: an author, results in our name. */
	{ "MIME_HEADER_LIMIT", 5, NULL, ACTION_REJECT },
	{ "MIME_BARE_CR", 2.5 },
	{ "MIME_BARE_LF", 0.5 },
	{ "MIME_NUL", 5, NULL, ACTION_REJECT },
	{ "MIME_LONG_LINE", 0.1 },
	{ "MIME_DUP_CONTENT_TYPE", 4 },
	{ "MIME_DUP_CTE", 4 },
	{ "MIME_BAD_CONTENT_TYPE", 1 },
	{ "MIME_BAD_CTE", 1.5 },
	{ "MIME_BOUNDARY_MISSING", 2.5 },
	{ "MIME_BOUNDARY_ODD", 1.5 },
	{ "MIME_BOUNDARY_UNCLOSED", 0.5 },
	{ "MIME_BOUNDARY_REUSED", 3 },
	{ "MIME_HIDDEN_CONTENT", 3 },
	{ "MIME_BASE64_ODD", 1.5 },
	{ "MIME_QP_ODD", 0.3 },
	{ "MIME_ENCODED_WORD_ODD", 0.3 },
	{ "MIME_CHARSET_UNKNOWN", 0.3 },
	{ "MIME_CHARSET_BROKEN", 0.3 },
	{ "MIME_DEPTH_LIMIT", 5 },
	{ "MIME_PARTS_LIMIT", 5 },
	{ "MIME_PARTIAL", 4 },
	{ "MIME_UUENCODE", 0.5 },
	{ "MIME_PARAM_AMBIGUOUS", 1.5 },
	{ .name = NULL },
};

/* ---- the author ---- */

/* An address in the display name that is not the sender's: what many programs show alone. */
static void check_display(struct filter_call *call, const struct mail_address *from)
{
	struct str rest = from->display, word, domain;

	while (str_word(&rest, &word)) {
		size_t at = str_rchr(word, '@');
		if (!at || at == word.n)
			continue;
		word = str_skip(word, at + 1);
		while (word.n && strchr("\"'<>()[],;:.", word.p[word.n - 1]))
			word.n--;
		if (str_chr(word, '.') == word.n ||
			mail_domain_canonical(call->arena, word, &domain) != 0)
			continue;
		if (!str_eq(domain, from->domain))
			report(call, "HEADERS_FROM_OTHER_ADDRESS",
				"The name in From is an address at %.*s, but the message is from %.*s.",
				STR_ARG(domain), STR_ARG(from->domain));
		return;
	}
}

static void check_from(struct filter_call *call)
{
	struct mail *m = call->mail;
	const struct mail_header *from = mail_header(m, "From", NULL);
	struct mail_addresses addresses;

	if (!from) {
		report(call, "HEADERS_FROM_MISSING", NULL);
		return;
	}
	if (mail_header(m, "From", from)) {
		report(call, "HEADERS_FROM_REPEATED", "The message has %zu From headers.",
			mail_header_count(m, "From"));
		return;
	}
	if (from->odd) {
		report(call, "HEADERS_FROM_MALFORMED", NULL);
		return;
	}
	mail_parse_addresses(m, from->value, &addresses);
	if (addresses.list.n > 1)
		report(call, "HEADERS_FROM_SEVERAL", "The From header names %zu authors.",
			addresses.list.n);
	else if (!addresses.valid || addresses.list.n == 0 || !addresses.list.v[0].domain.n ||
		!addresses.list.v[0].local.n)
		report(call, "HEADERS_FROM_INVALID", NULL);
	else
		check_display(call, &addresses.list.v[0]);
}

/* ---- RFC 5322 3.6 ---- */

static void check_date(struct filter_call *call)
{
	const struct mail_header *date = mail_header(call->mail, "Date", NULL);
	int64_t when, now = call->facts->now;

	if (!date)
		report(call, "HEADERS_DATE_MISSING", NULL);
	else if (!date_parse(date->value, &when))
		report(call, "HEADERS_DATE_INVALID", NULL);
	else if (when > now + DAY)
		report(call, "HEADERS_DATE_FUTURE", "The message is dated %lld days in the future.",
			(long long)((when - now) / DAY));
	else if (when < now - 31 * DAY)
		report(call, "HEADERS_DATE_PAST", "The message is dated %lld days ago.",
			(long long)((now - when) / DAY));
}

static void check_message_id(struct filter_call *call)
{
	const struct mail_header *id = mail_header(call->mail, "Message-ID", NULL);

	if (!id) {
		report(call, "HEADERS_MESSAGE_ID_MISSING", NULL);
		return;
	}
	struct str value = str_trim_crlf(id->value);
	size_t at = str_rchr(value, '@');
	if (value.n < 5 || value.p[0] != '<' || value.p[value.n - 1] != '>' || at < 2 ||
		at + 2 >= value.n || str_chr(value, '>') + 1 != value.n)
		report(call, "HEADERS_MESSAGE_ID_INVALID", NULL);
}

static void check_counts(struct filter_call *call)
{
	static const char *const unique[] = { "Date", "Sender", "Reply-To", "To", "Cc", "Message-ID",
		"In-Reply-To", "References", "Subject", "MIME-Version" };
	const struct mail *m = call->mail;

	for (size_t i = 0; i < sizeof(unique) / sizeof(unique[0]); i++) {
		size_t n = mail_header_count(m, unique[i]);
		if (n < 2)
			continue;
		report(call, "HEADERS_REPEATED", "The header %s stands %zu times.", unique[i], n);
		break;
	}
	if (!mail_header(m, "To", NULL) && !mail_header(m, "Cc", NULL))
		report(call, "HEADERS_TO_MISSING", NULL);
	if (!mail_header(m, "Subject", NULL))
		report(call, "HEADERS_SUBJECT_MISSING", NULL);
	/* RFC 5321 6.3 */
	size_t hops = mail_header_count(m, "Received");
	if (hops > LIMIT_RECEIVED_COUNT)
		report(call, "HEADERS_TOO_MANY_HOPS",
			"The message has passed through %zu mail servers: it is in a loop.", hops);
}

/* ---- the block as a whole ---- */

/*
 * Our headers go on top. A first line that is folded would become a part of ours, and one that
 * begins with "From " would end the headers for some readers.
 */
static void check_top(struct filter_call *call)
{
	struct str raw = call->mail->raw;
	if (raw.n && (char_is_wsp(raw.p[0]) || str_starts(raw, "From ") || str_starts(raw, ">From ")))
		report(call, "HEADERS_AMBIGUOUS", NULL);
}

static void check_bare_cr(struct filter_call *call)
{
	struct str rest = str_sub(call->mail->raw, 0, call->mail->header_bytes);
	for (size_t at; (at = str_chr(rest, '\r')) < rest.n;) {
		rest = str_skip(rest, at + 1);
		if (rest.n && rest.p[0] != '\n') {
			report(call, "HEADERS_BARE_CR", NULL);
			return;
		}
	}
}

/* Some oddities come to light only when all is decoded. */
static void decode_all(struct mail *m)
{
	const struct mail_header *subject = mail_header(m, "Subject", NULL);
	if (subject)
		mail_decode_header(m, subject->value);
	mail_text(m);
	for (size_t i = 0; i < m->parts.n && !arena_is_over(m->arena); i++)
		if (!m->parts.v[i].has_children)
			mail_part_decoded(m, &m->parts.v[i]);
}

static void report_anomalies(struct filter_call *call)
{
	decode_all(call->mail);
	for (int a = 0; a < MAIL_ANOMALY_COUNT; a++)
		if (mail_has(call->mail, (enum mail_anomaly)a))
			report(call, mail_anomaly_name((enum mail_anomaly)a), "%s",
				mail_anomaly_text((enum mail_anomaly)a));
}

static enum step run(struct filter_call *call)
{
	if (call->stage != STAGE_MESSAGE)
		return STEP_DONE;
	check_top(call);
	check_bare_cr(call);
	check_from(call);
	check_date(call);
	check_message_id(call);
	check_counts(call);
	report_anomalies(call);
	return STEP_DONE;
}

const struct filter filter_headers = {
	.name = "headers",
	.summary = "exactly one author, and the sanity of headers and MIME structure",
	.stages = STAGE_MESSAGE,
	.traffic = TRAFFIC_INBOUND | TRAFFIC_OUTBOUND,
	.findings = findings,
	.run = run,
};
