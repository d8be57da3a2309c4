#include "bayes/table.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/folder.h"
#include "core/hash.h"

enum {
	VERSION = 7,
	HEADER_BYTES = 4096,
};

static const char magic[8] = "GPBAYES";

/* Opening */

static size_t file_size(void)
{
	return HEADER_BYTES + ((size_t)TABLE_GRAMS + 2 * (size_t)TABLE_TOKENS + TABLE_FINDINGS) *
				      sizeof(uint64_t);
}

static void init(struct table_header *h)
{
	memcpy(h->magic, magic, sizeof(magic));
	h->version = VERSION;
	h->grams = TABLE_GRAMS;
	h->tokens = TABLE_TOKENS;
	h->half_life_days = TABLE_HALF_LIFE;
}

static int write_new(const char *path, struct err *err)
{
	struct table_header h = {.version = 0};
	init(&h);
	hash_random(h.salt, sizeof(h.salt));
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_sys(err, "model %s cannot be made", path);
	int rc = 0;
	if (write(fd, &h, sizeof(h)) != (ssize_t)sizeof(h) ||
		ftruncate(fd, (off_t)file_size()) < 0 || fsync(fd) < 0)
		rc = err_sys(err, "model %s cannot be written", path);
	close(fd);
	return rc;
}

static int check_header(const struct table_header *h, const char *path, struct err *err)
{
	if (memcmp(h->magic, magic, sizeof(magic)) != 0)
		return err_set(err, "model %s is no model: delete it and learn anew", path);
	if (h->version != VERSION || h->grams != TABLE_GRAMS || h->tokens != TABLE_TOKENS ||
		h->half_life_days == 0)
		return err_set(
			err, "model %s is of another version: delete it and learn anew", path);
	return 0;
}

static bool is_usable(const char *path)
{
	struct table_header h;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	/* What cannot be looked at is not replaced either. */
	bool usable = fd < 0 || fstat(fd, &st) < 0 ||
		      (st.st_size == (off_t)file_size() &&
			      read(fd, &h, sizeof(h)) == (ssize_t)sizeof(h) &&
			      check_header(&h, path, NULL) == 0);
	if (fd >= 0)
		close(fd);
	return usable;
}

int table_ensure(const char *path, struct err *err)
{
	char temporary[4096];
	bool exists = access(path, F_OK) == 0;
	if (exists && is_usable(path))
		return 0;
	snprintf(temporary, sizeof(temporary), "%s.%d", path, (int)getpid());
	int rc = write_new(temporary, err);
	if (rc == 0 && exists && rename(temporary, path) < 0)
		rc = err_sys(err, "model %s cannot be replaced", path);
	/* link() and not rename(): whoever comes second takes the first one's. */
	if (rc == 0 && !exists && link(temporary, path) < 0 && errno != EEXIST)
		rc = err_sys(err, "model %s cannot be made", path);
	unlink(temporary);
	return rc;
}

static void place(struct table *t)
{
	char *p = t->map;
	t->header = t->map;
	t->grams = (void *)(p + HEADER_BYTES);
	t->tokens = t->grams + TABLE_GRAMS;
	t->findings = t->tokens + 2 * (size_t)TABLE_TOKENS;
}

/* Thousands of slots anywhere are read for each message: on small pages most of the time would go
 * into finding the pages. Where the kernel or the file system has no large ones, nothing is lost. */
static void expect_random_reads(const struct table *t)
{
	madvise(t->map, t->size, MADV_HUGEPAGE);
}

