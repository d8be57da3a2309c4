#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bayes/known.h"
#include "bayes/teacher.h"
#include "bayes/tenant.h"
#include "tests/unit/bayes/teaching.h"

static void rebuilds_the_same_bits(void **state)
{
	uint8_t live[32], reopened[32], from_log[32];
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 400; i++)
		assert_int_equal(teach(t, i, i % 2, "alice"), JOURNAL_NEW);
	digest(t, live);
	assert_rebuilt(t, live);
	teacher_close(&t);
	t = open_it();
	digest(t, reopened);
	assert_memory_equal(live, reopened, 32);
	teacher_close(&t);
	/* Without its model the log gives the same, salt included. */
	drop("model");
	t = open_it();
	digest(t, from_log);
	assert_memory_equal(live, from_log, 32);
	teacher_close(&t);
}

static void a_message_counts_once(void **state)
{
	int64_t spam, ham;
	uint8_t before[32], after[32];
	struct err err;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 20; i++)
		teach(t, i, i % 2, "alice");
	digest(t, before);
	assert_int_equal(teach(t, 3, true, "bob"), JOURNAL_KNOWN);
	digest(t, after);
	assert_memory_equal(before, after, 32);
	/* The other label takes its place; the model forgets the first with the next rebuild. */
	assert_int_equal(teach(t, 3, false, "bob"), JOURNAL_RELABELED);
	assert_int_equal(journal_is_stale(teacher_journal(t), &err), 1);
	teacher_close(&t);
	t = open_it();
	assert_int_equal(journal_is_stale(teacher_journal(t), &err), 0);
	model_learned(teacher_model(t), &spam, &ham);
	assert_true(spam == 9 && ham == 11);
	teacher_close(&t);
}

/* Rows of before know a message by its octets; what is said of it now finds them. */
static void rows_of_former_versions_count_too(void **state)
{
	static const struct {
		bool spam;
		const char *hash, *octets;
		enum journal_change change;
	} steps[] = {
		{true, "octets 1", "", JOURNAL_NEW}, /* as it was written then */
		{true, "message 1", "octets 1", JOURNAL_KNOWN},
		{true, "message 1", "of a delivered copy", JOURNAL_NEW}, /* no way to know */
		{false, "message 1", "octets 1", JOURNAL_RELABELED}, /* the newer row */
		{false, "octets 1", "", JOURNAL_RELABELED}, /* the older one held still */
		{true, "message 2", "", JOURNAL_NEW},
		{true, "message 3", "", JOURNAL_NEW},
	};
	struct teacher *t = open_it();
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct made_up made;
		enum journal_change change;
		struct err err;
		struct journal_entry e = {.time = 1795176000, .spam = steps[i].spam,
			.hash = str_c(steps[i].hash), .octets = str_c(steps[i].octets),
			.who = STR("alice"), .channel = STR("cli"),
			.features = *lessons_make(&made, steps[i].spam, i)};
		assert_int_equal(teacher_teach(t, &e, &change, &err), 0);
		if (change != steps[i].change)
			fail_msg("step %zu: %d", i, change);
	}
	teacher_close(&t);
}

static void learns_while_it_rebuilds(void **state)
{
	struct err err;
	uint8_t before[32], meanwhile[32], live[32], rebuilt[32], again[32];
	struct teacher *t = open_it();
	assert_int_equal(teacher_step_rebuild(t, &err), 0);
	for (uint64_t i = 0; i < 300; i++)
		teach(t, i, i % 2, "alice");
	digest(t, before);
	assert_int_equal(teacher_begin_rebuild(t, &err), 0);
	assert_int_equal(teacher_step_rebuild(t, &err), 1);
	digest(t, meanwhile);
	assert_memory_equal(before, meanwhile, 32);
	for (uint64_t i = 300; i < 320; i++)
		teach(t, i, i % 2, "alice");
	digest(t, live);
	assert_true(teacher_is_rebuilding(t));
	assert_int_equal(finish(t), 0);
	assert_false(teacher_is_rebuilding(t));
	digest(t, rebuilt);
	assert_memory_equal(live, rebuilt, 32);
	assert_int_equal(journal_is_stale(teacher_journal(t), &err), 0);
	/* What was begun and not done is done by the next one. */
	assert_int_equal(teacher_begin_rebuild(t, &err), 0);
	assert_int_equal(teacher_step_rebuild(t, &err), 1);
	teacher_close(&t);
	t = open_it();
	assert_int_equal(journal_is_stale(teacher_journal(t), &err), 0);
	digest(t, again);
	assert_memory_equal(live, again, 32);
	teacher_close(&t);
}

