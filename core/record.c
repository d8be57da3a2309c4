#include "core/record.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>

#include "core/json.h"

/* Every LIST(T), and struct str_list, has this layout (record.h). */
struct any_list {
	void *v;
	size_t n;
};
_Static_assert(sizeof(struct any_list) == sizeof(struct str_list), "lists share one layout");

static const char *place(const void *object, const struct field *f)
{
	return (const char *)object + f->offset;
}

static size_t enum_count(const struct field *f)
{
	size_t n = 0;
	while (f->names[n])
		n++;
	return n;
}

/* Binary form: out */

static void put_u64(struct buf *out, uint64_t v)
{
	char octets[10];
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		octets[n++] = (char)(v | 0x80);
	octets[n++] = (char)v;
	buf_add(out, octets, n);
}

static void put_i64(struct buf *out, int64_t v)
{
	put_u64(out, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static void put_str(struct buf *out, struct str s)
{
	put_u64(out, s.n);
	buf_str_add(out, s);
}

static void encode_list(const struct field *f, const struct any_list *list, struct buf *out)
{
	put_u64(out, list->n);
	for (size_t i = 0; i < list->n; i++) {
		if (f->type == FIELD_TYPE_STRS)
			put_str(out, ((const struct str *)list->v)[i]);
		else
			record_encode(f->sub, (const char *)list->v + i * f->sub->size, out);
	}
}

static void encode_field(const struct field *f, const void *at, struct buf *out)
{
	switch (f->type) {
	case FIELD_TYPE_BOOL:
		buf_char(out, *(const bool *)at);
		break;
	case FIELD_TYPE_INT:
		put_i64(out, *(const int64_t *)at);
		break;
	case FIELD_TYPE_ENUM:
		put_u64(out, (uint64_t) * (const int *)at);
		break;
	case FIELD_TYPE_DOUBLE:
		buf_add(out, at, sizeof(double));
		break;
	case FIELD_TYPE_STR:
	case FIELD_TYPE_OCTETS:
		put_str(out, *(const struct str *)at);
		break;
	case FIELD_TYPE_STRS:
	case FIELD_TYPE_RECORDS:
		encode_list(f, at, out);
		break;
	case FIELD_TYPE_RECORD:
		record_encode(f->sub, at, out);
		break;
	case FIELD_TYPE_POINTER:
		buf_char(out, *(void *const *)at != NULL);
		if (*(void *const *)at)
			record_encode(f->sub, *(void *const *)at, out);
		break;
	case FIELD_TYPE_END:
		break;
	}
}

void record_encode(const struct record *rec, const void *object, struct buf *out)
{
	for (const struct field *f = rec->fields; f->type != FIELD_TYPE_END; f++)
		encode_field(f, place(object, f), out);
}

/* Binary form: in */

static int get_u64(struct str *in, uint64_t *v_r)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < 10 && i < in->n; i++) {
		unsigned char c = (unsigned char)in->p[i];
		v |= (uint64_t)(c & 0x7f) << (7 * i);
		if (c & 0x80)
			continue;
		*in = str_skip(*in, i + 1);
		*v_r = v;
		return 0;
	}
	return -1;
}

static int get_str(struct str *in, struct str *s_r)
{
	uint64_t n;
	if (get_u64(in, &n) < 0 || n > in->n)
		return -1;
	*s_r = str_sub(*in, 0, n);
	*in = str_skip(*in, n);
	return 0;
}

static int get_octet(struct str *in, bool *b_r)
{
	if (in->n == 0 || (unsigned char)in->p[0] > 1)
		return -1;
	*b_r = in->p[0];
	*in = str_skip(*in, 1);
	return 0;
}

static int decode_fields(const struct record *rec, struct str *in, struct arena *arena, void *object_r,
	unsigned depth);

