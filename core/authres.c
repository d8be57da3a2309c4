#include "core/authres.h"

#include "core/limits.h"

#define MAX_DKIM   (LIMIT_DKIM_SIGNATURES + 2)
#define DKIM_BYTES 1500 /* of all signatures' results: a header is cut at 4000, DMARC's is last */
#define MAX_VALUE  320 /* a path of RFC 5321 and a little */
#define MAX_REASON 120

/* ----------------------------------------------------------------- writing */

/* RFC 2045 5.1, as RFC 8601 2.2 takes over; without '.' and '@' a pvalue needs no quotes either. */
static bool is_token_char(char c)
{
	return c > ' ' && c <= '~' && !strchr("()<>@,;:\\\"/[]?=", c);
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_token_char(s.p[i]))
			return false;
	return s.n;
}

/* local-part "@" domain-name of 2.2: only of plain atoms, all else is quoted. */
static bool is_plain_pvalue(struct str s)
{
	size_t at = str_rchr(s, '@');

	if (at == s.n)
		return is_token(s);
	return (at == 0 || is_token(str_sub(s, 0, at))) && dns_is_hostname(str_skip(s, at + 1));
}

/* RFC 5322 3.2.3 */
static bool is_dot_atom(struct str s)
{
	struct str atom;

	while (str_cut(&s, '.', &atom)) {
		for (size_t i = 0; i < atom.n; i++)
			if (!char_is_alnum(atom.p[i]) &&
				(!atom.p[i] || !strchr("!#$%&'*+-/=?^_`{|}~", atom.p[i])))
				return false;
		if (!atom.n)
			return false;
	}
	return true;
}

static void add_quoted(struct buf *out, struct str s, size_t cap)
{
	buf_char(out, '"');
	for (size_t i = 0; i < s.n && i < cap; i++) {
		char c = s.p[i];

		if (c == '"' || c == '\\')
			buf_char(out, '\\');
		buf_char(out, c >= ' ' && c <= '~' ? c : '?');
	}
	buf_char(out, '"');
}

static void add_property(struct buf *out, const char *name, struct str value)
{
	if (!value.n)
		return;
	buf_printf(out, " %s=", name);
	if (is_plain_pvalue(value) && value.n <= MAX_VALUE)
		buf_str_add(out, value);
	else
		add_quoted(out, value, MAX_VALUE);
}

/* For what must be a domain and nothing else: left out where it is none. */
static void add_domain(struct buf *out, const char *name, struct str domain)
{
	if (domain.n && dns_is_hostname(domain))
		add_property(out, name, domain);
}

static void add_result(struct buf *out, const char *method, int result, struct str reason)
{
	buf_printf(out, "; %s=%s", method, auth_result_names[result]);
	if (reason.n) {
		buf_c(out, " reason=");
		add_quoted(out, reason, MAX_REASON);
	}
}

static void add_spf(struct buf *out, const struct auth_spf *spf, const struct facts *facts)
{
	if (!spf)
		return;
	add_result(out, "spf", spf->result, STR(""));
	if (str_eq_c(spf->scope, "helo"))
		add_property(out, "smtp.helo", facts->helo.n ? facts->helo : spf->domain);
	else
		add_property(out, "smtp.mailfrom", facts->mail_from.n ? facts->mail_from : spf->domain);
}

static void add_signature(struct buf *out, const struct auth_dkim *d)
{
	add_result(out, "dkim", d->result, d->result == AUTH_PASS ? STR("") : d->reason);
	add_domain(out, "header.d", d->domain);
	add_domain(out, "header.s", d->selector);
	add_property(out, "header.a", d->algorithm);
	add_property(out, "header.b", d->signature);
}

/* Those that pass first: any number of broken ones must not push them out. */
static void add_dkim(struct buf *out, const struct auth_dkim_list *list)
{
	size_t begin = out->n, count = 0;

	if (!list)
		return;
	if (!list->n)
		add_result(out, "dkim", AUTH_NONE, STR(""));
	for (int passing = 1; passing >= 0; passing--)
		for (size_t i = 0; i < list->n && count < MAX_DKIM; i++) {
			const struct auth_dkim *d = &list->v[i];
			size_t before = out->n;

			if ((d->result == AUTH_PASS) != passing)
				continue;
			add_signature(out, d);
			count++;
			if (out->n - begin > DKIM_BYTES)
				out->n = before;
		}
}

