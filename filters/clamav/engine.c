#include "filters/clamav/engine.h"

#include <assert.h>
#include <clamav.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/limits.h"
#include "filters/clamav/zip.h"

enum { OBJECTS_MAX = 200, NAMES_MAX = 16 };

struct clamav_engine {
	struct cl_engine *cl;
	struct clamav_conf conf;
	struct cl_scan_options options;
	unsigned signatures;
	uint64_t stamp; /* of the database's files */
	uint64_t told;	/* the last that was told to be another */
	char version[128];
};

/* What a scan gathers through libclamav's callback. */
struct gathering {
	struct clamav_engine *engine;
	struct arena *arena;
	struct facts_scan *scan;
	const char *over; /* a limit that libclamav itself would pass over */
	size_t count;
};

/* Our own signatures */

/* EICAR's test file in hexadecimal, at the start of an object of any type; the harmless
 * string itself is nowhere in our sources, since other scanners read them too. */
static const char built_in_ndb[] =
	"Gatepost.Eicar-Test-Signature:0:0:"
	"58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e444152442d41"
	"4e544956495255532d544553542d46494c452124482b482a\n";

static int load_built_in(struct clamav_engine *e, const char *folder, struct err *err)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/gatepost.ndb", folder);
	FILE *f = fopen(path, "we");
	if (!f)
		return err_sys(err, "clamav: %s cannot be written", path);
	fputs(built_in_ndb, f);
	if (fclose(f) != 0)
		return err_sys(err, "clamav: %s cannot be written", path);
	int rc = cl_load(path, e->cl, &e->signatures, CL_DB_STDOPT);
	unlink(path);
	return rc == CL_SUCCESS ? 0 : err_set(err, "clamav: our own signatures: %s", cl_strerror(rc));
}

/* The database */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

static uint64_t stamp_of(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return 1;
	/* The order of names in a folder does not matter, so files are added up. */
	return mix(mix(mix(7, (uint64_t)st.st_size), (uint64_t)st.st_mtim.tv_sec), (uint64_t)st.st_mtim.tv_nsec) ^
	       str_hash(str_c(path));
}

static uint64_t stamp_all(const struct clamav_conf *conf, size_t *files_r)
{
	uint64_t sum = 0;
	*files_r = 0;
	for (size_t i = 0; i < conf->database.n; i++) {
		DIR *d = opendir(conf->database.v[i]);
		if (!d) {
			bool there = access(conf->database.v[i], F_OK) == 0;
			sum += there ? stamp_of(conf->database.v[i]) : 0;
			*files_r += there;
			continue;
		}
		for (struct dirent *entry; (entry = readdir(d));) {
			char path[4096];
			/* freshclam writes new files beside the old ones and renames them. */
			if (entry->d_name[0] == '.' || strncmp(entry->d_name, "tmp", 3) == 0)
				continue;
			snprintf(path, sizeof(path), "%s/%s", conf->database.v[i], entry->d_name);
			sum += stamp_of(path);
			++*files_r;
		}
		closedir(d);
	}
	return sum;
}

bool clamav_engine_is_stale(struct clamav_engine *e)
{
	size_t files;
	uint64_t now = stamp_all(&e->conf, &files);
	bool is_news = now != e->stamp && now != e->told;
	e->told = now;
	return is_news;
}

static int load_database(struct clamav_engine *e, struct err *err)
{
	for (size_t i = 0; i < e->conf.database.n; i++) {
		const char *path = e->conf.database.v[i];
		unsigned before = e->signatures;
		if (access(path, F_OK) < 0)
			continue;
		int rc = cl_load(path, e->cl, &e->signatures, CL_DB_STDOPT);
		/* An empty folder is one that freshclam has not filled yet. */
		if (rc == CL_EOPEN && e->signatures == before)
			continue;
		if (rc != CL_SUCCESS)
			return err_set(err, "clamav: the database in %s is broken: %s (run freshclam, or take "
					    "it out of filter \"clamav\")", path, cl_strerror(rc));
	}
	if (e->signatures == 0)
		return err_set(err, "clamav: no signatures: run freshclam, name a database in filter "
				    "\"clamav\", or say built_in = true");
	return 0;
}