/* The smallest form of an item, so that a count can be held against the octets that are left. */
static size_t least_size(const struct record *rec)
{
	size_t n = 0;
	for (const struct field *f = rec->fields; f->type != FIELD_TYPE_END; f++)
		n += f->type == FIELD_TYPE_DOUBLE ? sizeof(double) :
		     f->type == FIELD_TYPE_RECORD ? least_size(f->sub) :
						    1;
	return n ? n : 1;
}

static int decode_list(const struct field *f, struct str *in, struct arena *arena,
	struct any_list *list, unsigned depth)
{
	uint64_t n;
	bool strings = f->type == FIELD_TYPE_STRS;
	if (get_u64(in, &n) < 0 || n > in->n / (strings ? 1 : least_size(f->sub)))
		return -1;
	list->n = n;
	if (n == 0)
		return 0;
	size_t size = strings ? sizeof(struct str) : f->sub->size;
	/* An item of a few octets may become a hundred: what a peer of ours that was taken over
	 * sends must not use up the machine's memory. */
	if (n > arena_left(arena) / size) {
		list->n = 0;
		return -1;
	}
	list->v = arena_array(arena, n, size);
	for (size_t i = 0; i < n; i++) {
		void *item = (char *)list->v + i * size;
		if ((strings ? get_str(in, item) :
			       decode_fields(f->sub, in, arena, item, depth + 1)) < 0)
			return -1;
	}
	return 0;
}

static int decode_number(const struct field *f, struct str *in, void *at)
{
	uint64_t v;
	if (f->type == FIELD_TYPE_DOUBLE) {
		if (in->n < sizeof(double))
			return -1;
		memcpy(at, in->p, sizeof(double));
		*in = str_skip(*in, sizeof(double));
		return isfinite(*(double *)at) ? 0 : -1;
	}
	if (get_u64(in, &v) < 0)
		return -1;
	if (f->type == FIELD_TYPE_INT)
		*(int64_t *)at = (int64_t)(v >> 1 ^ -(v & 1));
	else if (v >= enum_count(f))
		return -1;
	else
		*(int *)at = (int)v;
	return 0;
}

static int decode_field(const struct field *f, struct str *in, struct arena *arena, void *at,
	unsigned depth)
{
	bool present;
	switch (f->type) {
	case FIELD_TYPE_BOOL:
		return get_octet(in, at);
	case FIELD_TYPE_INT:
	case FIELD_TYPE_ENUM:
	case FIELD_TYPE_DOUBLE:
		return decode_number(f, in, at);
	case FIELD_TYPE_STR:
	case FIELD_TYPE_OCTETS:
		return get_str(in, at);
	case FIELD_TYPE_STRS:
	case FIELD_TYPE_RECORDS:
		return decode_list(f, in, arena, at, depth);
	case FIELD_TYPE_RECORD:
		return decode_fields(f->sub, in, arena, at, depth + 1);
	case FIELD_TYPE_POINTER:
		if (get_octet(in, &present) < 0)
			return -1;
		if (!present)
			return 0;
		*(void **)at = arena_alloc(arena, f->sub->size);
		return decode_fields(f->sub, in, arena, *(void **)at, depth + 1);
	case FIELD_TYPE_END:
		break;
	}
	return -1;
}

static int decode_fields(const struct record *rec, struct str *in, struct arena *arena, void *object_r,
	unsigned depth)
{
	/* Tables nest a few levels; none refers to itself. */
	assert(depth < 16);
	memset(object_r, 0, rec->size);
	for (const struct field *f = rec->fields; f->type != FIELD_TYPE_END; f++)
		if (decode_field(f, in, arena, (char *)object_r + f->offset, depth) < 0)
			return -1;
	return 0;
}

int record_decode(const struct record *rec, struct str in, struct arena *arena, void *object_r,
	struct err *err)
{
	if (decode_fields(rec, &in, arena, object_r, 0) < 0)
		return err_set(err, "%s: malformed record", rec->name);
	if (in.n)
		return err_set(err, "%s: %zu octets behind the record", rec->name, in.n);
	return 0;
}

