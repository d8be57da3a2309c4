#include "filters/dkim/verifier.h"

/* The library's header needs this one first. */
#include <stdbool.h>
#include <opendkim/dkim.h>

#include <openssl/evp.h>

#include "core/limits.h"
#include "core/mail/canonical.h"

/* If a signature signs other signatures, those must be fed too; more than this is an attack. */
#define FED_MAX 32
/*
 * The library compares with the system's clock; with so much tolerance it finds
 * nothing to object to, and time is judged here. Not more: it computes t= minus
 * this without a sign, so it must be a time at which there was no DKIM yet (2004).
 */
#define LIBRARY_CLOCK_DRIFT_S 1100000000

struct body_hash {
	bool known;
	uint8_t digest[32];
	int64_t length;
};

/* One message in the library's hands. */
struct run {
	const struct mail *mail;
	int64_t now;
	struct body_hash hashes[2];	     /* simple, relaxed */
	struct dkim_signature *fed[FED_MAX]; /* in the order of the message */
	size_t fed_count;
	DKIM_SIGINFO *infos[FED_MAX]; /* the library's, in the same order */
	size_t info_count;
};

static struct dkim_signature *find_signature(const struct run *run, const DKIM_SIGINFO *info)
{
	for (size_t i = 0; i < run->info_count; i++)
		if (run->infos[i] == info)
			return run->fed[i];
	return NULL;
}

/* Called when all headers are in, with all signatures, broken ones too (BADSIGHANDLES). */
static DKIM_CBSTAT on_signatures(DKIM *dkim, DKIM_SIGINFO **infos, int count)
{
	struct run *run = dkim_get_user_context(dkim);

	if (count < 0 || (size_t)count != run->fed_count)
		return DKIM_CBSTAT_REJECT;
	for (size_t i = 0; i < run->fed_count; i++) {
		run->infos[i] = infos[i];
		if (run->fed[i]->settled)
			dkim_sig_ignore(infos[i]);
	}
	run->info_count = run->fed_count;
	return DKIM_CBSTAT_CONTINUE;
}

/* The key is ready, so the answer is always there (a delayed one would spoil the handle). */
static DKIM_CBSTAT on_key(DKIM *dkim, DKIM_SIGINFO *info, u_char *buf, size_t size)
{
	const struct dkim_signature *s = find_signature(dkim_get_user_context(dkim), info);

	if (!s || s->key.n == 0 || s->key.n >= size)
		return DKIM_CBSTAT_NOTFOUND;
	memcpy(buf, s->key.p, s->key.n);
	buf[s->key.n] = '\0';
	return DKIM_CBSTAT_CONTINUE;
}

/* It has no settings that could differ, so all evaluations of the process share it. */
static DKIM_LIB *library;

static int set_option(dkim_opts_t option, void *value, size_t size)
{
	return dkim_options(library, DKIM_OP_SETOPT, option, value, size) == DKIM_STAT_OK ? 0 : -1;
}

int dkim_verifier_start(struct err *err)
{
	unsigned int flags = DKIM_LIBFLAGS_BADSIGHANDLES, bits = 0;
	uint64_t drift = LIBRARY_CLOCK_DRIFT_S;

	if (library)
		return 0;
	library = dkim_init(NULL, NULL);
	if (!library)
		goto err0;
	if (!dkim_libfeature(library, DKIM_FEATURE_SHA256) ||
		!dkim_libfeature(library, DKIM_FEATURE_ED25519))
		goto err1;
	if (set_option(DKIM_OPTS_FLAGS, &flags, sizeof(flags)) < 0 ||
		set_option(DKIM_OPTS_MINKEYBITS, &bits, sizeof(bits)) < 0 ||
		set_option(DKIM_OPTS_CLOCKDRIFT, &drift, sizeof(drift)) < 0)
		goto err1;
	dkim_set_prescreen(library, on_signatures);
	dkim_set_key_lookup(library, on_key);
	return 0;
err1:
	dkim_close(library);
	library = NULL;
err0:
	return err_set(err, "libopendkim cannot be used: it must have SHA-256 and Ed25519");
}

/* The library takes what it only reads by pointers that are not const. */
static u_char *octets(struct str s)
{
	union {
		const char *in;
		u_char *out;
	} p = { .in = s.p };

	return p.out;
}

static struct dkim_signature *signature_of(
	const struct mail_header *header, struct dkim_signature *signatures, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (signatures[i].header == header)
			return &signatures[i];
	return NULL;
}

static void feed_headers(DKIM *dkim, struct run *run, const struct mail *mail,
	struct dkim_signature *signatures, size_t count, bool all)
{
	for (size_t i = 0; i < mail->headers.n; i++) {
		const struct mail_header *h = &mail->headers.v[i];
		struct str line = h->line;
		if (str_ends(line, "\r\n"))
			line.n -= 2;
		if (str_chr(line, ':') == line.n)
			continue;
		if (str_ieq_c(h->name, DKIM_SIGNHEADER)) {
			struct dkim_signature *s = signature_of(h, signatures, count);
			if (!s || (s->settled && !all) || run->fed_count == FED_MAX)
				continue;
			run->fed[run->fed_count++] = s;
		}
		/* A line that it cannot read is one that no signature of it can cover. */
		dkim_header(dkim, octets(line), line.n);
	}
}

