/*
 * conf_tree: the parsed file, between the parser (conf_parse.c) and the reader
 * (conf.c). Private to core: everybody else uses core/conf.h.
 */
#ifndef CORE_CONF_TREE_H
#define CORE_CONF_TREE_H

#include "core/arena.h"
#include "core/conf.h"
#include "core/limits.h"

struct conf_place {
	unsigned line, column; /* from 1; columns are characters, a tab is one */
};

enum conf_kind { CONF_WORD, CONF_STRING, CONF_LIST };

struct conf_value {
	enum conf_kind kind;
	const char *text; /* WORD, STRING: terminated, without NUL inside */
	struct conf_value *items; /* LIST: strings or words */
	size_t n;
	struct conf_place place;
};

struct conf_key {
	const char *name;
	struct conf_value value;
	struct conf_place place;
	struct conf_key *next;
};

struct conf_section {
	struct conf *conf;
	struct conf_section *parent;
	const char *name, *title; /* "" */
	struct conf_place place;
	struct conf_key *keys, **keys_end;
	struct conf_section *sections, **sections_end;
	struct conf_section *next;
};

/* Finds duplicates and keys: one table over the whole file. */
struct conf_slot {
	const struct conf_section *parent;
	const char *name, *title; /* title NULL: a key */
	void *node;
};

struct conf_message {
	struct conf_place place;
	const char *line;
};
struct conf_messages {
	struct conf_message m[LIMIT_CONFIG_ERRORS + 1];
	const char *lines[LIMIT_CONFIG_ERRORS + 1];
	struct option_strings strings;
};

struct conf {
	struct arena *arena;
	const char *file;
	struct conf_section root;
	struct conf_slot *slots;
	size_t slot_count, slot_cap;
	struct conf_messages errors, warnings;
};

/* The node of that name below parent (title NULL: a key), or NULL. */
void *conf_tree_find(const struct conf *conf, const struct conf_section *parent, const char *name,
	const char *title);
/* It must not be there yet. */
void conf_tree_insert(struct conf *conf, const struct conf_section *parent, const char *name,
	const char *title, void *node);
void conf_tree_error(struct conf *conf, struct conf_place place, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void conf_tree_message(struct conf *conf, struct conf_messages *to, struct conf_place place,
	const char *fmt, va_list ap) __attribute__((format(printf, 4, 0)));
/* Text from the file, fit to be shown in a message. The arena's. */
const char *conf_tree_show(struct conf *conf, const char *text);
/* Reads one value, as a row's default is written. 0 or -1. */
int conf_tree_value(struct arena *arena, const char *text, struct conf_value *value_r);

#endif
