#include "core/option.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "core/json.h"

#define NAME_MAX_COMPARED 64
#define DIGITS_MAX 15 /* what a double holds exactly */

struct unit {
	const char *name;
	double factor;
};

/* In each, the first name of a factor is the one that is printed. */
static const struct unit size_units[] = {
	{ "TB", 1099511627776.0 }, { "GB", 1073741824.0 }, { "MB", 1048576.0 }, { "kB", 1024.0 },
	{ "B", 1.0 }, { "", 1.0 }, { "T", 1099511627776.0 }, { "G", 1073741824.0 },
	{ "M", 1048576.0 }, { "k", 1024.0 }, { "TiB", 1099511627776.0 }, { "GiB", 1073741824.0 },
	{ "MiB", 1048576.0 }, { "KiB", 1024.0 }, { NULL, 0 },
};
static const struct unit time_units[] = {
	{ "d", 86400000.0 }, { "h", 3600000.0 }, { "min", 60000.0 }, { "s", 1000.0 },
	{ "ms", 1.0 }, { "w", 604800000.0 }, { "m", 60000.0 }, { "sec", 1000.0 }, { NULL, 0 },
};

static void *field(const struct option *row, void *out)
{
	return (char *)out + row->offset;
}

static const void *field_const(const struct option *row, const void *values)
{
	return (const char *)values + row->offset;
}

static double row_max(const struct option *row)
{
	if (row->max != 0 || row->min < 0)
		return row->max;
	return row->type == OPTION_NUMBER ? 1e15 : (double)((int64_t)1 << 53);
}

/* ---- reading ---- */

/* "1.5h": the number before the unit. 0 or -1. */
static int split_unit(struct str text, const struct unit *units, double *value_r,
	const struct unit **unit_r)
{
	size_t n = 0;
	while (n < text.n && (char_is_digit(text.p[n]) || text.p[n] == '.'))
		n++;
	if (str_to_double(str_sub(text, 0, n), 0, 1e15, value_r) != 0)
		return -1;
	struct str name = str_trim(str_skip(text, n));
	for (*unit_r = units; (*unit_r)->name; ++*unit_r)
		if (str_ieq_c(name, (*unit_r)->name))
			return 0;
	return -1;
}

static int fail_range(const struct option *row, struct err *err)
{
	struct buf b = BUF_INIT;
	int64_t min = (int64_t)row->min, max = (int64_t)row_max(row);
	double min_number = row->min, max_number = row_max(row);
	struct option bound = *row;
	bool is_number = row->type == OPTION_NUMBER;
	bound.offset = 0;
	if (row->min == 0 && row->max == 0) {
		buf_c(&b, "must not be negative");
	} else {
		bool is_open = row->max == 0 && row->min > 0;
		buf_c(&b, is_open ? "must be at least " : "must lie between ");
		option_format(&bound, is_number ? (void *)&min_number : (void *)&min, &b);
		if (!is_open) {
			buf_c(&b, " and ");
			option_format(&bound, is_number ? (void *)&max_number : (void *)&max, &b);
		}
	}
	err_set(err, "%.*s", STR_ARG(buf_str(&b)));
	buf_free(&b);
	return -1;
}

static int parse_units(const struct option *row, struct str text, const struct unit *units,
	int64_t *value_r, struct err *err)
{
	const struct unit *unit;
	double v;
	/* nothing is as good as 0s */
	if (row->type == OPTION_TIME && str_eq_c(text, "0"))
		text = STR("0s");
	if (split_unit(text, units, &v, &unit) != 0)
		return row->type == OPTION_TIME ?
			err_set(err, "must be a time with its unit, as 30s (ms, s, min, h, d)") :
			err_set(err, "must be a size, as 25MB (B, kB, MB, GB)");
	v *= unit->factor;
	if (v < row->min || v > row_max(row))
		return fail_range(row, err);
	*value_r = (int64_t)llround(v);
	return 0;
}

