/* EHLO and HELO (RFC 5321 4.1.1.1). */
#include "gateway/front/session.h"

#include "core/limits.h"
#include "core/smtp/sasl.h"
#include "gateway/front/upstream.h"

/* What every mailbox server that a recipient may lead to can do, as far as we know; and no more
 * than we can keep ourselves. */
static void offer(struct session *s, struct buf *text)
{
	enum traffic traffic = facts_traffic(&s->facts);
	unsigned offers = upstream_offers(s->front->upstream, traffic);

	buf_printf(text, "%s", s->front->config->hostname);
	buf_c(text, "\nPIPELINING");
	buf_printf(text, "\nSIZE %llu",
		(unsigned long long)upstream_size_limit(s->front->upstream, traffic));
	if (offers & CLIENT_8BITMIME)
		buf_c(text, "\n8BITMIME");
	if (s->listener->tls && !s->facts.tls)
		buf_c(text, "\nSTARTTLS");
	if (s->listener->config->accounts && s->facts.tls && !s->facts.account.n)
		buf_c(text, "\nAUTH " SASL_MECHANISMS);
	buf_c(text, "\nENHANCEDSTATUSCODES");
	buf_c(text, "\nCHUNKING");
}

void cmd_ehlo(struct session *s, const struct command *cmd)
{
	struct buf text = BUF_INIT;
	size_t n = cmd->argument.n;

	if (!n || n > LIMIT_DOMAIN) {
		session_line(s, "501 5.5.2 Say your name: EHLO host.example.org");
		return;
	}
	/* RFC 5321 4.1.4: a new EHLO clears all that a MAIL began. A name that is no domain is
	 * taken all the same (4.1.4: must not be refused for that alone); filters see it. */
	session_end_transaction(s);
	memcpy(s->helo, cmd->argument.p, n);
	s->helo[n] = '\0';
	s->facts.helo = str_from(s->helo, n);
	s->facts.has_helo = true;
	s->facts.esmtp = cmd->verb == COMMAND_EHLO;
	s->greeted = true;
	if (s->facts.esmtp)
		offer(s, &text);
	else
		buf_c(&text, s->front->config->hostname);
	session_reply(s, 250, "", buf_str(&text));
	buf_free(&text);
}
