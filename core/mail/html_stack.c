#include "core/mail/html_stack.h"

static void recompute(struct html_stack *s, size_t from)
{
	for (size_t i = from; i < s->depth; i++) {
		struct html_element *e = &s->v[i];
		unsigned inherited = i ? s->v[i - 1].hiding : 0;
		e->hiding = (inherited & ~e->clear) | e->set;
	}
}

void html_stack_open(struct html_stack *s, const struct html_token *t, unsigned set,
	unsigned clear)
{
	if (s->depth == LIMIT_HTML_DEPTH)
		return;
	struct html_element *e = &s->v[s->depth++];
	*e = (struct html_element){ .tag = t->tag, .set = set, .clear = clear };
	if (t->tag == TAG_OTHER)
		e->name = t->name;
	s->open[t->tag]++;
	recompute(s, s->depth - 1);
}

static void pop_to(struct html_stack *s, size_t depth)
{
	while (s->depth > depth)
		s->open[s->v[--s->depth].tag]--;
}

/* Takes one element out and leaves what is inside it open: the adoption agency's effect. */
static void take_out(struct html_stack *s, size_t at)
{
	s->open[s->v[at].tag]--;
	memmove(&s->v[at], &s->v[at + 1], (s->depth - at - 1) * sizeof(s->v[0]));
	s->depth--;
	recompute(s, at);
}

/* Ends the innermost `tag` that lies above every element of the classes `stop`, and all in it. */
static void close_within(struct html_stack *s, enum html_tag tag, unsigned stop)
{
	if (!s->open[tag])
		return;
	for (size_t i = s->depth; i-- > 0;) {
		if (s->v[i].tag == tag) {
			pop_to(s, i);
			return;
		}
		if (html_token_classes(s->v[i].tag) & stop)
			return;
	}
}

/* The same for parts of a table, which only a table contains. */
static void close_in_table(struct html_stack *s, enum html_tag tag)
{
	if (!s->open[tag])
		return;
	for (size_t i = s->depth; i-- > 0;) {
		if (s->v[i].tag == tag) {
			pop_to(s, i);
			return;
		}
		if (s->v[i].tag == TAG_table || s->v[i].tag == TAG_template)
			return;
	}
}

static void close_format(struct html_stack *s, enum html_tag tag)
{
	if (!s->open[tag])
		return;
	for (size_t i = s->depth; i-- > 0;) {
		if (s->v[i].tag == tag) {
			take_out(s, i);
			return;
		}
		if (html_token_classes(s->v[i].tag) & SCOPE)
			return;
	}
}

static void close_plain(struct html_stack *s, const struct html_token *t)
{
	if (!s->open[t->tag])
		return;
	for (size_t i = s->depth; i-- > 0;) {
		const struct html_element *e = &s->v[i];
		if (e->tag == t->tag && (e->tag != TAG_OTHER || str_ieq(e->name, t->name))) {
			pop_to(s, i);
			return;
		}
		if (html_token_classes(e->tag) & SPECIAL)
			return;
	}
}

bool html_stack_is_foreign(const struct html_stack *s)
{
	return (s->open[TAG_svg] || s->open[TAG_math]) && !s->open[TAG_foreignobject] &&
		!s->open[TAG_desc];
}

/* 13.2.6.4.7 and on. */
void html_stack_give_way(struct html_stack *s, enum html_tag tag)
{
	if (html_stack_is_foreign(s) && (html_token_classes(tag) & BREAKOUT)) {
		close_within(s, TAG_svg, 0);
		close_within(s, TAG_math, 0);
	}
	if (html_token_classes(tag) & CLOSES_P)
		close_within(s, TAG_p, SCOPE | BUTTON);
	switch (tag) {
	case TAG_a:
		close_format(s, TAG_a);
		break;
	case TAG_li:
		close_within(s, TAG_li, SCOPE);
		break;
	case TAG_dd:
	case TAG_dt:
		close_within(s, TAG_dd, SCOPE);
		close_within(s, TAG_dt, SCOPE);
		break;
	case TAG_option:
	case TAG_optgroup:
		close_within(s, TAG_option, SPECIAL & ~SCOPE);
		break;
	case TAG_td:
	case TAG_th:
		close_in_table(s, TAG_td);
		close_in_table(s, TAG_th);
		break;
	case TAG_tbody:
	case TAG_thead:
	case TAG_tfoot:
		close_in_table(s, TAG_tbody);
		close_in_table(s, TAG_thead);
		close_in_table(s, TAG_tfoot);
		close_in_table(s, TAG_tr);
		break;
	case TAG_tr:
		close_in_table(s, TAG_tr);
		break;
	default:
		break;
	}
}

void html_stack_close(struct html_stack *s, const struct html_token *t)
{
	unsigned classes = html_token_classes(t->tag);

	switch (t->tag) {
	case TAG_body:
	case TAG_html:
		/* What follows is still of the body (13.2.6.4.19). */
		return;
	case TAG_tr:
	case TAG_td:
	case TAG_th:
	case TAG_tbody:
	case TAG_thead:
	case TAG_tfoot:
	case TAG_caption:
		close_in_table(s, t->tag);
		return;
	case TAG_table:
	case TAG_template:
		close_within(s, t->tag, 0);
		return;
	case TAG_p:
		close_within(s, TAG_p, SCOPE | BUTTON);
		return;
	default:
		break;
	}
	if (classes & FORMAT)
		close_format(s, t->tag);
	else if (classes & SPECIAL)
		close_within(s, t->tag, SCOPE);
	else
		close_plain(s, t);
}
