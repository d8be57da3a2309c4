/*
 * engine: libclamav, loaded once, and one scan at a time. Only the scanner's
 * executable links this (GPL-2).
 *
 *	struct clamav_engine *e = clamav_engine_load(&conf, "/dev/shm/x", &err);
 *	fork, confine
 *	clamav_engine_folder(e, "/dev/shm/x/0");
 *	clamav_engine_scan(e, message, arena, &scan);
 *
 * All that libclamav opens at first use has been opened when the load returns. Its
 * cache of clean files is off (it ignores options and limits), and it writes what it
 * unpacks to the folder, which should be a tmpfs and the process's own.
 */
#ifndef FILTERS_CLAMAV_ENGINE_H
#define FILTERS_CLAMAV_ENGINE_H

#include "core/facts.h"
#include "filters/clamav/conf.h"

struct clamav_engine;

/* A database that is there but broken is an error; none at all is one too, unless built_in. */
struct clamav_engine *clamav_engine_load(const struct clamav_conf *conf, const char *folder,
	struct err *err);
void clamav_engine_free(struct clamav_engine **engine);
/* "clamav=27345/2026-11-19 sigs=8800123": what scans. */
const char *clamav_engine_version(const struct clamav_engine *engine);
/* Where it unpacks from now on; the text must live as long as the engine. */
void clamav_engine_folder(struct clamav_engine *engine, const char *folder);
/* Never fails: what went wrong is a result of its own. Strings are the arena's. */
void clamav_engine_scan(struct clamav_engine *engine, struct str message, struct arena *arena,
	struct facts_scan *scan_r);
/* Has any of the database's files changed, come or gone since the load? Told once for each state of
 * the files: one that turns out to be broken is not tried again, the next one is. */
bool clamav_engine_is_stale(struct clamav_engine *engine);

#endif
