/*
 * table: the model's file, mapped: a header, the slots of the gram view, those of the token
 * view and those of the findings. Knows how values are packed into words, how they fade with time,
 * how the file is made, checked, locked and copied; what the values mean is model.c's.
 *
 * One process writes, any number read, without locks: every value lies in an aligned
 * word that is written and read as a relaxed atomic, so that a reader sees the old or
 * the new one. Reading a slot gives it as of the table's own time: what was learned
 * long ago has faded by half each half-life.
 */
#ifndef BAYES_TABLE_H
#define BAYES_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

enum {
	TABLE_GRAMS = 1 << 22,
	TABLE_TOKENS = 1 << 22,
	TABLE_FINDINGS = 1 << 14,
	TABLE_PROBES = 16, /* of a token, from its slot on */
	TABLE_TENANTS = 1024,
	TABLE_VIEWS = 6, /* whose shares are learned (combine.h) */
	TABLE_FADE_STEPS = 4, /* in a half-life: values fade in these steps */
	TABLE_HALF_LIFE = 180, /* days */
	TABLE_HALF_LIFE_MOST = 36500,
};

enum table_mode { TABLE_READ, TABLE_WRITE, TABLE_MEMORY };

/* What is known beside the slots. Doubles are made by +, -, *, / and sqrt alone. */
struct table_header {
	char magic[8];
	uint32_t version;
	uint32_t grams, tokens;
	uint32_t half_life_days;
	uint8_t salt[16];
	_Atomic uint32_t unclean;
	_Atomic uint32_t epoch;	     /* the table's time, in steps of fading */
	_Atomic uint64_t generation; /* lessons, ever */
	_Atomic int64_t position;    /* of the last lesson in the training log */
	_Atomic uint64_t learned[2]; /* messages of ham and of spam, ever */
	_Atomic double seen[2];	     /* the same, faded as the slots are */
	_Atomic double familiar[2];  /* share of a message's tokens that its class knew before it */
	_Atomic double label_noise[2];	    /* share of a class that seems to come as the other */
	_Atomic double error, disagreement; /* of late: of the model, and between its views */
	_Atomic double factors[TABLE_VIEWS];
	/* By a hash of the domain: has any with it an opinion of its own (tenant.h)? */
	_Atomic uint8_t tenants[TABLE_TENANTS];
};

/* A weight, and how much was learned at it already, by which its rate slows down. */
struct table_weight {
	double value, effort;
};
struct table_token {
	double ham, spam; /* documents */
	struct table_weight weight;
};

struct table {
	enum table_mode mode;
	int fd;
	void *map;
	size_t size;
	struct table_header *header;
	_Atomic uint64_t *grams;
	_Atomic uint64_t *tokens; /* two words a slot: key and counts, then the weight */
	_Atomic uint64_t *findings;
};

/*
 * Makes the file with a new salt unless it is there; of two that do so at once both take one.
 * A damaged one, or one of another version, is replaced: it is but a cache.
 */
int table_ensure(const char *path, struct err *err);
/* WRITE takes the file's lock. MEMORY: no file, a fixed salt, empty. -1: also for a file
 * of another size or version; *table is closed then. */
int table_open(struct table *table, const char *path, enum table_mode mode, struct err *err);
void table_close(struct table *table);
/*
 * A private view of a table with a file (MEMORY has none): what is learned in it nobody else sees.
 * table_forget() makes it what the other one is at that moment.
 */
int table_overlay(const struct table *of, struct table *overlay_r, struct err *err);
void table_forget(struct table *overlay);
/* All pages are on disk, and then the mark "unclean" is taken off. */
int table_sync(struct table *table, struct err *err);
/* Forgets everything but the salt. */
void table_clear(struct table *table);
/* Takes over all that another table with the same salt holds. */
void table_assign(struct table *table, const struct table *from);
/* A copy in a file, replaced at once and on the disk; what is empty takes no room there. */
int table_save(const struct table *table, const char *path, struct err *err);
/* Takes all over from such a file: 1. 0: it is not there, or is none; -1: it cannot be read. Then
 * nothing of the table is to be relied on. */
