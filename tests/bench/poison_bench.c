/*
 * What one user can do to the classifier who means it ill.
 *
 *	poison_bench [-q] [-d LESSONS_A_DAY] [-s SEED] INDEX [ATTACK...]
 *
 * Of an INDEX (samples.h), shuffled, 2,500 messages are learned as the site's own lessons and 800 held back (of
 * a smaller corpus half and a sixth); then one user, who is not trusted, gives up to 1,000 lessons, through
 * the teacher with its guards, all quotas lifted (-q: as they are), all within a day unless -d says how many a
 * day; and once more to the model itself, unguarded. Prints for each attack how many lessons were
 * refused; the largest move of a held-back message's log-odds, how many went from one
 * side of 0 to the other and how many more are wrong now; and by how much a view's share (combine.h)
 * changed at most. In brackets what the unguarded model does. The attacker knows all that the model has learned.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bayes/combine.h"
#include "bayes/table.h"
#include "bayes/teacher.h"
#include "core/hash.h"
#include "core/limits.h"
#include "tests/bench/samples.h"

enum { KNOWN = 2500, HELD = 800, LESSONS = 1000, STRONGEST = 600, MOST_WORDS = 400, DAY = 86400 };
#define START 1795176000

/* One that was found, then all that are the same. */
struct word {
	struct str text;
	double spam, ham, says;
};

static struct arena *arena;
static uint8_t salt[16]; /* zeroes: the same run everywhere */
static struct samples known, held, rest[2];
static struct features *known_features, *held_features;
static struct str strongest[2][STRONGEST];
static uint64_t seed = 1, a_day = 1000000;
static bool with_quotas;
static char folder[] = "/tmp/gatepost-poison-XXXXXX";

static uint64_t chance(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 16) % below;
}

/* The corpus */

static struct features features_from(struct str raw, struct arena *in)
{
	struct features f;
	features_of(mail_parse(in, raw), salt, &f);
	return f;
}

static void *keep(const void *p, size_t size)
{
	return memcpy(arena_alloc(arena, size + 1), p, size);
}

static struct features *features_kept(const struct samples *all)
{
	struct features *kept = ARENA_ARRAY(arena, all->n, struct features);
	for (size_t i = 0; i < all->n; i++) {
		struct arena *in = arena_new(LIMIT_TRANSACTION_MEMORY);
		struct features f = features_from(all->v[i].raw, in);
		kept[i] = f;
		kept[i].grams = keep(f.grams, f.gram_count * sizeof(*f.grams));
		kept[i].tokens = keep(f.tokens, f.token_count * sizeof(*f.tokens));
		arena_free(&in);
	}
	return kept;
}

static void read_corpus(const char *index)
{
	struct samples all = {NULL, 0, 0};
	samples_read(&all, arena, index);
	for (size_t i = all.n; i > 1; i--) {
		size_t j = chance(i);
		struct sample last = all.v[i - 1];
		all.v[i - 1] = all.v[j];
		all.v[j] = last;
	}
	known.v = all.v;
	known.n = all.n < 2 * KNOWN ? all.n / 2 : KNOWN;
	held.v = all.v + known.n;
	held.n = all.n < 2 * KNOWN ? all.n / 6 : HELD;
	rest[0].v = ARENA_ARRAY(arena, all.n, struct sample);
	rest[1].v = ARENA_ARRAY(arena, all.n, struct sample);
	for (size_t i = known.n + held.n; i < all.n; i++) {
		struct samples *of = &rest[all.v[i].spam];
		of->v[of->n++] = all.v[i];
	}
	if (known.n < 200 || rest[0].n == 0 || rest[1].n == 0)
		samples_die("too few messages in", index);
	known_features = features_kept(&known);
	held_features = features_kept(&held);
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(((const struct word *)a)->text, ((const struct word *)b)->text);
}

static int by_what_it_says(const void *a, const void *b)
{
	double x = ((const struct word *)a)->says, y = ((const struct word *)b)->says;
	return x < y ? -1 : x > y;
}