static void a_lesson_undone_meanwhile_is_not_forgotten(void **state)
{
	struct err err;
	int64_t spam, ham;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 100; i++)
		teach(t, i, i % 2, "alice");
	assert_int_equal(teacher_begin_rebuild(t, &err), 0);
	assert_int_equal(teacher_step_rebuild(t, &err), 1);
	/* Learned already: it stays until the next time. */
	assert_int_equal(teach(t, 1, false, "bob"), JOURNAL_RELABELED);
	assert_int_equal(finish(t), 0);
	assert_int_equal(journal_is_stale(teacher_journal(t), &err), 1);
	model_learned(teacher_model(t), &spam, &ham);
	assert_true(spam == 50 && ham == 51);
	assert_int_equal(teacher_rebuild(t, &err), 0);
	assert_int_equal(journal_is_stale(teacher_journal(t), &err), 0);
	model_learned(teacher_model(t), &spam, &ham);
	assert_true(spam == 49 && ham == 51);
	teacher_close(&t);
}

static void takes_lessons_back(void **state)
{
	struct err err;
	uint8_t without[32], after[32];
	int64_t count;
	struct journal_undone undone;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 50; i++)
		teach(t, i, i % 2, "alice");
	digest(t, without);
	for (uint64_t i = 50; i < 90; i++)
		teach(t, i, i % 3 == 0, "mallory");
	const struct journal_which mallory = {.who = STR("mallory")},
				   nobody = {.who = STR("nobody")},
				   late = {.since = 1795176000 + 85 * 3600};
	assert_int_equal(teacher_undo(t, &nobody, &undone, &err), 0);
	assert_int_equal(undone.count, 0);
	assert_int_equal(journal_count(teacher_journal(t), &late, &count, &err), 0);
	assert_int_equal(count, 5);
	assert_int_equal(teacher_undo(t, &mallory, &undone, &err), 0);
	assert_true(undone.count == 40 && undone.trimmed == 0);
	assert_int_equal(finish(t), 0);
	digest(t, after);
	/* Only the position in the log may differ, and it does not: it is that of the last that
	 * holds. */
	assert_memory_equal(without, after, 32);
	teacher_close(&t);
}

static void survives_a_kill(void **state)
{
	int64_t spam, ham;
	uint8_t after_kill[32];
	pid_t child = fork();
	if (child == 0) {
		struct teacher *t = open_it();
		for (uint64_t i = 0; i < 60; i++)
			teach(t, i, i % 2, "alice");
		kill(getpid(), SIGKILL);
	}
	waitpid(child, NULL, 0);
	struct teacher *t = open_it();
	model_learned(teacher_model(t), &spam, &ham);
	assert_true(spam == 30 && ham == 30);
	digest(t, after_kill);
	assert_rebuilt(t, after_kill);
	teacher_close(&t);
}

static void has_one_owner(void **state)
{
	struct err err;
	struct teacher *t = open_it();
	assert_null(teacher_open(folder, TABLE_HALF_LIFE, &err));
	assert_non_null(strstr(err.text, "another process"));
	teacher_close(&t);
	teacher_close(&t);
}

