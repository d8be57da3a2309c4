/*
 * tags: the tag=value lists of DKIM signatures and keys (RFC 6376 section 3.2).
 *
 *	struct tags tags;
 *	if (tags_parse(STR("v=1; d=example.org"), arena, &tags) == 0)
 *		struct str d = tags_get(&tags, "d");
 *
 * Values point into the text; folds stay inside them (tags_squeeze).
 */
#ifndef CORE_MAIL_TAGS_H
#define CORE_MAIL_TAGS_H

#include "core/record.h"

struct tag {
	struct str name, value; /* value: trimmed */
};
struct tags {
	LIST(struct tag) list;
};

#define TAGS_MAX 64 /* in one list; the standard knows 12 */

/* 0; -1 for a broken list, a tag that stands twice, or an octet that has no place there. */
int tags_parse(struct str text, struct arena *arena, struct tags *tags_r);
/* The value, or a str with p NULL if the tag is absent. Names are case-sensitive. */
struct str tags_get(const struct tags *tags, const char *name);
/* Without any white space. */
struct str tags_squeeze(struct str value, struct arena *arena);

#endif
