#include "core/smtp/command.h"

#include <assert.h>

#include "core/ip.h"
#include "core/limits.h"

#define LIMIT_ENVID 100 /* RFC 3461 4.4 */
#define LIMIT_ORCPT 500 /* RFC 3461 4.2 */
#define LIMIT_SUBMITTER 500 /* RFC 4954 3 */
#define LIMIT_MECHANISM 20 /* RFC 4422 3.1 */

static const struct {
	const char *name;
	enum command_verb verb;
} verbs[] = {
	{"EHLO", COMMAND_EHLO},
	{"HELO", COMMAND_HELO},
	{"LHLO", COMMAND_LHLO},
	{"MAIL", COMMAND_MAIL},
	{"RCPT", COMMAND_RCPT},
	{"DATA", COMMAND_DATA},
	{"BDAT", COMMAND_BDAT},
	{"RSET", COMMAND_RSET},
	{"NOOP", COMMAND_NOOP},
	{"QUIT", COMMAND_QUIT},
	{"VRFY", COMMAND_VRFY},
	{"EXPN", COMMAND_EXPN},
	{"HELP", COMMAND_HELP},
	{"STARTTLS", COMMAND_STARTTLS},
	{"AUTH", COMMAND_AUTH},
	{"ETRN", COMMAND_ETRN},
	{"XCLIENT", COMMAND_XCLIENT},
	{"XFORWARD", COMMAND_XFORWARD},
	{"GET", COMMAND_HTTP},
	{"POST", COMMAND_HTTP},
	{"PUT", COMMAND_HTTP},
	{"HEAD", COMMAND_HTTP},
	{"OPTIONS", COMMAND_HTTP},
	{"CONNECT", COMMAND_HTTP},
};

/* ---- words of the grammar ---- */

static bool is_high(char c)
{
	return (unsigned char)c >= 0x80;
}

