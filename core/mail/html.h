/*
 * html: what a reader of an HTML part sees, and where its links lead.
 *
 * One pass over the octets after the tokenizer of the WHATWG standard (13.2.5);
 * no tree is built, only a short stack of open elements, which decides what is
 * hidden and where a block ends. Knows HTML, and as much of inline CSS as hides
 * text; hides both from the rest, which sees UTF-8 text and a list of links.
 *
 *	struct html_doc doc;
 *	html_scan(arena, STR("<p>See <a href='https://example.org/'>here</a>"), &doc);
 *	doc.text is "See here", doc.links.v[0].text is "here"
 *
 * Text: white space is collapsed, a block element stands on a line of its own,
 * cells of a table have a blank between them; comments, scripts, styles and the
 * title are left out. Text that is not shown (display:none, no size, no opacity,
 * off the page, the colour of its ground, `hidden`) is left out and counted in
 * facts.hidden_octets. Style sheets in <style> are not applied.
 *
 * Time is linear in the input; memory is bounded by LIMIT_TEXT_BYTES, LIMIT_URLS
 * and LIMIT_HTML_DEPTH. Any octets are fine: what is not UTF-8 is passed on.
 */
#ifndef CORE_MAIL_HTML_H
#define CORE_MAIL_HTML_H

#include "core/mail/mail.h"

struct html_link {
	struct str url;	 /* entities decoded, blanks at the ends and line breaks taken out (as browsers
			    do), made absolute by <base> if there is one; never empty */
	struct str text; /* visible text inside <a>; part of html_doc.text */
	enum mail_url_source source;
};

struct html_doc {
	struct str text;
	struct str base; /* of the first <base href> */
	LIST(struct html_link) links;
	struct mail_html_facts facts;
};

/* `in` is UTF-8. The result points into `in` and the arena. */
void html_scan(struct arena *arena, struct str in, struct html_doc *doc_r);
/* The charset that a <meta> in the first 1024 octets names, or empty (WHATWG 13.2.3.2). */
struct str html_meta_charset(struct str in);

#endif
