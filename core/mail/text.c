/* The text and the links of a message's parts: mail_part_text(), mail_text(), mail_urls(). */
#include "core/mail/mail.h"

#include "core/limits.h"
#include "core/mail/charset.h"
#include "core/mail/html.h"
#include "core/mail/url.h"

static bool is_html(const struct mail_part *p)
{
	return str_eq_c(p->subtype, "html") || str_eq_c(p->subtype, "xhtml") ||
		str_eq_c(p->subtype, "x-amp-html");
}

static void add_url(struct mail *m, const struct mail_url *url)
{
	size_t n = m->urls.n;
	if (n >= LIMIT_URLS)
		return;
	/* Room for 16, 32, 64...: full whenever the count is one of them. */
	if (!n || (n >= 16 && (n & (n - 1)) == 0))
		m->urls.v = arena_grow(m->arena, m->urls.v, n, n ? n * 2 : 16, sizeof(*m->urls.v));
	m->urls.v[m->urls.n++] = *url;
}

static void add_facts(struct mail_html_facts *sum, const struct mail_html_facts *one)
{
	sum->present = true;
	sum->links += one->links;
	sum->images += one->images;
	sum->remote_images += one->remote_images;
	sum->forms += one->forms;
	sum->scripts += one->scripts;
	sum->hidden_octets += one->hidden_octets;
	sum->tags += one->tags;
	sum->comments += one->comments;
}

/* Its links are kept at once: the part is not read a second time for them. */
static struct str html_text(struct mail *m, const struct mail_part *p, struct str utf8)
{
	struct html_doc doc;

	html_scan(m->arena, utf8, &doc);
	add_facts(&m->html, &doc.facts);
	for (size_t i = 0; i < doc.links.n; i++) {
		struct mail_url url;
		url_parse(m->arena, doc.links.v[i].url, &url);
		url.text = doc.links.v[i].text;
		url.source = doc.links.v[i].source;
		url.part = p->index;
		add_url(m, &url);
	}
	return doc.text;
}

struct str mail_part_text(struct mail *m, struct mail_part *p)
{
	if (p->text_known)
		return p->text;
	p->text_known = true;
	p->text = STR("");
	if (!str_eq_c(p->type, "text") || p->has_children || arena_is_over(m->arena))
		return p->text;

	struct str octets = str_sub(mail_part_decoded(m, p), 0, LIMIT_TEXT_SOURCE_BYTES);
	struct str charset = p->charset;
	bool html = is_html(p);
	if (html && !charset.n)
		charset = html_meta_charset(octets);
	struct str utf8 = mail_charset_to_utf8(m, octets, charset);
	p->text = html ? html_text(m, p, utf8) : str_sub(utf8, 0, LIMIT_TEXT_BYTES);
	return p->text;
}

struct str mail_text(struct mail *m)
{
	if (m->text_known)
		return m->text;
	m->text_known = true;

	size_t total = 0, filled = 0, last = 0;
	for (size_t i = 0; i < m->parts.n; i++) {
		struct str text = mail_part_text(m, &m->parts.v[i]);
		total += text.n + 1;
		filled += text.n > 0;
		last = text.n ? i : last;
	}
	if (filled <= 1) {
		m->text = m->parts.n ? m->parts.v[last].text : STR("");
		return m->text;
	}
	if (total > LIMIT_TEXT_BYTES)
		total = LIMIT_TEXT_BYTES;
	char *p = arena_alloc(m->arena, total);
	size_t n = 0;
	for (size_t i = 0; i < m->parts.n && n < total; i++) {
		struct str text = str_sub(m->parts.v[i].text, 0, total - n);
		if (!text.n)
			continue;
		memcpy(p + n, text.p, text.n);
		n += text.n;
		if (n < total)
			p[n++] = '\n';
	}
	m->text = str_from(p, n);
	return m->text;
}

/* A link whose text is its own address would stand in the list twice. */
static bool is_known(const struct mail *m, size_t from, size_t to, struct str url)
{
	for (size_t i = from; i < to; i++)
		if (str_ieq(m->urls.v[i].url, url))
			return true;
	return false;
}

void mail_urls(struct mail *m)
{
	if (m->urls_known)
		return;
	m->urls_known = true;

	for (size_t i = 0; i < m->parts.n; i++)
		mail_part_text(m, &m->parts.v[i]);
	size_t links = m->urls.n;
	for (size_t i = 0; i < m->parts.n && m->urls.n < LIMIT_URLS; i++) {
		struct mail_part *p = &m->parts.v[i];
		struct str found;
		size_t at = 0;
		while (m->urls.n < LIMIT_URLS && url_find(p->text, &at, &found)) {
			struct mail_url url;
			if (is_html(p) && is_known(m, 0, links, found))
				continue;
			url_parse(m->arena, found, &url);
			url.source = MAIL_URL_TEXT;
			url.part = i;
			add_url(m, &url);
		}
	}
}
