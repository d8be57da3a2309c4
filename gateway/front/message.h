/*
 * message: from the end of the data to the reply: sealed, judged, carried out, remembered.
 */
#ifndef GATEWAY_FRONT_MESSAGE_H
#define GATEWAY_FRONT_MESSAGE_H

struct session;

/* The body is complete. The answer follows, and the transaction's end. */
void message_arrived(struct session *session);
/* What came is no message (`reply`, "550 5.6.0 …", is given and logged). The caller ends the
 * transaction. */
void message_refused(struct session *session, const char *reply);

#endif