void record_copy(const struct record *rec, const void *object, struct arena *arena, void *object_r)
{
	struct buf b = BUF_INIT;
	record_encode(rec, object, &b);
	int ok = record_decode(rec, arena_dup(arena, buf_str(&b)), arena, object_r, NULL);
	assert(ok == 0);
	buf_free(&b);
}

/* JSON: out */

static void list_to_json(const struct field *f, const struct any_list *list, struct buf *out)
{
	buf_char(out, '[');
	for (size_t i = 0; i < list->n; i++) {
		if (i)
			buf_c(out, ", ");
		if (f->type == FIELD_TYPE_STRS)
			json_text(out, ((const struct str *)list->v)[i], JSON_NO_CAP);
		else
			record_to_json(f->sub, (const char *)list->v + i * f->sub->size, out);
	}
	buf_char(out, ']');
}

static void field_to_json(const struct field *f, const void *at, struct buf *out)
{
	switch (f->type) {
	case FIELD_TYPE_BOOL:
		buf_c(out, *(const bool *)at ? "true" : "false");
		break;
	case FIELD_TYPE_INT:
		buf_printf(out, "%lld", (long long)*(const int64_t *)at);
		break;
	case FIELD_TYPE_DOUBLE:
		json_double(out, *(const double *)at);
		break;
	case FIELD_TYPE_ENUM:
		json_text(out, str_c(f->names[*(const int *)at]), JSON_NO_CAP);
		break;
	case FIELD_TYPE_STR:
		json_text(out, *(const struct str *)at, JSON_NO_CAP);
		break;
	case FIELD_TYPE_OCTETS:
		json_octets(out, *(const struct str *)at);
		break;
	case FIELD_TYPE_STRS:
	case FIELD_TYPE_RECORDS:
		list_to_json(f, at, out);
		break;
	case FIELD_TYPE_RECORD:
		record_to_json(f->sub, at, out);
		break;
	case FIELD_TYPE_POINTER:
		if (*(void *const *)at)
			record_to_json(f->sub, *(void *const *)at, out);
		else
			buf_c(out, "null");
		break;
	case FIELD_TYPE_END:
		break;
	}
}

void record_to_json(const struct record *rec, const void *object, struct buf *out)
{
	bool first = true;
	buf_char(out, '{');
	for (const struct field *f = rec->fields; f->type != FIELD_TYPE_END; f++) {
		if (f->hidden)
			continue;
		if (!first)
			buf_c(out, ", ");
		first = false;
		json_text(out, str_c(f->name), JSON_NO_CAP);
		buf_c(out, ": ");
		field_to_json(f, place(object, f), out);
	}
	buf_char(out, '}');
}

/* JSON: in */

struct reader {
	struct arena *arena;
	struct err *err;
};

static int fields_from_json(struct reader *r, const struct record *rec, json_t *json, void *object_r);

static int wrong(struct reader *r, const struct field *f, const char *expected)
{
	return err_set(r->err, "\"%s\": expected %s", f->name, expected);
}

/* UTF-8 back to the octets that its characters number; -1 for one beyond U+00FF. */
int record_octets_from_utf8(struct arena *arena, struct str s, struct str *octets_r)
{
	char *p = arena_alloc(arena, s.n + 1);
	size_t n = 0;
	while (s.n) {
		uint32_t code;
		size_t len = str_utf8(s, &code);
		if (len == 0 || code > 0xff)
			return -1;
		p[n++] = (char)code;
		s = str_skip(s, len);
	}
	*octets_r = (struct str){ p, n };
	return 0;
}

static int str_from_json(struct reader *r, const struct field *f, json_t *json, struct str *s_r)
{
	if (!json_is_string(json))
		return wrong(r, f, "a string");
	struct str s = { json_string_value(json), json_string_length(json) };
	if (f->type != FIELD_TYPE_OCTETS)
		*s_r = arena_dup(r->arena, s);
	else if (record_octets_from_utf8(r->arena, s, s_r) < 0)
		return wrong(r, f, "characters up to U+00FF, each one octet");
	return 0;
}

