#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <ftw.h>
#include <unistd.h>

#include "core/hash.h"
#include "filters/clamav/engine.h"
#include "filters/clamav/zip.h"

#define TESTFILES "/usr/share/clamav-testfiles"

struct fixture {
	char dir[64], database[100];
	struct arena *arena;
	struct clamav_conf conf;
	struct clamav_engine *engine;
	struct err err;
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "/dev/shm/gatepost-engine-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->arena = arena_new(1 << 22);
	f->conf = (struct clamav_conf){ .built_in = true, .scan_size = 100 << 20, .file_size = 5 << 20,
		.depth = 12, .files = 1000, .scan_time = 10000, .ratio = 250, .macros = true, .encrypted = true };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	clamav_engine_free(&f->engine);
	arena_free(&f->arena);
	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	test_free(f);
	return 0;
}

static void load(struct fixture *f)
{
	f->engine = clamav_engine_load(&f->conf, f->dir, &f->err);
	if (!f->engine)
		fail_msg("%s", f->err.text);
}

static struct facts_scan scan(struct fixture *f, struct str message)
{
	struct facts_scan result;
	clamav_engine_scan(f->engine, message, f->arena, &result);
	return result;
}

static struct str read_file(struct fixture *f, const char *path)
{
	FILE *in = fopen(path, "rb");
	if (!in)
		return (struct str){ NULL, 0 };
	char *p = arena_alloc(f->arena, 4 << 20);
	size_t n = fread(p, 1, 4 << 20, in);
	fclose(in);
	return str_from(p, n);
}

/* Assembled here, so that no file of ours is one. */
static struct str eicar(struct fixture *f)
{
	return arena_printf(f->arena, "%s%s%s", "X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-",
		"ANTIVIRUS-TEST-FILE!$H+H*");
}

