/*
 * target: the texts of a message that expressions are tried on.
 *
 * Each is made when the first rule asks for it, once a message, and is nothing
 * but text: what a rule cannot see here, it cannot judge.
 *
 *	struct target_text texts[count] = { 0 };
 *	const struct target_text *t = target_text(&target, &input, &texts[i]);
 *	for (size_t k = 0; k < t->n; k++) match_try(m, pattern, &t->v[k]);
 *
 * The pseudo header MESSAGE has these lines, each "name: value":
 *
 *	structure: text-only | html-only | text-and-html | no-text
 *	shown_octets, hidden_octets, html_tags, html_comments, links, images,
 *	remote_images, forms, scripts, parts: N
 *	attachment: TYPE/SUBTYPE FILE NAME               for each part with a file name
 *	link_mismatch: SHOWN.HOST REAL.HOST              for links whose text is another host's address
 *	url_host: HOST                                   for each host
 */
#ifndef RULES_TARGET_H
#define RULES_TARGET_H

#include "rules/match.h"
#include "rules/ruleset.h"

enum target_kind {
	TARGET_HEADER,
	TARGET_ALL,
	TARGET_TOCC,
	TARGET_ENVELOPE_FROM,
	TARGET_MESSAGEID,
	TARGET_MESSAGE,
	TARGET_BODY,
	TARGET_RAWBODY,
	TARGET_FULL,
	TARGET_URI,
	TARGET_MIMEHEADER,
};
enum target_form { TARGET_DECODED, TARGET_RAW, TARGET_ADDRESS, TARGET_NAME };

struct target {
	enum target_kind kind;
	enum target_form form; /* headers */
	const char *header;    /* HEADER, MIMEHEADER */
};

struct target_text {
	bool known, present; /* present: the header is there, if only to be empty */
	struct match_text *v;
	size_t n;
};

/* Fills *cache unless it is known. All memory is the input's arena's or the mail's. */
const struct target_text *target_text(const struct target *target,
	const struct ruleset_input *in, struct target_text *cache);
/* Not UTF-8 but the octets of the message? */
bool target_is_octets(const struct target *target);

#endif
