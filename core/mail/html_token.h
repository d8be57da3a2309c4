/*
 * html_token: tags of HTML as the tokenizer of the WHATWG standard reads them
 * (13.2.5), and what is special about which element. Only core/mail/html.c and
 * its stack of elements use it.
 *
 *	struct html_token t;
 *	at = html_token_read(in, at_name, &t);
 *	if (t.tag == TAG_a) use(t.attributes[ATTRIBUTE_HREF]);
 */
#ifndef CORE_MAIL_HTML_TOKEN_H
#define CORE_MAIL_HTML_TOKEN_H

#include "core/str.h"

/* Classes of elements, as the standard's tree construction (13.2.6) treats them. */
enum html_class {
	PLAIN = 0,
	VOID = 1 << 0,	   /* has no content and no end tag */
	BLOCK = 1 << 1,	   /* stands on lines of its own */
	CELL = 1 << 2,	   /* a blank to its neighbours */
	CLOSES_P = 1 << 3, /* ends an open <p> */
	SPECIAL = 1 << 4,  /* end tags of plain elements do not reach past it */
	FORMAT = 1 << 5,   /* its end tag reaches past special elements (adoption agency) */
	SCOPE = 1 << 6,	   /* no end tag reaches past it but those of tables' parts */
	BUTTON = 1 << 7,   /* ends the scope of <p> too */
	RAW = 1 << 8,	   /* no markup inside */
	BREAKOUT = 1 << 9, /* ends <svg> and <math> */
	HIDDEN = 1 << 10,  /* never shown */
	FOREIGN = 1 << 11, /* of <svg> or <math>, or a way back from there to HTML */
};

#define TAG(name, classes) TAG_##name,
enum html_tag {
#include "core/mail/html_tags.def"
	TAG_OTHER,
	TAG_COUNT
};
#undef TAG

/* The attributes that matter; of one that stands twice, the first counts (13.2.5.33). */
enum html_attribute {
	ATTRIBUTE_HREF,
	ATTRIBUTE_SRC,
	ATTRIBUTE_ACTION,
	ATTRIBUTE_STYLE,
	ATTRIBUTE_HIDDEN,
	ATTRIBUTE_CONTENT,
	ATTRIBUTE_HTTP_EQUIV,
	ATTRIBUTE_CHARSET,
	ATTRIBUTE_BACKGROUND,
	ATTRIBUTE_FORMACTION,
	ATTRIBUTE_OPEN,
	ATTRIBUTE_COUNT
};

struct html_token {
	enum html_tag tag;
	struct str name; /* as it stands */
	bool self_closing;
	struct str attributes[ATTRIBUTE_COUNT]; /* raw; p NULL: absent */
};

/* Space, tab, line feed, carriage return, form feed. */
static inline bool html_token_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v');
}
/* Bits of enum html_class. */
unsigned html_token_classes(enum html_tag tag);
/*
 * Reads a tag whose name begins at in.p[at]. Returns what follows its '>', or in.n if it never
 * ended: then it is no tag for a browser, but its links are looked at all the same.
 */
size_t html_token_read(struct str in, size_t at, struct html_token *token_r);
/* What an element without markup holds, which begins at in.p[at]: up to its end tag, or the end. */
struct str html_token_raw(struct str in, size_t at, enum html_tag tag);
/* Behind the comment whose "<!--" ends at in.p[at]. */
size_t html_token_comment_end(struct str in, size_t at);

#endif
