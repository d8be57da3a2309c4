/*
 * buf: a growing run of octets, to build things in.
 *
 *	struct buf b = BUF_INIT;
 *	buf_printf(&b, "%d items", 3);
 *	use(buf_str(&b));
 *	buf_free(&b);
 *
 * Appending never fails: without memory the process ends. The caller bounds
 * what it appends (core/limits.h). buf_str() is valid until the next append.
 */
#ifndef CORE_BUF_H
#define CORE_BUF_H

#include <stdarg.h>

#include "core/str.h"

struct buf {
	char *p;
	size_t n, cap;
};

#define BUF_INIT { NULL, 0, 0 }

void buf_free(struct buf *b);
static inline void buf_clear(struct buf *b)
{
	b->n = 0;
}
/* Room for n more octets at the returned place; buf_commit() then counts them in. */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str_add(struct buf *b, struct str s);
void buf_c(struct buf *b, const char *c);
static inline void buf_char(struct buf *b, char c)
{
	if (b->n == b->cap)
		buf_reserve(b, 1);
	b->p[b->n++] = c;
}

void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Drops the first n octets. */
void buf_consume(struct buf *b, size_t n);
static inline struct str buf_str(const struct buf *b)
{
	return (struct str){ b->p, b->n };
}

#endif
