/*
 * verdict: from findings and policy to an action and a sentence that says why.
 *
 * A pure function, the one place to read when somebody asks "why was this
 * refused?". Order of decision: a filter's failure (`on_error`), syntax and lists
 * that act directly, viruses, DMARC, then the score against the recipient's
 * thresholds. Each recipient has its own action; the top-level action and reply
 * are what the sender is told (gateway/outcome.c splits the rest).
 */
#ifndef RULES_VERDICT_H
#define RULES_VERDICT_H

#include "core/mail/mail.h"
#include "rules/policy.h"

/* A filter that returned STEP_FAIL or ran out of time, with on_error other than ignore. */
struct filter_failure {
	struct str filter, reason;
	int action; /* ACTION_QUARANTINE or ACTION_TEMPFAIL */
};

struct verdict_input {
	const struct facts *facts;
	unsigned stage; /* bits of enum stage; STAGE_MESSAGE alone once the message is there */
	const struct policy_set *policies;
	const struct filter_failure *failures;
	size_t failure_count;
	const char *hostname;
	struct mail *mail; /* NULL before MESSAGE */
};
/* That of outgoing mail, or of this recipient's domain. */
const struct policy *verdict_policy(const struct verdict_input *in, struct str recipient);
/*
 * Expects findings (scores already the administrator's), auth, bayes, virus filled in;
 * fills in score, action, reason, reply, recipients. Before MESSAGE only refusals and tempfails
 * of findings that act directly count. All strings are the arena's.
 */
void verdict_decide(const struct verdict_input *in, struct arena *arena, struct verdict *v);
/*
 * Our header lines (Received excluded: the front's), for all and a recipient's own, and the
 * cuts of forged ones. After verdict_decide. On entry v->headers holds what filters proposed.
 * Outgoing mail gets none: what we think of it is nobody else's business. In
 * rules/verdict_headers.c.
 */
void verdict_headers(const struct verdict_input *in, struct arena *arena, struct verdict *v);
/*
 * Of a message that came by here and was delivered: the names of its findings as our header lines
 * tell them, blanks between, in the mail's arena. Empty unless there is one X-Spam-Status and one
 * Authentication-Results of `hostname`: whoever wrote both has been here, or knows how we do it.
 */
struct str verdict_headers_findings(struct mail *mail, const char *hostname);

#endif
