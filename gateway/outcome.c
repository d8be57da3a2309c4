#include "gateway/outcome.h"

#include <assert.h>

#define STORE(e, p)                                                             \
	.step = OUTCOME_STEP_STORE, .entry = (e), .pending = (p),               \
	.reply = OUTCOME_REPLY_NONE
#define OFFER .step = OUTCOME_STEP_OFFER, .next = OUTCOME_OFFERING, .entry = OUTCOME_ENTRY_NONE
#define SEND  .step = OUTCOME_STEP_SEND, .next = OUTCOME_SENDING, .entry = OUTCOME_ENTRY_NONE
#define END(r, s)                                                               \
	.step = OUTCOME_STEP_END, .next = OUTCOME_ENDED, .entry = OUTCOME_ENTRY_NONE, \
	.reply = OUTCOME_REPLY_##r, .settle = OUTCOME_SETTLE_##s
#define ROW(s, e) .state = OUTCOME_##s, .event = OUTCOME_##e

/*
 * DROP also stands where nothing may have been written: it then drops nothing. It is
 * right wherever the sender keeps the message (4xx) or is told (5xx): that one reply
 * covers the held recipients too. An entry whose KEEP_STORE failed is dropped as well,
 * since a keeper that died, or whose disk is slow, may write it and only not have said so.
 */
static const struct outcome_row rows[] = {
	/* --- The verdict ------------------------------------------------------------- */
	/* Before any side effect, so that the retry starts from nothing. */
	{ ROW(JUDGED, ANY_TEMPFAIL), END(VERDICT, NOTHING) },
	{ ROW(JUDGED, ALL_REFUSED), END(VERDICT, NOTHING) },
	/* No mailbox server takes part: committed in one write. */
	{ ROW(JUDGED, NOBODY_FORWARDED), STORE(OUTCOME_ENTRY_VERDICT, false),
		.next = OUTCOME_HOLDING_ALL },
	/* First the quarantine, because it can be taken back, and what is delivered cannot. */
	{ ROW(JUDGED, SOME_HELD), STORE(OUTCOME_ENTRY_VERDICT, true), .next = OUTCOME_HOLDING },
	{ ROW(JUDGED, ALL_FORWARDED), OFFER },

	/* --- A lesson: nobody gets it, the training log owns it -------------------------- */
	{ ROW(JUDGED, LESSON), .step = OUTCOME_STEP_LEARN, .next = OUTCOME_LEARNING,
		.entry = OUTCOME_ENTRY_NONE },
	{ ROW(JUDGED, LESSON_FOREIGN), END(FOREIGN, NOTHING) },
	{ ROW(JUDGED, LESSON_LATER), END(UNKNOWN, NOTHING) },
	{ ROW(LEARNING, LEARNED), END(ACCEPTED, NOTHING) },
	{ ROW(LEARNING, LESSON_REFUSED), END(LESSON, NOTHING) },
	/* Some of it may be known already: a message counts once, however often it comes. */
	{ ROW(LEARNING, NOT_LEARNED), END(TROUBLE, NOTHING) },

	/* --- Everybody held ---------------------------------------------------------- */
	{ ROW(HOLDING_ALL, STORED), END(ACCEPTED, NOTHING) },
	{ ROW(HOLDING_ALL, NO_SPACE), END(NO_SPACE, DROP) },
	{ ROW(HOLDING_ALL, NOT_STORED), END(TROUBLE, DROP) },

	/* --- Some held, pending ------------------------------------------------------ */
	{ ROW(HOLDING, STORED), OFFER },
	{ ROW(HOLDING, NO_SPACE), END(NO_SPACE, DROP) },
	{ ROW(HOLDING, NOT_STORED), END(TROUBLE, DROP) },

	/* --- MAIL and RCPT at the mailbox server -------------------------------------- */
	{ ROW(OFFERING, UNREACHABLE), END(UNREACHABLE, DROP) },
	{ ROW(OFFERING, LOST), END(LOST, DROP) },
	{ ROW(OFFERING, MAIL_LATER), END(RELAY, DROP) },
	{ ROW(OFFERING, MAIL_REFUSED), END(RELAY, DROP) },
	/* Our fault, not the sender's: he keeps it until somebody has mended it. */
	{ ROW(OFFERING, BLAMED), END(UNREACHABLE, DROP), .note = OUTCOME_NOTE_ALARM },
	{ ROW(OFFERING, RCPT_TAKEN), SEND },
	/* One reply for all: nobody gets it now, rather than some of them twice. */
	{ ROW(OFFERING, RCPT_LATER), END(LATER, DROP) },
	{ ROW(OFFERING, RCPT_SOME_REFUSED), STORE(OUTCOME_ENTRY_LATE, true),
		.next = OUTCOME_HOLDING_LATE },
	{ ROW(OFFERING, RCPT_ALL_REFUSED), END(RELAY, DROP) },

	/* --- Those refused at RCPT, pending ------------------------------------------- */
	{ ROW(HOLDING_LATE, STORED), SEND },
	{ ROW(HOLDING_LATE, NO_SPACE), END(NO_SPACE, DROP) },
	{ ROW(HOLDING_LATE, NOT_STORED), END(TROUBLE, DROP) },

	/* --- DATA, content, dot -------------------------------------------------------- */
	{ ROW(SENDING, LOST), END(LOST, DROP) },
	{ ROW(SENDING, BLAMED), END(UNREACHABLE, DROP), .note = OUTCOME_NOTE_ALARM },
	/* RFC 1047: it may have been taken. The sender comes again; a duplicate, no loss. */
	{ ROW(SENDING, LOST_AFTER_DOT), END(LOST, DROP), .note = OUTCOME_NOTE_UNCERTAIN },
	{ ROW(SENDING, CONTENT_TAKEN), END(ACCEPTED, COMMIT) },
	{ ROW(SENDING, CONTENT_LATER), END(RELAY, DROP) },
	{ ROW(SENDING, CONTENT_REFUSED), END(RELAY, DROP) },
	/* LMTP (RFC 2033 4.2): some have it, some must wait, and there is one reply. */
	{ ROW(SENDING, CONTENT_SOME_LATER), END(LATER, DROP), .note = OUTCOME_NOTE_DUPLICATE },
	/* Others have it already, so these are committed at once. */
	{ ROW(SENDING, CONTENT_SOME_REFUSED), STORE(OUTCOME_ENTRY_REFUSED, false),
		.next = OUTCOME_HOLDING_REFUSED },

	/* --- LMTP: those refused after the dot ----------------------------------------- */
	{ ROW(HOLDING_REFUSED, STORED), END(ACCEPTED, COMMIT) },
	{ ROW(HOLDING_REFUSED, NO_SPACE), END(NO_SPACE, DROP), .note = OUTCOME_NOTE_DUPLICATE },
	{ ROW(HOLDING_REFUSED, NOT_STORED), END(TROUBLE, DROP), .note = OUTCOME_NOTE_DUPLICATE },
};

