/* The messages of an INDEX (lines "spam PATH" or "ham PATH", relative to it), in memory, with CRLF, as the
 * front hands them on. Whatever is missing ends the program. */
#ifndef TESTS_BENCH_SAMPLES_H
#define TESTS_BENCH_SAMPLES_H

#include <stdio.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/buf.h"

struct sample {
	bool spam;
	struct str raw;
};
struct samples {
	struct sample *v;
	size_t n, room;
};

static inline void samples_die(const char *what, const char *name)
{
	fprintf(stderr, "%s %s\n", what, name);
	exit(1);
}

static inline void samples_add(struct samples *all, struct arena *arena, bool spam, struct buf *text)
{
	if (all->n == all->room)
		all->v = arena_grow(arena, all->v, all->n, all->room = 2 * all->n + 64, sizeof(*all->v));
	all->v[all->n++] = (struct sample){spam, arena_dup(arena, buf_str(text))};
	buf_clear(text);
}

static inline void samples_read_message(const char *path, struct buf *text)
{
	FILE *f = fopen(path, "rb");
	int c, before = 0;
	if (!f)
		samples_die("cannot open", path);
	while ((c = getc(f)) != EOF) {
		if (c == '\n' && before != '\r')
			buf_char(text, '\r');
		buf_char(text, (char)c);
		before = c;
	}
	fclose(f);
}

static inline void samples_read(struct samples *all, struct arena *arena, const char *index)
{
	FILE *f = fopen(index, "r");
	char line[4096];
	struct buf text = BUF_INIT;
	size_t folder = str_rchr(str_c(index), '/');
	if (!f)
		samples_die("cannot open", index);
	while (fgets(line, sizeof(line), f)) {
		struct str rest = str_trim_crlf(str_c(line)), label;
		str_cut(&rest, ' ', &label);
		struct str base = folder < strlen(index) ? str_from(index, folder + 1) : STR("");
		if (rest.n && rest.p[0] == '/')
			base = STR("");
		samples_read_message(arena_printf(arena, "%.*s%.*s", STR_ARG(base), STR_ARG(rest)).p, &text);
		samples_add(all, arena, str_eq_c(label, "spam"), &text);
	}
	buf_free(&text);
	fclose(f);
}

#endif