/* Of 4 to 15 letters, from the text's beginning. */
static size_t add_words(struct word *words, size_t n, const struct sample *m)
{
	struct arena *in = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct str text = mail_text(mail_parse(in, m->raw)), word;
	for (size_t found = 0; found < MOST_WORDS && str_word(&text, &word);) {
		size_t letters = 0;
		while (letters < word.n && char_is_alpha(word.p[letters]))
			letters++;
		if (letters != word.n || word.n < 4 || word.n > 15)
			continue;
		words[n++] = (struct word){arena_lower(arena, word), m->spam, !m->spam, 0};
		found++;
	}
	arena_free(&in);
	return n;
}

static void find_strongest(void)
{
	struct word *words = ARENA_ARRAY(arena, known.n * MOST_WORDS, struct word);
	size_t n = 0, distinct = 0;
	for (size_t i = 0; i < known.n; i++)
		n = add_words(words, n, &known.v[i]);
	qsort(words, n, sizeof(*words), by_text);
	for (size_t i = 0; i < n; i++) {
		if (distinct && str_eq(words[distinct - 1].text, words[i].text)) {
			words[distinct - 1].spam += words[i].spam;
			words[distinct - 1].ham += words[i].ham;
		} else {
			words[distinct++] = words[i];
		}
	}
	/* Frequent ones before rare ones that say the same. */
	for (size_t i = 0; i < distinct; i++)
		words[i].says = log((words[i].spam + 3) / (words[i].ham + 3));
	qsort(words, distinct, sizeof(*words), by_what_it_says);
	if (distinct < 2 * STRONGEST)
		samples_die("too few words in the corpus,", "600 of each kind are wanted");
	for (size_t i = 0; i < STRONGEST; i++) {
		strongest[0][i] = words[i].text;
		strongest[1][i] = words[distinct - 1 - i].text;
	}
}

/* What attacks are made of */

static struct str headers_of(const struct mail *m, bool about_content, struct buf *out)
{
	for (size_t i = 0; m && i < m->headers.n; i++) {
		bool is_about = str_istarts(m->headers.v[i].name, "Content-") ||
				str_ieq_c(m->headers.v[i].name, "MIME-Version");
		if (is_about == about_content)
			buf_str_add(out, m->headers.v[i].line);
	}
	return buf_str(out);
}

/* The headers of one message and the body of another; either may be missing. */
static void compose(const struct sample *headers, const struct sample *body, struct arena *in, struct buf *out)
{
	const struct mail *h = headers ? mail_parse(in, headers->raw) : NULL;
	const struct mail *b = body ? mail_parse(in, body->raw) : NULL;
	headers_of(h, false, out);
	headers_of(b, true, out);
	buf_c(out, "\r\n");
	if (b)
		buf_str_add(out, b->body);
}

static void add_strongest(bool spam, size_t count, struct buf *out)
{
	struct str words[STRONGEST];
	memcpy(words, strongest[spam], sizeof(words));
	for (size_t i = 0; i < count; i++) {
		size_t j = i + chance(STRONGEST - i);
		struct str word = words[j];
		words[j] = words[i];
		buf_printf(out, "%.*s%s", STR_ARG(word), i % 10 == 9 ? "\r\n" : " ");
	}
}

static void add_made_up(size_t count, struct buf *out)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t n = 2 + chance(4); n > 0; n--)
			buf_printf(out, "%c%c", "bcdfgklmnprstvz"[chance(15)], "aeiou"[chance(5)]);
		buf_c(out, i % 10 == 9 ? "\r\n" : " ");
	}
}

static void own_headers(size_t i, struct buf *out)
{
	buf_printf(out, "From: Bill <billing@example.org>\r\nTo: alice@example.net\r\n"
		"Subject: Invoice %zu\r\nMessage-ID: <%zu@example.org>\r\n\r\n", i, i);
}

/* The one with this number is made, out and spam; false if there are no more. */
struct lesson {
	size_t i;
	struct arena *in;
	struct buf *out;
	bool spam;
};

static const struct sample *one(bool spam, size_t i)
{
	return &rest[spam].v[i % rest[spam].n];
}

static bool salad(struct lesson *l)
{
	own_headers(l->i, l->out);
	add_strongest(true, STRONGEST, l->out);
	return true;
}

static bool spam_of_ham_words(struct lesson *l)
{
	own_headers(l->i, l->out);
	add_strongest(false, STRONGEST, l->out);
	return l->spam = true;
}

