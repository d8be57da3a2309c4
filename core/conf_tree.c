#include "core/conf_tree.h"

#include <stdio.h>

#include "core/json.h"

#define SHOWN_MAX 80

static uint64_t slot_hash(const struct conf_section *parent, const char *name, const char *title)
{
	uint64_t h = str_hash(str_c(name)) * 31 + (uintptr_t)parent / sizeof(void *);
	if (title)
		h = h * 31 + str_hash(str_c(title)) + 1;
	return h ^ h >> 29;
}

static bool slot_is(const struct conf_slot *s, const struct conf_section *parent, const char *name,
	const char *title)
{
	return s->parent == parent && !s->title == !title && strcmp(s->name, name) == 0 &&
		(!title || strcmp(s->title, title) == 0);
}

/* The slot of this node, or the free one where it would stand. */
static struct conf_slot *slot_at(const struct conf *conf, const struct conf_section *parent,
	const char *name, const char *title)
{
	size_t at = slot_hash(parent, name, title) & (conf->slot_cap - 1);
	while (conf->slots[at].node && !slot_is(&conf->slots[at], parent, name, title))
		at = (at + 1) & (conf->slot_cap - 1);
	return &conf->slots[at];
}

void *conf_tree_find(const struct conf *conf, const struct conf_section *parent, const char *name,
	const char *title)
{
	return conf->slot_cap ? slot_at(conf, parent, name, title)->node : NULL;
}

static void grow(struct conf *conf)
{
	struct conf_slot *old = conf->slots;
	size_t old_cap = conf->slot_cap;
	conf->slot_cap = old_cap ? old_cap * 2 : 64;
	conf->slots = ARENA_ARRAY(conf->arena, conf->slot_cap, struct conf_slot);
	for (size_t i = 0; i < old_cap; i++)
		if (old[i].node)
			*slot_at(conf, old[i].parent, old[i].name, old[i].title) = old[i];
}

void conf_tree_insert(struct conf *conf, const struct conf_section *parent, const char *name,
	const char *title, void *node)
{
	if (conf->slot_count * 2 >= conf->slot_cap)
		grow(conf);
	*slot_at(conf, parent, name, title) = (struct conf_slot){ parent, name, title, node };
	conf->slot_count++;
}

static bool is_before(struct conf_place a, struct conf_place b)
{
	return a.line != b.line ? a.line < b.line : a.column < b.column;
}

/* Keeps the file's order, and a message that two readers of a section both give only once. */
static void add_message(struct conf_messages *to, struct conf_place place, const char *line)
{
	size_t n = to->strings.n, at = n;
	for (size_t i = 0; i < n; i++)
		if (strcmp(to->m[i].line, line) == 0)
			return;
	while (at > 0 && is_before(place, to->m[at - 1].place))
		at--;
	memmove(&to->m[at + 1], &to->m[at], (n - at) * sizeof(to->m[0]));
	to->m[at] = (struct conf_message){ place, line };
	to->strings.n = n + 1;
	for (size_t i = at; i <= n; i++)
		to->lines[i] = to->m[i].line;
}

void conf_tree_message(struct conf *conf, struct conf_messages *to, struct conf_place place,
	const char *fmt, va_list ap)
{
	to->strings.v = to->lines;
	if (to->strings.n > LIMIT_CONFIG_ERRORS)
		return;
	if (to->strings.n == LIMIT_CONFIG_ERRORS) {
		place.line = UINT32_MAX;
		add_message(to, place,
			arena_printf(conf->arena, "%s: there are more; mend these first",
				conf->file).p);
		return;
	}
	struct str what = arena_vprintf(conf->arena, fmt, ap);
	add_message(to, place, arena_printf(conf->arena, "%s:%u:%u: %s", conf->file, place.line,
		place.column, what.p).p);
}

void conf_tree_error(struct conf *conf, struct conf_place place, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	conf_tree_message(conf, &conf->errors, place, fmt, ap);
	va_end(ap);
}

const char *conf_tree_show(struct conf *conf, const char *text)
{
	struct buf b = BUF_INIT;
	text_safe(&b, str_c(text), SHOWN_MAX);
	const char *shown = arena_cstr(conf->arena, buf_str(&b));
	buf_free(&b);
	return shown;
}