/* RFC 5322 3.2.3; with octets of UTF-8 (RFC 6531 3.3), which are checked as a whole. */
static bool is_atext(char c)
{
	return char_is_alnum(c) || is_high(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_printable(char c)
{
	return c > ' ' && c < 0x7f;
}

static bool dot_string(struct str s)
{
	struct str atom;

	while (str_cut(&s, '.', &atom)) {
		if (!atom.n)
			return false;
		for (size_t i = 0; i < atom.n; i++)
			if (!is_atext(atom.p[i]))
				return false;
	}
	return true;
}

/* The length of the quoted string at the beginning of s, or 0. */
static size_t quoted_string(struct str s)
{
	if (!s.n || s.p[0] != '"')
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		char c = s.p[i];
		if (c == '"')
			return i + 1;
		if (c == '\\')
			c = ++i < s.n ? s.p[i] : '\0';
		if (c != ' ' && !is_printable(c) && !is_high(c))
			return 0;
	}
	return 0;
}

/* RFC 5321 4.1.2: sub-domain; a U-label (RFC 6531 3.3) has octets above 0x7f. */
static bool sub_domain(struct str label)
{
	if (!label.n || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!char_is_alnum(label.p[i]) && label.p[i] != '-' && !is_high(label.p[i]))
			return false;
	return true;
}

static bool domain_name(struct str s)
{
	struct str label;

	if (!s.n || s.n > LIMIT_DOMAIN)
		return false;
	while (str_cut(&s, '.', &label))
		if (!sub_domain(label))
			return false;
	return true;
}

/* RFC 5321 4.1.3; a General-address-literal is of no standard, and refused. */
static bool address_literal(struct str s)
{
	struct ip ip;

	if (s.n < 3 || s.p[0] != '[' || s.p[s.n - 1] != ']')
		return false;
	s = str_sub(s, 1, s.n - 2);
	if (str_istarts(s, "IPv6:")) {
		s = str_skip(s, 5);
		return str_chr(s, ':') < s.n && !ip_parse(s, &ip);
	}
	return str_chr(s, ':') == s.n && !ip_parse(s, &ip);
}

bool command_is_domain(struct str s)
{
	return str_is_ascii(s) && (domain_name(s) || address_literal(s));
}

int command_mailbox(struct str s, bool utf8, struct command_path *path_r)
{
	struct command_path path = {.address = s};

	if (s.n > LIMIT_PATH || (utf8 ? !str_is_utf8(s) : !str_is_ascii(s)))
		return -1;
	size_t at = quoted_string(s);
	path.quoted = at > 0;
	if (!path.quoted)
		at = str_chr(s, '@');
	if (!at || at >= s.n || s.p[at] != '@' || at > LIMIT_LOCAL_PART)
		return -1;
	path.local = str_sub(s, 0, at);
	path.domain = str_skip(s, at + 1);
	path.literal = address_literal(path.domain);
	path.utf8 = !str_is_ascii(s);
	if (!path.quoted && !dot_string(path.local))
		return -1;
	if (!path.literal && !domain_name(path.domain))
		return -1;
	*path_r = path;
	return 0;
}

struct str command_local_unquoted(struct arena *arena, const struct command_path *path)
{
	size_t n = 0;

	if (!path->quoted)
		return path->local;
	struct str inner = str_sub(path->local, 1, path->local.n - 2);
	char *plain = arena_alloc(arena, inner.n + 1);
	for (size_t i = 0; i < inner.n; i++) {
		if (inner.p[i] == '\\' && i + 1 < inner.n)
			i++;
		plain[n++] = inner.p[i];
	}
	return str_from(plain, n);
}

/* ---- xtext, RFC 3461 4 ---- */

/* One character of xtext from s at *i, or -1. An encoded NUL ends strings elsewhere: refused. */
static int xtext_next(struct str s, size_t *i)
{
	char c = s.p[(*i)++];

	if (c != '+')
		return is_printable(c) && c != '=' ? (unsigned char)c : -1;
	if (s.n - *i < 2)
		return -1;
	char h = s.p[*i], l = s.p[*i + 1];
	*i += 2;
	/* hexchar has upper case digits alone. */
	if (char_hex(h) < 0 || char_hex(l) < 0 || h >= 'a' || l >= 'a')
		return -1;
	int value = char_hex(h) * 16 + char_hex(l);
	return value ? value : -1;
}

int command_xtext(struct arena *arena, struct str s, struct str *plain_r)
{
	char *plain = arena_alloc(arena, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n;) {
		int c = xtext_next(s, &i);
		if (c < 0)
			return -1;
		plain[n++] = (char)c;
	}
	*plain_r = str_from(plain, n);
	return 0;
}

static bool is_xtext(struct str s, size_t max)
{
	for (size_t i = 0; i < s.n;)
		if (xtext_next(s, &i) < 0)
			return false;
	return s.n > 0 && s.n <= max;
}

/* ---- MAIL and RCPT ---- */

/* Takes the source route off, "@a,@b:"; -1 if it is none by the grammar. */
static int strip_route(struct str *s)
{
	if (!s->n || s->p[0] != '@')
		return 0;
	size_t colon = str_chr(*s, ':');
	if (colon == s->n)
		return -1;
	struct str route = str_sub(*s, 0, colon), hop;
	while (str_cut(&route, ',', &hop))
		if (hop.n < 2 || hop.p[0] != '@' || !domain_name(str_skip(hop, 1)))
			return -1;
	*s = str_skip(*s, colon + 1);
	return 0;
}

/* The length of "<...>" at the beginning of s, quoted strings respected, or 0. */
static size_t bracketed(struct str s)
{
	if (!s.n || s.p[0] != '<')
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '>')
			return i + 1;
		if (s.p[i] == '"') {
			size_t n = quoted_string(str_skip(s, i));
			if (!n)
				return 0;
			i += n - 1;
		}
	}
	return 0;
}

static enum command_error parse_path(struct str inner, unsigned offered, struct command *cmd)
{
	bool sender = cmd->verb == COMMAND_MAIL;
	enum command_error wrong = sender ? COMMAND_SENDER_SYNTAX : COMMAND_RECIPIENT_SYNTAX;

