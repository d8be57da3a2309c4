/*
 * The parser over messages that others collected: ../shared/suites/mime. Their expected values
 * are the opinions of another parser, so for each kind a floor is kept, not equality;
 * MAIL_SUITE_VERBOSE in the environment shows where the two differ.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>

#include "core/mail/mail.h"
#include "core/mail/param.h"

#define SUITE SOURCE_DIR "/../shared/suites/mime"
#define RESOURCES SUITE "/stalwart-mail-parser/resources"

static bool is_verbose(void)
{
	return getenv("MAIL_SUITE_VERBOSE") != NULL;
}

static bool is_absent(const char *path)
{
	DIR *d = opendir(path);
	if (d)
		closedir(d);
	else
		print_message("skipped: %s is not there\n", path);
	return !d;
}

/* The file with CRLF line ends; p NULL if it cannot be read. */
static struct str read_crlf(struct arena *a, const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		return (struct str){ 0 };
	size_t room = 1 << 20;
	char *in = arena_alloc(a, room), *out = arena_alloc(a, 2 * room);
	size_t n = fread(in, 1, room, f), m = 0;
	fclose(f);
	for (size_t i = 0; i < n; i++) {
		if (in[i] == '\n' && (i == 0 || in[i - 1] != '\r'))
			out[m++] = '\r';
		out[m++] = in[i];
	}
	return str_from(out, m);
}

static void take_apart(struct mail *m)
{
	for (size_t i = 0; i < m->parts.n; i++) {
		struct mail_part *p = &m->parts.v[i];
		mail_part_decoded(m, p);
		assert_true(p->parent < (int)i);
		for (size_t h = 0; h < p->header_count; h++)
			assert_true(str_is_utf8(mail_decode_header(m, p->headers[h].value)));
	}
	struct mail_addresses list;
	for (const struct mail_header *h = NULL; (h = mail_header(m, "From", h));)
		mail_parse_addresses(m, h->value, &list);
}

struct tally {
	size_t files, parts, headers, subjects, subject_files;
};

static size_t count_parts(const json_t *message)
{
	const json_t *parts = json_object_get(message, "parts"), *part;
	size_t i, n = json_array_size(parts);
	json_array_foreach(parts, i, part) {
		const json_t *inner = json_object_get(json_object_get(part, "body"), "Message");
		if (inner)
			n += count_parts(inner);
	}
	return n;
}

static const char *subject_of(const json_t *message)
{
	const json_t *part = json_array_get(json_object_get(message, "parts"), 0);
	const json_t *headers = json_object_get(part, "headers"), *h;
	size_t i;
	json_array_foreach(headers, i, h) {
		const char *name = json_string_value(json_object_get(h, "name"));
		if (name && strcmp(name, "subject") == 0)
			return json_string_value(
				json_object_get(json_object_get(h, "value"), "Text"));
	}
	return NULL;
}

static void compare(struct mail *m, const json_t *expected, const char *path, struct tally *t)
{
	const json_t *first = json_array_get(json_object_get(expected, "parts"), 0);
	size_t parts = count_parts(expected);
	size_t headers = json_array_size(json_object_get(first, "headers"));
	const char *subject = subject_of(expected);
	t->files++;
	t->parts += parts == m->parts.n;
	t->headers += headers == m->headers.n;
	if (is_verbose() && (parts != m->parts.n || headers != m->headers.n))
		print_message("%s: %zu parts, not %zu; %zu headers, not %zu\n", path, m->parts.n,
			parts, m->headers.n, headers);
	const struct mail_header *h = mail_header(m, "Subject", NULL);
	if (!subject || !h)
		return;
	struct str ours = mail_decode_header(m, h->value);
	t->subject_files++;
	t->subjects += str_eq_c(ours, subject);
	if (is_verbose() && !str_eq_c(ours, subject))
		print_message("%s: subject '%.*s', not '%s'\n", path, STR_ARG(ours), subject);
}

static void run_folder(const char *folder, struct tally *t)
{
	char path[1024];
	DIR *d = opendir(folder);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		size_t n = strlen(e->d_name);
		if (n < 4 || strcmp(e->d_name + n - 4, ".eml") != 0)
			continue;
		struct arena *a = arena_new(64 << 20);
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		struct mail *m = mail_parse(a, read_crlf(a, path));
		take_apart(m);
		snprintf(path, sizeof(path), "%s/%.*s.json", folder, (int)n - 4, e->d_name);
		json_t *expected = json_load_file(path, 0, NULL);
		if (expected)
			compare(m, expected, path, t);
		json_decref(expected);
		arena_free(&a);
	}
	closedir(d);
}

static void test_messages(void **state)
{
	struct tally t = { 0 };
	static const char *const folders[] = { "legacy", "malformed", "rfc", "thirdparty" };
	if (is_absent(RESOURCES))
		return;
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		char path[512];
		snprintf(path, sizeof(path), RESOURCES "/eml/%s", folders[i]);
		run_folder(path, &t);
	}
	print_message("%zu messages: same parts %zu, headers %zu; subjects %zu of %zu\n", t.files,
		t.parts, t.headers, t.subjects, t.subject_files);
	assert_true(t.files >= 100 && t.parts + 15 >= t.files && t.headers + 2 >= t.files);
	assert_true(t.subjects + 6 >= t.subject_files);
}

