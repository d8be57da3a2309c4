/*
 * tags: the tag=value lists of DKIM signatures and keys (RFC 6376 section 3.2).
 *
 *	struct dkim_tags tags;
 *	if (dkim_tags_parse(STR("v=1; d=example.org"), arena, &tags) == 0)
 *		struct str d = dkim_tags_get(&tags, "d");
 *
 * Values point into the text; folds stay inside them (dkim_tags_squeeze).
 */
#ifndef FILTERS_DKIM_TAGS_H
#define FILTERS_DKIM_TAGS_H

#include "core/record.h"

struct dkim_tag {
	struct str name, value; /* value: trimmed */
};
struct dkim_tags {
	LIST(struct dkim_tag) list;
};

#define DKIM_TAGS_MAX 64 /* in one list; the standard knows 12 */

/* 0; -1 for a broken list, a tag that stands twice, or an octet that has no place there. */
int dkim_tags_parse(struct str text, struct arena *arena, struct dkim_tags *tags_r);
/* The value, or a str with p NULL if the tag is absent. Names are case-sensitive. */
struct str dkim_tags_get(const struct dkim_tags *tags, const char *name);
/* Without any white space. */
struct str dkim_tags_squeeze(struct str value, struct arena *arena);

#endif
