#include "gateway/judge/corpus.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/limits.h"
#include "gateway/judge/judge.h"

enum { DEPTH = 8 };

struct walk {
	struct arena *arena;
	int (*each)(void *context, struct str message, struct err *err);
	void *context;
};

/* One '>' less in front of "From " (mboxrd quoting). */
static struct str unquote(struct arena *arena, struct str message)
{
	if (str_find(message, STR("\n>")) == message.n)
		return message;
	char *p = arena_alloc(arena, message.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < message.n; i++) {
		bool starts = i == 0 || message.p[i - 1] == '\n';
		size_t marks = 0;
		while (starts && i + marks < message.n && message.p[i + marks] == '>')
			marks++;
		if (marks && str_starts(str_skip(message, i + marks), "From "))
			i++;
		p[n++] = message.p[i];
	}
	return str_from(p, n);
}

static int give(struct walk *w, struct str message, struct err *err)
{
	return w->each(w->context, judge_crlf(w->arena, message), err);
}

/* "From address Fri Nov 20 12:00:00 2026", and not a sentence: the time of day tells. */
static bool is_from_line(struct str line)
{
	if (!str_starts(line, "From "))
		return false;
	for (size_t at = str_chr(line, ':'); at + 1 < line.n; at++)
		if (line.p[at] == ':' && char_is_digit(line.p[at - 1]) &&
			char_is_digit(line.p[at + 1]))
			return true;
	return false;
}

/* Where the next message's "From " line begins: behind an empty line. */
static size_t next_from_line(struct str text)
{
	for (size_t at = 0; at < text.n;) {
		struct str rest = str_skip(text, at);
		size_t end = str_chr(rest, '\n');
		bool was_empty = at == 0 || str_ends(str_sub(text, 0, at), "\n\n") ||
				 str_ends(str_sub(text, 0, at), "\r\n\r\n");
		if (was_empty && is_from_line(str_sub(rest, 0, end)))
			return at;
		at += end + 1;
	}
	return text.n;
}

static int walk_mbox(struct walk *w, struct str text, struct err *err)
{
	int rc = 0;
	while (rc == 0 && text.n) {
		text = str_skip(text, str_chr(text, '\n') + 1);
		size_t end = next_from_line(text);
		struct str message = str_sub(text, 0, end);
		/* The empty line in front of the next "From " is the mbox's. */
		if (str_ends(message, "\r\n\r\n"))
			message.n -= 2;
		else if (str_ends(message, "\n\n"))
			message.n--;
		text = str_skip(text, end);
		if (message.n)
			rc = give(w, unquote(w->arena, message), err);
	}
	return rc;
}

static int walk_file(struct walk *w, const char *path, struct err *err)
{
	struct str text;
	arena_reset(w->arena);
	if (judge_read_file(path, LIMIT_MESSAGE_BYTES, w->arena, &text, err) < 0)
		return -1;
	return str_starts(text, "From ") ? walk_mbox(w, text, err) : give(w, text, err);
}

static int walk_path(struct walk *w, const char *path, int depth, struct err *err);

static int walk_folder(struct walk *w, const char *path, int depth, struct err *err)
{
	struct dirent **names;
	int rc = 0, count = scandir(path, &names, NULL, alphasort);
	if (count < 0)
		return err_sys(err, "%s cannot be read", path);
	for (int i = 0; i < count; i++) {
		char below[4096];
		snprintf(below, sizeof(below), "%s/%s", path, names[i]->d_name);
		bool wanted = names[i]->d_name[0] != '.' && strcmp(names[i]->d_name, "tmp") != 0;
		if (rc == 0 && wanted)
			rc = walk_path(w, below, depth + 1, err);
		free(names[i]);
	}
	free(names);
	return rc;
}

static int walk_path(struct walk *w, const char *path, int depth, struct err *err)
{
	struct stat st;
	if (depth > DEPTH)
		return err_set(err, "%s lies deeper than %d folders", path, DEPTH);
	if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return walk_folder(w, path, depth, err);
	return walk_file(w, path, err);
}

int corpus_walk(const char *path, struct arena *arena,
	int (*each)(void *context, struct str message, struct err *err), void *context,
	struct err *err)
{
	struct walk w = {arena, each, context};
	return walk_path(&w, path, 0, err);
}