/* A lesson as an untrusted user gives it, with made-up features. */
struct given {
	uint64_t number;
	bool spam, looks_spam;
	const char *who, *sender, *tenant, *channel;
	int64_t time;
};

static int give(struct teacher *t, const struct given *g, enum journal_change *change_r, struct err *err)
{
	struct made_up made;
	char hash[48];
	snprintf(hash, sizeof(hash), "%s %llu", g->channel ? g->channel : "mail",
		(unsigned long long)g->number);
	struct journal_entry e = {.time = g->time ? g->time : 1795176000,
		.spam = g->spam,
		.hash = str_c(hash),
		.who = str_c(g->who),
		.sender = str_c(g->sender ? g->sender : ""),
		.tenant = str_c(g->tenant ? g->tenant : ""),
		.channel = str_c(g->channel ? g->channel : "mail"),
		.features = *lessons_make(&made, g->looks_spam, g->number)};
	return teacher_teach(t, &e, change_r, err);
}

static void has_quotas(void **state)
{
	static const struct {
		struct teacher_quotas quotas;
		struct given given;
		struct given other; /* is still heard */
		const char *says;
	} rows[] = {
		{{.user = 30}, {.spam = true, .who = "mallory"}, {.spam = true, .who = "alice"},
			"30 lessons by mallory"},
		{{.user_ham = 30}, {.who = "mallory"}, {.spam = true, .who = "mallory"},
			"30 lessons of ham by mallory"},
		{{.sender = 30}, {.spam = true, .who = "mallory", .sender = "example.com"},
			{.spam = true, .who = "mallory", .sender = "example.org"},
			"30 lessons about mail of example.com"},
		{{.tenant = 30}, {.spam = true, .who = "mallory", .tenant = "example.net"},
			{.spam = true, .who = "mallory", .tenant = "example.org"},
			"30 lessons for example.net"},
		{{.user = 10, .user_ham = 10, .automatic = 30}, {.who = "auto:dmarc", .channel = "auto"},
			{.spam = true, .who = "auto:dnsbl", .channel = "auto"}, "30 lessons by auto:dmarc"},
	};
	struct teacher *t = open_it();
	enum journal_change change;
	struct err err;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct given g = rows[i].given, other = rows[i].other;
		int refused = 0;
		teacher_set_quotas(t, &rows[i].quotas);
		g.time = other.time = 1795176000 + (int64_t)i * 200000;
		for (uint64_t n = 0; n < 40; n++) {
			g.number = i * 1000 + n;
			g.looks_spam = g.spam;
			refused += give(t, &g, &change, &err) < 0;
		}
		if (refused != 10 || !strstr(err.text, rows[i].says))
			fail_msg("row %zu: %d refused, %s", i, refused, err.text);
		other.number = i * 1000 + 500;
		assert_int_equal(give(t, &other, &change, &err), 0);
		/* A password of the site, and the next day. */
		g.number++;
		g.channel = "cli";
		assert_int_equal(give(t, &g, &change, &err), 0);
		g.channel = rows[i].given.channel;
		g.time += 86401;
		assert_int_equal(give(t, &g, &change, &err), 0);
	}
	struct journal_entry nothing = {.channel = STR("cli")};
	assert_int_equal(teacher_teach(t, &nothing, &change, &err), -1);
	teacher_close(&t);
}