static void add_dmarc(struct buf *out, const struct auth_dmarc *dmarc)
{
	if (!dmarc)
		return;
	add_result(out, "dmarc", dmarc->result, dmarc->override);
	add_domain(out, "header.from", dmarc->author_domain);
	if (dmarc->result == AUTH_PASS || dmarc->result == AUTH_FAIL)
		add_property(out, "policy.dmarc", str_c(dmarc_policy_names[dmarc->policy]));
}

/* No registered method: "x-" marks it as ours (RFC 8601 2.7.6). */
static void add_tls(struct buf *out, const struct facts_tls *tls)
{
	if (!tls)
		return;
	add_result(out, "x-tls", AUTH_PASS, STR(""));
	add_property(out, "smtp.tls", tls->version);
	add_property(out, "smtp.cipher", tls->cipher);
}

void authres_write(struct buf *out, const char *hostname, const struct facts *facts,
	const struct auth *auth)
{
	size_t empty;

	buf_c(out, hostname);
	empty = out->n;
	if (auth->iprev) {
		add_result(out, "iprev", auth->iprev->result, STR(""));
		add_property(out, "policy.iprev", facts->client_ip);
	}
	add_spf(out, auth->spf, facts);
	/* Of a null sender that is the one above. */
	if (auth->spf_helo && !(auth->spf && str_eq_c(auth->spf->scope, "helo")) &&
		(facts->helo.n || auth->spf_helo->domain.n))
		add_spf(out, auth->spf_helo, facts);
	add_dkim(out, auth->dkim);
	if (auth->arc && auth->arc->result != AUTH_NONE)
		add_result(out, "arc", auth->arc->result,
			auth->arc->result == AUTH_PASS ? STR("") : auth->arc->reason);
	add_dmarc(out, auth->dmarc);
	if (out->n == empty)
		buf_c(out, "; none");
	else
		add_tls(out, facts->tls);
}

/* key-value-pair of RFC 7208 9.1: a dot-atom, or quoted. */
static void add_pair(struct buf *out, const char *key, struct str value)
{
	buf_printf(out, " %s=", key);
	if (value.n <= MAX_VALUE && is_dot_atom(value))
		buf_str_add(out, value);
	else
		add_quoted(out, value, MAX_VALUE);
	buf_char(out, ';');
}

void authres_received_spf(struct buf *out, const char *hostname, const struct facts *facts,
	const struct auth_spf *spf)
{
	bool is_helo = str_eq_c(spf->scope, "helo");

	buf_c(out, auth_result_names[spf->result]);
	add_pair(out, "receiver", str_c(hostname));
	add_pair(out, "client-ip", facts->client_ip);
	add_pair(out, "envelope-from", facts->mail_from);
	add_pair(out, "helo", facts->helo);
	add_pair(out, "identity", is_helo ? STR("helo") : STR("mailfrom"));
}

/* ------------------------------------------------------------- recognising */

/* What somebody's strip() takes for one, beside those of the standard. */
static bool is_blank(char c)
{
	return (unsigned char)c <= ' ' || c == 127;
}

/* Skips blanks, folds and comments; false if a comment never ends. */
static bool skip_cfws(struct str *s)
{
	unsigned depth = 0;

	while (s->n) {
		char c = s->p[0];

		if (c == '(')
			depth++;
		else if (c == ')' && depth)
			depth--;
		else if (c == '\\' && depth && s->n > 1)
			*s = str_skip(*s, 1);
		else if (!depth && !is_blank(c))
			break;
		*s = str_skip(*s, 1);
	}
	return !depth;
}

/* "host", "host.", "host/1", "host:25": all but a longer name is `own`. */
static bool names(struct str id, struct str own)
{
	id = str_trim(id);
	if (id.n < own.n || !str_ieq(str_sub(id, 0, own.n), own))
		return false;
	id = str_skip(id, own.n);
	if (id.n && id.p[0] == '.')
		id = str_skip(id, 1);
	else if (id.n && id.p[0] == '-')
		return false;
	return !id.n || (!char_is_alnum(id.p[0]) && id.p[0] != '_');
}

enum claim { CLAIM_NO, CLAIM_YES, CLAIM_UNREADABLE };

/*
 * Reads words and quoted strings one after the other. Where blanks, folds or comments part them, what
 * stands before may be the whole identifier (a version follows), or only a piece of it (RFC 5322's
 * obsolete domains): both readings count.
 */
