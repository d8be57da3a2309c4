/*
 * fault: dies where a test tells it to, so that what happens then can be tested.
 * Only in builds with fault points (GATEPOST_FAULTS), and off unless enabled.
 *
 * A client 192.0.2.66 kills at CONNECT, a sender die-mail@… at MAIL, a recipient
 * die-rcpt@… at RCPT, a header "X-Die: now" at MESSAGE, "X-Die: never" makes it loop.
 */
#ifdef GATEPOST_FAULTS
#include <signal.h>

#include "core/filter.h"

static const struct finding_def fault_findings[] = { { NULL } };
static const struct option fault_options[] = { OPTION_ROWS_END };

static bool asks_for_it(const struct filter_call *call)
{
	const struct facts *f = call->facts;
	const struct mail_header *h = call->mail ? mail_header(call->mail, "X-Die", NULL) : NULL;
	switch (call->stage) {
	case STAGE_CONNECT:
		return str_eq_c(f->client_ip, "192.0.2.66");
	case STAGE_MAIL:
		return str_starts(f->mail_from, "die-mail@");
	case STAGE_RCPT:
		return f->rcpt_to.n && str_starts(f->rcpt_to.v[f->rcpt_to.n - 1], "die-rcpt@");
	case STAGE_MESSAGE:
		return h != NULL;
	}
	return false;
}

/* Until it is killed for having taken too long. */
static bool hangs(const struct filter_call *call)
{
	const struct mail_header *h = call->mail ? mail_header(call->mail, "X-Die", NULL) : NULL;
	return h && str_eq_c(str_trim_crlf(h->value), "never");
}

static enum step fault_run(struct filter_call *call)
{
	for (volatile bool forever = hangs(call); forever;)
		;
	if (asks_for_it(call))
		raise(SIGKILL);
	return STEP_DONE;
}

const struct filter filter_fault = {
	.name = "fault",
	.summary = "dies where a test tells it to",
	.stages = STAGE_ALL,
	.traffic = TRAFFIC_INBOUND | TRAFFIC_OUTBOUND,
	.findings = fault_findings,
	.options = fault_options,
	.disabled_by_default = true,
	.run = fault_run,
};
#endif
