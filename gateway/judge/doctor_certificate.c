/* The certificates that listeners show: on disk, and by what senders who verify make of them. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/judge/doctor.h"

#define RENEW_DAYS 14
#define CHAIN_MAX  20
#define URLS_MAX   4

/* ---- what a sender who verifies makes of one (RFC 8461 4.2) ---- */

static struct str organization(struct doctor *d, const X509 *x)
{
	static const int nids[] = { NID_organizationName, NID_commonName };
	const X509_NAME *name = X509_get_issuer_name(x);

	for (size_t i = 0; i < 2; i++) {
		int at = X509_NAME_get_index_by_NID(name, nids[i], -1);
		const ASN1_STRING *s = at < 0 ? NULL :
			X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));

		if (s && ASN1_STRING_length(s) > 0)
			return str_c(doctor_name(d, str_from((const char *)ASN1_STRING_get0_data(s),
				(size_t)ASN1_STRING_length(s))));
	}
	return STR("an unnamed authority");
}

/* The hosts of the issuer's own URLs (RFC 5280 4.2.2.1): OCSP, its own certificate. */
static void read_issuer_hosts(struct doctor *d, X509 *x, struct str_list *hosts)
{
	AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(x, NID_info_access, NULL, NULL);
	int n = access ? sk_ACCESS_DESCRIPTION_num(access) : 0;

	hosts->v = ARENA_ARRAY(d->arena, URLS_MAX, struct str);
	for (int i = 0; i < n && hosts->n < URLS_MAX; i++) {
		const GENERAL_NAME *at = sk_ACCESS_DESCRIPTION_value(access, i)->location;
		struct str url, scheme;

		if (at->type != GEN_URI)
			continue;
		url = str_from((const char *)ASN1_STRING_get0_data(at->d.ia5),
			(size_t)ASN1_STRING_length(at->d.ia5));
		if (!str_cut(&url, ':', &scheme) || !str_starts(url, "//"))
			continue;
		url = str_skip(url, 2);
		url.n = str_chr(url, '/');
		url.n = str_chr(url, ':');
		if (dns_is_hostname(url))
			hosts->v[hosts->n++] = arena_dup(d->arena, url);
	}
	AUTHORITY_INFO_ACCESS_free(access);
	ERR_clear_error();
}

/* NULL: the system's authorities vouch for it now. */
static const char *distrust(struct doctor *d, X509 *x, STACK_OF(X509) *chain)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *verifier = X509_STORE_CTX_new();
	const char *why = "it cannot be verified here";

	if (store && verifier && X509_STORE_set_default_paths(store) == 1 &&
		X509_STORE_CTX_init(verifier, store, x, chain) == 1) {
		X509_STORE_CTX_set_default(verifier, "ssl_server");
		why = X509_verify_cert(verifier) == 1 ? NULL :
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(verifier));
	}
	ERR_clear_error();
	X509_STORE_CTX_free(verifier);
	X509_STORE_free(store);
	return why ? arena_cstr(d->arena, str_c(why)) : NULL;
}

/* Leaf first, then the chain. */
static void read_chain(struct doctor *d, const char *path, struct doctor_certificate *c)
{
	FILE *f = fopen(path, "re");
	X509 *link;

	c->chain = sk_X509_new_null();
	if (!f) {
		c->trouble = arena_cstr(d->arena, arena_printf(d->arena, "cannot be read: %s",
			strerror(errno)));
	} else {
		c->x509 = PEM_read_X509(f, NULL, NULL, NULL);
		for (int i = 0; i < CHAIN_MAX && (link = PEM_read_X509(f, NULL, NULL, NULL)); i++)
			sk_X509_push(c->chain, link);
		fclose(f);
		ERR_clear_error();
	}
	if (c->x509) {
		c->issuer = organization(d, c->x509);
		c->is_self_signed = X509_NAME_cmp(X509_get_subject_name(c->x509),
			X509_get_issuer_name(c->x509)) == 0;
		c->distrust = distrust(d, c->x509, c->chain);
		read_issuer_hosts(d, c->x509, &c->issuer_hosts);
	} else if (!c->trouble) {
		c->trouble = "holds no certificate in PEM";
	}
}

