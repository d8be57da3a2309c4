/*
 * anomaly: how the parts of the parser note what is odd about a message. What
 * each bit means stands in core/mail/mail.h.
 */
#ifndef CORE_MAIL_ANOMALY_H
#define CORE_MAIL_ANOMALY_H

#include "core/mail/mail.h"

static inline void mail_note(struct mail *m, enum mail_anomaly a)
{
	m->anomalies |= UINT64_C(1) << a;
}

static inline void mail_note_if(struct mail *m, bool odd, enum mail_anomaly a)
{
	m->anomalies |= (uint64_t)odd << a;
}

#endif
