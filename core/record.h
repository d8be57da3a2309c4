/*
 * record: structs described by a table, so that there is one codec for all.
 *
 * A struct record lists the fields of a C struct: name, type, place. From it come
 * the binary form that our processes speak to each other and the JSON form that
 * people and tests read and write; no struct has an encoder of its own.
 *
 *	struct point { int64_t x; struct str name; };
 *	static const struct field point_fields[] = {
 *		FIELD_INT(struct point, x), FIELD_STR(struct point, name), FIELD_END
 *	};
 *	const struct record point_record = RECORD("point", struct point, point_fields);
 *	record_encode(&point_record, &p, &buf);
 *
 * Binary: the fields in order; whole numbers as zigzag LEB128, booleans and enums
 * likewise, doubles as 8 octets, strings and lists with their count in front.
 * Both sides are always of one build, so there are no tags and no versions; what
 * is stored on disk is stored as JSON. Decoding trusts nothing: every count is
 * checked against the octets that are left, enums against their names.
 */
#ifndef CORE_RECORD_H
#define CORE_RECORD_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"

/* A list of T: v points to n of them. Every LIST has this same layout. */
#define LIST(T)            \
	struct {           \
		T *v;      \
		size_t n;  \
	}
struct str_list {
	struct str *v;
	size_t n;
};

enum field_type {
	FIELD_TYPE_END,
	FIELD_TYPE_BOOL,    /* bool */
	FIELD_TYPE_INT,	    /* int64_t */
	FIELD_TYPE_DOUBLE,  /* double, finite */
	FIELD_TYPE_ENUM,    /* int, index into `names` */
	FIELD_TYPE_STR,	    /* struct str: text; JSON shows octets that are not UTF-8 as U+FFFD */
	FIELD_TYPE_OCTETS,  /* struct str: JSON maps each octet to U+0000-U+00FF, lossless */
	FIELD_TYPE_STRS,    /* struct str_list of text */
	FIELD_TYPE_RECORD,  /* embedded struct */
	FIELD_TYPE_POINTER, /* pointer to a struct, or NULL: JSON null */
	FIELD_TYPE_RECORDS, /* LIST(struct) */
};

struct record;
struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	const struct record *sub;	/* RECORD, POINTER, RECORDS */
	const char *const *names;	/* ENUM: NULL-terminated */
	bool hidden;			/* not in JSON */
};
struct record {
	const char *name;
	size_t size;
	const struct field *fields;
};

#define RECORD(title, T, rows) { .name = (title), .size = sizeof(T), .fields = (rows) }
#define FIELD_(T, member, kind) .name = #member, .type = (kind), .offset = offsetof(T, member)
#define FIELD_BOOL(T, member)   { FIELD_(T, member, FIELD_TYPE_BOOL) }
#define FIELD_INT(T, member)    { FIELD_(T, member, FIELD_TYPE_INT) }
#define FIELD_DOUBLE(T, member) { FIELD_(T, member, FIELD_TYPE_DOUBLE) }
#define FIELD_ENUM(T, member, table) \
	{ FIELD_(T, member, FIELD_TYPE_ENUM), .names = (table) }
#define FIELD_STR(T, member)	   { FIELD_(T, member, FIELD_TYPE_STR) }
#define FIELD_OCTETS(T, member) { FIELD_(T, member, FIELD_TYPE_OCTETS) }
#define FIELD_STRS(T, member)   { FIELD_(T, member, FIELD_TYPE_STRS) }
#define FIELD_RECORD(T, member, record) \
	{ FIELD_(T, member, FIELD_TYPE_RECORD), .sub = (record) }
#define FIELD_POINTER(T, member, record) \
	{ FIELD_(T, member, FIELD_TYPE_POINTER), .sub = (record) }
#define FIELD_RECORDS(T, member, record) \
	{ FIELD_(T, member, FIELD_TYPE_RECORDS), .sub = (record) }
#define FIELD_END { .name = NULL, .type = FIELD_TYPE_END }

void record_encode(const struct record *rec, const void *object, struct buf *out);
/*
 * Fills *object_r (rec->size octets) from exactly `in`. Strings point into `in`,
 * lists and pointers are taken from the arena. Anything left over, short or out
 * of range is an error.
 */
int record_decode(const struct record *rec, struct str in, struct arena *arena, void *object_r,
	struct err *err);
/* A deep copy whose strings live in the arena. */
void record_copy(const struct record *rec, const void *object, struct arena *arena,
	void *object_r);

/* Appends the object as JSON, `{...}`, on one line. */
void record_to_json(const struct record *rec, const void *object, struct buf *out);
/*
 * From JSON text. Keys that are missing leave zero; unknown keys, wrong types and
 * duplicate keys are errors that name the key. Strings are copied to the arena.
 */
int record_from_json(const struct record *rec, struct str json, struct arena *arena,
	void *object_r, struct err *err);

/* The same from a parsed value (json_t of jansson), and the mapping of octets by itself: for readers
 * whose JSON has forms that a table cannot say (core/facts.c). */
int record_from_json_value(const struct record *rec, void *json, struct arena *arena, void *object_r,
	struct err *err);
int record_octets_from_utf8(struct arena *arena, struct str s, struct str *octets_r);

#endif
