#include "gateway/keyring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/folder.h"

#define FOLDER	"dkim"
#define MIDDLE	"._domainkey."
#define SUFFIX	".pem"
#define PEM_MAX 16384 /* octets */

static const char *folder_of(const char *state_dir, struct arena *arena)
{
	return arena_cstr(arena, arena_printf(arena, "%s/" FOLDER, state_dir));
}

/* ------------------------------------------------------------------ reading */

/* False: a file that is none of ours (an editor's copy, say). */
static bool parse_name(const char *name, struct arena *arena, struct keyring_key *key)
{
	struct str s = arena_dup(arena, str_c(name));
	size_t middle = str_find(s, STR(MIDDLE));

	if (name[0] == '.' || middle == s.n || !str_ends(s, SUFFIX))
		return false;
	key->selector = str_sub(s, 0, middle);
	key->domain = str_skip(s, middle + strlen(MIDDLE));
	if (key->domain.n <= strlen(SUFFIX))
		return false;
	key->domain.n -= strlen(SUFFIX);
	return key->selector.n;
}

static int read_key(int folder, const char *name, struct keyring_key *key, struct err *err)
{
	char pem[PEM_MAX];
	struct stat st;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int result = -1;

	if (fd < 0)
		return err_sys(err, "cannot open %s", name);
	ssize_t n = fstat(fd, &st) == 0 ? read(fd, pem, sizeof(pem)) : -1;
	if (n < 0)
		err_sys(err, "cannot read %s", name);
	else if (!S_ISREG(st.st_mode) || n == sizeof(pem))
		err_set(err, "%s is no key", name);
	else if (st.st_mode & 077)
		err_set(err, "%s can be read by others: chmod 600 it, or make a new key", name);
	else
		result = signkey_parse(str_from(pem, (size_t)n), &key->key, err);
	if (result < 0 && n >= 0 && !(st.st_mode & 077))
		err_prefix(err, "%s", name);
	key->made = n >= 0 ? st.st_mtime : 0;
	explicit_bzero(pem, sizeof(pem));
	close(fd);
	return result;
}

static int by_domain_and_age(const void *a, const void *b)
{
	const struct keyring_key *x = a, *y = b;
	int order = str_icmp(x->domain, y->domain);

	if (order)
		return order;
	if (x->made != y->made)
		return x->made > y->made ? -1 : 1;
	return -str_icmp(x->selector, y->selector);
}

static int read_all(DIR *dir, struct arena *arena, struct keyring *ring, struct err *err)
{
	const struct dirent *entry;

	while ((entry = readdir(dir))) {
		struct keyring_key key = { .key = NULL };
		if (!parse_name(entry->d_name, arena, &key))
			continue;
		if (ring->keys.n == KEYRING_KEYS_MAX)
			return err_set(err, "there are more than %d keys", KEYRING_KEYS_MAX);
		if (read_key(dirfd(dir), entry->d_name, &key, err) < 0)
			return -1;
		ring->keys.v = arena_grow(arena, ring->keys.v, ring->keys.n, ring->keys.n + 1,
			sizeof(key));
		ring->keys.v[ring->keys.n++] = key;
	}
	return 0;
}

int keyring_load(const char *state_dir, struct arena *arena, struct keyring *ring_r, struct err *err)
{
	const char *folder = folder_of(state_dir, arena);
	struct keyring ring = { .keys = { NULL, 0 } };
	DIR *dir = opendir(folder);

	*ring_r = ring;
	if (!dir)
		return errno == ENOENT ? 0 : err_sys(err, "cannot open %s", folder);
	int result = read_all(dir, arena, &ring, err);
	closedir(dir);
	if (result < 0) {
		keyring_free(&ring);
		return err_prefix(err, "%s", folder);
	}
	if (ring.keys.n)
		qsort(ring.keys.v, ring.keys.n, sizeof(ring.keys.v[0]), by_domain_and_age);
	*ring_r = ring;
	return 0;
}

void keyring_free(struct keyring *ring)
{
	for (size_t i = 0; i < ring->keys.n; i++)
		signkey_free(&ring->keys.v[i].key);
	ring->keys.n = 0;
}

const struct keyring_key *keyring_find(const struct keyring *ring, struct str domain,
	const char *algorithm)
{
	for (size_t i = 0; i < ring->keys.n; i++) {
		const struct keyring_key *key = &ring->keys.v[i];
		if (str_ieq(key->domain, domain) &&
			str_eq_c(str_c(signkey_algorithm(key->key)), algorithm))
			return key;
	}
	return NULL;
}

bool keyring_has(const struct keyring *ring, struct str domain)
{
	for (size_t i = 0; i < ring->keys.n; i++)
		if (str_ieq(ring->keys.v[i].domain, domain))
			return true;
	return false;
}

void keyring_check(const struct keyring *ring, const struct config *config, struct conf *conf)
{
	const char *sealer = config->arc.seal_as;

	if (*sealer && !keyring_find(ring, str_c(sealer), "rsa-sha256"))
		conf_error(conf, conf_next(conf_root(conf), "arc", NULL), "seal_as",
			"there is no RSA key of %s: `gatepost dkim keygen %s` makes one", sealer, sealer);
}

/* ------------------------------------------------------------------ writing */

static int write_all(int fd, struct str text)
{
	while (text.n) {
		ssize_t n = write(fd, text.p, text.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		text = str_skip(text, (size_t)n);
	}
	return 0;
}

static int write_key(const char *path, const struct keyring_order *order, struct err *err)
{
	static const struct timespec oldest[2];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == EEXIST)
		return err_set(err, "%s is there already: choose another selector", path);
	if (fd < 0)
		return err_sys(err, "cannot make %s", path);
	struct buf pem = BUF_INIT;
	signkey_pem(order->key, &pem);
	int result = write_all(fd, buf_str(&pem)) < 0 || (order->next && futimens(fd, oldest) < 0) ||
		fsync(fd) < 0 ? err_sys(err, "cannot write %s", path) : 0;
	explicit_bzero(pem.p, pem.n);
	buf_free(&pem);
	close(fd);
	if (result < 0)
		unlink(path);
	return result;
}

int keyring_store(const char *state_dir, const struct keyring_order *order, struct arena *arena,
	const char **path_r, struct err *err)
{
	const char *folder = folder_of(state_dir, arena);
	const char *path = arena_cstr(arena, arena_printf(arena, "%s/%.*s" MIDDLE "%.*s" SUFFIX,
		folder, STR_ARG(order->selector), STR_ARG(order->domain)));

	/* Made by root it would be nobody's who runs: that is setup's business. */
	if (geteuid() != 0 && mkdir(state_dir, 0750) < 0 && errno != EEXIST)
		return err_sys(err, "cannot make the state folder %s", state_dir);
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "cannot make %s (`gatepost setup` makes the state folder)", folder);
	if (write_key(path, order, err) < 0 || folder_sync(folder, err) < 0)
		return -1;
	*path_r = path;
	return 0;
}
