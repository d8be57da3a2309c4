/*
 * conf: the configuration file's grammar, and reading sections by option rows.
 *
 *	hostname = "mx.example.net"              # key = value
 *	listen "0.0.0.0:25" { tls_key = "k.pem" }  # section, optional title
 *	domain "example.net" { backend = { "smtp://10.0.0.5:25" } }   # list in braces
 *
 * Strings stand in quotes with \" and \\; numbers, true, false; sizes and times
 * with a unit, bare or quoted; a single string does for a list of one; no
 * separators needed. The same section and title twice, or a key twice, is an
 * error. All errors are gathered (LIMIT_CONFIG_ERRORS), each "FILE:LINE:COLUMN:
 * what, and what to do"; an unknown name is answered with the nearest valid one.
 *
 *	struct conf *c = conf_parse(text, "gatepost.conf", arena);
 *	conf_read(c, conf_root(c), rows, &globals);
 *	if (conf_errors(c)->n) ...
 *
 * Every value remembers where it came from, for `config dump`.
 */
#ifndef CORE_CONF_H
#define CORE_CONF_H

#include "core/option.h"

struct conf;
struct conf_section; /* name, title, keys, sections, place */

/* Never fails: errors are gathered. `file` is only for messages; all memory is the arena's. */
struct conf *conf_parse(struct str text, const char *file, struct arena *arena);
struct arena *conf_arena(struct conf *conf);
const struct conf_section *conf_root(const struct conf *conf);
/* "" if the section has no title. */
const char *conf_title(const struct conf_section *section);
/* Iterates the sections of this name below `parent`: pass NULL first. NULL at the end. */
const struct conf_section *conf_next(const struct conf_section *parent, const char *name,
	const struct conf_section *previous);

/*
 * Fills the struct at `out` by the rows: defaults first, then what the section
 * says (NULL: defaults only). Unknown keys, wrong types, values out of range and
 * missing required ones become errors. Sub-sections are checked by conf_allow().
 */
void conf_read(struct conf *conf, const struct conf_section *section, const struct option *rows,
	void *out);
/* The same by two tables at once, where a section has common and special rows. */
void conf_read2(struct conf *conf, const struct conf_section *section, const struct option *rows,
	void *out, const struct option *more, void *more_out);
/*
 * Only the keys that the rows name; others in the section are another reader's
 * (policy keys beside `backend` in a `domain` section). An error that two readers
 * find at the same place is kept once.
 */
void conf_read_some(struct conf *conf, const struct conf_section *section,
	const struct option *rows, void *out);
/* Every sub-section of `parent` must have one of these names (NULL-terminated). */
void conf_allow(struct conf *conf, const struct conf_section *parent, const char *const *names);
/* Was this key written in the section itself (so that a layer below may be kept)? */
bool conf_has(const struct conf_section *section, const char *key);
/* Free-form keys, as of `scores { NAME = 4 }`: calls with each key and number. */
void conf_each_number(struct conf *conf, const struct conf_section *section,
	void (*each)(void *context, const char *key, double value), void *context);
/* An error at the section's, or at its key's, place. */
void conf_error(struct conf *conf, const struct conf_section *section, const char *key,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* A warning is shown and does no harm. */
void conf_warn(struct conf *conf, const struct conf_section *section, const char *key,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Terminated lines, in the file's order. */
const struct option_strings *conf_errors(const struct conf *conf);
const struct option_strings *conf_warnings(const struct conf *conf);

/* Appends `key = value   # FILE:LINE` (or `# default`) for each row of the section. */
void conf_dump(struct conf *conf, const struct conf_section *section, const struct option *rows,
	const void *values, const char *indent, struct buf *out);
/* The same of what has no rows here: free-form keys (keys true), and sub-sections as they stand. */
void conf_dump_raw(struct conf *conf, const struct conf_section *section, bool keys,
	const char *indent, struct buf *out);

#endif
