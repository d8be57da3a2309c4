#include "rules/template.h"

#include "core/hash.h"

#define TEXT_CAP	500
#define MAX_ATTACHMENTS 50

static struct str header_text(struct mail *mail, const char *name)
{
	const struct mail_header *h = mail_header(mail, name, NULL);

	return h ? str_sub(str_trim_crlf(mail_decode_header(mail, h->value)), 0, TEXT_CAP) : STR("");
}

static void fill_attachments(struct mail *mail, struct arena *arena, struct str_list *list)
{
	list->v = ARENA_ARRAY(arena, MAX_ATTACHMENTS, struct str);
	list->n = 0;
	for (size_t i = 0; i < mail->parts.n && list->n < MAX_ATTACHMENTS; i++)
		if (mail->parts.v[i].filename.n)
			list->v[list->n++] = str_sub(mail->parts.v[i].filename, 0, TEXT_CAP);
}

static struct str envelope_domain(struct str address)
{
	return str_skip(address, str_rchr(address, '@') + 1);
}

static struct dmarc_row *dmarc_row(const struct verdict_input *in, struct arena *arena,
	const struct verdict *v)
{
	const struct auth_dmarc *dmarc = v->auth.dmarc;
	struct dmarc_row *row;

	/* RFC 9990 counts what a policy record was found for, and no answers of the moment. */
	if (!dmarc || !dmarc->policy_domain.n ||
		(dmarc->result != AUTH_PASS && dmarc->result != AUTH_FAIL))
		return NULL;
	row = ARENA_NEW(arena, struct dmarc_row);
	*row = (struct dmarc_row){
		.policy_domain = dmarc->policy_domain,
		.rua = dmarc->rua,
		.adkim = dmarc->adkim,
		.aspf = dmarc->aspf,
		.fo = dmarc->fo,
		.override = dmarc->override,
		.comment = dmarc->comment,
		.p = dmarc->published_p,
		.sp = dmarc->published_sp,
		.np = dmarc->published_np,
		.discovery = dmarc->discovery,
		.disposition = dmarc->disposition,
		.testing = dmarc->testing,
		.dkim_aligned = dmarc->dkim_aligned,
		.spf_aligned = dmarc->spf_aligned,
		.source_ip = in->facts->client_ip,
		.header_from = dmarc->author_domain,
		.envelope_from = envelope_domain(in->facts->mail_from),
		.spf = v->auth.spf,
	};
	if (v->auth.dkim)
		row->dkim = *v->auth.dkim;
	return row;
}

void template_fill(const struct verdict_input *in, struct arena *arena, struct verdict *v)
{
	struct record_template *t = &v->record;
	char hex[65];

	if (!t->dmarc)
		t->dmarc = dmarc_row(in, arena, v);
	else if (v->auth.dmarc)
		t->dmarc->disposition = v->auth.dmarc->disposition;
	if (!in->mail)
		return;
	t->message_id = header_text(in->mail, "Message-ID");
	t->subject = header_text(in->mail, "Subject");
	t->from = header_text(in->mail, "From");
	fill_attachments(in->mail, arena, &t->attachments);
	hash_sha256_hex(in->mail->raw, hex);
	t->content_hash = arena_dup(arena, str_c(hex));
}