	cmd->path = (struct command_path){0};
	if (sender && !inner.n) {
		cmd->path.address = STR("");
		return COMMAND_OK;
	}
	/* RFC 5321 4.1.1.3: the one recipient that needs no domain. */
	if (!sender && str_ieq_c(inner, "postmaster")) {
		cmd->path.address = cmd->path.local = inner;
		return COMMAND_OK;
	}
	if (strip_route(&inner))
		return wrong;
	if (!(offered & COMMAND_SMTPUTF8) && !str_is_ascii(inner)) {
		struct command_path ignored;
		return command_mailbox(inner, true, &ignored) ? wrong : COMMAND_NEEDS_SMTPUTF8;
	}
	return command_mailbox(inner, offered & COMMAND_SMTPUTF8, &cmd->path) ? wrong : COMMAND_OK;
}

static enum command_error mail_size(struct command *cmd, struct str value)
{
	/* RFC 1870 3: up to 20 digits; more than there can be is as good as the largest. */
	if (!value.n || value.n > 20)
		return COMMAND_PARAMETER_VALUE;
	for (size_t i = 0; i < value.n; i++)
		if (!char_is_digit(value.p[i]))
			return COMMAND_PARAMETER_VALUE;
	if (str_to_u64(value, 0, UINT64_MAX, &cmd->size))
		cmd->size = UINT64_MAX;
	return COMMAND_OK;
}

static enum command_error mail_body(struct command *cmd, struct str value)
{
	if (str_ieq_c(value, "7BIT"))
		cmd->body = COMMAND_BODY_7BIT;
	else if (str_ieq_c(value, "8BITMIME"))
		cmd->body = COMMAND_BODY_8BITMIME;
	else
		return COMMAND_PARAMETER; /* BINARYMIME is not offered */
	return COMMAND_OK;
}

static enum command_error mail_utf8(struct command *cmd, struct str value)
{
	cmd->smtputf8 = true;
	return value.p ? COMMAND_PARAMETER_VALUE : COMMAND_OK;
}

static enum command_error mail_ret(struct command *cmd, struct str value)
{
	cmd->ret = value;
	return str_ieq_c(value, "FULL") || str_ieq_c(value, "HDRS") ? COMMAND_OK
								    : COMMAND_PARAMETER_VALUE;
}

static enum command_error mail_envid(struct command *cmd, struct str value)
{
	cmd->envid = value;
	return is_xtext(value, LIMIT_ENVID) ? COMMAND_OK : COMMAND_PARAMETER_VALUE;
}

/* RFC 4954 5: who submitted it, as the client says: taken, and believed as little as "<>". */
static enum command_error mail_auth(struct command *cmd, struct str value)
{
	cmd->submitter = value;
	return is_xtext(value, LIMIT_SUBMITTER) ? COMMAND_OK : COMMAND_PARAMETER_VALUE;
}

static enum command_error rcpt_notify(struct command *cmd, struct str value)
{
	struct str rest = value, word;

	cmd->notify = value;
	if (str_ieq_c(value, "NEVER"))
		return COMMAND_OK;
	if (!value.n)
		return COMMAND_PARAMETER_VALUE;
	while (str_cut(&rest, ',', &word))
		if (!str_ieq_c(word, "SUCCESS") && !str_ieq_c(word, "FAILURE") &&
			!str_ieq_c(word, "DELAY"))
			return COMMAND_PARAMETER_VALUE;
	return COMMAND_OK;
}

static enum command_error rcpt_orcpt(struct command *cmd, struct str value)
{
	size_t type = str_chr(value, ';');

	cmd->orcpt = value;
	if (!type || type == value.n || !dot_string(str_sub(value, 0, type)))
		return COMMAND_PARAMETER_VALUE;
	return is_xtext(str_skip(value, type + 1), LIMIT_ORCPT) ? COMMAND_OK
								: COMMAND_PARAMETER_VALUE;
}

