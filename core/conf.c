#include "core/conf.h"

#include <assert.h>

#include "core/conf_tree.h"

#define NAMES_MAX 256 /* of two tables together, for the nearest name */

struct arena *conf_arena(struct conf *conf)
{
	return conf->arena;
}

const struct conf_section *conf_root(const struct conf *conf)
{
	return &conf->root;
}

const char *conf_title(const struct conf_section *section)
{
	return section->title;
}

const struct conf_section *conf_next(const struct conf_section *parent, const char *name,
	const struct conf_section *previous)
{
	const struct conf_section *s = previous ? previous->next : parent->sections;
	while (s && strcmp(s->name, name) != 0)
		s = s->next;
	return s;
}

static const struct conf_key *find_key(const struct conf_section *section, const char *name)
{
	return section ? conf_tree_find(section->conf, section, name, NULL) : NULL;
}

bool conf_has(const struct conf_section *section, const char *key)
{
	return find_key(section, key) != NULL;
}

/* ---- values into fields ---- */

static const char *not_a_string(enum conf_kind kind)
{
	return kind == CONF_LIST ? "must be one string, not a list" :
		"must be a string: put it in quotes";
}

static int read_list(struct conf *conf, const struct conf_value *value,
	struct option_strings *out, const struct conf_value **wrong_r, struct err *err)
{
	const struct conf_value *items = value->kind == CONF_LIST ? value->items : value;
	size_t n = value->kind == CONF_LIST ? value->n : 1;
	const char **v = ARENA_ARRAY(conf->arena, n, const char *);
	for (size_t i = 0; i < n; i++) {
		*wrong_r = &items[i];
		if (items[i].kind != CONF_STRING)
			return err_set(err, "must be a string, or a list of strings in braces: "
				"put \"%s\" in quotes", conf_tree_show(conf, items[i].text));
		v[i] = items[i].text;
	}
	*out = (struct option_strings){ v, n };
	return 0;
}

/* *wrong_r: the value whose place an error should name. */
static int read_value(struct conf *conf, const struct option *row, const struct conf_value *value,
	void *out, const struct conf_value **wrong_r, struct err *err)
{
	void *at = (char *)out + row->offset;
	*wrong_r = value;
	if (row->type == OPTION_LIST)
		return read_list(conf, value, at, wrong_r, err);
	if (row->type == OPTION_STRING) {
		if (value->kind != CONF_STRING)
			return err_set(err, "%s", not_a_string(value->kind));
		*(const char **)at = value->text;
		return 0;
	}
	if (value->kind == CONF_LIST)
		return err_set(err, "must be one value, not a list");
	return option_parse(row, str_c(value->text), out, err);
}

static void set_unset(const struct option *row, void *out)
{
	void *at = (char *)out + row->offset;
	if (row->type == OPTION_STRING)
		*(const char **)at = "";
	else if (row->type == OPTION_LIST)
		*(struct option_strings *)at = (struct option_strings){ NULL, 0 };
	else if (row->type == OPTION_BOOL)
		*(bool *)at = false;
	else if (row->type == OPTION_NUMBER)
		*(double *)at = 0;
	else if (row->type == OPTION_ENUM)
		*(int *)at = 0;
	else
		*(int64_t *)at = 0;
}

static void set_default(struct conf *conf, const struct option *row, void *out)
{
	struct conf_value value = { .kind = CONF_STRING, .text = row->def };
	const struct conf_value *wrong;
	struct err err = { "" };
	bool is_text = row->type == OPTION_STRING || row->type == OPTION_LIST;
	int done = 0;

	if (!row->def) {
		set_unset(row, out);
		return;
	}
	if (!is_text || row->def[0] == '"' || row->def[0] == '{')
		done = conf_tree_value(conf->arena, row->def, &value);
	if (done == 0)
		done = read_value(conf, row, &value, out, &wrong, &err);
	/* rows are our own: a default that cannot be read is a bug in the table */
	assert(done == 0);
	(void)done;
}

static void read_rows(struct conf *conf, const struct conf_section *section,
	const struct option *rows, void *out)
{
	for (const struct option *row = rows; row->type != OPTION_END; row++) {
		const struct conf_key *key = find_key(section, row->name);
		const struct conf_value *wrong;
		struct err err;
		set_default(conf, row, out);
		if (!key) {
			if (row->required)
				conf_error(conf, section, NULL, "%s is missing: %s", row->name,
					row->help);
			continue;
		}
		if (read_value(conf, row, &key->value, out, &wrong, &err) != 0)
			conf_tree_error(conf, wrong->place, "%s %s", row->name, err.text);
	}
}

static size_t add_names(const struct option *rows, const char **names, size_t n)
{
	for (; rows && rows->type != OPTION_END && n < NAMES_MAX; rows++)
		names[n++] = rows->name;
	return n;
}

static bool is_name_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static void unknown(struct conf *conf, struct conf_place place, const char *what, const char *name,
	const struct conf_section *in, const char *const *names)
{
	const char *nearest = option_nearest(name, names);
	const char *where = in->parent ? in->name : "the file's top level";
	const char *quote = in->parent ? "\"" : "";
	if (nearest)
		conf_tree_error(conf, place, "unknown %s \"%s\": did you mean \"%s\"?", what,
			conf_tree_show(conf, name), nearest);
	else
		conf_tree_error(conf, place, "unknown %s \"%s\" in %s%s%s", what,
			conf_tree_show(conf, name), quote, conf_tree_show(conf, where), quote);
}