static void settle_error(struct dkim_signature *s, int error)
{
	const char *text = dkim_sig_geterrorstr(error);

	switch (error) {
	case DKIM_SIGERROR_OK:
	case DKIM_SIGERROR_BADSIG:
		dkim_signature_settle(s, AUTH_FAIL, "the signature does not verify");
		return;
	case DKIM_SIGERROR_KEYFAIL:
		dkim_signature_settle(s, AUTH_TEMPERROR, "the key could not be fetched");
		return;
	case DKIM_SIGERROR_EXPIRED:
		dkim_signature_settle(s, AUTH_POLICY, "the signature has expired");
		return;
	case DKIM_SIGERROR_FUTURE:
		dkim_signature_settle(s, AUTH_POLICY, "the signature has an impossible time");
		return;
	}
	dkim_signature_settle(s, AUTH_PERMERROR, text ? text : "the signature cannot be verified");
}

static const struct body_hash *hash_body(struct run *run, bool relaxed)
{
	struct body_hash *hash = &run->hashes[relaxed];

	if (!hash->known)
		hash->length = canonical_body_hash(run->mail->body, relaxed, hash->digest);
	hash->known = true;
	return hash;
}

/* Does bh= say the same as the body? */
static bool body_matches(struct run *run, const struct dkim_signature *s)
{
	uint8_t digest[48];

	return s->bh.n == 44 && EVP_DecodeBlock(digest, (const uint8_t *)s->bh.p, 44) == 33 &&
	       memcmp(digest, hash_body(run, s->relaxed_body)->digest, 32) == 0;
}

/* Is the body to be hashed by the library? In the two cases in which nothing depends on speed. */
static bool needs_library_for_body(const struct dkim_signature *s)
{
	return s->length >= 0 || str_eq_c(s->algorithm, "rsa-sha1");
}

/* It verifies; may it count? */
static void settle_valid(struct run *run, struct dkim_signature *s, DKIM_SIGINFO *info)
{
	int64_t now = run->now;
	unsigned int bits = 0;

	dkim_sig_getkeysize(info, &bits);
	if (str_eq_c(s->algorithm, "rsa-sha1")) /* RFC 8301 3.1 */
		dkim_signature_settle(s, AUTH_POLICY, "SHA-1 is too weak");
	else if (str_starts(s->algorithm, "rsa") && bits < 1024) /* RFC 8301 3.2 */
		dkim_signature_settle(s, AUTH_POLICY, "the key has fewer than 1024 bits");
	else if (s->length >= 0 && s->length < hash_body(run, s->relaxed_body)->length)
		dkim_signature_settle(s, AUTH_POLICY, "only a part of the body is signed");
	else if (s->expires >= 0 && now > s->expires + DKIM_CLOCK_SKEW_S)
		dkim_signature_settle(s, AUTH_POLICY, "the signature has expired");
	else if (s->signed_at >= 0 && s->signed_at > now + DKIM_CLOCK_SKEW_S)
		dkim_signature_settle(s, AUTH_POLICY, "the signature is of the future");
	else
		dkim_signature_settle(s, AUTH_PASS, "");
}

static void settle(struct run *run, struct dkim_signature *s, DKIM_SIGINFO *info)
{
	bool verified = dkim_sig_getflags(info) & DKIM_SIGFLAG_PASSED;
	bool matches = needs_library_for_body(s) ? dkim_sig_getbh(info) == DKIM_SIGBH_MATCH
						 : verified && body_matches(run, s);

	if (verified && matches)
		settle_valid(run, s, info);
	else if (verified && s->length >= 0 && s->length > hash_body(run, s->relaxed_body)->length)
		dkim_signature_settle(s, AUTH_PERMERROR, "l= is more than there is of the body");
	else if (verified)
		dkim_signature_settle(s, AUTH_FAIL, "the body hash does not match");
	else
		settle_error(s, dkim_sig_geterror(info));
}

static void feed_body(DKIM *dkim, const struct run *run)
{
	struct str body = run->mail->body;
	bool needed = false;

	for (size_t i = 0; i < run->fed_count; i++)
		needed |= !run->fed[i]->settled && needs_library_for_body(run->fed[i]);
	if (!needed || body.n == 0)
		return;
	dkim_body(dkim, octets(body), body.n);
	/* 3.4.3, 3.4.4: a last line without its end gets one, which the library leaves to us. */
	if (!str_ends(body, "\r\n"))
		dkim_body(dkim, octets(STR("\r\n")), 2);
}

static void run_library(DKIM *dkim, struct run *run)
{
	_Bool testing;

	dkim_set_user_context(dkim, run);
	if (dkim_eoh(dkim) == DKIM_STAT_CBREJECT)
		return;
	feed_body(dkim, run);
	/* Its one result for all signatures is of no use: each is looked at. */
	dkim_eom(dkim, &testing);
	for (size_t i = 0; i < run->info_count; i++)
		if (!run->fed[i]->settled)
			settle(run, run->fed[i], run->infos[i]);
}

void dkim_verifier_run(
	const struct mail *mail, int64_t now, struct dkim_signature *signatures, size_t count)
{
	struct run run = { .mail = mail, .now = now };
	bool any = false, all = false;
	DKIM_STAT status;

	for (size_t i = 0; i < count; i++) {
		any |= !signatures[i].settled;
		all |= !signatures[i].settled && signatures[i].signs_signatures;
	}
	if (!any)
		return;
	DKIM *dkim = dkim_verify(library, octets(STR("message")), NULL, &status);
	if (dkim) {
		feed_headers(dkim, &run, mail, signatures, count, all && count <= FED_MAX);
		run_library(dkim, &run);
		dkim_free(dkim);
	}
	for (size_t i = 0; i < count; i++)
		if (!signatures[i].settled)
			dkim_signature_settle(
				&signatures[i], AUTH_PERMERROR, "the signature cannot be read");
}
