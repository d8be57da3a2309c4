/*
 * table: the model's file, mapped: a header, the slots of the gram view, and the slots
 * of the token view. Knows how values are packed into words, how they fade with time,
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
	TABLE_FADE_STEPS = 4, /* in a half-life: values fade in these steps */
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
	_Atomic uint32_t epoch;		   /* the table's time, in steps of fading */
	_Atomic uint64_t generation;	   /* lessons, ever */
	_Atomic uint64_t learned[2];	   /* messages of ham and of spam, ever */
	_Atomic double seen[2];		   /* the same, faded as the slots are */
	_Atomic double familiar[2];	   /* share of a message's tokens that its class knew before it */
	_Atomic double label_noise[2];	   /* share of labels that are taken for wrong */
	_Atomic double error, disagreement; /* of late: of the model, and between its views */
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
};

/* Makes the file with a new salt unless it is there; of two that do so at once both take one. */
int table_ensure(const char *path, struct err *err);
/* WRITE takes the file's lock. MEMORY: no file, a fixed salt, empty. -1: also for a file
 * of another size or version; *table is closed then. */
int table_open(struct table *table, const char *path, enum table_mode mode, struct err *err);
void table_close(struct table *table);
/* All pages are on disk, and then the mark "unclean" is taken off. */
int table_sync(struct table *table, struct err *err);
/* Forgets everything but the salt. */
void table_clear(struct table *table);
/* Writes a copy, whole or not at all, to be put back by renaming it. */
int table_copy(const struct table *table, const char *path, struct err *err);
/* The table's time moves on (never back); the header's sums fade. */
void table_advance(struct table *table, int64_t seconds);

struct table_weight table_gram(const struct table *table, uint32_t gram);
void table_set_gram(struct table *table, uint32_t gram, struct table_weight weight);
/* The slot of a token, or -1 if it is not known. */
ptrdiff_t table_find(const struct table *table, uint64_t token);
/* The same; if it is not known, it takes a free slot, or that of the rarest neighbour. */
size_t table_take(struct table *table, uint64_t token);
struct table_token table_token(const struct table *table, size_t slot);
void table_set_token(struct table *table, size_t slot, const struct table_token *token);

#endif