static int parse_number(const struct option *row, struct str text, void *out, struct err *err)
{
	double number;
	int64_t whole;
	if (row->type == OPTION_NUMBER) {
		if (str_to_double(text, -1e15, 1e15, &number) != 0)
			return err_set(err, "must be a number, as 5 or 1.5");
		if (number < row->min || number > row_max(row))
			return fail_range(row, err);
		*(double *)field(row, out) = number;
		return 0;
	}
	if (text.n > DIGITS_MAX || str_to_i64(text, INT64_MIN, INT64_MAX, &whole) != 0)
		return err_set(err, "must be a whole number");
	if ((double)whole < row->min || (double)whole > row_max(row))
		return fail_range(row, err);
	*(int64_t *)field(row, out) = whole;
	return 0;
}

static int parse_enum(const struct option *row, struct str text, int *value_r, struct err *err)
{
	for (int i = 0; row->choices[i]; i++) {
		if (str_eq_c(text, row->choices[i])) {
			*value_r = i;
			return 0;
		}
	}
	struct buf b = BUF_INIT;
	for (int i = 0; row->choices[i]; i++)
		buf_printf(&b, "%s\"%s\"", i == 0 ? "" : row->choices[i + 1] ? ", " : " or ",
			row->choices[i]);
	err_set(err, "must be %.*s", STR_ARG(buf_str(&b)));
	buf_free(&b);
	return -1;
}

int option_parse(const struct option *row, struct str text, void *out, struct err *err)
{
	switch (row->type) {
	case OPTION_BOOL:
		if (!str_eq_c(text, "true") && !str_eq_c(text, "false"))
			return err_set(err, "must be true or false");
		*(bool *)field(row, out) = str_eq_c(text, "true");
		return 0;
	case OPTION_INT:
	case OPTION_NUMBER:
		return parse_number(row, text, out, err);
	case OPTION_SIZE:
		return parse_units(row, text, size_units, field(row, out), err);
	case OPTION_TIME:
		return parse_units(row, text, time_units, field(row, out), err);
	case OPTION_ENUM:
		return parse_enum(row, text, field(row, out), err);
	case OPTION_STRING:
	case OPTION_LIST:
	case OPTION_END:
		break;
	}
	assert(!"strings and lists are read by conf.c");
	return -1;
}

/* ---- writing ---- */

static void format_units(int64_t v, const struct unit *units, const char *zero, struct buf *out)
{
	const struct unit *u = units;
	while (u->factor > 1 && (v % (int64_t)u->factor != 0))
		u++;
	if (v == 0)
		buf_c(out, zero);
	else
		buf_printf(out, "%lld%s", (long long)(v / (int64_t)u->factor), u->name);
}

static void format_string(const char *s, struct buf *out)
{
	buf_char(out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_char(out, '\\');
		buf_char(out, *s);
	}
	buf_char(out, '"');
}

static void format_list(const struct option_strings *list, struct buf *out)
{
	buf_c(out, "{ ");
	for (size_t i = 0; i < list->n; i++) {
		if (i)
			buf_c(out, ", ");
		format_string(list->v[i], out);
	}
	buf_c(out, list->n ? " }" : "}");
}

void option_format(const struct option *row, const void *values, struct buf *out)
{
	const void *v = field_const(row, values);
	switch (row->type) {
	case OPTION_BOOL:
		buf_c(out, *(const bool *)v ? "true" : "false");
		break;
	case OPTION_INT:
		buf_printf(out, "%lld", (long long)*(const int64_t *)v);
		break;
	case OPTION_SIZE:
		format_units(*(const int64_t *)v, size_units, "0", out);
		break;
	case OPTION_TIME:
		format_units(*(const int64_t *)v, time_units, "0s", out);
		break;
	case OPTION_NUMBER:
		json_double(out, *(const double *)v);
		break;
	case OPTION_STRING:
		format_string(*(const char *const *)v, out);
		break;
	case OPTION_LIST:
		format_list(v, out);
		break;
	case OPTION_ENUM:
		format_string(row->choices[*(const int *)v], out);
		break;
	case OPTION_END:
		break;
	}
}