static enum claim read_claim(struct str s, struct str own)
{
	char id[512];
	size_t n = 0;
	bool quoted = false;

	if (!skip_cfws(&s))
		return CLAIM_UNREADABLE;
	while (s.n && n < sizeof(id) && (quoted || s.p[0] != ';')) {
		char c = s.p[0];

		if (!quoted && (c == '(' || is_blank(c))) {
			if (names(str_from(id, n), own))
				return CLAIM_YES;
			if (!skip_cfws(&s))
				return CLAIM_UNREADABLE;
			continue;
		}
		if (c == '"') {
			quoted = !quoted;
		} else if (c == '\\' && quoted && s.n > 1) {
			s = str_skip(s, 1);
			id[n++] = s.p[0];
		} else if ((c == ' ' || !is_blank(c)) && (unsigned char)c < 0x80) {
			/* Others may strip a BOM and the like, too: none of it is part of a host name. */
			id[n++] = c;
		}
		s = str_skip(s, 1);
	}
	if (quoted)
		return CLAIM_UNREADABLE;
	/* Encoded words have no place here (RFC 2047 5): whoever writes one means to deceive. */
	return str_starts(str_from(id, n), "=?") || names(str_from(id, n), own) ? CLAIM_YES : CLAIM_NO;
}

bool authres_claims(struct str value, const char *hostname)
{
	struct str own = str_c(hostname);

	switch (read_claim(value, own)) {
	case CLAIM_YES:
		return true;
	case CLAIM_NO:
		return false;
	case CLAIM_UNREADABLE:
		break;
	}
	return str_ifind(value, own) < value.n;
}

/* ------------------------------------------------------------------ reading */

/* The octets up to the ';' that ends an item: not one in a comment or in quotes. */
static struct str take_item(struct str *rest)
{
	struct str all = *rest;
	bool quoted = false;
	unsigned depth = 0;

	for (; rest->n; *rest = str_skip(*rest, 1)) {
		char c = rest->p[0];

		if (c == '\\' && (quoted || depth) && rest->n > 1)
			*rest = str_skip(*rest, 1);
		else if (c == '"' && !depth)
			quoted = !quoted;
		else if (c == '(' && !quoted)
			depth++;
		else if (c == ')' && !quoted && depth)
			depth--;
		else if (c == ';' && !quoted && !depth)
			break;
	}
	struct str item = str_sub(all, 0, all.n - rest->n);
	*rest = rest->n ? str_skip(*rest, 1) : (struct str){ NULL, 0 };
	return item;
}

/* The next word, or what stands in quotes; ends also at one of `stops`. */
static struct str take_word(struct str *s, const char *stops)
{
	size_t n = 0;

	skip_cfws(s);
	if (s->n && s->p[0] == '"') {
		*s = str_skip(*s, 1);
		struct str quoted = str_sub(*s, 0, str_chr(*s, '"'));
		*s = str_skip(*s, quoted.n + 1);
		return quoted;
	}
	while (n < s->n && s->p[n] != '(' && (!s->p[n] || !strchr(" \t\r\n", s->p[n])) &&
		(!s->p[n] || !strchr(stops, s->p[n])))
		n++;
	struct str word = str_sub(*s, 0, n);
	*s = str_skip(*s, n);
	return word;
}

/* A "=" and the word behind it; empty if there is none. */
static struct str take_value(struct str *s)
{
	skip_cfws(s);
	if (!s->n || s->p[0] != '=')
		return STR("");
	*s = str_skip(*s, 1);
	return take_word(s, "");
}

bool authres_next(struct str *rest, struct authres_item *item_r)
{
	if (!rest->p)
		return false;
	struct str item = take_item(rest);
	item_r->method = take_word(&item, "=/");
	skip_cfws(&item);
	if (item.n && item.p[0] == '/') { /* a version */
		item = str_skip(item, 1);
		take_word(&item, "=");
	}
	item_r->result = take_value(&item);
	item_r->properties = item;
	return true;
}

struct str authres_property(const struct authres_item *item, const char *name)
{
	struct str rest = item->properties;

	while (rest.n) {
		size_t before = rest.n;
		struct str key = take_word(&rest, "=");
		struct str value = take_value(&rest);
		if (value.n && str_ieq_c(key, name))
			return value;
		if (rest.n == before) /* an octet that starts no word */
			rest = str_skip(rest, 1);
	}
	return STR("");
}