static const struct {
	const char *name;
	enum command_verb verb;
	unsigned offered;
	enum command_error (*take)(struct command *cmd, struct str value);
} parameters[] = {
	{"SIZE", COMMAND_MAIL, COMMAND_SIZE, mail_size},
	{"BODY", COMMAND_MAIL, COMMAND_8BITMIME, mail_body},
	{"SMTPUTF8", COMMAND_MAIL, COMMAND_SMTPUTF8, mail_utf8},
	{"RET", COMMAND_MAIL, COMMAND_DSN, mail_ret},
	{"ENVID", COMMAND_MAIL, COMMAND_DSN, mail_envid},
	{"AUTH", COMMAND_MAIL, COMMAND_WITH_AUTH, mail_auth},
	{"NOTIFY", COMMAND_RCPT, COMMAND_DSN, rcpt_notify},
	{"ORCPT", COMMAND_RCPT, COMMAND_DSN, rcpt_orcpt},
};
#define PARAMETERS (sizeof(parameters) / sizeof(parameters[0]))

/* RFC 5321 4.1.2: esmtp-keyword ["=" esmtp-value] */
static bool parameter_syntax(struct str name, struct str value)
{
	if (!name.n || !char_is_alnum(name.p[0]) || (value.p && !value.n))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!char_is_alnum(name.p[i]) && name.p[i] != '-')
			return false;
	for (size_t i = 0; i < value.n; i++)
		if ((!is_printable(value.p[i]) && !is_high(value.p[i])) || value.p[i] == '=')
			return false;
	return true;
}

static enum command_error parse_parameters(struct str rest, unsigned offered, struct command *cmd)
{
	unsigned seen = 0;
	struct str word, name;

	while (str_cut(&rest, ' ', &word)) {
		if (!word.n)
			continue;
		str_cut(&word, '=', &name);
		if (!parameter_syntax(name, word))
			return COMMAND_SYNTAX;
		size_t i = 0;
		while (i < PARAMETERS &&
			!(parameters[i].verb == cmd->verb && (parameters[i].offered & offered) &&
				str_ieq_c(name, parameters[i].name)))
			i++;
		if (i == PARAMETERS)
			return COMMAND_PARAMETER;
		if (seen & 1u << i)
			return COMMAND_PARAMETER_VALUE;
		seen |= 1u << i;
		enum command_error error = parameters[i].take(cmd, word);
		if (error)
			return error;
	}
	/* RFC 6531 3.4: the sender's address is part of what SMTPUTF8 is asked for. */
	if (cmd->verb == COMMAND_MAIL && cmd->path.utf8 && !cmd->smtputf8)
		return COMMAND_NEEDS_SMTPUTF8;
	return COMMAND_OK;
}

static enum command_error parse_envelope(struct str rest, unsigned offered, struct command *cmd)
{
	const char *keyword = cmd->verb == COMMAND_MAIL ? "FROM:" : "TO:";

	if (!str_istarts(rest, keyword))
		return COMMAND_SYNTAX;
	/* Not in the grammar, but so many say "FROM: <" that it is let pass. */
	rest = str_trim(str_skip(rest, strlen(keyword)));
	size_t n = bracketed(rest);
	if (!n || (n < rest.n && rest.p[n] != ' '))
		return cmd->verb == COMMAND_MAIL ? COMMAND_SENDER_SYNTAX : COMMAND_RECIPIENT_SYNTAX;
	enum command_error error = parse_path(str_sub(rest, 1, n - 2), offered, cmd);
	return error ? error : parse_parameters(str_skip(rest, n), offered, cmd);
}

/* ---- the rest ---- */

/* RFC 3030 2: BDAT SP chunk-size [SP "LAST"] */
static enum command_error parse_bdat(struct str rest, struct command *cmd)
{
	struct str size;

	if (!str_cut(&rest, ' ', &size) || str_to_u64(size, 0, INT64_MAX, &cmd->chunk))
		return COMMAND_SYNTAX;
	cmd->last = rest.p != NULL;
	return cmd->last && !str_ieq_c(rest, "LAST") ? COMMAND_SYNTAX : COMMAND_OK;
}

/* RFC 4954 8: AUTH SP sasl-mech [SP initial-response] */
static enum command_error parse_auth(struct str rest, struct command *cmd)
{
	if (!str_cut(&rest, ' ', &cmd->mechanism) || !cmd->mechanism.n ||
		cmd->mechanism.n > LIMIT_MECHANISM || (rest.p && !rest.n))
		return COMMAND_SYNTAX;
	for (size_t i = 0; i < cmd->mechanism.n; i++) {
		char c = cmd->mechanism.p[i];
		if (!char_is_alnum(c) && c != '-' && c != '_')
			return COMMAND_SYNTAX;
	}
	cmd->initial = rest;
	return str_chr(rest, ' ') < rest.n ? COMMAND_SYNTAX : COMMAND_OK;
}