/* Nobody's word counts as much as somebody's, whichever comes first. */
static void what_nobody_said_gives_way(void **state)
{
	struct teacher *t = open_it();
	struct journal_which nobodys = {.who = STR("auto:dnsbl")}, alices = {.who = STR("alice")};
	enum journal_change change;
	struct err err;
	for (int first = 0; first < 2; first++) {
		struct given by_itself = {.number = (uint64_t)first, .spam = true, .who = "auto:dnsbl"};
		struct given by_alice = {.number = (uint64_t)first, .who = "alice"};
		struct given *order[2] = {&by_itself, &by_alice};
		int64_t count;
		for (int i = 0; i < 2; i++) {
			struct made_up made;
			struct given *g = order[i ^ first];
			struct journal_entry e = {.time = 1795176000, .spam = g->spam,
				.hash = first ? STR("one") : STR("two"), .who = str_c(g->who),
				.channel = g == &by_itself ? STR("auto") : STR("mail"),
				.features = *lessons_make(&made, g->spam, g->number)};
			assert_int_equal(teacher_teach(t, &e, &change, &err), 0);
		}
		assert_int_equal(change, first ? JOURNAL_KNOWN : JOURNAL_RELABELED);
		assert_int_equal(journal_count(teacher_journal(t), &nobodys, &count, &err), 0);
		assert_int_equal(count, 0);
		assert_int_equal(journal_count(teacher_journal(t), &alices, &count, &err), 0);
		assert_int_equal(count, first + 1);
	}
	teacher_close(&t);
}

/* The same message with one word in a hundred changed. */
static enum journal_change give_copy(struct teacher *t, uint64_t number, bool spam)
{
	struct made_up made;
	char hash[32];
	enum journal_change change;
	struct err err;
	snprintf(hash, sizeof(hash), "copy %llu", (unsigned long long)number);
	struct journal_entry e = {.time = 1795176000,
		.spam = spam,
		.hash = str_c(hash),
		.channel = STR("cli"),
		.who = number == 0 ? STR("first") : STR("others"),
		.features = *lessons_make(&made, spam, 77)};
	made.tokens[1] = 1 + number;
	if (teacher_teach(t, &e, &change, &err) < 0)
		fail_msg("%s", err.text);
	return change;
}

/* How many of the log's lessons taught something. */
static int taught(void *context, const struct journal_entry *e, struct err *err)
{
	*(int *)context += !e->is_counted;
	return 0;
}

static void copies_thin_out(void **state)
{
	uint8_t live[32];
	int64_t spam, ham;
	struct journal_undone undone;
	int teaching = 0;
	struct err err;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 40; i++)
		assert_int_equal(give_copy(t, i, true), JOURNAL_NEW);
	/* The first, and copies 1, 2, 3, 4, 8, 16 and 32. */
	assert_int_equal(journal_replay(teacher_journal(t), &(struct journal_span){0}, taught, &teaching, &err), 0);
	assert_int_equal(teaching, 8);
	model_learned(teacher_model(t), &spam, &ham);
	assert_true(spam == 40 && ham == 0);
	/* The other label is another opinion. */
	give_copy(t, 1000, false);
	teaching = 0;
	assert_int_equal(journal_replay(teacher_journal(t), &(struct journal_span){0}, taught, &teaching, &err), 0);
	assert_int_equal(teaching, 9);
	digest(t, live);
	assert_rebuilt(t, live);
	/* Without the first a copy takes its place, and what comes next is a copy of that. */
	const struct journal_which first = {.who = STR("first")};
	assert_int_equal(teacher_undo(t, &first, &undone, &err), 0);
	assert_int_equal(undone.count, 1);
	teaching = 0;
	assert_int_equal(journal_replay(teacher_journal(t), &(struct journal_span){0}, taught, &teaching, &err), 0);
	assert_int_equal(teaching, 8);
	give_copy(t, 50, true);
	teaching = 0;
	assert_int_equal(journal_replay(teacher_journal(t), &(struct journal_span){0}, taught, &teaching, &err), 0);
	assert_int_equal(teaching, 8);
	teacher_close(&t);
}

static double asked(struct teacher *t, bool spam, uint64_t number)
{
	struct made_up made;
	return model_classify(teacher_model(t), lessons_make(&made, spam, number)).log_odds;
}

static int note_refused(void *context, const struct journal_entry *e, struct err *err)
{
	*(int64_t *)context = e->id;
	assert_true(str_eq_c(e->who, "mallory"));
	return 0;
}