int table_load(struct table *table, const char *path, struct err *err);
/* SHA-256 of all that is learned: of everything but the mark "unclean". */
void table_digest(const struct table *table, uint8_t digest_r[32]);
/* From now on values fade by half in so many days (TABLE_HALF_LIFE_MOST at most); what has faded
 * already stays so. All slots are written. */
void table_set_half_life(struct table *table, uint32_t days);
/* The table's time moves on (never back); the header's sums fade. */
void table_advance(struct table *table, int64_t seconds);

/* Slots. Here and not in table.c, since thousands are read for each message. */

/*
 * A weight's word:   32 bits value, 20 bits effort, 12 bits epoch
 * A token's word:    24 bits key, 20 bits documents of spam, 20 bits of ham; a weight's word
 *
 * Fixed point, so that fading and adding give the same bits everywhere: 20 bits behind
 * the point leave room for weights up to 2048.
 */
#define TABLE_WEIGHT_ONE 1048576.0
#define TABLE_EFFORT_ONE 256.0
#define TABLE_COUNT_ONE	 16.0
enum { TABLE_FIELD_MAX = (1 << 20) - 1, TABLE_EPOCHS = 1 << 12 };

/* What is left of a value after that many steps. */
double table_faded(uint32_t steps);

/* A slot's epoch has 12 bits: the newest time with these bits that is not yet to come. */
static inline double table_fading(const struct table *t, uint64_t word)
{
	uint32_t now = atomic_load_explicit(&t->header->epoch, memory_order_relaxed);
	uint32_t steps = (now - (uint32_t)(word % TABLE_EPOCHS)) % TABLE_EPOCHS;
	return steps == 0 ? 1 : table_faded(steps);
}

static inline struct table_weight table_unpack(uint64_t word, double fading)
{
	return (struct table_weight){
		(double)(int32_t)(word >> 32) * (1 / TABLE_WEIGHT_ONE) * fading,
		(double)(word >> 12 & TABLE_FIELD_MAX) * (1 / TABLE_EFFORT_ONE) * fading,
	};
}

static inline struct table_weight table_gram(const struct table *t, uint32_t gram)
{
	uint64_t word = atomic_load_explicit(&t->grams[gram % TABLE_GRAMS], memory_order_relaxed);
	return table_unpack(word, table_fading(t, word));
}

/* Of its two words. */
static inline struct table_token table_unpack_token(
	const struct table *t, const _Atomic uint64_t words[2])
{
	uint64_t word = atomic_load_explicit(&words[0], memory_order_relaxed);
	uint64_t weight = atomic_load_explicit(&words[1], memory_order_relaxed);
	double fading = table_fading(t, weight);
	return (struct table_token){
		(double)(word & TABLE_FIELD_MAX) * (1 / TABLE_COUNT_ONE) * fading,
		(double)(word >> 20 & TABLE_FIELD_MAX) * (1 / TABLE_COUNT_ONE) * fading,
		table_unpack(weight, fading),
	};
}

static inline struct table_token table_token(const struct table *t, size_t slot)
{
	return table_unpack_token(t, &t->tokens[2 * slot]);
}

static inline uint64_t table_clamp(double value, double max)
{
	return (uint64_t)(int64_t)(value < max ? value : max);
}

static inline uint64_t table_pack(const struct table *t, struct table_weight w)
{
	double value = w.value * TABLE_WEIGHT_ONE;
	value = value < INT32_MAX ? value : INT32_MAX;
	value = value > -INT32_MAX ? value : -INT32_MAX;
	return (uint64_t)(uint32_t)(int32_t)value << 32 |
	       table_clamp(w.effort * TABLE_EFFORT_ONE, TABLE_FIELD_MAX) << 12 |
	       atomic_load_explicit(&t->header->epoch, memory_order_relaxed) % TABLE_EPOCHS;
}

