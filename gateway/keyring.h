/*
 * keyring: the DKIM keys of a gateway, as files of its state folder.
 *
 * A key is state_dir/dkim/SELECTOR._domainkey.DOMAIN.pem: the name is the one under which
 * its public half is published. Files and folder are for their owner alone: the fronts
 * read them while they start, before they give up their privileges. Several selectors of a
 * domain stand side by side, so that keys can be changed: the newest of each algorithm signs, by the time
 * of its file; an older one stays until no mail that it signed is on its way. The next one is stored as
 * older than all: it may be published before it signs, and does so once its file is touched.
 *
 *	struct keyring ring;
 *	if (keyring_load(config->state_dir, arena, &ring, err) < 0)
 *		return -1;
 *	const struct keyring_key *key = keyring_find(&ring, STR("example.net"), "rsa-sha256");
 *	keyring_free(&ring);
 */
#ifndef GATEWAY_KEYRING_H
#define GATEWAY_KEYRING_H

#include "core/mail/signkey.h"
#include "core/record.h"
#include "gateway/config.h"

#define KEYRING_KEYS_MAX 4096 /* files that are read */

struct keyring_key {
	struct str domain, selector;
	int64_t made; /* seconds since 1970 */
	struct signkey *key;
};
struct keyring {
	LIST(struct keyring_key) keys; /* by domain, then the newest first */
};

/* All keys; without a folder none. -1: one cannot be read, or is not for its owner alone. */
int keyring_load(const char *state_dir, struct arena *arena, struct keyring *ring_r, struct err *err);
void keyring_free(struct keyring *ring);
/* The newest key of exactly this domain (without case), or NULL. */
const struct keyring_key *keyring_find(const struct keyring *ring, struct str domain,
	const char *algorithm);
/* Has it any? */
bool keyring_has(const struct keyring *ring, struct str domain);
/* For each domain that `config` wants to sign with, and that has no key, an error of `conf`. */
void keyring_check(const struct keyring *ring, const struct config *config, struct conf *conf);
struct keyring_order {
	struct str domain, selector; /* host names */
	const struct signkey *key;
	bool next; /* does not sign yet, unless it is the only one */
};
/* Writes it, durably; a key that is there already is an error. *path_r is the file, in the arena. */
int keyring_store(const char *state_dir, const struct keyring_order *order, struct arena *arena,
	const char **path_r, struct err *err);

#endif
