/* The commands that change little: RSET, NOOP, QUIT, VRFY, EXPN, HELP, and what we do not do. */
#include "gateway/front/session.h"

void cmd_other(struct session *s, const struct command *cmd)
{
	switch (cmd->verb) {
	case COMMAND_RSET:
		session_end_transaction(s);
		session_line(s, "250 2.0.0 Ok");
		break;
	case COMMAND_NOOP:
		session_line(s, "250 2.0.0 Ok");
		break;
	case COMMAND_QUIT:
		session_dismiss(s, "221 2.0.0 Bye");
		break;
	case COMMAND_VRFY:
		/* RFC 5321 7.3: who is here is nobody's business. */
		session_line(s, "252 2.5.0 Send to it, and you will see");
		break;
	case COMMAND_EXPN:
		session_line(s, "502 5.5.1 Lists are not shown");
		break;
	case COMMAND_HELP:
		session_line(s, "214 2.0.0 A mail gateway; RFC 5321 says what it understands");
		break;
	case COMMAND_HTTP:
		session_dismiss(s, "554 5.5.0 This is SMTP");
		break;
	case COMMAND_LHLO:
		session_line(s, "500 5.5.1 LMTP is not spoken here");
		break;
	default:
		session_line(s, "502 5.5.1 Not implemented");
		break;
	}
}