bool doctor_certificate_names(const struct doctor_certificate *c, const char *name)
{
	return X509_check_host(c->x509, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

static struct doctor_certificate *find_or_add(struct doctor *d, const char *path)
{
	struct doctor_certificate *c;

	for (size_t i = 0; i < d->certificates.n; i++)
		if (strcmp(d->certificates.v[i].path, path) == 0)
			return &d->certificates.v[i];
	c = &d->certificates.v[d->certificates.n++];
	c->path = path;
	return c;
}

void doctor_certificates_read(struct doctor *d)
{
	const struct config *config = d->config;

	d->certificates.v = ARENA_ARRAY(d->arena, config->listener_count + 1,
		struct doctor_certificate);
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];
		const char *path = l->tls_certificate[0] ? l->tls_certificate :
			config_path(config, d->arena, "self-signed.crt");
		struct doctor_certificate *c;

		if (l->tls == CONFIG_TLS_OFF)
			continue;
		c = find_or_add(d, path);
		if (!c->listener || (!c->is_public && !l->outbound))
			c->listener = l->title;
		c->is_public |= !l->outbound;
		c->is_ours = !l->tls_certificate[0];
		c->key = l->tls_key;
	}
	for (size_t i = 0; i < d->certificates.n; i++) {
		struct doctor_certificate *c = &d->certificates.v[i];

		if (!c->is_ours || access(c->path, R_OK) == 0)
			read_chain(d, c->path, c);
	}
}

void doctor_certificates_free(struct doctor *d)
{
	for (size_t i = 0; i < d->certificates.n; i++) {
		X509_free(d->certificates.v[i].x509);
		sk_X509_pop_free(d->certificates.v[i].chain, X509_free);
	}
	d->certificates.n = 0;
}

/* ---- what lies on this host ---- */

static bool check_key(struct doctor *d, const char *path, X509 *x)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, NULL, (void *)"") : NULL;
	bool right = key && X509_check_private_key(x, key) == 1;
	struct stat st;

	if (!f)
		doctor_say(d, DOCTOR_WRONG, "certificate", "%s cannot be read: %s.", path,
			strerror(errno));
	else if (!key)
		doctor_say(d, DOCTOR_WRONG, "certificate", "%s holds no private key that can be "
			"read without a password.", path);
	else if (!right)
		doctor_say(d, DOCTOR_WRONG, "certificate", "The key %s does not belong to its "
			"certificate.", path);
	if (f && fstat(fileno(f), &st) == 0 && st.st_mode & S_IROTH) {
		doctor_say(d, DOCTOR_WRONG, "certificate", "Everybody on this host can read the "
			"key %s.", path);
		doctor_record(d, "chmod o= %s", path);
	}
	if (f)
		fclose(f);
	EVP_PKEY_free(key);
	return right;
}

static void check_dates(struct doctor *d, const char *path, const X509 *x)
{
	int days = 0, seconds = 0;

	if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)) != 1)
		doctor_say(d, DOCTOR_WRONG, "certificate", "The dates of %s cannot be read.", path);
	else if (days < 0 || seconds < 0)
		doctor_say(d, DOCTOR_WRONG, "certificate", "%s expired %d days ago.", path, -days);
	else if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		doctor_say(d, DOCTOR_WRONG, "certificate", "%s is not valid yet: is the clock "
			"right?", path);
	else if (days < RENEW_DAYS)
		doctor_say(d, DOCTOR_WRONG, "certificate", "%s expires in %d days: renew it.", path,
			days);
	else
		doctor_say(d, DOCTOR_RIGHT, "certificate", "%s is good for %d days.", path, days);
}

static void check_certificate(struct doctor *d, const struct doctor_certificate *c)
{
	if (c->is_ours) {
		doctor_say(d, DOCTOR_ADVICE, "certificate", "The listener %s has no "
			"tls_certificate: senders are offered a self-signed one, which those that "
			"verify (MTA-STS) refuse.", c->listener);
		return;
	}
	if (!c->x509) {
		doctor_say(d, DOCTOR_WRONG, "certificate", "%s %s.", c->path, c->trouble);
		return;
	}
	if (!doctor_certificate_names(c, d->hostname))
		doctor_say(d, DOCTOR_WRONG, "certificate", "%s is not for %s, the name of this "
			"gateway.", c->path, d->hostname);
	if (check_key(d, c->key, c->x509))
		check_dates(d, c->path, c->x509);
	if (c->is_self_signed)
		doctor_say(d, DOCTOR_ADVICE, "certificate", "%s is self-signed: senders that "
			"verify (MTA-STS) refuse it.", c->path);
	else if (c->distrust && X509_cmp_current_time(X509_get0_notAfter(c->x509)) > 0)
		doctor_say(d, DOCTOR_ADVICE, "certificate", "Senders that verify (MTA-STS) refuse "
			"%s: %s. The file must hold the authority's intermediate certificates too.",
			c->path, c->distrust);
}

void doctor_certificates_check(struct doctor *d)
{
	for (size_t i = 0; i < d->certificates.n; i++)
		check_certificate(d, &d->certificates.v[i]);
}