static void set_limits(struct clamav_engine *e)
{
	const struct {
		enum cl_engine_field field;
		long long value;
	} rows[] = {
		{ CL_ENGINE_MAX_SCANSIZE, e->conf.scan_size },
		{ CL_ENGINE_MAX_FILESIZE, e->conf.file_size },
		{ CL_ENGINE_MAX_RECURSION, e->conf.depth },
		{ CL_ENGINE_MAX_FILES, e->conf.files },
		{ CL_ENGINE_MAX_SCANTIME, e->conf.scan_time },
		{ CL_ENGINE_DISABLE_CACHE, 1 },
		{ CL_ENGINE_PCRE_MATCH_LIMIT, 100000 },
		{ CL_ENGINE_PCRE_RECMATCH_LIMIT, 2000 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cl_error_t rc = cl_engine_set_num(e->cl, rows[i].field, rows[i].value);
		assert(rc == CL_SUCCESS);
	}
	e->options.parse = ~0u;
	e->options.general = CL_SCAN_GENERAL_HEURISTICS | CL_SCAN_GENERAL_UNPRIVILEGED;
	e->options.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX;
	if (e->conf.macros)
		e->options.heuristic |= CL_SCAN_HEURISTIC_MACROS;
	if (e->conf.encrypted)
		e->options.heuristic |= CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE | CL_SCAN_HEURISTIC_ENCRYPTED_DOC;
}

static void name_version(struct clamav_engine *e)
{
	int error = 0;
	long long version = cl_engine_get_num(e->cl, CL_ENGINE_DB_VERSION, &error);
	time_t when = (time_t)cl_engine_get_num(e->cl, CL_ENGINE_DB_TIME, &error);
	struct tm tm;
	char day[16] = "none";
	if (version > 0 && gmtime_r(&when, &tm))
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	snprintf(e->version, sizeof(e->version), "clamav=%lld/%s signatures=%u", version, day, e->signatures);
}

/* Object callback: names, types and sizes of what is inside, and what libclamav would let pass. */
static cl_error_t on_object(int fd, const char *type, const char **ancestors, size_t parent_file_size,
	const char *file_name, size_t file_size, const char *file_buffer, uint32_t recursion_level,
	uint32_t layer_attributes, void *context)
{
	struct gathering *g = context;
	if (!g || g->count >= OBJECTS_MAX)
		return CL_CLEAN;
	const struct clamav_conf *conf = &g->engine->conf;
	struct scan_object *o = &g->scan->objects.v[g->count++];
	o->name = arena_dup(g->arena, str_c(file_name));
	o->type = arena_dup(g->arena, str_c(type));
	o->size = (int64_t)file_size;
	o->depth = recursion_level;
	g->scan->objects.n = g->count;
	const struct zip_limits limits = { (uint64_t)conf->file_size, (uint64_t)conf->scan_size,
		(uint64_t)conf->ratio, (uint64_t)conf->files };
	if (!g->over && file_buffer && file_size >= 22)
		g->over = zip_over_limit(str_from(file_buffer, file_size), &limits);
	if (!g->over && (int64_t)file_size > conf->file_size)
		g->over = "an object is larger than is scanned";
	return CL_CLEAN;
}

static void quiet(enum cl_msg severity, const char *fullmsg, const char *msg, void *context)
{
}

struct clamav_engine *clamav_engine_load(const struct clamav_conf *conf, const char *folder,
	struct err *err)
{
	struct clamav_engine *e = calloc(1, sizeof(*e));
	size_t files;
	assert(e);
	e->conf = *conf;
	cl_set_clcb_msg(quiet);
	tzset();
	if (cl_init(CL_INIT_DEFAULT) != CL_SUCCESS || !(e->cl = cl_engine_new())) {
		err_set(err, "clamav: libclamav cannot be started");
		goto err0;
	}
	set_limits(e);
	cl_engine_set_clcb_file_inspection(e->cl, on_object);
	e->stamp = stamp_all(conf, &files);
	if (conf->built_in && load_built_in(e, folder, err) < 0)
		goto err0;
	if (load_database(e, err) < 0)
		goto err0;
	int rc = cl_engine_compile(e->cl);
	if (rc != CL_SUCCESS) {
		err_set(err, "clamav: the database cannot be compiled: %s", cl_strerror(rc));
		goto err0;
	}
	name_version(e);
	clamav_engine_folder(e, folder);
	/* One scan now, so that what libraries open at first use is open before the sandbox. */
	struct arena *arena = arena_new(1 << 20);
	struct facts_scan scan;
	clamav_engine_scan(e, STR("Subject: first\r\n\r\nscan\r\n"), arena, &scan);
	arena_free(&arena);
	return e;
err0:
	clamav_engine_free(&e);
	return NULL;
}

void clamav_engine_free(struct clamav_engine **engine)
{
	if (!*engine)
		return;
	if ((*engine)->cl)
		cl_engine_free((*engine)->cl);
	free(*engine);
	*engine = NULL;
}

const char *clamav_engine_version(const struct clamav_engine *e)
{
	return e->version;
}

void clamav_engine_folder(struct clamav_engine *e, const char *folder)
{
	cl_engine_set_str(e->cl, CL_ENGINE_TMPDIR, folder);
}

static void add_name(struct gathering *g, const char *name)
{
	if (g->scan->names.n < NAMES_MAX)
		g->scan->names.v[g->scan->names.n++] = arena_dup(g->arena, str_c(name ? name : "unnamed"));
}

static void unscannable(struct gathering *g, const char *reason)
{
	g->scan->result = SCAN_UNSCANNABLE;
	g->scan->reason = arena_dup(g->arena, str_c(reason));
}

static void conclude(struct gathering *g, int rc, const char *name)
{
	bool heuristic = name && str_starts(str_c(name), "Heuristics.");
	if (rc == CL_VIRUS && !heuristic) {
		add_name(g, name);
		g->scan->result = SCAN_VIRUS;
	} else if (rc == CL_VIRUS && str_starts(str_c(name), "Heuristics.Limits.Exceeded")) {
		unscannable(g, name + strlen("Heuristics."));
	} else if (rc == CL_VIRUS) {
		add_name(g, name);
		g->scan->result = SCAN_CLEAN;
	} else if (rc != CL_CLEAN) {
		unscannable(g, cl_strerror(rc));
	}
	if (g->over && g->scan->result == SCAN_CLEAN)
		unscannable(g, g->over);
}

void clamav_engine_scan(struct clamav_engine *e, struct str message, struct arena *arena,
	struct facts_scan *scan_r)
{
	struct gathering g = { .engine = e, .arena = arena, .scan = scan_r };
	const char *name = NULL;
	unsigned long scanned = 0;
	*scan_r = (struct facts_scan){ .result = SCAN_CLEAN, .database = str_c(e->version) };
	scan_r->names.v = ARENA_ARRAY(arena, NAMES_MAX, struct str);
	scan_r->objects.v = ARENA_ARRAY(arena, OBJECTS_MAX, struct scan_object);
	if ((int64_t)message.n > e->conf.file_size) {
		unscannable(&g, "the message is larger than is scanned");
		return;
	}
	cl_fmap_t *map = cl_fmap_open_memory(message.n ? message.p : "", message.n ? message.n : 1);
	if (!map) {
		unscannable(&g, "out of memory");
		return;
	}
	int rc = cl_scanmap_callback(map, NULL, &name, &scanned, e->cl, &e->options, &g);
	cl_fmap_close(map);
	conclude(&g, rc, name);
}
