/*
 * target: the texts of a message that expressions are tried on.
 *
 * What a rule cannot see here, it cannot judge.
 *
 *	struct target_text t;
 *	target_text(&target, &input, &t);
 *	for (size_t k = 0; k < t.n; k++) match_try(m, pattern, t.v[k]);
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
	bool present; /* the header is there, if only to be empty */
	struct str *v;
	size_t n;
};

/* All memory is the input's arena's or the mail's. */
void target_text(const struct target *target, const struct ruleset_input *in,
	struct target_text *text_r);
/* Not UTF-8 but the octets of the message? */
bool target_is_octets(const struct target *target);

#endif
