/*
 * accounts: who may send outgoing mail from anywhere, by a password that a machine made.
 *
 * state_dir/accounts is for its owner alone, a line each: address, when it was made, salt,
 * SHA-256 of salt and password. Passwords have ACCOUNTS_PASSWORD_BITS of chance, so a plain hash
 * is as good as a slow one, and can be computed in the event loop of a front. The fronts read the
 * file while they start, before they give up their privileges.
 *
 *	if (accounts_load(config->state_dir, arena, &accounts, err) != 0)
 *		return -1;
 *	const struct account *account = accounts_check(&accounts, name, password);
 */
#ifndef GATEWAY_ACCOUNTS_H
#define GATEWAY_ACCOUNTS_H

#include "core/arena.h"
#include "core/err.h"
#include "core/record.h"

#define ACCOUNTS_MAX	       100000
#define ACCOUNTS_PASSWORD_BITS 140

struct account {
	struct str address; /* in lower case, its domain in A-labels */
	int64_t made;	    /* seconds since 1970 */
	uint8_t salt[16], hash[32];
};
struct accounts {
	LIST(struct account) list; /* by address */
};

/* All in the arena; without a file none. -1: it cannot be read, or is not for its owner alone. */
int accounts_load(const char *state_dir, struct arena *arena, struct accounts *accounts_r,
	struct err *err);
/* Whose name and password these are, or NULL; in the same time whichever of them is wrong. */
const struct account *accounts_check(const struct accounts *accounts, struct str name,
	struct str password);

/* Writes the file anew with this account, durably, and makes its password, in the arena. 1; 0:
 * there is such an account already; -1. */
int accounts_add(const char *state_dir, struct str address, int64_t now, struct arena *arena,
	struct str *password_r, struct err *err);
/* 1; 0: there is no such account; -1. */
int accounts_remove(const char *state_dir, struct str address, struct arena *arena,
	struct err *err);

#endif