static int list_from_json(struct reader *r, const struct field *f, json_t *json,
	struct any_list *list)
{
	if (!json_is_array(json))
		return wrong(r, f, "a list");
	size_t size = f->type == FIELD_TYPE_STRS ? sizeof(struct str) : f->sub->size;
	list->n = json_array_size(json);
	list->v = arena_array(r->arena, list->n, size);
	for (size_t i = 0; i < list->n; i++) {
		void *item = (char *)list->v + i * size;
		json_t *value = json_array_get(json, i);
		if ((f->type == FIELD_TYPE_STRS ? str_from_json(r, f, value, item) :
						  fields_from_json(r, f->sub, value, item)) < 0)
			return -1;
	}
	return 0;
}

static int enum_from_json(struct reader *r, const struct field *f, json_t *json, int *value_r)
{
	struct str s = str_c(json_string_value(json));
	for (size_t i = 0; json_is_string(json) && f->names[i]; i++) {
		if (!str_eq_c(s, f->names[i]))
			continue;
		*value_r = (int)i;
		return 0;
	}
	return wrong(r, f, "one of its names");
}

static int field_from_json(struct reader *r, const struct field *f, json_t *json, void *at)
{
	switch (f->type) {
	case FIELD_TYPE_BOOL:
		*(bool *)at = json_is_true(json);
		return json_is_boolean(json) ? 0 : wrong(r, f, "true or false");
	case FIELD_TYPE_INT:
		*(int64_t *)at = json_integer_value(json);
		return json_is_integer(json) ? 0 : wrong(r, f, "a whole number");
	case FIELD_TYPE_DOUBLE:
		*(double *)at = json_number_value(json);
		return json_is_number(json) ? 0 : wrong(r, f, "a number");
	case FIELD_TYPE_ENUM:
		return enum_from_json(r, f, json, at);
	case FIELD_TYPE_STR:
	case FIELD_TYPE_OCTETS:
		return str_from_json(r, f, json, at);
	case FIELD_TYPE_STRS:
	case FIELD_TYPE_RECORDS:
		return list_from_json(r, f, json, at);
	case FIELD_TYPE_RECORD:
		return fields_from_json(r, f->sub, json, at);
	case FIELD_TYPE_POINTER:
		if (json_is_null(json))
			return 0;
		*(void **)at = arena_alloc(r->arena, f->sub->size);
		return fields_from_json(r, f->sub, json, *(void **)at);
	case FIELD_TYPE_END:
		break;
	}
	return -1;
}

static const struct field *field_named(const struct record *rec, const char *name)
{
	for (const struct field *f = rec->fields; f->type != FIELD_TYPE_END; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static int fields_from_json(struct reader *r, const struct record *rec, json_t *json, void *object_r)
{
	const char *key;
	json_t *value;
	memset(object_r, 0, rec->size);
	if (!json_is_object(json))
		return err_set(r->err, "%s: expected an object", rec->name);
	json_object_foreach(json, key, value) {
		const struct field *f = field_named(rec, key);
		if (!f)
			return err_set(r->err, "%s: unknown key \"%.60s\"", rec->name, key);
		if (field_from_json(r, f, value, (char *)object_r + f->offset) < 0)
			return -1;
	}
	return 0;
}

int record_from_json_value(const struct record *rec, void *json, struct arena *arena, void *object_r,
	struct err *err)
{
	struct reader r = { arena, err };
	return fields_from_json(&r, rec, json, object_r);
}

int record_from_json(const struct record *rec, struct str json, struct arena *arena, void *object_r,
	struct err *err)
{
	json_error_t where;
	json_t *root = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
	if (!root)
		return err_set(err, "line %d: %s", where.line, where.text);
	int rc = record_from_json_value(rec, root, arena, object_r, err);
	json_decref(root);
	return rc;
}
