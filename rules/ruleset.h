/*
 * ruleset: rules in the language of SpamAssassin, read from files, tried on a message.
 *
 *	header   SUBJ_FREE  Subject =~ /\bfree\b/i        also :raw :addr :name, !~, [if-unset: x],
 *	header   HAS_MAILER exists:X-Mailer               ALL, ToCc, EnvelopeFrom, MESSAGEID, MESSAGE
 *	body     LOTTERY    /you have won/i
 *	rawbody  FONT_TINY  /font-size:\s*1px/i
 *	full     GTUBE_LIKE /X{5}/
 *	uri      URI_IP     m{^https?://\d+\.\d+}
 *	mimeheader EXE      Content-Type =~ /name=.*\.exe/i
 *	meta     BOTH       LOTTERY && (URI_IP || BAYES_99)
 *	describe BOTH       a sentence for people
 *	score    BOTH       2.5                           of four values, the last
 *	tflags   BOTH       nice
 *
 * A name that begins with "__" is a part of metas and is not reported. A rule
 * without a score counts 1. `if` and `ifplugin` blocks are left out, their `else`
 * is taken. Texts: header values with encoded words decoded; body, the subject and
 * the visible text with blanks collapsed; rawbody, text parts with markup; uri, each
 * link as it stands and with its host in canonical form. All are UTF-8, of at most
 * LIMIT_RULES_TEXT_BYTES. `header NAME MESSAGE` is tried on lines that say what is
 * known of the message as a whole: see rules/target.h.
 *
 * All is read, compiled and linked before the sandbox closes, by one owner; then
 * it is only used:
 *
 *	struct ruleset *rs = ruleset_new(arena, &err);
 *	ruleset_read(rs, "own.rules", text, &err);
 *	ruleset_finish(rs, &err);
 *	ruleset_run(rs, &input, hits);           for each message
 *	ruleset_metas(rs, hits, &findings, ...);  when all filters have run
 */
#ifndef RULES_RULESET_H
#define RULES_RULESET_H

#include "core/mail/mail.h"
#include "core/option.h"
#include "core/verdict.h"

struct ruleset;

/* NULL without memory for the matcher. The arena is the process's. */
struct ruleset *ruleset_new(struct arena *arena, struct err *err);
/* Gives back what is not in the arena (for tests: the process keeps its rules). */
void ruleset_free(struct ruleset **rs);

/* The rules that come with the program: rules/default.rules. */
struct str ruleset_default_text(void);
/*
 * Reads a file's text; may be called several times, and a rule that is defined again replaces
 * the earlier one. -1: *err has "FILE:LINE: what", for as many errors as it holds.
 */
int ruleset_read(struct ruleset *rs, const char *file, struct str text, struct err *err);
/* Links metas to their rules; no more files after it. -1: cycles, malformed expressions. */
int ruleset_finish(struct ruleset *rs, struct err *err);
/* "FILE:LINE: what" for everything that was left out without harm. */
const struct option_strings *ruleset_warnings(const struct ruleset *rs);
/* Changes whenever any text that was read does; 16 hexadecimal digits. */
const char *ruleset_version(const struct ruleset *rs);

/* All rules, metas and sub-rules too; hits of ruleset_run() are numbered alike. */
size_t ruleset_count(const struct ruleset *rs);
struct ruleset_rule {
	struct str name;
	struct str text; /* a sentence */
	double score;
	bool reported;	 /* neither a sub-rule nor one with score 0 */
	bool is_meta;
};
struct ruleset_rule ruleset_rule(const struct ruleset *rs, size_t i);

struct ruleset_input {
	struct mail *mail;
	struct str envelope_from;
	struct arena *arena; /* of the transaction */
};
/*
 * Tries all rules but metas. hits: ruleset_count() of them, zeroed by the caller. Returns the name
 * of the first rule whose expression ran into a limit (it counts as no match), or the empty str.
 * After LIMIT_RULES_HARD of these the rest are not tried.
 */
struct str ruleset_run(const struct ruleset *rs, const struct ruleset_input *in, bool *hits);

/*
 * Appends a finding (of filter "rules") to *all for every meta that holds, over the hits (NULL:
 * none) and all findings; LIMIT_FINDINGS at most. score() gives the administrator's score for a
 * name, or `def`; may be NULL.
 */
void ruleset_metas(const struct ruleset *rs, const bool *hits, struct finding_list *all,
	struct arena *arena, double (*score)(const void *context, struct str finding, double def),
	const void *context);

#endif