static int map_file(struct table *t, const char *path, struct err *err)
{
	bool write_it = t->mode == TABLE_WRITE;
	struct stat st;
	t->fd = open(path, (write_it ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (t->fd < 0 || fstat(t->fd, &st) < 0)
		return err_sys(err, "model %s cannot be opened", path);
	if (write_it && flock(t->fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, "model %s is being written by another process", path);
	if (st.st_size != (off_t)t->size)
		return err_set(err,
			"model %s is damaged or of another version: delete it and learn anew",
			path);
	t->map = mmap(NULL, t->size, PROT_READ | (write_it ? PROT_WRITE : 0), MAP_SHARED, t->fd, 0);
	if (t->map == MAP_FAILED) {
		t->map = NULL;
		return err_sys(err, "model %s cannot be mapped", path);
	}
	expect_random_reads(t);
	place(t);
	return check_header(t->header, path, err);
}

int table_open(struct table *t, const char *path, enum table_mode mode, struct err *err)
{
	*t = (struct table){.mode = mode, .fd = -1, .size = file_size()};
	if (mode == TABLE_MEMORY) {
		t->map = mmap(
			NULL, t->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert(t->map != MAP_FAILED);
		expect_random_reads(t);
		place(t);
		init(t->header);
		memcpy(t->header->salt, "gatepost, no key", sizeof(t->header->salt));
		return 0;
	}
	if (map_file(t, path, err) == 0)
		return 0;
	table_close(t);
	return -1;
}

void table_close(struct table *t)
{
	if (t->map)
		munmap(t->map, t->size);
	if (t->fd >= 0)
		close(t->fd);
	t->map = NULL;
	t->fd = -1;
}

/* Linux gives a private page that was not written the file's present octets, and one that was
 * written the same again after MADV_DONTNEED. */
int table_overlay(const struct table *of, struct table *overlay_r, struct err *err)
{
	assert(of->fd >= 0);
	*overlay_r = (struct table){.mode = TABLE_MEMORY, .fd = -1, .size = of->size};
	overlay_r->map =
		mmap(NULL, of->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, of->fd, 0);
	if (overlay_r->map == MAP_FAILED) {
		overlay_r->map = NULL;
		return err_sys(err, "the model cannot be mapped for a trial");
	}
	place(overlay_r);
	return 0;
}

void table_forget(struct table *overlay)
{
	int rc = madvise(overlay->map, overlay->size, MADV_DONTNEED);
	assert(rc == 0);
}

int table_sync(struct table *t, struct err *err)
{
	if (t->mode != TABLE_WRITE)
		return 0;
	if (msync(t->map, t->size, MS_SYNC) < 0)
		return err_sys(err, "the model cannot be written");
	atomic_store(&t->header->unclean, 0);
	if (msync(t->map, HEADER_BYTES, MS_SYNC) < 0)
		return err_sys(err, "the model cannot be written");
	return 0;
}

void table_clear(struct table *t)
{
	struct table_header *h = t->header;
	uint8_t salt[16];
	uint32_t half_life = h->half_life_days;
	memcpy(salt, h->salt, sizeof(salt));
	memset(t->map, 0, t->size);
	init(h);
	memcpy(h->salt, salt, sizeof(salt));
	h->half_life_days = half_life;
}

void table_assign(struct table *t, const struct table *from)
{
	assert(t->size == from->size);
	memcpy((char *)t->map + HEADER_BYTES, (char *)from->map + HEADER_BYTES,
		t->size - HEADER_BYTES);
	memcpy(t->map, from->map, HEADER_BYTES);
}

/* Pages of zeros are left out: they are holes. */
static int write_pages(int fd, const struct table *t)
{
	static const char zeros[HEADER_BYTES];
	for (size_t at = 0; at < t->size; at += HEADER_BYTES) {
		const char *page = (const char *)t->map + at;
		if (memcmp(page, zeros, HEADER_BYTES) != 0 &&
			pwrite(fd, page, HEADER_BYTES, (off_t)at) != HEADER_BYTES)
			return -1;
	}
	return ftruncate(fd, (off_t)t->size) < 0 || fsync(fd) < 0 ? -1 : 0;
}

int table_save(const struct table *t, const char *path, struct err *err)
{
	char temporary[4096];
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_sys(err, "%s cannot be made", temporary);
	int rc = write_pages(fd, t) < 0 || rename(temporary, path) < 0
		? err_sys(err, "%s cannot be written", path) : 0;
	close(fd);
	if (rc < 0)
		unlink(temporary);
	return rc < 0 ? -1 : folder_sync_of(path, err);
}

int table_load(struct table *t, const char *path, struct err *err)
{
	struct stat st = {.st_size = 0};
	size_t have = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	int rc = fd < 0 ? -1 : fstat(fd, &st);
	if (rc == 0 && st.st_size == (off_t)t->size)
		while (have < t->size && (n = read(fd, (char *)t->map + have, t->size - have)) > 0)
			have += (size_t)n;
	if (rc < 0 || n < 0)
		rc = err_sys(err, "%s cannot be read", path);
	if (fd >= 0)
		close(fd);
	return rc < 0 ? -1 : have == t->size && check_header(t->header, path, NULL) == 0;
}

void table_digest(const struct table *t, uint8_t digest_r[32])
{
	char header[HEADER_BYTES];
	uint8_t digests[2][32];
	memcpy(header, t->map, HEADER_BYTES);
	memset(header + offsetof(struct table_header, unclean), 0, sizeof(t->header->unclean));
	hash_sha256(str_from(header, HEADER_BYTES), digests[0]);
	hash_sha256(str_from((char *)t->map + HEADER_BYTES, t->size - HEADER_BYTES), digests[1]);
	hash_sha256(str_from((char *)digests, sizeof(digests)), digest_r);
}

/* Fading */

double table_faded(uint32_t steps)
{
	static const double quarters[TABLE_FADE_STEPS] = {
		1, 0.84089641525371454, 0.70710678118654752, 0.59460355750136053};
	/* Beyond 40 half-lives nothing is left. */
	if (steps >= 40 * TABLE_FADE_STEPS)
		return 0;
	return quarters[steps % TABLE_FADE_STEPS] /
	       (double)((uint64_t)1 << steps / TABLE_FADE_STEPS);
}

static uint32_t epoch_now(const struct table *t)
{
	return atomic_load_explicit(&t->header->epoch, memory_order_relaxed);
}

static void fade_sum(_Atomic double *sum, double by)
{
	atomic_store_explicit(
		sum, atomic_load_explicit(sum, memory_order_relaxed) * by, memory_order_relaxed);
}

static int64_t step_seconds(const struct table_header *h)
{
	return (int64_t)h->half_life_days * 86400 / TABLE_FADE_STEPS;
}

void table_advance(struct table *t, int64_t seconds)
{
	struct table_header *h = t->header;
	int64_t step = step_seconds(h);
	uint32_t now = seconds > 0 && seconds / step < UINT32_MAX ? (uint32_t)(seconds / step) : 0;
	uint32_t before = epoch_now(t);
	if (now <= before)
		return;
	fade_sum(&h->seen[0], table_faded(now - before));
	fade_sum(&h->seen[1], table_faded(now - before));
	atomic_store_explicit(&h->epoch, now, memory_order_relaxed);
}

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

struct table_weight table_finding(const struct table *t, uint32_t finding)
{
	uint64_t word = load(&t->findings[finding % TABLE_FINDINGS]);
	return table_unpack(word, table_fading(t, word));
}

void table_set_finding(struct table *t, uint32_t finding, struct table_weight weight)
{
	store(&t->findings[finding % TABLE_FINDINGS], table_pack(t, weight));
}

/* Tokens */

size_t table_take(struct table *t, uint64_t token)
{
	size_t rarest = 0;
	double least = -1;
	for (size_t i = 0; i < TABLE_PROBES; i++) {
		size_t slot = (token + i) % TABLE_TOKENS;
		uint64_t word = load(&t->tokens[2 * slot]);
		if (word >> 40 == table_key(token))
			return slot;
		if (word == 0) {
			rarest = slot;
			break;
		}
		struct table_token other = table_token(t, slot);
		if (least < 0 || other.ham + other.spam < least) {
			least = other.ham + other.spam;
			rarest = slot;
		}
	}
	store(&t->tokens[2 * rarest + 1], epoch_now(t) % TABLE_EPOCHS);
	store(&t->tokens[2 * rarest], table_key(token) << 40);
	return rarest;
}

/* Another half-life */

static void fade_slots(struct table *t)
{
	for (uint32_t i = 0; i < TABLE_GRAMS; i++)
		if (load(&t->grams[i]))
			table_set_gram(t, i, table_gram(t, i));
	for (uint32_t i = 0; i < TABLE_FINDINGS; i++)
		if (load(&t->findings[i]))
			table_set_finding(t, i, table_finding(t, i));
	for (size_t i = 0; i < TABLE_TOKENS; i++) {
		struct table_token token = table_token(t, i);
		if (load(&t->tokens[2 * i]))
			table_set_token(t, i, &token);
	}
}

static void set_epoch(const struct table *t, _Atomic uint64_t *word)
{
	store(word, load(word) / TABLE_EPOCHS * TABLE_EPOCHS + epoch_now(t) % TABLE_EPOCHS);
}

void table_set_half_life(struct table *t, uint32_t days)
{
	struct table_header *h = t->header;
	assert(days > 0 && days <= TABLE_HALF_LIFE_MOST);
	if (h->half_life_days == days)
		return;
	fade_slots(t);
	int64_t now = epoch_now(t) * step_seconds(h);
	h->half_life_days = days;
	atomic_store_explicit(&h->epoch, (uint32_t)(now / step_seconds(h)), memory_order_relaxed);
	for (size_t i = 0; i < TABLE_GRAMS; i++)
		if (load(&t->grams[i]))
			set_epoch(t, &t->grams[i]);
	for (size_t i = 0; i < TABLE_FINDINGS; i++)
		if (load(&t->findings[i]))
			set_epoch(t, &t->findings[i]);
	for (size_t i = 0; i < TABLE_TOKENS; i++)
		if (load(&t->tokens[2 * i]))
			set_epoch(t, &t->tokens[2 * i + 1]);
}
