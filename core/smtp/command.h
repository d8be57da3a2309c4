/*
 * command: what a client may say, in RFC 5321's grammar.
 *
 * command_read() takes one line from the line reader and fills a struct that
 * points into it: nothing is allocated or changed. Paths follow the grammar to
 * the letter: what is no Mailbox is refused, so that all who look at an address
 * later see the same local part and the same domain. A source route is
 * recognised and left out (RFC 5321 appendix C).
 *
 *	struct command cmd;
 *	enum command_error e = command_read(line, COMMAND_SIZE | COMMAND_8BITMIME, &cmd);
 *	if (e)
 *		reply_line(out, command_error_reply(e));
 */
#ifndef CORE_SMTP_COMMAND_H
#define CORE_SMTP_COMMAND_H

#include "core/arena.h"

enum command_verb {
	COMMAND_UNKNOWN,
	COMMAND_EHLO,
	COMMAND_HELO,
	COMMAND_LHLO,
	COMMAND_MAIL,
	COMMAND_RCPT,
	COMMAND_DATA,
	COMMAND_BDAT,
	COMMAND_RSET,
	COMMAND_NOOP,
	COMMAND_QUIT,
	COMMAND_VRFY,
	COMMAND_EXPN,
	COMMAND_HELP,
	COMMAND_STARTTLS,
	COMMAND_AUTH,
	COMMAND_ETRN,
	COMMAND_XCLIENT,
	COMMAND_XFORWARD,
	COMMAND_HTTP, /* GET, POST, CONNECT …: a browser, or somebody who abuses one; close */
	COMMAND_VERBS
};

/* Extensions that were offered: parameters of others are answered 555. */
enum {
	COMMAND_SIZE = 1,
	COMMAND_8BITMIME = 2,
	COMMAND_SMTPUTF8 = 4,
	COMMAND_DSN = 8,
	COMMAND_WITH_AUTH = 16, /* RFC 4954 5: the parameter of MAIL */
};

enum command_error {
	COMMAND_OK,
	COMMAND_SYNTAX,		 /* 501 5.5.4 */
	COMMAND_NOT_RECOGNIZED,	 /* 500 5.5.1 */
	COMMAND_SENDER_SYNTAX,	 /* 501 5.1.7 */
	COMMAND_RECIPIENT_SYNTAX, /* 501 5.1.3 */
	COMMAND_PARAMETER,	 /* 555 5.5.4: unknown or not offered */
	COMMAND_PARAMETER_VALUE, /* 501 5.5.4 */
	COMMAND_NEEDS_SMTPUTF8,	 /* 553 5.6.7 */
	COMMAND_ERRORS
};

enum command_body { COMMAND_BODY_NONE, COMMAND_BODY_7BIT, COMMAND_BODY_8BITMIME };

struct command_path {
	struct str address; /* local@domain as it came, without brackets and route; "" for <> */
	struct str local;   /* as it came, quotes included */
	struct str domain;  /* as it came; "" for <> and for <postmaster> */
	bool quoted;	    /* local is a quoted string */
	bool literal;	    /* domain is an address literal, brackets included */
	bool utf8;	    /* not ASCII alone: needs SMTPUTF8 in this transaction */
};

struct command {
	enum command_verb verb;
	/* EHLO, HELO, LHLO, VRFY, EXPN, HELP, NOOP and unknown verbs: all behind the verb.
	 * A host name is one word of printable ASCII of at most LIMIT_DOMAIN octets, ... */
	struct str argument;
	bool well_formed;	  /* ... and by the grammar a Domain or an address literal */
	struct command_path path; /* MAIL, RCPT */
	uint64_t size;		  /* MAIL SIZE=; 0: not said */
	enum command_body body;	  /* MAIL BODY= */
	bool smtputf8;		  /* MAIL SMTPUTF8 */
	struct str mechanism;	  /* AUTH */
	struct str initial;	  /* AUTH: the initial response, encoded; p NULL: none */
	struct str submitter;	  /* MAIL AUTH=, as it came: checked xtext */
	struct str ret, envid;	  /* MAIL (DSN), as they came: checked xtext */
	struct str notify, orcpt; /* RCPT (DSN), the same */
	uint64_t chunk;		  /* BDAT */
	bool last;		  /* BDAT … LAST */
};

enum command_error command_read(struct str line, unsigned offered, struct command *cmd_r);
/* The reply, "501 5.1.7 ...", without line end. */
const char *command_error_reply(enum command_error error);
const char *command_verb_name(enum command_verb verb);

/* A Mailbox alone, "local@domain", by the same grammar; `utf8` allows RFC 6531's
 * characters. 0, or -1. */
int command_mailbox(struct str s, bool utf8, struct command_path *path_r);
/* Domain or address literal of RFC 5321 4.1.2 and 4.1.3. */
bool command_is_domain(struct str s);
/* The local part without its quoting: "a\ b" becomes a b. */
struct str command_local_unquoted(struct arena *arena, const struct command_path *path);
/* xtext of RFC 3461 4 decoded; -1 where it is none, or holds an encoded NUL. */
int command_xtext(struct arena *arena, struct str s, struct str *plain_r);

#endif