static bool spam_of_few_ham_words(struct lesson *l)
{
	own_headers(l->i, l->out);
	add_strongest(false, 60, l->out);
	return l->spam = true;
}

static bool ham_of_few_spam_words(struct lesson *l)
{
	own_headers(l->i, l->out);
	add_strongest(true, 60, l->out);
	return true;
}

static bool friend_spam(struct lesson *l)
{
	compose(one(false, 0), one(true, l->i), l->in, l->out);
	return true;
}

static bool spam_as_ham(struct lesson *l)
{
	buf_str_add(l->out, one(true, l->i)->raw);
	return l->i < rest[1].n;
}

static bool ham_as_spam(struct lesson *l)
{
	buf_str_add(l->out, one(false, l->i)->raw);
	l->spam = true;
	return l->i < rest[0].n;
}

static bool right_spam(struct lesson *l)
{
	l->spam = true;
	buf_str_add(l->out, one(true, l->i)->raw);
	return l->i < rest[1].n;
}

static bool right_ham(struct lesson *l)
{
	buf_str_add(l->out, one(false, l->i)->raw);
	return l->i < rest[0].n;
}

static bool right(struct lesson *l)
{
	l->spam = l->i % 2;
	buf_str_add(l->out, one(l->spam, l->i / 2)->raw);
	return l->i / 2 < rest[l->spam].n;
}

static bool made_up_under_ham(struct lesson *l)
{
	compose(one(false, l->i), NULL, l->in, l->out);
	add_made_up(200, l->out);
	return true;
}

static bool made_up_ham(struct lesson *l)
{
	own_headers(l->i, l->out);
	add_made_up(100, l->out);
	return true;
}

static bool made_up_spam(struct lesson *l)
{
	l->spam = true;
	return made_up_ham(l) && l->spam;
}

static bool spam_headers(struct lesson *l)
{
	compose(one(true, l->i), NULL, l->in, l->out);
	return l->i < rest[1].n;
}

static bool ham_headers(struct lesson *l)
{
	compose(one(false, l->i), NULL, l->in, l->out);
	l->spam = true;
	return l->i < rest[0].n;
}

static bool spam_bodies(struct lesson *l)
{
	compose(NULL, one(true, l->i), l->in, l->out);
	return l->i < rest[1].n;
}

static bool ham_bodies(struct lesson *l)
{
	compose(NULL, one(false, l->i), l->in, l->out);
	l->spam = true;
	return l->i < rest[0].n;
}

/* Of both labels by turns: headers tell the truth, and bodies do not. */
static bool by_headers(struct lesson *l)
{
	l->spam = l->i % 2;
	compose(one(l->spam, l->i / 2), one(!l->spam, l->i / 2), l->in, l->out);
	return true;
}

static bool by_bodies(struct lesson *l)
{
	l->spam = l->i % 2;
	compose(one(!l->spam, l->i / 2), one(l->spam, l->i / 2), l->in, l->out);
	return true;
}

/* Right lessons of both labels, for the credit, and every fourth is spam as ham. */
static bool credit(struct lesson *l)
{
	bool wrong = l->i % 4 == 3;
	l->spam = l->i % 4 != 1 && !wrong;
	buf_str_add(l->out, one(l->spam || wrong, l->i)->raw);
	return true;
}

/* Friends' mail with a few words of spam at its end: little harm each, and some good. */
static bool sprinkled(struct lesson *l)
{
	compose(one(false, l->i), one(false, l->i), l->in, l->out);
	buf_c(l->out, "\r\n");
	add_strongest(true, 20, l->out);
	return true;
}

static bool sprinkled_spam(struct lesson *l)
{
	compose(one(true, l->i), one(true, l->i), l->in, l->out);
	buf_c(l->out, "\r\n");
	add_strongest(false, 20, l->out);
	return l->spam = true;
}

