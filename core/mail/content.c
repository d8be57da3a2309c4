#include "core/mail/content.h"

#include "core/limits.h"
#include "core/mail/anomaly.h"
#include "core/mail/param.h"

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?=", c))
			return false;
	}
	return s.n > 0;
}

/* RFC 2046 5.1.1 but without its list of allowed characters, which nobody keeps: what matters
 * is where readers differ. */
static bool is_odd_boundary(struct str b)
{
	for (size_t i = 0; i < b.n; i++) {
		unsigned char c = (unsigned char)b.p[i];
		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\')
			return true;
	}
	return b.n > 70;
}

static void take_boundary(struct mail *m, struct mail_part *p, const struct mail_params *params)
{
	struct mail_param_value v;
	if (!mail_params_get(m, params, "boundary", &v))
		return;
	mail_note_if(m, v.odd || v.ambiguous || params->comments, MAIL_BOUNDARY_ODD);
	/* RFC 2046 5.1.1: it does not end in white space. */
	struct str b = v.text;
	while (b.n && char_is_wsp(b.p[b.n - 1]))
		b.n--;
	mail_note_if(m, b.n != v.text.n || is_odd_boundary(b), MAIL_BOUNDARY_ODD);
	if (!b.n || b.n > LIMIT_BOUNDARY_BYTES || str_chr(b, '\n') < b.n)
		return; /* the scanner notes that it is missing */
	p->boundary = b;
}

static void take_name(
	struct mail *m, struct mail_part *p, const struct mail_params *params, const char *name)
{
	struct mail_param_value v;
	if (!mail_params_get(m, params, name, &v))
		return;
	mail_note_if(m, v.ambiguous, MAIL_PARAM_AMBIGUOUS);
	if (!p->filename.n)
		p->filename = v.text;
	else
		mail_note_if(m, !str_eq(p->filename, v.text), MAIL_PARAM_AMBIGUOUS);
}

static bool take_type(struct mail *m, struct mail_part *p, const struct mail_params *params)
{
	struct str value = params->value;
	size_t slash = str_chr(value, '/');
	struct str type = str_sub(value, 0, slash), subtype = str_skip(value, slash + 1);
	bool good = is_token(type) && is_token(subtype);
	mail_note_if(m, !good || params->malformed, MAIL_BAD_CONTENT_TYPE);
	/* "multipart" alone, "text": what there is of it is taken. */
	if (!is_token(type))
		return false;
	p->type = arena_lower(m->arena, type);
	p->subtype = arena_lower(m->arena, subtype);
	return true;
}

static void read_type(struct mail *m, struct mail_part *p)
{
	struct mail_params params;
	struct mail_param_value v;
	const struct mail_header *h = mail_part_header(p, "Content-Type", NULL);
	if (!h)
		return;
	mail_params_parse(m->arena, h->value, &params);
	if (take_type(m, p, &params) && mail_params_get(m, &params, "charset", &v)) {
		p->charset = arena_lower(m->arena, str_trim_crlf(v.text));
		mail_note_if(m, v.ambiguous, MAIL_BAD_CONTENT_TYPE);
	}
	take_boundary(m, p, &params);
	take_name(m, p, &params, "name");
	while ((h = mail_part_header(p, "Content-Type", h))) {
		mail_note(m, MAIL_DUP_CONTENT_TYPE);
		if (p->boundary.n)
			continue;
		mail_params_parse(m->arena, h->value, &params);
		if (str_istarts(params.value, "multipart"))
			take_boundary(m, p, &params);
	}
}

static void read_disposition(struct mail *m, struct mail_part *p)
{
	const struct mail_header *h = mail_part_header(p, "Content-Disposition", NULL);
	if (!h)
		return;
	struct mail_params params;
	struct str name = p->filename;
	mail_params_parse(m->arena, h->value, &params);
	p->disposition = arena_lower(m->arena, params.value);
	/* It has precedence over the name in Content-Type, and must not differ from it. */
	p->filename = STR("");
	take_name(m, p, &params, "filename");
	if (!p->filename.n)
		p->filename = name;
	else
		mail_note_if(m, name.n && !str_eq(name, p->filename), MAIL_PARAM_AMBIGUOUS);
	mail_note_if(
		m, mail_part_header(p, "Content-Disposition", h) != NULL, MAIL_PARAM_AMBIGUOUS);
}

