#include "bayes/model.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bayes/math.h"
#include "core/hash.h"

enum {
	VERSION = 1,
	WEIGHT_SLOTS = 1 << 22,
	COUNT_SLOTS = 1 << 22,
	PROBES = 16,	/* of a token, from its slot on */
	COUNT_MAX = 65535,
};

/* Fixed point: 20 bits behind the point leave room for weights up to 2048. */
#define WEIGHT_ONE 1048576.0
/* Chosen on the SpamAssassin corpus, confirmed on CSDMC2010 and on modern list mail. */
#define RATE	       0.02
#define PRIOR_STRENGTH 0.03 /* documents' worth of "undecided" that every token starts with */
#define LEAST_DISTANCE 0.4  /* tokens nearer to undecided than this are not heard */
#define TOKENS_SHARE   0.5

struct header {
	char magic[8];
	uint32_t version;
	uint32_t weight_slots, count_slots;
	uint8_t salt[16];
	_Atomic uint32_t unclean;
	_Atomic uint64_t generation, spam, ham;
};
enum { HEADER_BYTES = 4096 };

struct model {
	enum model_mode mode;
	int fd;
	void *map;
	size_t size;
	struct header *header;
	_Atomic int32_t *weights;
	_Atomic uint64_t *counts; /* key 32, spam 16, ham 16 bits */
};

static const char magic[8] = "GPBAYES";

/* Opening */

static size_t file_size(void)
{
	return HEADER_BYTES + (size_t)WEIGHT_SLOTS * sizeof(int32_t) + (size_t)COUNT_SLOTS * sizeof(uint64_t);
}

static void place(struct model *m)
{
	char *p = m->map;
	m->header = m->map;
	m->weights = (void *)(p + HEADER_BYTES);
	m->counts = (void *)(p + HEADER_BYTES + (size_t)WEIGHT_SLOTS * sizeof(int32_t));
}

static void init(struct header *h, bool secret)
{
	memcpy(h->magic, magic, sizeof(magic));
	h->version = VERSION;
	h->weight_slots = WEIGHT_SLOTS;
	h->count_slots = COUNT_SLOTS;
	if (secret)
		hash_random(h->salt, sizeof(h->salt));
	else
		memcpy(h->salt, "gatepost, no key", sizeof(h->salt));
}

static int write_new(const char *path, struct err *err)
{
	struct header h = { .version = 0 };
	/* The folder is the trainer's, and we may be root: nothing that lies there is followed. */
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	init(&h, true);
	if (fd < 0)
		return err_sys(err, "model %s cannot be made", path);
	int rc = write(fd, &h, sizeof(h)) == (ssize_t)sizeof(h) && ftruncate(fd, (off_t)file_size()) == 0 &&
			 fsync(fd) == 0 ?
		0 : err_sys(err, "model %s cannot be written", path);
	close(fd);
	return rc;
}

int model_ensure(const char *path, struct err *err)
{
	char temporary[4096];
	if (access(path, F_OK) == 0)
		return 0;
	snprintf(temporary, sizeof(temporary), "%s.%d", path, (int)getpid());
	/* link() and not rename(): whoever comes second takes the first one's. */
	int rc = write_new(temporary, err);
	if (rc == 0 && link(temporary, path) < 0 && errno != EEXIST)
		rc = err_sys(err, "model %s cannot be made", path);
	unlink(temporary);
	return rc;
}

static int check_header(const struct header *h, const char *path, struct err *err)
{
	if (memcmp(h->magic, magic, sizeof(magic)) == 0 && h->version == VERSION &&
		h->weight_slots == WEIGHT_SLOTS && h->count_slots == COUNT_SLOTS)
		return 0;
	return err_set(err, "model %s is no model, or one of another version: delete it and learn anew", path);
}

