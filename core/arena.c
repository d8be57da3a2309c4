#include "core/arena.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_BLOCK = 8192, LARGEST_STEP = 1 << 20, ALIGNMENT = 16 };

struct block {
	struct block *next; /* older */
	size_t size, used;
	_Alignas(ALIGNMENT) char data[];
};

struct arena {
	struct block *blocks; /* newest first; the last one is the first block */
	size_t cap, given;
};

/* Out of memory is the machine's trouble, not the message's: there is nobody to tell. */
static void *must(void *p)
{
	if (!p) {
		fputs("gatepost: out of memory\n", stderr);
		abort();
	}
	return p;
}

static struct block *block_new(size_t size, struct block *next)
{
	struct block *b = must(malloc(sizeof(*b) + size));
	b->next = next;
	b->size = size;
	b->used = 0;
	return b;
}

struct arena *arena_new(size_t cap_bytes)
{
	struct arena *arena = must(malloc(sizeof(*arena)));
	arena->blocks = block_new(FIRST_BLOCK, NULL);
	arena->cap = cap_bytes;
	arena->given = 0;
	return arena;
}

void arena_reset(struct arena *arena)
{
	while (arena->blocks->next) {
		struct block *older = arena->blocks->next;
		free(arena->blocks);
		arena->blocks = older;
	}
	arena->blocks->used = 0;
	arena->given = 0;
}

void arena_free(struct arena **arena)
{
	if (!*arena)
		return;
	arena_reset(*arena);
	free((*arena)->blocks);
	free(*arena);
	*arena = NULL;
}

bool arena_is_over(const struct arena *arena)
{
	return arena->given > arena->cap;
}

size_t arena_left(const struct arena *arena)
{
	return arena_is_over(arena) ? 0 : arena->cap - arena->given;
}

/* Blocks double, so that a large transaction costs few allocations and a small one little memory. */
static struct block *block_for(struct arena *arena, size_t size)
{
	struct block *b = arena->blocks;
	if (b->size - b->used >= size)
		return b;
	size_t step = b->size * 2 > LARGEST_STEP ? LARGEST_STEP : b->size * 2;
	arena->blocks = block_new(size > step ? size : step, b);
	return arena->blocks;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	assert(size < SIZE_MAX / 2);
	size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	struct block *b = block_for(arena, size);
	void *p = b->data + b->used;
	b->used += size;
	arena->given += size;
	return memset(p, 0, size);
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t total;
	bool overflow = __builtin_mul_overflow(count, size, &total);
	assert(!overflow);
	return arena_alloc(arena, total);
}

void *arena_grow(struct arena *arena, const void *old, size_t old_count, size_t new_count, size_t size)
{
	size_t room = old_count + old_count / 2;
	void *p = arena_array(arena, new_count > room ? new_count : room, size);
	if (old_count)
		memcpy(p, old, old_count * size);
	return p;
}

struct str arena_dup(struct arena *arena, struct str s)
{
	return (struct str){ arena_cstr(arena, s), s.n };
}

char *arena_cstr(struct arena *arena, struct str s)
{
	assert(s.n < SIZE_MAX / 2);
	char *p = arena_alloc(arena, s.n + 1);
	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

struct str arena_lower(struct arena *arena, struct str s)
{
	char *p = arena_cstr(arena, s);
	for (size_t i = 0; i < s.n; i++)
		p[i] = char_lower(p[i]);
	return (struct str){ p, s.n };
}

struct str arena_vprintf(struct arena *arena, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	assert(n >= 0);
	char *p = arena_alloc(arena, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	return (struct str){ p, (size_t)n };
}

struct str arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str s = arena_vprintf(arena, fmt, ap);
	va_end(ap);
	return s;
}