static enum mail_encoding encoding_of(struct mail *m, struct str name)
{
	static const struct {
		const char *name;
		enum mail_encoding encoding;
	} encodings[] = {
		{"7bit", MAIL_7BIT},
		{"8bit", MAIL_8BIT},
		{"binary", MAIL_BINARY},
		{"base64", MAIL_BASE64},
		{"quoted-printable", MAIL_QP},
	};
	for (size_t i = 0; i < sizeof(encodings) / sizeof(*encodings); i++)
		if (str_ieq_c(name, encodings[i].name))
			return encodings[i].encoding;
	mail_note(m, MAIL_BAD_CTE);
	mail_note_if(m, str_ifind(name, STR("uue")) < name.n, MAIL_UUENCODE);
	return MAIL_UNKNOWN_ENCODING;
}

/* RFC 2045 6.1: one token. Comments, quotes and parameters are seen through, and noted. */
static enum mail_encoding parse_encoding(struct mail *m, struct str value)
{
	struct mail_params params;
	mail_params_parse(m->arena, value, &params);
	struct str name = params.value;
	mail_note_if(m, params.comments || params.malformed || params.n > 0, MAIL_BAD_CTE);
	if (name.n >= 2 && name.p[0] == '"' && name.p[name.n - 1] == '"') {
		mail_note(m, MAIL_BAD_CTE);
		name = str_sub(name, 1, name.n - 2);
	}
	return encoding_of(m, name);
}

static void read_encoding(struct mail *m, struct mail_part *p)
{
	static const char name[] = "Content-Transfer-Encoding";
	const struct mail_header *h = mail_part_header(p, name, NULL);
	p->encoding = h ? parse_encoding(m, h->value) : MAIL_7BIT;
	p->last_encoding = p->encoding;
	while (h && (h = mail_part_header(p, name, h))) {
		mail_note(m, MAIL_DUP_CTE);
		mail_note(m, MAIL_BAD_CTE);
		p->last_encoding = parse_encoding(m, h->value);
	}
}

static struct str read_id(struct mail *m, const struct mail_part *p)
{
	const struct mail_header *h = mail_part_header(p, "Content-ID", NULL);
	if (!h)
		return STR("");
	struct str id = mail_unfold(m->arena, h->value);
	if (id.n >= 2 && id.p[0] == '<' && id.p[id.n - 1] == '>')
		id = str_sub(id, 1, id.n - 2);
	return id;
}

void mail_content_read(struct mail *m, struct mail_part *p, bool in_digest)
{
	p->type = in_digest ? STR("message") : STR("text");
	p->subtype = in_digest ? STR("rfc822") : STR("plain");
	p->charset = p->boundary = p->filename = p->disposition = p->content_id = STR("");
	read_type(m, p);
	read_disposition(m, p);
	read_encoding(m, p);
	p->content_id = read_id(m, p);
	p->is_multipart = str_eq_c(p->type, "multipart");
	bool message = str_eq_c(p->type, "message");
	p->is_message =
		message && (str_eq_c(p->subtype, "rfc822") || str_eq_c(p->subtype, "global"));
	mail_note_if(m,
		message &&
			(str_eq_c(p->subtype, "partial") || str_eq_c(p->subtype, "external-body")),
		MAIL_PARTIAL);
	/* RFC 2045 6.4: no other than the identity encodings for these. */
	bool encoded = p->encoding == MAIL_BASE64 || p->encoding == MAIL_QP;
	mail_note_if(m, encoded && (p->is_multipart || p->is_message), MAIL_BAD_CTE);
}
