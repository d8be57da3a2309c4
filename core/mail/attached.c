#include "core/mail/attached.h"

#include "core/buf.h"

/* So much of an attachment is looked at to see whether it is a message. */
enum { HEAD_BYTES = 64 << 10 };

void mail_add_crlf(struct str octets, struct buf *out)
{
	for (size_t at; octets.n; octets = str_skip(octets, at + 1)) {
		at = str_chr(octets, '\n');
		struct str line = str_sub(octets, 0, at);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		buf_str_add(out, line);
		buf_c(out, "\r\n");
		if (at == octets.n)
			return;
	}
}

static bool has_crlf(struct str octets)
{
	for (size_t at; octets.n; octets = str_skip(octets, at + 1)) {
		at = str_chr(octets, '\n');
		if (at == octets.n || at == 0 || octets.p[at - 1] != '\r')
			return false;
	}
	return true;
}

/* As it was before it was attached: RFC 2046 5.1.1 counts its last CRLF to the boundary. */
static struct str as_message(struct arena *arena, struct str octets)
{
	struct buf lines = BUF_INIT;
	if (has_crlf(octets))
		return octets;
	mail_add_crlf(octets, &lines);
	struct str message = arena_dup(arena, buf_str(&lines));
	buf_free(&lines);
	return message;
}

/* Several clients attach messages as files of no particular type. */
static bool claims_to_be_message(const struct mail_part *p)
{
	struct str name = p->filename;
	return p->is_message ||
		(!p->is_multipart && name.n > 4 && str_ieq_c(str_skip(name, name.n - 4), ".eml"));
}

static bool is_within_message(const struct mail *m, const struct mail_part *p)
{
	for (int at = p->parent; at >= 0; at = m->parts.v[at].parent)
		if (claims_to_be_message(&m->parts.v[at]))
			return true;
	return false;
}

static void add_message(struct mail *m, struct mail_part *p, size_t max,
	struct mail_attached *attached)
{
	struct str message = as_message(m->arena, mail_part_decoded(m, p));
	struct mail *head = mail_parse(m->arena, str_sub(message, 0, HEAD_BYTES));
	if (!mail_header(head, "From", NULL))
		return;
	attached->count++;
	if (attached->messages.n < max)
		attached->messages.v[attached->messages.n++] = message;
}

/* RFC 5965 3: the report's fields stand in its body as header fields do. */
static struct str feedback_type(struct mail *m, struct mail_part *p)
{
	struct str fields = as_message(m->arena, mail_part_decoded(m, p));
	struct mail *report = mail_parse(m->arena, str_sub(fields, 0, HEAD_BYTES));
	const struct mail_header *type = mail_header(report, "Feedback-Type", NULL);
	return type ? arena_lower(m->arena, mail_unfold(m->arena, type->value)) : STR("");
}

void mail_attached(struct mail *m, size_t max, struct mail_attached *attached_r)
{
	size_t most = max < m->parts.n ? max : m->parts.n;
	*attached_r = (struct mail_attached){ .feedback = STR("") };
	attached_r->messages.v = ARENA_ARRAY(m->arena, most, struct str);
	for (size_t i = 0; i < m->parts.n; i++) {
		struct mail_part *p = &m->parts.v[i];
		if (is_within_message(m, p))
			continue;
		if (claims_to_be_message(p))
			add_message(m, p, max, attached_r);
		else if (str_eq_c(p->type, "message") && str_eq_c(p->subtype, "feedback-report"))
			attached_r->feedback = feedback_type(m, p);
	}
}
