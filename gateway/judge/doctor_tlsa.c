/*
 * TLSA (DANE for SMTP, RFC 7672): do our listeners show what the records promise? Only where DNSSEC
 * vouches for them: else no sender looks at them.
 */
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "gateway/judge/doctor.h"

enum { USAGE_TRUST_ANCHOR = 2, USAGE_END_ENTITY = 3 };
enum { SELECT_CERTIFICATE, SELECT_KEY };
enum { MATCH_ALL, MATCH_SHA256, MATCH_SHA512 };

/* What a record with this selector and matching type has for the certificate. -1: unknown ones. */
static int association(struct doctor *d, X509 *x, uint8_t selector, uint8_t matching,
	struct str *data_r)
{
	uint8_t *der = NULL, digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	int length = -1, result = -1;

	if (selector == SELECT_CERTIFICATE)
		length = i2d_X509(x, &der);
	else if (selector == SELECT_KEY)
		length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	if (length > 0 && matching == MATCH_ALL) {
		*data_r = arena_dup(d->arena, str_from((const char *)der, (size_t)length));
		result = 0;
	} else if (length > 0 && matching <= MATCH_SHA512 &&
		EVP_Digest(der, (size_t)length, digest, &n,
			matching == MATCH_SHA256 ? EVP_sha256() : EVP_sha512(), NULL) == 1) {
		*data_r = arena_dup(d->arena, str_from((const char *)digest, n));
		result = 0;
	}
	OPENSSL_free(der);
	return result;
}

static bool fits(struct doctor *d, X509 *x, struct str record)
{
	struct str data;

	return association(d, x, (uint8_t)record.p[1], (uint8_t)record.p[2], &data) == 0 &&
		str_eq(data, str_skip(record, 3));
}

static bool record_fits(struct doctor *d, const struct doctor_certificate *c, struct str record)
{
	if (record.n < 4)
		return false;
	if (record.p[0] == USAGE_END_ENTITY)
		return fits(d, c->x509, record);
	for (int i = 0; record.p[0] == USAGE_TRUST_ANCHOR && i < sk_X509_num(c->chain); i++)
		if (fits(d, sk_X509_value(c->chain, i), record))
			return true;
	return false;
}

static void suggest(struct doctor *d, const struct doctor_certificate *c, const char *at)
{
	struct buf hex = BUF_INIT;
	struct str key;

	if (association(d, c->x509, SELECT_KEY, MATCH_SHA256, &key) < 0)
		return;
	for (size_t i = 0; i < key.n; i++)
		buf_printf(&hex, "%02x", (uint8_t)key.p[i]);
	doctor_record(d, "%s. IN TLSA 3 1 1 %.*s", at, STR_ARG(buf_str(&hex)));
	buf_free(&hex);
}

static void compare(struct doctor *d, const struct doctor_certificate *c,
	const struct dns_answer *tlsa, const char *at)
{
	bool found = false;

	for (size_t i = 0; i < tlsa->data.n && i < DOCTOR_NAMES_MAX; i++)
		found |= record_fits(d, c, tlsa->data.v[i]);
	if (found) {
		doctor_say(d, DOCTOR_RIGHT, "tlsa", "The certificate of the listener %s is one that "
			"%s promises.", c->listener, at);
		return;
	}
	doctor_say(d, DOCTOR_WRONG, "tlsa", "No TLSA record of usage 3 or 2 at %s fits the certificate "
		"of the listener %s: mail from all who honour DANE stays away (RFC 7672).", at,
		c->listener);
	suggest(d, c, at);
}

static void check_exchange(struct doctor *d, struct str mx, bool is_signed)
{
	struct str name = arena_printf(d->arena, "_25._tcp.%.*s", STR_ARG(mx));
	const struct dns_answer *tlsa = doctor_ask(d, DNS_TLSA, name);
	const char *at = doctor_name(d, name);

	/* Without an answer senders that know DANE wait (RFC 7672 2.1.1): where the zone is signed. */
	if (dns_answer_is_error(tlsa) && is_signed) {
		doctor_say(d, DOCTOR_WRONG, "tlsa", "The TLSA records of %s cannot be looked up (%s): "
			"senders that honour DANE keep their mail meanwhile.", at,
			dns_rcode_names[tlsa->rcode]);
		return;
	}
	if (!tlsa->data.n)
		return;
	if (!tlsa->secure || !is_signed) {
		doctor_say(d, DOCTOR_ADVICE, "tlsa", "There are TLSA records at %s, but %s not "
			"validated by DNSSEC: nobody heeds them.", at, tlsa->secure ?
			"the MX records are" : "they are");
		return;
	}
	for (size_t i = 0; i < d->certificates.n; i++)
		if (d->certificates.v[i].x509 && d->certificates.v[i].is_public)
			compare(d, &d->certificates.v[i], tlsa, at);
}

void doctor_tlsa_check(struct doctor *d, struct str domain)
{
	bool is_signed = doctor_ask(d, DNS_MX, domain)->secure, has_address;
	struct str_list mx;

	doctor_exchanges(d, domain, &mx);
	for (size_t i = 0; i < mx.n; i++)
		if (doctor_leads_here(d, mx.v[i], &has_address))
			check_exchange(d, mx.v[i], is_signed);
}