/* What is known well cannot be taught wrong by a user, whose right lessons are taken all the same. */
static void refuses_what_spoils_known_mail(void **state)
{
	enum { KNOWN = 200, WRONG = 100 };
	uint8_t before[32], after[32];
	int64_t refused_id = 0;
	int refused = 0;
	struct teacher *t = open_it();
	enum journal_change change;
	struct err err;
	for (uint64_t i = 0; i < KNOWN; i++)
		teach(t, i, i % 2, "admin");
	/* Of one who is trusted it is taken: he may know better. */
	struct given wrong = {.number = 900000, .looks_spam = true, .who = "admin", .channel = "cli"};
	assert_int_equal(give(t, &wrong, &change, &err), 0);
	assert_int_equal(change, JOURNAL_NEW);
	wrong.channel = NULL;
	wrong.who = "mallory";
	double spam_before = asked(t, true, 5000);
	for (uint64_t i = 0; i < WRONG; i++) {
		wrong.number = 1000 + i;
		refused += give(t, &wrong, &change, &err) < 0 || change == JOURNAL_REFUSED;
	}
	assert_true(refused > WRONG - 10);
	assert_non_null(strstr(err.text, "mallory"));
	assert_true(asked(t, true, 5000) > spam_before - 0.5);
	/* The right label is learned, and of others too. */
	for (uint64_t i = 0; i < 20; i++) {
		struct given right = {.number = 3000 + i, .spam = i % 2, .looks_spam = i % 2,
			.who = "alice"};
		assert_int_equal(give(t, &right, &change, &err), 0);
		assert_int_equal(change, JOURNAL_NEW);
	}
	/* What was refused does not hold, is not there twice, and may be accepted. */
	assert_int_equal(journal_refused(teacher_journal(t), 1, note_refused, &refused_id, &err), 0);
	assert_true(refused_id > 0);
	digest(t, before);
	assert_rebuilt(t, before);
	assert_int_equal(teacher_accept(t, refused_id, &err), 1);
	while (teacher_step_rebuild(t, &err) > 0)
		continue;
	digest(t, after);
	assert_memory_not_equal(before, after, 32);
	assert_int_equal(teacher_accept(t, refused_id, &err), 0);
	teacher_close(&t);
}

/* A trial leaves no trace, in the model nor in what is tried next. */
static void a_trial_leaves_no_trace(void **state)
{
	uint8_t before[32], after[32];
	struct made_up made;
	struct err err;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 100; i++)
		teach(t, i, i % 2, "admin");
	digest(t, before);
	struct known *known = known_new(teacher_model(t), &err);
	assert_non_null(known);
	assert_int_equal(known_load(known, teacher_journal(t), 1795176000, &err), 0);
	struct journal_entry wrong = {.time = 1795176000, .who = STR("mallory"),
		.features = *lessons_make(&made, true, 5000)};
	int64_t harm = known_harm(known, &wrong);
	assert_true(harm > 0);
	assert_true(known_harm(known, &wrong) == harm);
	wrong.spam = true;
	assert_true(known_harm(known, &wrong) < harm);
	/* Nobody is judged by what he taught himself. */
	wrong.spam = false;
	wrong.who = STR("admin");
	assert_true(known_harm(known, &wrong) == 0);
	digest(t, after);
	assert_memory_equal(before, after, 32);
	known_free(&known);
	known_free(&known);
	teacher_close(&t);
}

/* Of one sender, and no two bodies alike: none of its words is in any other mail. */
static const struct features *news(struct made_up *m, uint64_t number)
{
	lessons_make(m, true, 70000 + number);
	for (size_t i = 0; i < LESSON_FEATURES; i++) {
		bool is_body = i % 3 != 0;
		uint64_t word = 1000000 + i + (is_body ? 1000 * number : 0);
		m->tokens[i] = word * 0x9e3779b97f4a7c15u;
		m->tokens[i] = (m->tokens[i] & ~((uint64_t)1 << FEATURES_TOKEN_SIDE)) |
			       (uint64_t)is_body << FEATURES_TOKEN_SIDE;
		m->grams[i] = ((uint32_t)(word * 2654435761u) & ~(1u << FEATURES_GRAM_SIDE)) |
			      (uint32_t)is_body << FEATURES_GRAM_SIDE;
	}
	return &m->features;
}

