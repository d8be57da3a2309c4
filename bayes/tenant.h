/*
 * tenant: what the users of one domain think of mail, where that differs from what all think.
 *
 * Each token has a second slot for each domain whose users taught it, under a key that is
 * salted with the domain. What is learned there is what the whole model still got wrong: a
 * domain that thinks as the others do has nothing of its own, and one that is new has the
 * view of all. So domains that want opposite things of the same newsletter both get them,
 * and their quarrel leaves the common view undecided, for the others to share.
 *
 * Nobody can write what another domain reads here; of the common view all have a share. A
 * model without such lessons, and mail to a domain without them, costs nothing.
 */
#ifndef BAYES_TENANT_H
#define BAYES_TENANT_H

#include "bayes/features.h"
#include "bayes/table.h"

/* For struct features. Never 0, but for an empty domain. Domains are given in their canonical form. */
uint64_t tenant_key(const uint8_t salt[16], struct str domain);

/* The rest is model.c's. What is to be added to the log-odds. */
double tenant_view(const struct table *table, const struct features *features);
/* error: how far the whole model was from the label, from -1 to 1, times how much the label counts. */
void tenant_learn(struct table *table, const struct features *features, double error);

#endif
