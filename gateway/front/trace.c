#include "gateway/front/trace.h"

#include <time.h>

#include "core/headerline.h"
#include "core/limits.h"
#include "gateway/identity.h"

enum { OWN_LINES = 3, DATE_MAX = 40 };

/* A HELO argument is hostile: of what is neither name nor address literal nothing stays
 * that means something in a Received line. */
static void add_helo(struct buf *out, struct str helo)
{
	static const char allowed[] = ".-_[]:";

	if (!helo.n) {
		buf_c(out, "unknown");
		return;
	}
	helo = str_sub(helo, 0, LIMIT_DOMAIN);
	for (size_t i = 0; i < helo.n; i++) {
		char c = helo.p[i];
		bool fine = char_is_alnum(c) || (c != '\0' && strchr(allowed, c));

		buf_char(out, fine ? c : '?');
	}
}

static void add_client(const struct trace *trace, struct buf *out)
{
	struct str ip = trace->facts->client_ip;
	bool v6 = str_chr(ip, ':') < ip.n;

	buf_c(out, " (");
	buf_str_add(out, trace->ptr.n && dns_is_hostname(trace->ptr) ? trace->ptr : STR("unknown"));
	/* RFC 5321 4.1.3: IPv6 literals carry a tag. */
	buf_c(out, v6 ? " [IPv6:" : " [");
	buf_str_add(out, ip);
	buf_c(out, "])");
}

static void add_date(struct buf *out, int64_t now)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
		"Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)now;
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		return;
	buf_printf(out, "; %s, %02d %s %d %02d:%02d:%02d +0000", days[tm.tm_wday], tm.tm_mday,
		months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void trace_received(const struct trace *trace, struct buf *out)
{
	const struct facts *facts = trace->facts;
	struct buf value = BUF_INIT;

	buf_c(&value, "from ");
	add_helo(&value, facts->helo);
	add_client(trace, &value);
	if (facts->account.n)
		buf_printf(&value, " (Authenticated sender: %.*s)", STR_ARG(facts->account));
	buf_printf(&value, " by %s (Gatepost) with ", trace->hostname);
	/* RFC 3848 */
	buf_c(&value, !facts->esmtp ? "SMTP" : facts->tls ? "ESMTPS" : "ESMTP");
	if (facts->account.n)
		buf_char(&value, 'A');
	if (facts->tls) {
		buf_c(&value, " (");
		buf_str_add(&value, facts->tls->version);
		buf_char(&value, ' ');
		buf_str_add(&value, facts->tls->cipher);
		buf_char(&value, ')');
	}
	buf_c(&value, " id ");
	buf_str_add(&value, trace->id);
	/* Only where it tells nobody about the others (RFC 5321 7.2). */
	if (facts->rcpt_to.n == 1 && facts->rcpt_to.v[0].n <= LIMIT_DOMAIN) {
		buf_c(&value, " for <");
		buf_str_add(&value, facts->rcpt_to.v[0]);
		buf_char(&value, '>');
	}
	add_date(&value, facts->now);
	headerline_add(out, "Received", buf_str(&value));
	buf_free(&value);
}

/* The next header field with its folded lines; false behind the header block. */
static bool next_field(struct str *rest, struct str *field_r)
{
	size_t end = 0;

	if (!rest->n || str_starts(*rest, "\r\n"))
		return false;
	do {
		size_t nl = str_chr(str_skip(*rest, end), '\n');

		end += nl + 1;
		if (end >= rest->n)
			end = rest->n;
	} while (end < rest->n && char_is_wsp(rest->p[end]));
	*field_r = str_sub(*rest, 0, end);
	*rest = str_skip(*rest, end);
	return true;
}

bool trace_loops(struct str content, const char *hostname)
{
	struct str field;
	unsigned all = 0, ours = 0;

	while (next_field(&content, &field)) {
		if (!str_istarts(field, "received"))
			continue;
		field = str_skip(field, sizeof("received") - 1);
		while (field.n && char_is_wsp(field.p[0]))
			field = str_skip(field, 1);
		if (!str_starts(field, ":"))
			continue;
		all++;
		if (identity_is_own_line(field, hostname))
			ours++;
	}
	return all >= LIMIT_RECEIVED_COUNT || ours >= OWN_LINES;
}