/* Many an honest sender has no proper name, so that the grammar is a finding and no refusal. */
static enum command_error parse_host(struct command *cmd)
{
	struct str host = cmd->argument;

	if (!host.n || host.n > LIMIT_DOMAIN)
		return COMMAND_SYNTAX;
	for (size_t i = 0; i < host.n; i++)
		if (!is_printable(host.p[i]))
			return COMMAND_SYNTAX;
	cmd->well_formed = command_is_domain(host);
	return COMMAND_OK;
}

static enum command_verb find_verb(struct str name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (str_ieq_c(name, verbs[i].name))
			return verbs[i].verb;
	return COMMAND_UNKNOWN;
}

static enum command_error parse_arguments(struct str rest, unsigned offered, struct command *cmd)
{
	switch (cmd->verb) {
	case COMMAND_EHLO:
	case COMMAND_HELO:
	case COMMAND_LHLO:
		return parse_host(cmd);
	case COMMAND_MAIL:
	case COMMAND_RCPT:
		return parse_envelope(rest, offered, cmd);
	case COMMAND_BDAT:
		return parse_bdat(rest, cmd);
	case COMMAND_AUTH:
		return parse_auth(rest, cmd);
	case COMMAND_DATA:
	case COMMAND_RSET:
	case COMMAND_QUIT:
	case COMMAND_STARTTLS:
		return rest.n ? COMMAND_SYNTAX : COMMAND_OK;
	case COMMAND_UNKNOWN:
		return COMMAND_NOT_RECOGNIZED;
	case COMMAND_NOOP:
	case COMMAND_VRFY:
	case COMMAND_EXPN:
	case COMMAND_HELP:
	case COMMAND_ETRN:
	case COMMAND_XCLIENT:
	case COMMAND_XFORWARD:
	case COMMAND_HTTP:
	case COMMAND_VERBS:
		break;
	}
	return COMMAND_OK;
}

enum command_error command_read(struct str line, unsigned offered, struct command *cmd_r)
{
	struct str rest = line, name;

	*cmd_r = (struct command){.verb = COMMAND_UNKNOWN};
	/* RFC 5321 4.1.1: white space at the end is tolerated. */
	while (rest.n && char_is_wsp(rest.p[rest.n - 1]))
		rest.n--;
	if (!str_cut(&rest, ' ', &name))
		return COMMAND_NOT_RECOGNIZED;
	cmd_r->verb = find_verb(name);
	rest = str_trim(rest);
	cmd_r->argument = rest;
	return parse_arguments(rest, offered, cmd_r);
}

const char *command_error_reply(enum command_error error)
{
	static const char *const replies[COMMAND_ERRORS] = {
		[COMMAND_OK] = "250 2.0.0 Ok",
		[COMMAND_SYNTAX] = "501 5.5.4 Syntax error in the command's arguments",
		[COMMAND_NOT_RECOGNIZED] = "500 5.5.1 Command not recognized",
		[COMMAND_SENDER_SYNTAX] = "501 5.1.7 Syntax error in the sender's address",
		[COMMAND_RECIPIENT_SYNTAX] = "501 5.1.3 Syntax error in the recipient's address",
		[COMMAND_PARAMETER] = "555 5.5.4 Parameter not recognized or not offered",
		[COMMAND_PARAMETER_VALUE] = "501 5.5.4 Syntax error in a parameter's value",
		[COMMAND_NEEDS_SMTPUTF8] = "553 5.6.7 The address needs SMTPUTF8",
	};
	assert(error < COMMAND_ERRORS);
	return replies[error];
}

const char *command_verb_name(enum command_verb verb)
{
	if (verb == COMMAND_HTTP)
		return "HTTP";
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (verbs[i].verb == verb)
			return verbs[i].name;
	return "unknown";
}
