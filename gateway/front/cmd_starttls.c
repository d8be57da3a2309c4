/* STARTTLS (RFC 3207). */
#include "gateway/front/session.h"

void cmd_starttls(struct session *s)
{
	if (s->facts.tls) {
		session_line(s, "503 5.5.1 TLS is in use already");
		return;
	}
	if (!s->listener->tls) {
		session_line(s, "502 5.5.1 TLS is not offered here");
		return;
	}
	/* Whatever stands behind it was sent in the clear, by whomever. */
	if (s->more) {
		session_dismiss(s, "501 5.5.4 Nothing may follow STARTTLS before TLS has begun");
		return;
	}
	session_end_transaction(s);
	session_line(s, "220 2.0.0 Begin");
	s->start_tls = true;
}
