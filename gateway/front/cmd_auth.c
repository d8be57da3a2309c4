/* AUTH (RFC 4954): on outbound listeners that take accounts, inside TLS. */
#include "gateway/front/session.h"

#include "core/smtp/sasl.h"
#include "gateway/log.h"

enum { FAILURES_WINDOW_S = 600 };

static uint64_t failures_key(const struct session *s)
{
	return s->client_key ^ 3;
}

/* Adds n; how often this client, by whatever connections, failed lately. */
static int64_t failures(struct session *s, int64_t n)
{
	return shared_rate(s->front->shared, failures_key(s), n, FAILURES_WINDOW_S,
		front_time(s->front));
}

static void note(const struct session *s, enum log_level level, const char *event, struct str account)
{
	struct log_line *line = log_line(level, event);

	log_c(line, "session", s->id);
	log_str(line, "client", s->facts.client_ip);
	log_str(line, "account", account);
	log_end(line);
}

static void check(struct session *s, const struct sasl *sasl)
{
	const struct account *account = accounts_check(&s->front->accounts, sasl->name, sasl->password);

	/* Its domain may have gone since it was made. */
	if (account && config_find_domain(s->front->config,
			       str_skip(account->address, str_rchr(account->address, '@') + 1))) {
		s->facts.account = account->address;
		shared_add(s->front->shared, SHARED_AUTH_SUCCESSES, 1);
		note(s, LOG_LEVEL_INFO, "authenticated", account->address);
		session_line(s, "235 2.7.0 Authenticated");
		return;
	}
	shared_add(s->front->shared, SHARED_AUTH_FAILURES, 1);
	note(s, LOG_LEVEL_INFO, "auth-failed", sasl->name);
	session_line(s, "535 5.7.8 Name or password is wrong");
	if (failures(s, 1) >= s->front->config->limits.auth_failures)
		session_dismiss(s, "421 4.7.0 Too many wrong passwords from your address, try again later");
}

static void go_on(struct session *s, enum sasl_step step)
{
	s->phase = SESSION_COMMAND;
	switch (step) {
	case SASL_CHALLENGE:
		s->phase = SESSION_AUTH;
		session_challenge(s, s->sasl->challenge);
		return;
	case SASL_CREDENTIALS:
		check(s, s->sasl);
		break;
	case SASL_CANCELLED:
		session_line(s, "501 5.7.0 Cancelled");
		break;
	case SASL_SYNTAX:
		session_line(s, "501 5.5.2 That is not what the mechanism asks for, in base64");
		break;
	case SASL_UNKNOWN:
		session_line(s, "504 5.5.4 Use AUTH PLAIN or AUTH LOGIN");
		break;
	}
	sasl_end(s->sasl);
}

/* NULL, or the line that refuses. */
static const char *refusal(struct session *s)
{
	if (!s->listener->config->accounts)
		return s->facts.outbound ? "502 5.5.1 No accounts are taken here: no AUTH" :
			"502 5.5.1 This is a server for incoming mail: no AUTH here";
	if (!s->facts.esmtp)
		return "503 5.5.1 Say EHLO first";
	if (!s->facts.tls)
		return "538 5.7.11 Passwords are taken inside TLS only: say STARTTLS first";
	if (s->facts.account.n)
		return "503 5.5.1 You are authenticated already";
	if (s->transaction)
		return "503 5.5.1 Not within a transaction";
	if (failures(s, 0) >= s->front->config->limits.auth_failures)
		return "421 4.7.0 Too many wrong passwords from your address, try again later";
	return NULL;
}

void cmd_auth(struct session *s, const struct command *cmd)
{
	const char *line = refusal(s);

	if (line) {
		session_line(s, line);
		if (str_starts(str_c(line), "421"))
			session_close(s);
		return;
	}
	if (!s->sasl)
		s->sasl = ARENA_NEW(session_arena(s), struct sasl);
	go_on(s, sasl_begin(s->sasl, session_arena(s), cmd->mechanism, cmd->initial));
}

void cmd_auth_input(struct session *s, struct str line)
{
	go_on(s, sasl_next(s->sasl, line));
}

void cmd_auth_broken(struct session *s)
{
	s->phase = SESSION_COMMAND;
	sasl_end(s->sasl);
	session_line(s, "500 5.5.6 This line is too long, or no line of AUTH");
}
