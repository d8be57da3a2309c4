/*
 * arena: memory that dies as a group.
 *
 * There are three lifetimes: process, connection and transaction. What belongs
 * to one of them is taken from its arena and never freed by itself.
 *
 *	struct arena *a = arena_new(LIMIT_TRANSACTION_MEMORY);
 *	struct str name = arena_dup(a, peer_bytes);
 *	arena_free(&a);
 *
 * Memory is zeroed. An allocation never returns NULL: sizes are checked for
 * overflow, and a system without memory ends the process. The cap is soft: an
 * arena that has given out more says so in arena_is_over(), which the loops
 * that build from peer data ask; they then refuse the *message*. Every single
 * allocation is bounded by the named limits, so that the overshoot is small.
 */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include <stdarg.h>

#include "core/str.h"

struct arena;

struct arena *arena_new(size_t cap_bytes);
/* Frees all at once; sets the caller's pointer to NULL and accepts NULL. */
void arena_free(struct arena **arena);
/* Forgets all that was given out, and keeps the first block for reuse. */
void arena_reset(struct arena *arena);
bool arena_is_over(const struct arena *arena);
/* Octets up to the cap. */
size_t arena_left(const struct arena *arena);

void *arena_alloc(struct arena *arena, size_t size);
void *arena_array(struct arena *arena, size_t count, size_t size);
/* A larger array with the old content, rest zero; the old one stays until the end. Room for new_count, or
 * for half again as many as before if that is more: so growing one by one is linear. */
void *arena_grow(struct arena *arena, const void *old, size_t old_count, size_t new_count,
	size_t size);

#define ARENA_NEW(arena, type)          ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, count, type) ((type *)arena_array((arena), (count), sizeof(type)))

/* Copies, with a NUL behind the end that does not count. */
struct str arena_dup(struct arena *arena, struct str s);
char *arena_cstr(struct arena *arena, struct str s);
struct str arena_lower(struct arena *arena, struct str s);
struct str arena_printf(struct arena *arena, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
struct str arena_vprintf(struct arena *arena, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

#endif
