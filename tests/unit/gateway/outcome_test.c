/* The outcome table: every row, no pair but the rows, and the promise under every crash. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/outcome.h"

/* --- Every row, written down a second time ---------------------------------------- */

struct expected {
	enum outcome_state state;
	enum outcome_event event;
	enum outcome_step step;
	enum outcome_state next;
	enum outcome_reply reply;
	enum outcome_settle settle;
	enum outcome_note note;
};
#define E(s, e, step, n)   { OUTCOME_##s, OUTCOME_##e, OUTCOME_STEP_##step, OUTCOME_##n, 0, 0, 0 }
#define X(s, e, r, k, n) \
	{ OUTCOME_##s, OUTCOME_##e, OUTCOME_STEP_END, OUTCOME_ENDED, OUTCOME_REPLY_##r, \
		OUTCOME_SETTLE_##k, OUTCOME_NOTE_##n }

static const struct expected table[] = {
	X(JUDGED, ANY_TEMPFAIL, VERDICT, NOTHING, NONE),
	X(JUDGED, ALL_REFUSED, VERDICT, NOTHING, NONE),
	E(JUDGED, NOBODY_FORWARDED, STORE, HOLDING_ALL),
	E(JUDGED, SOME_HELD, STORE, HOLDING),
	E(JUDGED, ALL_FORWARDED, OFFER, OFFERING),
	E(JUDGED, LESSON, LEARN, LEARNING),
	X(JUDGED, LESSON_FOREIGN, FOREIGN, NOTHING, NONE),
	X(JUDGED, LESSON_LATER, UNKNOWN, NOTHING, NONE),
	X(LEARNING, LEARNED, ACCEPTED, NOTHING, NONE),
	X(LEARNING, LESSON_REFUSED, LESSON, NOTHING, NONE),
	X(LEARNING, NOT_LEARNED, TROUBLE, NOTHING, NONE),
	X(HOLDING_ALL, STORED, ACCEPTED, NOTHING, NONE),
	X(HOLDING_ALL, NO_SPACE, NO_SPACE, DROP, NONE),
	X(HOLDING_ALL, NOT_STORED, TROUBLE, DROP, NONE),
	E(HOLDING, STORED, OFFER, OFFERING),
	X(HOLDING, NO_SPACE, NO_SPACE, DROP, NONE),
	X(HOLDING, NOT_STORED, TROUBLE, DROP, NONE),
	X(OFFERING, UNREACHABLE, UNREACHABLE, DROP, NONE),
	X(OFFERING, LOST, LOST, DROP, NONE),
	X(OFFERING, MAIL_LATER, RELAY, DROP, NONE),
	X(OFFERING, MAIL_REFUSED, RELAY, DROP, NONE),
	X(OFFERING, BLAMED, UNREACHABLE, DROP, ALARM),
	E(OFFERING, RCPT_TAKEN, SEND, SENDING),
	X(OFFERING, RCPT_LATER, LATER, DROP, NONE),
	E(OFFERING, RCPT_SOME_REFUSED, STORE, HOLDING_LATE),
	X(OFFERING, RCPT_ALL_REFUSED, RELAY, DROP, NONE),
	E(HOLDING_LATE, STORED, SEND, SENDING),
	X(HOLDING_LATE, NO_SPACE, NO_SPACE, DROP, NONE),
	X(HOLDING_LATE, NOT_STORED, TROUBLE, DROP, NONE),
	X(SENDING, LOST, LOST, DROP, NONE),
	X(SENDING, BLAMED, UNREACHABLE, DROP, ALARM),
	X(SENDING, LOST_AFTER_DOT, LOST, DROP, UNCERTAIN),
	X(SENDING, CONTENT_TAKEN, ACCEPTED, COMMIT, NONE),
	X(SENDING, CONTENT_LATER, RELAY, DROP, NONE),
	X(SENDING, CONTENT_REFUSED, RELAY, DROP, NONE),
	X(SENDING, CONTENT_SOME_LATER, LATER, DROP, DUPLICATE),
	E(SENDING, CONTENT_SOME_REFUSED, STORE, HOLDING_REFUSED),
	X(HOLDING_REFUSED, STORED, ACCEPTED, COMMIT, NONE),
	X(HOLDING_REFUSED, NO_SPACE, NO_SPACE, DROP, DUPLICATE),
	X(HOLDING_REFUSED, NOT_STORED, TROUBLE, DROP, DUPLICATE),
};
#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))

static const struct expected *expected(enum outcome_state state, enum outcome_event event)
{
	for (size_t i = 0; i < TABLE_COUNT; i++)
		if (table[i].state == state && table[i].event == event)
			return &table[i];
	return NULL;
}

static void test_rows(void **unused)
{
	for (int s = 0; s < OUTCOME_STATE_COUNT; s++) {
		for (int e = 0; e < OUTCOME_EVENT_COUNT; e++) {
			const struct expected *want = expected(s, e);
			const struct outcome_row *row = outcome_find(s, e);

			if (!want != !row)
				fail_msg("%s, %s: %s", outcome_state_name(s),
					outcome_event_name(e), row ? "unexpected" : "missing");
			if (!want)
				continue;
			assert_int_equal(row->step, want->step);
			assert_int_equal(row->next, want->next);
			assert_int_equal(row->reply, want->reply);
			assert_int_equal(row->settle, want->settle);
			assert_int_equal(row->note, want->note);
			assert_int_equal(row->step == OUTCOME_STEP_STORE,
				row->entry != OUTCOME_ENTRY_NONE);
		}
	}
}

/* --- The classifications ------------------------------------------------------------- */

static void test_judge(void **unused)
{
	static const struct {
		enum action actions[3];
		enum outcome_event event;
		const char *fates; /* F forward, H held */
	} cases[] = {
		{ { ACTION_FORWARD, ACTION_TAG, ACTION_FORWARD }, OUTCOME_ALL_FORWARDED, "FFF" },
		{ { ACTION_FORWARD, ACTION_TEMPFAIL, ACTION_REJECT }, OUTCOME_ANY_TEMPFAIL, NULL },
		{ { ACTION_REJECT, ACTION_REJECT, ACTION_REJECT }, OUTCOME_ALL_REFUSED, NULL },
		{ { ACTION_REJECT, ACTION_FORWARD, ACTION_REJECT }, OUTCOME_SOME_HELD, "HFH" },
		{ { ACTION_REJECT, ACTION_QUARANTINE, ACTION_REJECT }, OUTCOME_NOBODY_FORWARDED, "HHH" },
		{ { ACTION_QUARANTINE, ACTION_TAG, ACTION_FORWARD }, OUTCOME_SOME_HELD, "HFF" },
		{ { ACTION_QUARANTINE, ACTION_QUARANTINE, ACTION_QUARANTINE },
			OUTCOME_NOBODY_FORWARDED, "HHH" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum outcome_fate fates[3];

		assert_int_equal(outcome_judge(cases[i].actions, 3, fates), cases[i].event);
		for (size_t k = 0; cases[i].fates && k < 3; k++)
			assert_int_equal(fates[k], cases[i].fates[k] == 'F' ?
				OUTCOME_FATE_FORWARD : OUTCOME_FATE_VERDICT);
	}
}

static void test_answers(void **unused)
{
	static const struct {
		int codes[3];
		enum outcome_event offered, sent;
	} cases[] = {
		{ { 250, 250, 251 }, OUTCOME_RCPT_TAKEN, OUTCOME_CONTENT_TAKEN },
		{ { 250, 450, 550 }, OUTCOME_RCPT_LATER, OUTCOME_CONTENT_SOME_LATER },
		{ { 452, 450, 550 }, OUTCOME_RCPT_LATER, OUTCOME_CONTENT_LATER },
		{ { 250, 550, 550 }, OUTCOME_RCPT_SOME_REFUSED, OUTCOME_CONTENT_SOME_REFUSED },
		{ { 550, 551, 553 }, OUTCOME_RCPT_ALL_REFUSED, OUTCOME_CONTENT_REFUSED },
		/* What makes no sense is never a permanent error, nor a delivery. */
		{ { 250, 354, 250 }, OUTCOME_RCPT_LATER, OUTCOME_CONTENT_SOME_LATER },
		{ { 0, 999, 199 }, OUTCOME_RCPT_LATER, OUTCOME_CONTENT_LATER },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* The fourth is held already: its code is not looked at. */
		int codes[4] = { cases[i].codes[0], cases[i].codes[1], cases[i].codes[2], 450 };
		enum outcome_fate a[4] = { OUTCOME_FATE_FORWARD, OUTCOME_FATE_FORWARD,
			OUTCOME_FATE_FORWARD, OUTCOME_FATE_VERDICT };
		enum outcome_fate b[4] = { OUTCOME_FATE_FORWARD, OUTCOME_FATE_FORWARD,
			OUTCOME_FATE_FORWARD, OUTCOME_FATE_VERDICT };

		assert_int_equal(outcome_offered(codes, 4, a), cases[i].offered);
		assert_int_equal(outcome_sent(codes, 4, b), cases[i].sent);
		assert_int_equal(a[3], OUTCOME_FATE_VERDICT);
		for (size_t k = 0; k < 3; k++) {
			bool late = cases[i].offered == OUTCOME_RCPT_SOME_REFUSED && codes[k] >= 500;

			assert_int_equal(a[k], late ? OUTCOME_FATE_LATE : OUTCOME_FATE_FORWARD);
			late = cases[i].sent == OUTCOME_CONTENT_SOME_REFUSED && codes[k] >= 500;
			assert_int_equal(b[k], late ? OUTCOME_FATE_REFUSED : OUTCOME_FATE_FORWARD);
		}
	}
}

static void test_blame(void **unused)
{
	static const struct {
		int code;
		const char *enhanced, *text;
		bool ours;
	} cases[] = {
		{ 550, "5.1.1", "no such user", false },
		{ 550, "5.7.1", "rejected by policy", false },
		{ 554, "5.7.1", "<a@example.org>: Relay access denied", true },
		{ 550, "5.7.1", "Relaying denied", true },
		{ 530, "5.7.0", "Authentication required", true },
		{ 530, "", "Must issue a STARTTLS command first", true },
		{ 550, "5.7.54", "SMTP; Unable to relay recipient in non-accepted domain", true },
		{ 503, "5.5.1", "Error: need MAIL command", true },
		{ 501, "5.1.3", "Bad recipient address syntax", false },
		{ 552, "5.3.4", "Message too big", false },
		{ 450, "4.7.1", "Relay access denied", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(outcome_blames_us(cases[i].code, str_c(cases[i].enhanced),
			str_c(cases[i].text)), cases[i].ours);
}

/*
 * --- The promise, by exhaustion ------------------------------------------------------
 *
 * Two recipients, every pair of verdicts, every answer of quarantine and mailbox server
 * at every step, and a crash of the front behind every step. The world remembers who has
 * what; whatever path was taken, a 2xx must find an owner for everybody.
 */
enum { RCPTS = 2 };
struct world {
	enum action actions[RCPTS];
	enum outcome_fate fates[RCPTS];
	bool delivered[RCPTS]; /* the mailbox server said 2xx for it */
	bool learned; /* the training log has it */
	/* Of each entry: not there, pending or committed. */
	enum { ABSENT, PENDING, COMMITTED } entries[OUTCOME_ENTRY_COUNT];
	size_t paths, accepted;
};

static bool has_owner(const struct world *w, size_t i)
{
	return w->delivered[i] || w->learned ||
	       (w->fates[i] != OUTCOME_FATE_FORWARD && w->entries[w->fates[i]] != ABSENT);
}

/* The front dies here, no reply was written. The sender comes again, so nothing can be
 * lost; what is pending is recovered as committed, and must be somebody's. */
static void check_crash(const struct world *w)
{
	for (size_t e = 0; e < OUTCOME_ENTRY_COUNT; e++) {
		bool somebody = false;

		for (size_t i = 0; i < RCPTS; i++)
			somebody |= w->fates[i] == (enum outcome_fate)e;
		assert_true(w->entries[e] == ABSENT || somebody);
	}
}

static void check_end(struct world *w, struct outcome o, const struct outcome_row *row)
{
	for (size_t e = 0; e < OUTCOME_ENTRY_COUNT; e++) {
		if (!(o.written & 1u << e))
			assert_true(w->entries[e] != PENDING);
		else if (row->settle == OUTCOME_SETTLE_DROP)
			w->entries[e] = ABSENT;
		else if (row->settle == OUTCOME_SETTLE_COMMIT && w->entries[e] == PENDING)
			w->entries[e] = COMMITTED;
		/* Nothing stays pending behind an orderly end. */
		assert_true(w->entries[e] != PENDING);
	}
	w->paths++;
	if (row->reply == OUTCOME_REPLY_ACCEPTED) {
		w->accepted++;
		for (size_t i = 0; i < RCPTS; i++)
			assert_true(has_owner(w, i));
	} else {
		/* Told or tried again: whoever has it already must be noted as a duplicate. */
		for (size_t i = 0; i < RCPTS; i++)
			if (w->delivered[i])
				assert_true(row->note == OUTCOME_NOTE_DUPLICATE);
		for (size_t e = 0; e < OUTCOME_ENTRY_COUNT; e++)
			assert_true(w->entries[e] == ABSENT);
	}
	assert_true(row->reply != OUTCOME_REPLY_NONE);
}

static void walk(struct world *w, struct outcome o, const struct outcome_row *row);

static void follow(struct world w, size_t *paths, size_t *accepted, struct outcome o,
	enum outcome_event event)
{
	const struct outcome_row *row = outcome_next(&o, event);

	w.paths = w.accepted = 0;
	walk(&w, o, row);
	*paths += w.paths;
	*accepted += w.accepted;
}

static void walk_store(struct world *w, struct outcome o, const struct outcome_row *row)
{
	struct world next = *w;

	follow(*w, &w->paths, &w->accepted, o, OUTCOME_NO_SPACE);
	follow(*w, &w->paths, &w->accepted, o, OUTCOME_NOT_STORED);
	next.entries[row->entry] = row->pending ? PENDING : COMMITTED;
	/* Written, but the answer was lost with the keeper, or came too late. */
	follow(next, &w->paths, &w->accepted, o, OUTCOME_NOT_STORED);
	follow(next, &w->paths, &w->accepted, o, OUTCOME_STORED);
}

/* It may be in the log although the trainer did not say so: that is harmless, a message counts
 * once. */
static void walk_learn(struct world *w, struct outcome o)
{
	struct world next = *w;

	follow(*w, &w->paths, &w->accepted, o, OUTCOME_LESSON_REFUSED);
	follow(*w, &w->paths, &w->accepted, o, OUTCOME_NOT_LEARNED);
	next.learned = true;
	follow(next, &w->paths, &w->accepted, o, OUTCOME_NOT_LEARNED);
	follow(next, &w->paths, &w->accepted, o, OUTCOME_LEARNED);
}

static const int codes[] = { 250, 450, 550 };

static void walk_offer(struct world *w, struct outcome o)
{
	static const enum outcome_event early[] = { OUTCOME_UNREACHABLE, OUTCOME_LOST,
		OUTCOME_MAIL_LATER, OUTCOME_MAIL_REFUSED, OUTCOME_BLAMED };

	for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++)
		follow(*w, &w->paths, &w->accepted, o, early[i]);
	for (size_t k = 0; k < 9; k++) {
		int answer[RCPTS] = { codes[k % 3], codes[k / 3] };
		struct world next = *w;
		enum outcome_event event = outcome_offered(answer, RCPTS, next.fates);

		follow(next, &w->paths, &w->accepted, o, event);
	}
}

static void walk_send(struct world *w, struct outcome o)
{
	static const enum outcome_event early[] = { OUTCOME_LOST, OUTCOME_BLAMED,
		OUTCOME_LOST_AFTER_DOT };

	for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++)
		follow(*w, &w->paths, &w->accepted, o, early[i]);
	for (size_t k = 0; k < 9; k++) {
		int answer[RCPTS] = { codes[k % 3], codes[k / 3] };
		struct world next = *w;
		enum outcome_event event;

		for (size_t i = 0; i < RCPTS; i++)
			next.delivered[i] = w->fates[i] == OUTCOME_FATE_FORWARD && answer[i] == 250;
		event = outcome_sent(answer, RCPTS, next.fates);
		follow(next, &w->paths, &w->accepted, o, event);
	}
}

static void walk(struct world *w, struct outcome o, const struct outcome_row *row)
{
	check_crash(w);
	switch (row->step) {
	case OUTCOME_STEP_STORE:
		walk_store(w, o, row);
		break;
	case OUTCOME_STEP_LEARN:
		walk_learn(w, o);
		break;
	case OUTCOME_STEP_OFFER:
		walk_offer(w, o);
		break;
	case OUTCOME_STEP_SEND:
		walk_send(w, o);
		break;
	case OUTCOME_STEP_END:
		check_end(w, o, row);
		break;
	}
}

static void test_promise(void **unused)
{
	size_t paths = 0, accepted = 0;

	for (int a = ACTION_FORWARD; a <= ACTION_TEMPFAIL; a++) {
		for (int b = ACTION_FORWARD; b <= ACTION_TEMPFAIL; b++) {
			struct outcome o = OUTCOME_INIT;
			struct world w = { .actions = { a, b } };
			enum outcome_event event = outcome_judge(w.actions, RCPTS, w.fates);

			follow(w, &paths, &accepted, o, event);
		}
	}
	print_message("%zu paths, %zu of them end with 250\n", paths, accepted);
	assert_true(paths > 500 && accepted > 10);
}

static void test_lesson_promise(void **unused)
{
	static const enum outcome_event events[] = { OUTCOME_LESSON, OUTCOME_LESSON_FOREIGN,
		OUTCOME_LESSON_LATER };
	size_t paths = 0, accepted = 0;

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct outcome o = OUTCOME_INIT;
		struct world w = { .fates = { OUTCOME_FATE_FORWARD, OUTCOME_FATE_FORWARD } };

		follow(w, &paths, &accepted, o, events[i]);
	}
	assert_int_equal(paths, 6);
	assert_int_equal(accepted, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_blame),
		cmocka_unit_test(test_promise),
		cmocka_unit_test(test_lesson_promise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