static const struct attack {
	const char *name, *text;
	bool (*make)(struct lesson *lesson);
} attacks[] = {
	{"salad", "ham of the strongest 600 spam words", salad},
	{"friend", "spam bodies under a friend's headers, as ham", friend_spam},
	{"spam-as-ham", "all the spam that there is, as ham", spam_as_ham},
	{"ham-as-spam", "ham of others, as spam", ham_as_spam},
	{"ham-words", "spam of the strongest 600 ham words", spam_of_ham_words},
	{"few-ham-words", "spam of 60 of them, no two alike, of one sender", spam_of_few_ham_words},
	{"few-spam-words", "ham of 60 spam words, no two alike, of one sender", ham_of_few_spam_words},
	{"made-up-spam", "spam of made-up words, of one sender", made_up_spam},
	{"made-up-ham", "ham of made-up words, of one sender", made_up_ham},
	{"made-up-friends", "made-up words under friends' headers, as ham", made_up_under_ham},
	{"spam-headers", "headers of spam without bodies, as ham", spam_headers},
	{"ham-headers", "headers of ham without bodies, as spam", ham_headers},
	{"spam-bodies", "bodies of spam without headers, as ham", spam_bodies},
	{"ham-bodies", "bodies of ham without headers, as spam", ham_bodies},
	{"by-headers", "headers right and bodies wrong, both labels by turns", by_headers},
	{"by-bodies", "bodies right and headers wrong, both labels by turns", by_bodies},
	{"credit", "right labels, and every fourth spam as ham", credit},
	{"sprinkled", "ham with 20 spam words added, as ham", sprinkled},
	{"sprinkled-spam", "spam with 20 ham words added, as spam", sprinkled_spam},
	{"right-spam", "right spam alone", right_spam},
	{"right-ham", "right ham alone", right_ham},
	{"right", "right labels (one user, too)", right},
};

/* Measuring */

struct effect {
	double moves, shares;
	int sides, wrong;
};

static void read_shares(const char *path, double shares_r[TABLE_VIEWS])
{
	struct table table;
	struct err err;
	if (table_open(&table, path, TABLE_READ, &err) < 0)
		samples_die("cannot look at the shares:", err.text);
	for (size_t i = 0; i < TABLE_VIEWS; i++)
		shares_r[i] = combine_share(table.header, i / FEATURES_SIDES, i % FEATURES_SIDES);
	table_close(&table);
}

static void judge(const struct model *model, double *odds_r, double shares_r[TABLE_VIEWS])
{
	struct err err;
	const char *path = arena_printf(arena, "%s/judged", folder).p;
	for (size_t i = 0; i < held.n; i++)
		odds_r[i] = model_classify(model, &held_features[i]).log_odds;
	if (model_save(model, path, &err) < 0)
		samples_die("cannot keep the model:", err.text);
	read_shares(path, shares_r);
	unlink(path);
}

static struct effect compare(const double *before, const double *after, const double *then, const double *now)
{
	struct effect e = {.moves = 0};
	for (size_t i = 0; i < held.n; i++) {
		bool said = before[i] > 0, says = after[i] > 0;
		e.moves = fmax(e.moves, fabs(after[i] - before[i]));
		e.sides += said != says;
		e.wrong += (says != held.v[i].spam) - (said != held.v[i].spam);
	}
	for (size_t i = 0; i < TABLE_VIEWS; i++)
		e.shares = fmax(e.shares, 100 * fabs(now[i] / then[i] - 1));
	return e;
}

static struct teacher *taught(void)
{
	struct err err;
	struct teacher *t;
	const char *path = arena_printf(arena, "%s/model", folder).p;
	struct model *m = model_ensure(path, &err) == 0 ? model_open(path, MODEL_WRITE, &err) : NULL;
	if (!m)
		samples_die("cannot begin:", err.text);
	model_set_salt(m, salt);
	model_close(&m);
	if (!(t = teacher_open(folder, TABLE_HALF_LIFE, &err)))
		samples_die("cannot begin:", err.text);
	for (size_t i = 0; i < known.n; i++) {
		enum journal_change change;
		char hash[32];
		snprintf(hash, sizeof(hash), "known %zu", i);
		struct journal_entry e = {.time = START, .spam = known.v[i].spam, .hash = str_c(hash),
			.who = STR("site"), .channel = STR("cli"), .features = known_features[i]};
		if (teacher_teach(t, &e, &change, &err) < 0)
			samples_die("cannot teach:", err.text);
	}
	if (!with_quotas)
		teacher_set_quotas(t, &(struct teacher_quotas){0});
	return t;
}