/* No lesson of it misjudges much, but all together make one label that much larger. */
static void a_flood_uses_its_credit_up(void **state)
{
	enum { KNOWN = 400, FLOOD = 700 };
	int refused = 0;
	struct teacher *t = open_it();
	teacher_set_quotas(t, &(struct teacher_quotas){0});
	for (uint64_t i = 0; i < KNOWN; i++)
		teach(t, i, i % 2, "admin");
	for (uint64_t i = 0; i < FLOOD; i++) {
		struct made_up made;
		struct err err;
		enum journal_change change;
		char hash[32];
		snprintf(hash, sizeof(hash), "news %llu", (unsigned long long)i);
		struct journal_entry e = {.time = 1796616000, .spam = true, .hash = str_c(hash),
			.who = STR("mallory"), .channel = STR("mail"), .features = *news(&made, i)};
		refused += teacher_teach(t, &e, &change, &err) < 0 || change == JOURNAL_REFUSED;
	}
	assert_true(refused > FLOOD / 10);
	teacher_close(&t);
}

/* A newsletter whose words nobody else uses, each issue a third new. */
static const struct features *issue(struct made_up *m, uint64_t number)
{
	lessons_make(m, true, 70000 + number);
	for (size_t i = 0; i < LESSON_FEATURES; i++) {
		uint64_t word = 40000 + i + (i % 3 ? 0 : number * 1000);
		m->tokens[i] = word * 0x9e3779b97f4a7c15u;
		m->grams[i] = (uint32_t)(word * 2654435761u);
	}
	return &m->features;
}

static double asked_by(struct teacher *t, const struct features *features, const char *tenant)
{
	struct features f = *features;
	f.tenant = tenant_key(model_salt(teacher_model(t)), str_c(tenant));
	return model_classify(teacher_model(t), &f).log_odds;
}

static void each_tenant_has_his_will(void **state)
{
	uint8_t live[32];
	struct made_up made;
	struct err err;
	enum journal_change change;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 200; i++)
		teach(t, i, i % 2, "admin");
	lessons_make(&made, true, 9000);
	double spam = asked_by(t, &made.features, "a.example");
	for (uint64_t i = 0; i < 20; i++) {
		char hash[32];
		snprintf(hash, sizeof(hash), "issue %llu", (unsigned long long)i);
		struct journal_entry e = {.time = 1795176000, .spam = i % 2, .hash = str_c(hash),
			.who = STR("admin"), .channel = STR("cli"),
			.tenant = i % 2 ? STR("a.example") : STR("b.example"),
			.features = *issue(&made, i)};
		assert_int_equal(teacher_teach(t, &e, &change, &err), 0);
	}
	issue(&made, 100);
	double all = asked_by(t, &made.features, ""), other = asked_by(t, &made.features, "c.example");
	assert_true(asked_by(t, &made.features, "a.example") > 1);
	assert_true(asked_by(t, &made.features, "b.example") < -1);
	assert_true(all == other && all > -3 && all < 3);
	/* What they do not quarrel about is as it was. */
	lessons_make(&made, true, 9000);
	assert_true(asked_by(t, &made.features, "a.example") > spam - 1);
	assert_true(asked_by(t, &made.features, "b.example") > spam - 1);
	digest(t, live);
	assert_rebuilt(t, live);
	teacher_close(&t);
}

/* The first lesson cannot be replayed any more. */
static void spoil_first_lesson(void)
{
	ask_log("UPDATE lesson SET features = 'x' WHERE id = 1");
}

