/*
 * option: one row for each thing that can be configured.
 *
 * A row is all there is to an option: the parser reads by it, defaults come from
 * it, and the manual page, the sample configuration and `gatepost config dump`
 * are printed from it. Rows of sections are read by core/conf.h.
 */
#ifndef CORE_OPTION_H
#define CORE_OPTION_H

#include "core/buf.h"
#include "core/err.h"
#include "core/record.h"

enum option_type {
	OPTION_END,
	OPTION_BOOL,   /* bool */
	OPTION_INT,    /* int64_t, min..max */
	OPTION_SIZE,   /* int64_t octets; "25MB" (1024s), "10k" */
	OPTION_TIME,   /* int64_t milliseconds; "30s", "5min", "1h", "7d", "200ms" */
	OPTION_NUMBER, /* double, min..max */
	OPTION_STRING, /* const char *; never NULL: "" when unset */
	OPTION_LIST,   /* struct option_strings */
	OPTION_ENUM,   /* int: index into `choices` */
};

struct option_strings {
	const char **v;
	size_t n;
};

struct option {
	const char *name;
	enum option_type type;
	size_t offset;
	const char *def;    /* as one would write it: "true", "30s", "5", "{ \"a\", \"b\" }"; NULL: unset */
	double min, max;    /* INT, SIZE, TIME (ms), NUMBER; both 0: any that is not negative */
	const char *help;   /* one sentence */
	const char *const *choices; /* ENUM */
	bool required;
};

#define OPTION_ROWS_END { .name = NULL, .type = OPTION_END }

/*
 * Reads one value of any type but STRING and LIST, as it stands in a file without
 * its quotes, into the row's field of the struct at `out`. -1: what is wrong, and what
 * would be right, in err; *out is left alone.
 */
int option_parse(const struct option *row, struct str text, void *out, struct err *err);
/* Appends the field's value as one would write it: true, 25MB, 30s, "text", { "a", "b" }. */
void option_format(const struct option *row, const void *values, struct buf *out);
/* Appends the rows as a sample file's commented lines, or as man page entries (mdoc .It). */
void option_sample(const struct option *rows, const char *indent, struct buf *out);
void option_man(const struct option *rows, struct buf *out);
/* Nearest of the names (NULL-terminated) by edit distance, or NULL if none is near. */
const char *option_nearest(const char *name, const char *const *names);

#endif