static void drop_folder(void)
{
	static const char *const names[] = {"model", "log.db", "log.db-wal", "log.db-shm", "checkpoint.0",
		"checkpoint.1", "checkpoint.2"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(arena_printf(arena, "%s/%s", folder, names[i]).p);
}

/* As the trainer does it. */
static void give(struct teacher *t, const struct lesson *l, const struct features *f, int *refused)
{
	struct err err;
	enum journal_change change;
	char hash[32];
	snprintf(hash, sizeof(hash), "lesson %zu", l->i);
	struct journal_entry e = {.time = START + 60 + (int64_t)(l->i * DAY / a_day), .spam = l->spam,
		.hash = str_c(hash), .who = STR("mallory@example.org"), .channel = STR("mailbox"),
		.sender = STR("example.org"), .features = *f};
	if (teacher_teach(t, &e, &change, &err) < 0 || change == JOURNAL_REFUSED)
		++*refused;
}

static struct model *overlay_of(struct teacher *t)
{
	struct err err;
	struct model *m = model_overlay(teacher_model(t), &err);
	if (!m)
		samples_die("cannot copy the model:", err.text);
	return m;
}

/* Of an attack, on the teacher or, without one, on the model itself. */
static int attack(const struct attack *a, struct teacher *t, struct model *m, int *refused)
{
	struct arena *in = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct buf text = BUF_INIT;
	struct lesson l = {.in = in, .out = &text};
	seed = 4711;
	for (; l.i < LESSONS; l.i++) {
		l.spam = false;
		buf_clear(&text);
		arena_reset(in);
		if (!a->make(&l))
			break;
		struct features f = features_from(buf_str(&text), in);
		if (m)
			model_learn(m, &f, l.spam, 0);
		else
			give(t, &l, &f, refused);
	}
	buf_free(&text);
	arena_free(&in);
	return (int)l.i;
}

static void run(const struct attack *a)
{
	double *before = ARENA_ARRAY(arena, held.n, double), *after = ARENA_ARRAY(arena, held.n, double);
	double then[TABLE_VIEWS], now[TABLE_VIEWS];
	int refused = 0;
	struct teacher *t = taught();
	struct model *bare = overlay_of(t);
	judge(teacher_model(t), before, then);
	attack(a, t, bare, NULL);
	judge(bare, after, now);
	struct effect unguarded = compare(before, after, then, now);
	model_close(&bare);
	int lessons = attack(a, t, NULL, &refused);
	judge(teacher_model(t), after, now);
	struct effect e = compare(before, after, then, now);
	printf("%-52s %4d of %4d refused, moves %5.2f, sides %3d, wrong %+4d, shares %4.1f%%"
	       " (%5.2f, %3d, %+4d, %4.1f%%)\n", a->text, refused, lessons, e.moves, e.sides, e.wrong,
		e.shares, unguarded.moves, unguarded.sides, unguarded.wrong, unguarded.shares);
	fflush(stdout);
	teacher_close(&t);
	drop_folder();
}

static bool is_wanted(const struct attack *a, char **names)
{
	for (char **name = names; *name; name++)
		if (strcmp(*name, a->name) == 0)
			return true;
	return !*names;
}

static int wrong_usage(void)
{
	fprintf(stderr, "usage: poison_bench [-q] [-d LESSONS_A_DAY] [-s SEED] INDEX [ATTACK...]\nattacks:");
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		fprintf(stderr, " %s", attacks[i].name);
	fprintf(stderr, "\n");
	return 2;
}

int main(int argc, char **argv)
{
	int option;
	while ((option = getopt(argc, argv, "qd:s:")) != -1) {
		uint64_t *number = option == 'd' ? &a_day : &seed;
		if (option == 'q')
			with_quotas = true;
		else if (option == '?' || str_to_u64(str_c(optarg), 1, 1000000, number) < 0)
			return wrong_usage();
	}
	if (optind >= argc)
		return wrong_usage();
	if (!mkdtemp(folder))
		samples_die("cannot make", folder);
	arena = arena_new(SIZE_MAX);
	seed *= 0x9e3779b97f4a7c15u;
	read_corpus(argv[optind]);
	find_strongest();
	printf("%zu messages known, %zu held back, %d lessons\n", known.n, held.n, LESSONS);
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (is_wanted(&attacks[i], argv + optind + 1))
			run(&attacks[i]);
	rmdir(folder);
	arena_free(&arena);
	return 0;
}
