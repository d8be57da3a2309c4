/*
 * lesson: mail to an address that learns (`learn` in the configuration): which address is
 * one, and whose mail is taken there.
 *
 * What is attached to such a message is taught to the classifier, so it must come from
 * somebody whom the administrator answers for: a user of a domain of ours, proved by an
 * aligned SPF or DKIM pass of the From domain, through a relay of the `from` list, or by an
 * outbound listener.
 * The score does not count: what is forwarded as spam looks like spam.
 */
#ifndef GATEWAY_LESSON_H
#define GATEWAY_LESSON_H

#include "core/verdict.h"
#include "gateway/config.h"

enum lesson_label { LESSON_NONE, LESSON_SPAM, LESSON_HAM };
/* What is learned from mail to this address; without case. */
enum lesson_label lesson_label(const struct config_learn *learn, struct str address);

/* The domain of ours, in its canonical form, whose user a giver is (an address, or the domain
 * itself); empty where there is but one domain, whose view is that of all. */
struct str lesson_tenant(const struct config *config, struct str giver);

enum lesson_judgement { LESSON_TAKEN, LESSON_REFUSED, LESSON_LATER };
/*
 * LATER: a DNS answer that could have proved it is missing, or the verdict itself says try
 * again. *who_r is the giver, for quotas: the sender's address if it is in the author's
 * domain, else that domain, or the relay's address; it points into facts or verdict.
 */
enum lesson_judgement lesson_judge(const struct config *config, const struct facts *facts,
	const struct verdict *verdict, struct str *who_r);

#endif