const struct outcome_row *outcome_find(enum outcome_state state, enum outcome_event event)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].state == state && rows[i].event == event)
			return &rows[i];
	return NULL;
}

const struct outcome_row *outcome_next(struct outcome *outcome, enum outcome_event event)
{
	const struct outcome_row *row = outcome_find(outcome->state, event);

	assert(row != NULL);
	if (row->step == OUTCOME_STEP_STORE)
		outcome->written |= 1u << row->entry;
	outcome->state = row->next;
	return row;
}

enum outcome_event outcome_judge(const enum action *actions, size_t n, enum outcome_fate *fates_r)
{
	size_t forwarded = 0, refused = 0, later = 0;

	assert(n > 0);
	for (size_t i = 0; i < n; i++) {
		fates_r[i] = OUTCOME_FATE_VERDICT;
		switch (actions[i]) {
		case ACTION_FORWARD:
		case ACTION_TAG:
			fates_r[i] = OUTCOME_FATE_FORWARD;
			forwarded++;
			break;
		case ACTION_QUARANTINE:
			break;
		case ACTION_REJECT:
			refused++;
			break;
		case ACTION_TEMPFAIL:
			later++;
			break;
		}
	}
	if (later)
		return OUTCOME_ANY_TEMPFAIL;
	if (refused == n)
		return OUTCOME_ALL_REFUSED;
	if (!forwarded)
		return OUTCOME_NOBODY_FORWARDED;
	return forwarded == n ? OUTCOME_ALL_FORWARDED : OUTCOME_SOME_HELD;
}

