/* Are the public halves of a domain's DKIM keys where verifiers look for them (RFC 6376 3.6)? */
#include "core/mail/pubkey.h"
#include "gateway/judge/doctor.h"
#include "gateway/keyring.h"

#define TXT_BYTES 255 /* of one character-string (RFC 1035 3.3.14) */

/* What is signed to find out whether two halves belong together. */
static const uint8_t probe[32] = "a probe, nothing that is mail";

/* A private key is read, used and gone before anything comes from the network. */
static struct doctor_key make_key(struct doctor *d, const struct keyring_key *k)
{
	struct doctor_key key = {
		.name = arena_printf(d->arena, "%.*s._domainkey.%.*s", STR_ARG(k->selector),
			STR_ARG(k->domain)),
		.algorithm = str_c(signkey_algorithm(k->key)),
	};
	struct buf b = BUF_INIT;

	signkey_sign(k->key, probe, &b);
	key.signature = arena_dup(d->arena, buf_str(&b));
	buf_clear(&b);
	signkey_record(k->key, &b);
	key.record = arena_dup(d->arena, buf_str(&b));
	buf_free(&b);
	return key;
}

void doctor_dkim_read(struct doctor *d, struct str domain)
{
	struct keyring ring;
	struct err err;

	if (keyring_load(d->config->state_dir, d->arena, &ring, &err) < 0) {
		doctor_say(d, DOCTOR_WRONG, "dkim", "%s.", err.text);
		d->keys_are_hidden = true;
		return;
	}
	d->keys.v = ARENA_ARRAY(d->arena, ring.keys.n + 1, struct doctor_key);
	for (size_t i = 0; i < ring.keys.n; i++) {
		const struct keyring_key *k = &ring.keys.v[i];

		if (!str_ieq(k->domain, domain))
			continue;
		d->keys.v[d->keys.n] = make_key(d, k);
		d->keys.v[d->keys.n++].signs =
			k == keyring_find(&ring, domain, signkey_algorithm(k->key));
	}
	keyring_free(&ring);
}

/* As a zone file has it. */
static void suggest_key(struct doctor *d, const struct doctor_key *key)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%.*s. IN TXT", STR_ARG(key->name));
	for (size_t at = 0; at < key->record.n; at += TXT_BYTES) {
		buf_c(&b, " \"");
		buf_str_add(&b, str_sub(key->record, at, TXT_BYTES));
		buf_char(&b, '"');
	}
	doctor_record(d, "%.*s", (int)b.n, b.p);
	buf_free(&b);
}

static void check_key(struct doctor *d, const struct doctor_key *key)
{
	const struct dns_answer *a = doctor_ask(d, DNS_TXT, key->name);
	enum doctor_state state = key->signs ? DOCTOR_WRONG : DOCTOR_ADVICE;
	const char *reason = "", *name = doctor_name(d, key->name);
	struct str record;

	if (dns_answer_is_error(a)) {
		doctor_say(d, DOCTOR_WRONG, "dkim", "The key %s cannot be looked up: %s.", name,
			dns_rcode_names[a->rcode]);
	} else if (dns_answer_is_void(a)) {
		doctor_say(d, state, "dkim", "The key %s is not published.%s", name,
			key->signs ? "" : " It does not sign: publish it before it does, or remove its file.");
		suggest_key(d, key);
	} else if (pubkey_select(a, key->algorithm, d->arena, &record, &reason) < 0 ||
		pubkey_verify(record, key->algorithm, probe, key->signature, d->arena,
			&reason) < 1) {
		doctor_say(d, state, "dkim", "What is published at %s does not belong to the key "
			"here: %s.", name, reason);
		suggest_key(d, key);
	} else {
		doctor_say(d, DOCTOR_RIGHT, "dkim", "The key %s is published.", name);
	}
}

void doctor_dkim_check(struct doctor *d, struct str domain)
{
	if (!d->keys.n && !d->keys_are_hidden) {
		doctor_say(d, DOCTOR_ADVICE, "dkim", "There is no key for %.*s here: what this "
			"gateway itself sends in its name is not signed.", STR_ARG(domain));
		doctor_record(d, "gatepost dkim keygen %.*s", STR_ARG(domain));
	}
	for (size_t i = 0; i < d->keys.n; i++)
		check_key(d, &d->keys.v[i]);
}
