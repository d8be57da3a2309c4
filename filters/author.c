/*
 * author: is mail of ours from whom it says? Outgoing mail alone; of what strangers send, DMARC
 * says it.
 *
 * The sender is the account that was proved, or without one the address of MAIL FROM, which the
 * front lets through for domains of ours alone. Reports and bounces have no sender: of these the
 * author must be of ours, no more. How far author and sender must agree is `outbound { from }`.
 * That From holds one address, written in one way, is the headers filter's business: what it
 * refuses is refused here again, so that nothing hangs on that one being enabled.
 */
#include "core/filter.h"
#include "core/smtp/command.h"
#include "rules/policy.h"

static const struct finding_def findings[] = {
	{ "AUTHOR_UNKNOWN", 0, "The From header does not name exactly one author.", ACTION_REJECT },
	{ "AUTHOR_FOREIGN", 0, "The address in From is in no domain of ours.", ACTION_REJECT },
	{ "AUTHOR_OTHER_DOMAIN", 0, "The address in From is in another domain than the sender's.",
		ACTION_REJECT },
	{ "AUTHOR_OTHER_ADDRESS", 0, "The address in From is not the sender's.", ACTION_REJECT },
	{ .name = NULL },
};

struct author_conf {
	const struct policy_set *policies;
};

static int start(void *conf, const struct env *env, struct err *err)
{
	struct author_conf *c = conf;

	(void)err;
	c->policies = env->policies;
	return 0;
}

static bool find_author(struct mail *m, struct mail_address *author_r)
{
	const struct mail_header *from = mail_header(m, "From", NULL);
	struct mail_addresses addresses;

	if (!from || from->odd || mail_header(m, "From", from))
		return false;
	mail_parse_addresses(m, from->value, &addresses);
	if (!addresses.valid || addresses.list.n != 1)
		return false;
	*author_r = addresses.list.v[0];
	return author_r->local.n && author_r->domain.n;
}

/* An envelope's address may be quoted where none is needed. */
static bool same_local(struct arena *arena, struct str envelope, struct str header)
{
	struct command_path path;

	if (command_mailbox(envelope, true, &path) != 0)
		return false;
	return str_ieq(command_local_unquoted(arena, &path), header);
}

static bool same_domain(struct arena *arena, struct str address, struct str domain)
{
	struct str canonical;

	address = str_skip(address, str_rchr(address, '@') + 1);
	return mail_domain_canonical(arena, address, &canonical) == 0 && str_eq(canonical, domain);
}

static enum step run(struct filter_call *call)
{
	const struct author_conf *c = call->conf;
	const struct facts *facts = call->facts;
	struct str sender = facts->account.n ? facts->account : facts->mail_from;
	int mode = policy_outbound(c->policies)->from;
	struct mail_address author;

	if (call->stage != STAGE_MESSAGE)
		return STEP_DONE;
	if (!find_author(call->mail, &author)) {
		report(call, "AUTHOR_UNKNOWN", NULL);
		return STEP_DONE;
	}
	call->verdict->sign_for = author.domain;
	if (!policy_knows_domain(c->policies, author.domain))
		report(call, "AUTHOR_FOREIGN",
			"The address in From is at %.*s, which is no domain of ours: From must be an "
			"address of who sends.", STR_ARG(author.domain));
	else if (!sender.n || mode == POLICY_FROM_ANY)
		return STEP_DONE;
	else if (!same_domain(call->arena, sender, author.domain))
		report(call, "AUTHOR_OTHER_DOMAIN",
			"The address in From is at %.*s, but the sender is %.*s.",
			STR_ARG(author.domain), STR_ARG(sender));
	else if (mode == POLICY_FROM_ADDRESS && !same_local(call->arena, sender, author.local))
		report(call, "AUTHOR_OTHER_ADDRESS",
			"The address in From is %.*s@%.*s, but the sender is %.*s.",
			STR_ARG(author.local), STR_ARG(author.domain), STR_ARG(sender));
	return STEP_DONE;
}

const struct filter filter_author = {
	.name = "author",
	.summary = "of outgoing mail: is it from whom From says?",
	.stages = STAGE_MESSAGE,
	.traffic = TRAFFIC_OUTBOUND,
	.findings = findings,
	.conf_size = sizeof(struct author_conf),
	.start = start,
	.run = run,
};