/* How the answers for the forwarded recipients are spread. */
struct spread {
	size_t taken, later, refused;
};

static struct spread count(const int *codes, size_t n, const enum outcome_fate *fates)
{
	struct spread s = { 0, 0, 0 };

	for (size_t i = 0; i < n; i++) {
		if (fates[i] != OUTCOME_FATE_FORWARD)
			continue;
		if (codes[i] >= 200 && codes[i] < 300)
			s.taken++;
		else if (codes[i] >= 500 && codes[i] < 600)
			s.refused++;
		else
			s.later++;
	}
	return s;
}

static void hold_refused(const int *codes, size_t n, enum outcome_fate *fates,
	enum outcome_fate fate)
{
	for (size_t i = 0; i < n; i++)
		if (fates[i] == OUTCOME_FATE_FORWARD && codes[i] >= 500 && codes[i] < 600)
			fates[i] = fate;
}

enum outcome_event outcome_offered(const int *codes, size_t n, enum outcome_fate *fates)
{
	struct spread s = count(codes, n, fates);

	if (s.later)
		return OUTCOME_RCPT_LATER;
	if (!s.refused)
		return OUTCOME_RCPT_TAKEN;
	if (!s.taken)
		return OUTCOME_RCPT_ALL_REFUSED;
	hold_refused(codes, n, fates, OUTCOME_FATE_LATE);
	return OUTCOME_RCPT_SOME_REFUSED;
}

enum outcome_event outcome_sent(const int *codes, size_t n, enum outcome_fate *fates)
{
	struct spread s = count(codes, n, fates);

	if (s.later)
		return s.taken ? OUTCOME_CONTENT_SOME_LATER : OUTCOME_CONTENT_LATER;
	if (!s.refused)
		return OUTCOME_CONTENT_TAKEN;
	if (!s.taken)
		return OUTCOME_CONTENT_REFUSED;
	hold_refused(codes, n, fates, OUTCOME_FATE_REFUSED);
	return OUTCOME_CONTENT_SOME_REFUSED;
}

bool outcome_blames_us(int code, struct str enhanced, struct str text)
{
	static const char *const phrases[] = { "relay access denied", "relaying denied",
		"relay not permitted", "relaying not allowed", "not permitted to relay",
		"unable to relay", "client host rejected", "authentication required",
		"must issue a starttls" };

	/* RFC 4954 section 6: authentication required, mechanism too weak, credentials. RFC 3207
	 * section 4 uses 530 for "Must issue a STARTTLS command first". */
	if (code == 530 || code == 534 || code == 535 || code == 538)
		return true;
	if (code < 500 || code > 599)
		return false;
	/* RFC 5248: security features, authentication; RFC 3463: bad commands of ours. */
	if (str_eq_c(enhanced, "5.7.8") || str_eq_c(enhanced, "5.7.9") ||
		str_eq_c(enhanced, "5.7.10") || str_eq_c(enhanced, "5.7.11") ||
		(code <= 504 && str_starts(enhanced, "5.5.")))
		return true;
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (str_ifind(text, str_c(phrases[i])) < text.n)
			return true;
	return false;
}

const char *outcome_state_name(enum outcome_state state)
{
	static const char *const names[OUTCOME_STATE_COUNT] = { "judged", "holding-all",
		"holding", "offering", "holding-late", "sending", "learning",
		"holding-refused", "ended" };

	assert(state < OUTCOME_STATE_COUNT);
	return names[state];
}

const char *outcome_event_name(enum outcome_event event)
{
	static const char *const names[OUTCOME_EVENT_COUNT] = { "any-tempfail", "all-refused",
		"nobody-forwarded", "some-held", "all-forwarded", "lesson", "lesson-foreign",
		"lesson-later", "learned", "lesson-refused", "not-learned", "stored", "no-space",
		"not-stored", "unreachable", "mail-later", "mail-refused", "blamed", "rcpt-taken",
		"rcpt-later", "rcpt-some-refused", "rcpt-all-refused", "lost", "content-taken",
		"content-later", "content-refused", "content-some-later", "content-some-refused",
		"lost-after-dot" };

	assert(event < OUTCOME_EVENT_COUNT);
	return names[event];
}