/* The default as one would write it in a file. */
static void format_default(const struct option *row, struct buf *out)
{
	bool is_text = row->type == OPTION_STRING || row->type == OPTION_ENUM;
	if (!row->def)
		buf_c(out, row->type == OPTION_LIST ? "{ }" : is_text ? "\"\"" : "0");
	else if (is_text && row->def[0] != '"')
		format_string(row->def, out);
	else
		buf_c(out, row->def);
}

void option_sample(const struct option *rows, const char *indent, struct buf *out)
{
	for (const struct option *row = rows; row->type != OPTION_END; row++) {
		buf_printf(out, "%s# %s\n", indent, row->help);
		if (row->type == OPTION_ENUM) {
			buf_printf(out, "%s# One of:", indent);
			for (int i = 0; row->choices[i]; i++)
				buf_printf(out, " %s", row->choices[i]);
			buf_char(out, '\n');
		}
		buf_printf(out, "%s#%s = ", indent, row->name);
		format_default(row, out);
		buf_char(out, '\n');
	}
}

/* roff takes a line's leading . or ' and any backslash as its own. */
static void man_text(const char *text, struct buf *out)
{
	if (*text == '.' || *text == '\'')
		buf_c(out, "\\&");
	for (; *text; text++) {
		if (*text == '\\')
			buf_c(out, "\\e");
		else
			buf_char(out, *text);
	}
}

static const char *type_name(enum option_type type)
{
	switch (type) {
	case OPTION_BOOL:
		return "true | false";
	case OPTION_INT:
	case OPTION_NUMBER:
		return "number";
	case OPTION_SIZE:
		return "size";
	case OPTION_TIME:
		return "time";
	case OPTION_STRING:
		return "string";
	case OPTION_LIST:
		return "list";
	case OPTION_ENUM:
	case OPTION_END:
		break;
	}
	return "choice";
}

void option_man(const struct option *rows, struct buf *out)
{
	for (const struct option *row = rows; row->type != OPTION_END; row++) {
		buf_printf(out, ".It Ic %s No = Ar ", row->name);
		if (row->type == OPTION_ENUM) {
			for (int i = 0; row->choices[i]; i++)
				buf_printf(out, "%s%s", i ? " | " : "", row->choices[i]);
		} else {
			buf_c(out, type_name(row->type));
		}
		buf_char(out, '\n');
		man_text(row->help, out);
		if (row->required) {
			buf_c(out, "\nRequired.\n");
		} else {
			struct buf def = BUF_INIT;
			format_default(row, &def);
			buf_char(&def, '\0');
			buf_c(out, "\nDefault: ");
			man_text(def.p, out);
			buf_c(out, "\n");
			buf_free(&def);
		}
	}
}

/* ---- names ---- */

/* Edit distance (insert, delete, replace, swap neighbours), without case. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][NAME_MAX_COMPARED + 1];
	size_t an = strlen(a), bn = strlen(b);
	unsigned *two_ago = rows[0], *previous = rows[1], *row = rows[2];
	if (an > NAME_MAX_COMPARED || bn > NAME_MAX_COMPARED)
		return NAME_MAX_COMPARED;
	for (size_t j = 0; j <= bn; j++)
		previous[j] = (unsigned)j;
	for (size_t i = 1; i <= an; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= bn; j++) {
			char x = char_lower(a[i - 1]), y = char_lower(b[j - 1]);
			unsigned best = previous[j - 1] + (x != y);
			if (previous[j] + 1 < best)
				best = previous[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && x == char_lower(b[j - 2]) &&
				y == char_lower(a[i - 2]) && two_ago[j - 2] + 1 < best)
				best = two_ago[j - 2] + 1;
			row[j] = best;
		}
		unsigned *oldest = two_ago;
		two_ago = previous;
		previous = row;
		row = oldest;
	}
	return previous[bn];
}

const char *option_nearest(const char *name, const char *const *names)
{
	const char *best = NULL;
	/* a third of the letters wrong is still a slip of the hand; more is another word */
	unsigned best_distance = (unsigned)strlen(name) / 3 + 2;
	for (; *names; names++) {
		unsigned d = distance(name, *names);
		if (d < best_distance && d < strlen(*names)) {
			best = *names;
			best_distance = d;
		}
	}
	return best;
}