static void write_database(struct fixture *f, const char *name, const char *text)
{
	snprintf(f->database, sizeof(f->database), "%s/%s", f->dir, name);
	FILE *out = fopen(f->database, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	const char **list = arena_alloc(f->arena, sizeof(char *));
	list[0] = f->database;
	f->conf.database = (struct option_strings){ list, 1 };
}

static void the_test_virus_is_found_wherever_it_is(void **state)
{
	struct fixture *f = *state;
	load(f);
	static const char encoded[] = "WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1U\r\n"
				      "RVNULUZJTEUhJEgrSCo=\r\n";
	struct str forms[] = {
		eicar(f),
		arena_printf(f->arena, "From: a@example.org\r\nSubject: x\r\n\r\n%.*s\r\n", STR_ARG(eicar(f))),
		arena_printf(f->arena, "From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;"
			" boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsee\r\n--b\r\n"
			"Content-Type: application/octet-stream; name=\"x.com\"\r\n"
			"Content-Transfer-Encoding: base64\r\n\r\n%s--b--\r\n", encoded),
	};
	for (size_t i = 0; i < 3; i++) {
		struct facts_scan result = scan(f, forms[i]);
		if (result.result != SCAN_VIRUS)
			fail_msg("form %zu: %s", i, scan_result_names[result.result]);
		assert_true(str_starts(result.names.v[0], "Gatepost.Eicar-Test-Signature"));
	}
	assert_int_equal(scan(f, STR("From: a@example.org\r\n\r\nhello\r\n")).result, SCAN_CLEAN);
	assert_int_equal(scan(f, STR("")).result, SCAN_CLEAN);
}

/* Debian's 47 containers of one harmless program, found by its one hash. */
static void every_container_is_opened(void **state)
{
	struct fixture *f = *state;
	struct str exe = read_file(f, TESTFILES "/clam.exe");
	if (!exe.p) {
		print_message("skipped: " TESTFILES " is not installed\n");
		skip();
	}
	char hex[65], line[200];
	hash_sha256_hex(exe, hex);
	snprintf(line, sizeof(line), "%s:%zu:Test.Clam\n", hex, exe.n);
	write_database(f, "t.hsb", line);
	load(f);
	size_t found = 0, files = 0;
	DIR *d = opendir(TESTFILES);
	for (struct dirent *e; (e = readdir(d));) {
		char path[500];
		snprintf(path, sizeof(path), "%s/%s", TESTFILES, e->d_name);
		struct str body = read_file(f, path);
		if (e->d_name[0] == '.' || !body.n)
			continue;
		files++;
		struct facts_scan result = scan(f, body);
		if (result.result == SCAN_VIRUS)
			found++;
		else
			print_message("not found in %s: %s %.*s\n", e->d_name,
				scan_result_names[result.result], STR_ARG(result.reason));
	}
	closedir(d);
	print_message("clamav containers: %zu of %zu\n", found, files);
	/* The one that is left nests deeper than `depth`. */
	assert_true(found >= 43);
}

static void put32(struct buf *b, uint64_t v)
{
	for (int i = 0; i < 4; i++)
		buf_char(b, (char)(v >> (8 * i)));
}

/* An archive whose directory claims a member of this size. */
static struct buf claim(uint64_t packed, uint64_t unpacked)
{
	struct buf b = BUF_INIT;
	buf_c(&b, "PK\1\2");
	buf_add(&b, "\24\0\24\0\0\0\10\0\0\0\0\0", 12);
	put32(&b, 0);
	put32(&b, packed);
	put32(&b, unpacked);
	buf_add(&b, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x", 19);
	size_t size = b.n;
	buf_c(&b, "PK\5\6");
	buf_add(&b, "\0\0\0\0\1\0\1\0", 8);
	put32(&b, size);
	put32(&b, 0);
	buf_add(&b, "\0\0", 2);
	return b;
}

static void archives_over_a_limit_are_told(void **state)
{
	static const struct {
		uint64_t packed, unpacked;
		bool over;
	} rows[] = {
		{ 100, 1000, false }, { 100, 1 << 20, false }, { 100000, 4 << 20, false },
		{ 100, 4 << 20, true }, { 4 << 20, 6 << 20, true }, { 10, UINT32_MAX, true },
	};
	const struct zip_limits limits = { 5 << 20, 100 << 20, 250, 10 };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b = claim(rows[i].packed, rows[i].unpacked);
		assert_int_equal(zip_over_limit(buf_str(&b), &limits) != NULL, rows[i].over);
		/* Cut short anywhere it must not be read past. */
		for (size_t cut = 0; cut < b.n; cut++) {
			char *copy = test_malloc(cut + 1);
			memcpy(copy, b.p, cut);
			zip_over_limit(str_from(copy, cut), &limits);
			test_free(copy);
		}
		buf_free(&b);
	}
}

static void what_is_over_a_limit_is_never_clean(void **state)
{
	struct fixture *f = *state;
	load(f);
	struct buf zip = claim(100, 4 << 20);
	struct facts_scan result = scan(f, buf_str(&zip));
	buf_free(&zip);
	assert_int_equal(result.result, SCAN_UNSCANNABLE);
	char *large = arena_alloc(f->arena, (6 << 20) + 1);
	assert_int_equal(scan(f, str_from(large, 6 << 20)).result, SCAN_UNSCANNABLE);
}

static void a_broken_database_is_an_error(void **state)
{
	struct fixture *f = *state;
	write_database(f, "broken.ndb", "this is no signature\n");
	assert_null(clamav_engine_load(&f->conf, f->dir, &f->err));
	assert_non_null(strstr(f->err.text, "broken"));
	f->conf.built_in = false;
	f->conf.database.n = 0;
	assert_null(clamav_engine_load(&f->conf, f->dir, &f->err));
	assert_non_null(strstr(f->err.text, "freshclam"));
}

static void a_new_database_is_noticed(void **state)
{
	struct fixture *f = *state;
	write_database(f, "t.ndb", "Test.One:0:*:6f6e652d73696d706c652d7369676e6174757265\n");
	load(f);
	assert_false(clamav_engine_is_stale(f->engine));
	write_database(f, "t.ndb", "Test.Two:0:*:74776f2d73696d706c652d7369676e61747572652d6c6f6e676572\n");
	assert_true(clamav_engine_is_stale(f->engine));
	assert_false(clamav_engine_is_stale(f->engine));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(the_test_virus_is_found_wherever_it_is),
		CASE(every_container_is_opened),
		CASE(archives_over_a_limit_are_told),
		CASE(what_is_over_a_limit_is_never_clean),
		CASE(a_broken_database_is_an_error),
		CASE(a_new_database_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
