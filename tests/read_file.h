/* The whole of a small file, for programs that tests drive: exit 2 if there is none. */
#ifndef TESTS_READ_FILE_H
#define TESTS_READ_FILE_H

#include <stdio.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/buf.h"

static inline struct str read_file(struct arena *arena, const char *path)
{
	struct buf b = BUF_INIT;
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		exit(2);
	while ((n = fread(buf_reserve(&b, 65536), 1, 65536, f)) > 0)
		buf_commit(&b, n);
	fclose(f);
	struct str text = arena_dup(arena, buf_str(&b));
	buf_free(&b);
	return text;
}

#endif
