/*
 * err: what went wrong, as a sentence for the person who can mend it.
 *
 * Functions that can fail take a `struct err *` last and return -1 with it set;
 * it is left alone on success, and may be NULL if the caller does not care. The
 * text says what happened, why, and what to do where that is known; it is cut
 * at its end rather than refused. Libraries return errors; only gateway/ logs.
 */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#include <stdarg.h>

struct err {
	char text[600];
};

/* Both return -1, so that `return err_set(err, "...")` reads well. */
int err_set(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* With ": " and the text of errno behind it. */
int err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "prefix: " before what is there. Returns -1. */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