static void begins_at_a_checkpoint(void **state)
{
	uint8_t live[32];
	struct journal_undone undone;
	struct err err;
	struct journal_checkpoint c;
	struct teacher *t = open_it();
	/* An hour each: a checkpoint after 120, and the next a day and 100 lessons later. */
	for (uint64_t i = 0; i < 300; i++) {
		teach(t, i, i % 2, i < 250 ? "alice" : "mallory");
		if (i % 30 == 29)
			assert_int_equal(teacher_sync(t, &err), 0);
	}
	assert_int_equal(journal_checkpoint(teacher_journal(t), 0, &c, &err), 1);
	assert_true(c.position == 240);
	assert_int_equal(journal_checkpoint(teacher_journal(t), 1, &c, &err), 1);
	assert_true(c.position == 120);
	assert_int_equal(journal_checkpoint(teacher_journal(t), 2, &c, &err), 0);
	digest(t, live);
	spoil_first_lesson();
	assert_rebuilt(t, live);
	/* A damaged one is passed over for the older one; nothing else would do. */
	damage("checkpoint.1", 4096 * 500 + 8);
	assert_rebuilt(t, live);
	/* What was undone is in neither of those that hold. */
	const struct journal_which mallory = {.who = STR("mallory")};
	assert_int_equal(teacher_undo(t, &mallory, &undone, &err), 0);
	assert_int_equal(undone.count, 50);
	assert_int_equal(finish(t), 0);
	assert_int_equal(journal_checkpoint(teacher_journal(t), 1, &c, &err), 1);
	assert_int_equal(teach(t, 200, true, "bob"), JOURNAL_RELABELED);
	assert_int_equal(journal_checkpoint(teacher_journal(t), 0, &c, &err), 1);
	assert_true(c.position == 120);
	damage("checkpoint.0", 4096 * 500 + 8);
	assert_int_equal(teacher_rebuild(t, &err), -1);
	assert_non_null(strstr(err.text, "lesson 1 is damaged"));
	teacher_close(&t);
}

static void rolls_back_to_a_checkpoint(void **state)
{
	uint8_t then[32], now[32];
	struct journal_undone undone;
	struct err err;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 120; i++)
		teach(t, i, i % 2, "alice");
	assert_int_equal(teacher_roll_back(t, 0, &undone, &err), 0);
	assert_int_equal(teacher_sync(t, &err), 0);
	digest(t, then);
	for (uint64_t i = 120; i < 160; i++)
		teach(t, i, i % 3 == 0, "mallory");
	assert_int_equal(teacher_roll_back(t, 1, &undone, &err), 0);
	assert_int_equal(teacher_roll_back(t, 0, &undone, &err), 1);
	assert_int_equal(undone.count, 40);
	assert_int_equal(finish(t), 0);
	digest(t, now);
	assert_memory_equal(then, now, 32);
	teacher_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(rebuilds_the_same_bits),
		IN_FOLDER(a_message_counts_once),
		IN_FOLDER(rows_of_former_versions_count_too),
		IN_FOLDER(learns_while_it_rebuilds),
		IN_FOLDER(a_lesson_undone_meanwhile_is_not_forgotten),
		IN_FOLDER(takes_lessons_back),
		IN_FOLDER(survives_a_kill),
		IN_FOLDER(has_one_owner),
		IN_FOLDER(has_quotas),
		IN_FOLDER(what_nobody_said_gives_way),
		IN_FOLDER(copies_thin_out),
		IN_FOLDER(refuses_what_spoils_known_mail),
		IN_FOLDER(a_flood_uses_its_credit_up),
		IN_FOLDER(a_trial_leaves_no_trace),
		IN_FOLDER(each_tenant_has_his_will),
		IN_FOLDER(begins_at_a_checkpoint),
		IN_FOLDER(rolls_back_to_a_checkpoint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