static int map_file(struct model *m, const char *path, struct err *err)
{
	bool write_it = m->mode == MODEL_WRITE;
	struct stat st;
	m->fd = open(path, write_it ? O_RDWR | O_CLOEXEC : O_RDONLY | O_CLOEXEC);
	if (m->fd < 0 || fstat(m->fd, &st) < 0)
		return err_sys(err, "model %s cannot be opened", path);
	if (write_it && flock(m->fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, "model %s is being written by another process", path);
	if (st.st_size != (off_t)m->size)
		return err_set(err, "model %s is damaged: delete it and learn anew", path);
	m->map = mmap(NULL, m->size, PROT_READ | (write_it ? PROT_WRITE : 0), MAP_SHARED, m->fd, 0);
	if (m->map == MAP_FAILED) {
		m->map = NULL;
		return err_sys(err, "model %s cannot be mapped", path);
	}
	place(m);
	return check_header(m->header, path, err);
}

struct model *model_open(const char *path, enum model_mode mode, struct err *err)
{
	struct model *m = calloc(1, sizeof(*m));
	assert(m);
	m->mode = mode;
	m->fd = -1;
	m->size = file_size();
	if (mode == MODEL_MEMORY) {
		m->map = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert(m->map != MAP_FAILED);
		place(m);
		init(m->header, false);
	} else if (map_file(m, path, err) < 0) {
		model_close(&m);
	}
	return m;
}

void model_close(struct model **model)
{
	struct model *m = *model;
	if (!m)
		return;
	if (m->map)
		munmap(m->map, m->size);
	if (m->fd >= 0)
		close(m->fd);
	free(m);
	*model = NULL;
}

int model_sync(struct model *m, struct err *err)
{
	if (m->mode != MODEL_WRITE)
		return 0;
	if (msync(m->map, m->size, MS_SYNC) < 0)
		return err_sys(err, "the model cannot be written");
	atomic_store(&m->header->unclean, 0);
	return msync(m->map, HEADER_BYTES, MS_SYNC) < 0 ? err_sys(err, "the model cannot be written") : 0;
}

bool model_is_unclean(const struct model *m)
{
	return atomic_load(&m->header->unclean) != 0;
}

const uint8_t *model_salt(const struct model *m)
{
	return m->header->salt;
}

uint64_t model_generation(const struct model *m)
{
	return atomic_load_explicit(&m->header->generation, memory_order_relaxed);
}

void model_learned(const struct model *m, int64_t *spam_r, int64_t *ham_r)
{
	*spam_r = (int64_t)atomic_load_explicit(&m->header->spam, memory_order_relaxed);
	*ham_r = (int64_t)atomic_load_explicit(&m->header->ham, memory_order_relaxed);
}

/* Grams: logistic regression */

static double gram_view(const struct model *m, const struct features *f)
{
	int64_t sum = 0;
	for (size_t i = 0; i < f->gram_count; i++)
		sum += atomic_load_explicit(&m->weights[f->grams[i] % WEIGHT_SLOTS], memory_order_relaxed);
	return (double)sum / WEIGHT_ONE;
}

static void gram_learn(struct model *m, const struct features *f, double error)
{
	int32_t step = (int32_t)(RATE * error * WEIGHT_ONE);
	for (size_t i = 0; i < f->gram_count; i++) {
		_Atomic int32_t *w = &m->weights[f->grams[i] % WEIGHT_SLOTS];
		int32_t old = atomic_load_explicit(w, memory_order_relaxed), new;
		if (!__builtin_add_overflow(old, step, &new))
			atomic_store_explicit(w, new, memory_order_relaxed);
	}
}

/* Tokens: document counts */

struct count {
	uint32_t key;
	unsigned spam, ham;
};

static struct count unpack(uint64_t word)
{
	return (struct count){ (uint32_t)(word >> 32), (unsigned)(word >> 16 & COUNT_MAX),
		(unsigned)(word & COUNT_MAX) };
}

static uint32_t key_of(uint64_t token)
{
	uint32_t key = (uint32_t)(token >> 32);
	return key ? key : 1;
}

static bool count_find(const struct model *m, uint64_t token, struct count *count_r)
{
	for (size_t i = 0; i < PROBES; i++) {
		uint64_t word = atomic_load_explicit(&m->counts[(token + i) % COUNT_SLOTS], memory_order_relaxed);
		*count_r = unpack(word);
		if (count_r->key == key_of(token))
			return true;
		if (word == 0)
			return false;
	}
	return false;
}

/*
 * What the token alone would say. Its evidence is counted in documents of the rarer
 * class, so that a flood of one class does not make every new token speak for it.
 */
static bool token_opinion(const struct count *c, double spam, double ham, double *log_odds_r)
{
	double s = c->spam / (spam + 1), h = c->ham / (ham + 1);
	double weight = (s + h) * (spam < ham ? spam : ham);
	double p = (PRIOR_STRENGTH * 0.5 + weight * (s / (s + h))) / (PRIOR_STRENGTH + weight);
	if (fabs(p - 0.5) < LEAST_DISTANCE)
		return false;
	*log_odds_r = math_log(p / (1 - p));
	return true;
}

static double token_view(const struct model *m, const struct features *f)
{
	int64_t learned_spam, learned_ham;
	double sum = 0, heard = 0;
	model_learned(m, &learned_spam, &learned_ham);
	for (size_t i = 0; i < f->token_count; i++) {
		struct count c;
		double log_odds;
		if (!count_find(m, f->tokens[i], &c) || c.spam + c.ham == 0 ||
			!token_opinion(&c, (double)learned_spam, (double)learned_ham, &log_odds))
			continue;
		sum += log_odds;
		heard++;
	}
	/* Tokens are not independent: the evidence of k of them counts as that of about sqrt(k). */
	return heard > 0 ? sum / math_sqrt(heard) : 0;
}

/* Its own slot, a free one, or that of the rarest among its neighbours. */
static _Atomic uint64_t *count_slot(struct model *m, uint64_t token)
{
	_Atomic uint64_t *rarest = NULL;
	unsigned least = 2 * COUNT_MAX + 1;
	for (size_t i = 0; i < PROBES; i++) {
		_Atomic uint64_t *slot = &m->counts[(token + i) % COUNT_SLOTS];
		struct count c = unpack(atomic_load_explicit(slot, memory_order_relaxed));
		if (c.key == key_of(token) || c.key == 0)
			return slot;
		if (c.spam + c.ham < least) {
			least = c.spam + c.ham;
			rarest = slot;
		}
	}
	return rarest;
}

static void token_learn(struct model *m, const struct features *f, bool spam)
{
	for (size_t i = 0; i < f->token_count; i++) {
		_Atomic uint64_t *slot = count_slot(m, f->tokens[i]);
		struct count c = unpack(atomic_load_explicit(slot, memory_order_relaxed));
		if (c.key != key_of(f->tokens[i]))
			c = (struct count){ key_of(f->tokens[i]), 0, 0 };
		unsigned *mine = spam ? &c.spam : &c.ham;
		if (*mine == COUNT_MAX) {
			c.spam /= 2;
			c.ham /= 2;
		}
		++*mine;
		uint64_t word = (uint64_t)c.key << 32 | (uint64_t)c.spam << 16 | c.ham;
		atomic_store_explicit(slot, word, memory_order_relaxed);
	}
}

/* Both */

struct opinion model_classify(const struct model *m, const struct features *f)
{
	struct opinion o = { .grams = gram_view(m, f), .tokens = token_view(m, f) };
	o.log_odds = o.grams + TOKENS_SHARE * o.tokens;
	return o;
}

void model_learn(struct model *m, const struct features *f, bool spam)
{
	atomic_store(&m->header->unclean, 1);
	gram_learn(m, f, (spam ? 1 : 0) - math_logistic(gram_view(m, f)));
	token_learn(m, f, spam);
	atomic_fetch_add_explicit(spam ? &m->header->spam : &m->header->ham, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&m->header->generation, 1, memory_order_relaxed);
}