static void test_others(void **state)
{
	static const char *const folders[] = {
		SUITE "/cpython_test_email/Lib/test/test_email/data", SUITE };
	for (size_t i = 0; i < 2; i++) {
		if (is_absent(folders[i]))
			return;
		DIR *d = opendir(folders[i]);
		size_t count = 0;
		for (struct dirent *e; (e = readdir(d));) {
			char path[1024];
			struct arena *a = arena_new(64 << 20);
			snprintf(path, sizeof(path), "%s/%s", folders[i], e->d_name);
			struct str raw = read_crlf(a, path);
			if (e->d_type == DT_REG && raw.p) {
				take_apart(mail_parse(a, raw));
				count++;
			}
			arena_free(&a);
		}
		closedir(d);
		assert_true(count > 0);
	}
}

/* Runs `same` over the rows of a file of {header, expected}; returns how many agree. */
static size_t run_rows(const char *file, size_t *rows_r,
	bool (*same)(struct mail *m, struct str value, const json_t *expected))
{
	size_t i, agree = 0;
	json_error_t error;
	json_t *rows = json_load_file(file, JSON_ALLOW_NUL, &error), *row;
	if (!rows)
		fail_msg("%s:%d: %s", file, error.line, error.text);
	*rows_r = json_array_size(rows);
	json_array_foreach(rows, i, row) {
		struct arena *a = arena_new(1 << 20);
		struct str value = str_c(json_string_value(json_object_get(row, "header")));
		struct str raw = arena_printf(a, "X:%.*s\n", STR_ARG(value));
		struct mail *m = mail_parse(a, raw);
		assert_true(m->headers.n > 0);
		bool good = same(m, m->headers.v[0].value, json_object_get(row, "expected"));
		if (!good && is_verbose()) {
			char *text = json_dumps(json_object_get(row, "expected"), JSON_ENCODE_ANY);
			print_message("%s %zu: '%.*s' is %s\n", strrchr(file, '/'), i,
				STR_ARG(value), text);
			free(text);
		}
		agree += good;
		arena_free(&a);
	}
	json_decref(rows);
	return agree;
}

/* But for white space, of which the other parser makes one blank. */
static bool same_text(struct mail *m, struct str value, const json_t *expected)
{
	struct str ours = mail_decode_header(m, value), theirs = STR(""), a = STR(""), b = STR("");
	if (json_is_string(expected))
		theirs = str_c(json_string_value(expected));
	bool more;
	do {
		more = str_word(&ours, &a);
		if (more != str_word(&theirs, &b) || (more && !str_eq(a, b)))
			return false;
	} while (more);
	return true;
}

static bool same_attribute(struct mail *m, const struct mail_params *params, const json_t *a)
{
	struct mail_param_value v;
	const char *name = json_string_value(json_object_get(a, "name"));
	const char *value = json_string_value(json_object_get(a, "value"));
	if (!name || strchr(name, '*') || strstr(name, "-charset") || strstr(name, "-language"))
		return true;
	return mail_params_get(m, params, name, &v) && str_eq_c(v.text, value);
}

static bool same_content_type(struct mail *m, struct str value, const json_t *expected)
{
	struct mail_params params;
	const json_t *attributes = json_object_get(expected, "attributes"), *a;
	size_t i;
	mail_params_parse(m->arena, value, &params);
	json_array_foreach(attributes, i, a) {
		if (!same_attribute(m, &params, a))
			return false;
	}
	const char *type = json_string_value(json_object_get(expected, "c_type"));
	return !type || str_istarts(params.value, type);
}

static bool same_list(const struct mail_addresses *ours, const json_t *list, size_t *at)
{
	size_t i;
	const json_t *entry;
	json_array_foreach(list, i, entry) {
		const json_t *inner = json_object_get(entry, "addresses");
		const char *address = json_string_value(json_object_get(entry, "address"));
		if (inner && !same_list(ours, inner, at))
			return false;
		if (inner || !address)
			continue;
		char text[512];
		if (*at >= ours->list.n)
			return false;
		const struct mail_address *a = &ours->list.v[(*at)++];
		snprintf(text, sizeof(text), "%.*s@%.*s", STR_ARG(a->local),
			STR_ARG(a->raw_domain));
		if (strcmp(text, address) != 0)
			return false;
	}
	return true;
}

static bool same_addresses(struct mail *m, struct str value, const json_t *expected)
{
	struct mail_addresses list;
	size_t at = 0;
	const json_t *v = json_object_get(expected, "List");
	mail_parse_addresses(m, value, &list);
	if (!v)
		v = json_object_get(expected, "Group");
	return same_list(&list, v, &at) && at == list.list.n;
}

static void test_rows(void **state)
{
	if (is_absent(RESOURCES))
		return;
	size_t n, agree = run_rows(RESOURCES "/unstructured.json", &n, same_text);
	print_message("unstructured: %zu of %zu\n", agree, n);
	assert_true(n <= agree + 4);
	agree = run_rows(RESOURCES "/content_type.json", &n, same_content_type);
	print_message("content types: %zu of %zu\n", agree, n);
	assert_true(n == agree);
	agree = run_rows(RESOURCES "/address.json", &n, same_addresses);
	print_message("addresses: %zu of %zu\n", agree, n);
	assert_true(n <= agree + 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
