#include "gateway/front/ahead.h"

#include "core/filter.h"
#include "core/limits.h"
#include "core/mail/mail.h"
#include "gateway/front/answers.h"
#include "gateway/front/front.h"
#include "gateway/front/transaction.h"

enum { QUESTIONS_MAX = 2, WAIT_MS = 20000 };

/* A domain that can have records (RFC 7208 4.3), and is not known yet. */
static void add(struct transaction *t, struct needs *needs, struct str text)
{
	struct str name;

	if (mail_domain_canonical(t->arena, text, &name) < 0 || !dns_is_hostname(name) ||
		str_chr(name, '.') == name.n || facts_dns(&t->facts, name, DNS_TXT))
		return;
	for (size_t i = 0; i < needs->dns.n; i++)
		if (dns_name_eq(needs->dns.v[i].name, name))
			return;
	needs->dns.v[needs->dns.n++] = (struct dns_question){ .type = DNS_TXT, .name = name };
}

static void on_answered(void *context)
{
	struct transaction *t = context;

	t->ahead = NULL;
}

void ahead_ask(struct transaction *t)
{
	const struct ctl_ready *judge = &t->front->self->judge;
	int64_t wanted = t->facts.outbound ? judge->ahead_outbound : judge->ahead;
	struct needs *needs = ARENA_NEW(t->arena, struct needs);
	struct answers_order order = { .needs = needs, .facts = &t->facts, .arena = t->arena,
		.message_fd = -1, .limit_ms = WAIT_MS, .done = on_answered, .context = t };
	struct str from = t->facts.mail_from;

	needs->dns.v = ARENA_ARRAY(t->arena, QUESTIONS_MAX, struct dns_question);
	needs->steps = LIMIT_DNS_ALIASES;
	if (wanted & AHEAD_SENDER_TXT)
		add(t, needs, str_skip(from, str_rchr(from, '@') + 1));
	if (wanted & AHEAD_HELO_TXT)
		add(t, needs, t->facts.helo);
	if (needs->dns.n) {
		shared_add(t->front->shared, SHARED_DNS_QUESTIONS, (int64_t)needs->dns.n);
		t->ahead = answers_ask(t->front, &order);
	}
}