static void check_keys(struct conf *conf, const struct conf_section *section,
	const struct option *rows, const struct option *more)
{
	const char *names[NAMES_MAX + 1];
	size_t n = add_names(more, names, add_names(rows, names, 0));
	names[n] = NULL;
	for (const struct conf_key *key = section ? section->keys : NULL; key; key = key->next)
		if (!is_name_of(key->name, names))
			unknown(conf, key->place, "key", key->name, section, names);
}

void conf_read(struct conf *conf, const struct conf_section *section, const struct option *rows,
	void *out)
{
	read_rows(conf, section, rows, out);
	check_keys(conf, section, rows, NULL);
}

void conf_read2(struct conf *conf, const struct conf_section *section, const struct option *rows,
	void *out, const struct option *more, void *more_out)
{
	read_rows(conf, section, rows, out);
	read_rows(conf, section, more, more_out);
	check_keys(conf, section, rows, more);
}

void conf_read_some(struct conf *conf, const struct conf_section *section,
	const struct option *rows, void *out)
{
	read_rows(conf, section, rows, out);
}

void conf_allow(struct conf *conf, const struct conf_section *parent, const char *const *names)
{
	for (const struct conf_section *s = parent->sections; s; s = s->next)
		if (!is_name_of(s->name, names))
			unknown(conf, s->place, "section", s->name, parent, names);
}

void conf_each_number(struct conf *conf, const struct conf_section *section,
	void (*each)(void *context, const char *key, double value), void *context)
{
	static const struct option row = { .name = "", .type = OPTION_NUMBER, .min = -1000,
		.max = 1000 };
	for (const struct conf_key *key = section ? section->keys : NULL; key; key = key->next) {
		const struct conf_value *wrong;
		struct err err;
		double value;
		if (read_value(conf, &row, &key->value, &value, &wrong, &err) != 0)
			conf_tree_error(conf, wrong->place, "%s %s", key->name, err.text);
		else
			each(context, key->name, value);
	}
}

/* ---- messages ---- */

static struct conf_place place_of(const struct conf *conf, const struct conf_section *section,
	const char *key)
{
	const struct conf_key *k = key ? find_key(section, key) : NULL;
	return k ? k->value.place : section ? section->place : conf->root.place;
}

void conf_error(struct conf *conf, const struct conf_section *section, const char *key,
	const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	conf_tree_message(conf, &conf->errors, place_of(conf, section, key), fmt, ap);
	va_end(ap);
}

void conf_warn(struct conf *conf, const struct conf_section *section, const char *key,
	const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	conf_tree_message(conf, &conf->warnings, place_of(conf, section, key), fmt, ap);
	va_end(ap);
}

const struct option_strings *conf_errors(const struct conf *conf)
{
	return &conf->errors.strings;
}

const struct option_strings *conf_warnings(const struct conf *conf)
{
	return &conf->warnings.strings;
}

void conf_dump(struct conf *conf, const struct conf_section *section, const struct option *rows,
	const void *values, const char *indent, struct buf *out)
{
	for (const struct option *row = rows; row->type != OPTION_END; row++) {
		const struct conf_key *key = find_key(section, row->name);
		buf_printf(out, "%s%s = ", indent, row->name);
		option_format(row, values, out);
		if (key)
			buf_printf(out, "   # %s:%u\n", conf->file, key->place.line);
		else
			buf_c(out, "   # default\n");
	}
}

static void dump_string(const char *text, struct buf *out)
{
	static const struct option row = { .name = "", .type = OPTION_STRING };
	option_format(&row, &text, out);
}

static void dump_value(const struct conf_value *value, struct buf *out)
{
	switch (value->kind) {
	case CONF_WORD:
		buf_c(out, value->text);
		break;
	case CONF_STRING:
		dump_string(value->text, out);
		break;
	case CONF_LIST:
		buf_c(out, "{ ");
		for (size_t i = 0; i < value->n; i++) {
			buf_c(out, i ? ", " : "");
			dump_value(&value->items[i], out);
		}
		buf_c(out, " }");
		break;
	}
}

void conf_dump_raw(struct conf *conf, const struct conf_section *section, bool keys,
	const char *indent, struct buf *out)
{
	for (const struct conf_key *key = keys ? section->keys : NULL; key; key = key->next) {
		buf_printf(out, "%s%s = ", indent, key->name);
		dump_value(&key->value, out);
		buf_printf(out, "   # %s:%u\n", conf->file, key->place.line);
	}
	for (const struct conf_section *s = section->sections; s; s = s->next) {
		const char *deeper = arena_printf(conf->arena, "%s\t", indent).p;
		buf_printf(out, "%s%s ", indent, s->name);
		if (*s->title) {
			dump_string(s->title, out);
			buf_char(out, ' ');
		}
		buf_c(out, "{\n");
		conf_dump_raw(conf, s, true, deeper, out);
		buf_printf(out, "%s}\n", indent);
	}
}