static inline void table_set_gram(struct table *t, uint32_t gram, struct table_weight weight)
{
	atomic_store_explicit(
		&t->grams[gram % TABLE_GRAMS], table_pack(t, weight), memory_order_relaxed);
}

static inline void table_set_token(
	struct table *t, size_t slot, const struct table_token *token)
{
	uint64_t key = atomic_load_explicit(&t->tokens[2 * slot], memory_order_relaxed) >> 40;
	/* Both are halved when one is full, so that their ratio stays. */
	double ham = token->ham, spam = token->spam;
	if (ham * TABLE_COUNT_ONE > TABLE_FIELD_MAX || spam * TABLE_COUNT_ONE > TABLE_FIELD_MAX) {
		ham /= 2;
		spam /= 2;
	}
	uint64_t counts = table_clamp(spam * TABLE_COUNT_ONE, TABLE_FIELD_MAX) << 20 |
			  table_clamp(ham * TABLE_COUNT_ONE, TABLE_FIELD_MAX);
	atomic_store_explicit(&t->tokens[2 * slot], key << 40 | counts, memory_order_relaxed);
	atomic_store_explicit(
		&t->tokens[2 * slot + 1], table_pack(t, token->weight), memory_order_relaxed);
}

static inline uint64_t table_key(uint64_t token)
{
	uint64_t key = token >> 40;
	return key ? key : 1;
}

/* The slot of a token, or -1 if it is not known. */
static inline ptrdiff_t table_find(const struct table *t, uint64_t token)
{
	for (size_t i = 0; i < TABLE_PROBES; i++) {
		size_t slot = (token + i) % TABLE_TOKENS;
		uint64_t word = atomic_load_explicit(&t->tokens[2 * slot], memory_order_relaxed);
		/* Which of the two cannot be foreseen, so nothing branches on it. */
		bool known = word >> 40 == table_key(token);
		if (known | (word == 0))
			return known ? (ptrdiff_t)slot : -1;
	}
	return -1;
}

/* Say early which slots will be read: most are in no cache. */
static inline void table_expect_gram(const struct table *t, uint32_t gram)
{
	__builtin_prefetch((const void *)&t->grams[gram % TABLE_GRAMS]);
}

static inline void table_expect_token(const struct table *t, uint64_t token)
{
	__builtin_prefetch((const void *)&t->tokens[2 * (token % TABLE_TOKENS)]);
}

/* One more document of a class, or a part of one. Most often nothing has faded since the last. */
static inline void table_count(struct table *t, size_t slot, bool spam, double documents)
{
	uint64_t word = atomic_load_explicit(&t->tokens[2 * slot], memory_order_relaxed);
	uint64_t weight = atomic_load_explicit(&t->tokens[2 * slot + 1], memory_order_relaxed);
	uint64_t more = (uint64_t)(int64_t)(documents * TABLE_COUNT_ONE + 0.5);
	unsigned shift = spam ? 20 : 0;
	if (table_fading(t, weight) == 1 && (word >> shift & TABLE_FIELD_MAX) + more <= TABLE_FIELD_MAX) {
		atomic_store_explicit(
			&t->tokens[2 * slot], word + (more << shift), memory_order_relaxed);
		return;
	}
	struct table_token token = table_token(t, slot);
	*(spam ? &token.spam : &token.ham) += (double)more / TABLE_COUNT_ONE;
	table_set_token(t, slot, &token);
}

struct table_weight table_finding(const struct table *table, uint32_t finding);
void table_set_finding(struct table *table, uint32_t finding, struct table_weight weight);
/* The slot of a token; if it is not known, it takes a free slot, or that of the rarest neighbour. */
size_t table_take(struct table *table, uint64_t token);

#endif
