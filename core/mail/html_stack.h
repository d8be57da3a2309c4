/*
 * html_stack: the elements that are open, and so what hides the text inside them.
 *
 * As much of the standard's tree construction (13.2.6) as decides which end tag
 * ends what; LIMIT_HTML_DEPTH elements are remembered, those inside are not. Only
 * core/mail/html.c uses it.
 *
 *	html_stack_open(s, &token, STYLE_GONE, 0);
 *	if (html_stack_hiding(s)) ...
 *	html_stack_close(s, &token);
 */
#ifndef CORE_MAIL_HTML_STACK_H
#define CORE_MAIL_HTML_STACK_H

#include "core/limits.h"
#include "core/mail/html_token.h"

struct html_element {
	enum html_tag tag;
	struct str name;     /* of TAG_OTHER */
	unsigned hiding;     /* bits of enum style_hiding that hold inside */
	unsigned set, clear; /* its own share of them */
};

struct html_stack {
	struct html_element v[LIMIT_HTML_DEPTH];
	size_t depth;
	unsigned short open[TAG_COUNT]; /* how many of each are on the stack */
};

/* Bits of enum style_hiding that hold for text here. */
static inline unsigned html_stack_hiding(const struct html_stack *s)
{
	return s->depth ? s->v[s->depth - 1].hiding : 0;
}
static inline bool html_stack_has(const struct html_stack *s, enum html_tag tag)
{
	return s->open[tag] > 0;
}
/* Inside <svg> or <math>, where other rules hold. */
bool html_stack_is_foreign(const struct html_stack *s);

/* Ends what must give way to an element that starts: to be called before html_stack_open(). */
void html_stack_give_way(struct html_stack *s, enum html_tag tag);
/* An element starts; set and clear as style_hides() gives them. */
void html_stack_open(struct html_stack *s, const struct html_token *t, unsigned set,
	unsigned clear);
/* An end tag: ends what it ends, which may be nothing. */
void html_stack_close(struct html_stack *s, const struct html_token *t);

#endif
