#include "core/mail/pubkey.h"

#define OPENSSL_SUPPRESS_DEPRECATED /* d2i_RSA_PUBKEY(), which knows the short way to a key */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/mail/mail.h"

int pubkey_owner(const struct tags *tags, struct arena *arena, struct pubkey_owner *owner_r)
{
	struct str domain = tags_get(tags, "d"), selector = tags_get(tags, "s");

	*owner_r = (struct pubkey_owner){ .domain = STR("") };
	if (mail_domain_canonical(arena, domain, &domain) < 0 || !dns_is_hostname(domain))
		return -1;
	if (str_chr(domain, '.') == domain.n)
		return -1;
	owner_r->domain = domain;
	if (!str_is_ascii(selector) && mail_domain_canonical(arena, selector, &selector) < 0)
		return -1;
	if (!dns_is_hostname(selector))
		return -1;
	owner_r->selector = selector;
	owner_r->name = arena_printf(arena, "%.*s._domainkey.%.*s", STR_ARG(selector),
		STR_ARG(domain));
	return owner_r->name.n <= 253 ? 0 : -1;
}

/* Other TXT records at the name (of SPF, say) are nobody's key. */
static bool looks_like_key(struct str txt)
{
	struct str rest = txt, spec;

	if (str_starts(str_trim_crlf(txt), "v=DKIM"))
		return true;
	while (str_cut(&rest, ';', &spec)) {
		size_t equals = str_chr(spec, '=');
		if (equals < spec.n && str_eq_c(str_trim_crlf(str_sub(spec, 0, equals)), "p"))
			return true;
	}
	return false;
}

static size_t put_header(uint8_t *out, uint8_t tag, size_t length)
{
	size_t n = 0;

	out[n++] = tag;
	if (length > 255)
		out[n++] = 0x82;
	else if (length > 127)
		out[n++] = 0x81;
	if (length > 255)
		out[n++] = (uint8_t)(length >> 8);
	out[n++] = (uint8_t)length;
	return n;
}

/* Base64 to octets; empty if it is none. */
static struct str decode(struct str text, struct arena *arena)
{
	uint8_t *out = arena_alloc(arena, text.n + 1);

	if (text.n == 0 || text.n % 4 || text.n > 2 * PUBKEY_RECORD_MAX)
		return STR("");
	int n = EVP_DecodeBlock(out, (const uint8_t *)text.p, (int)text.n);
	/* EVP_DecodeBlock counts what the padding stands for. */
	int padding = str_ends(text, "=") + str_ends(text, "==");
	return n > padding ? str_from((char *)out, (size_t)(n - padding)) : STR("");
}

/*
 * 3.6.1 asks for an RSAPublicKey, the world publishes a SubjectPublicKeyInfo, and
 * libopendkim reads only the latter. So the former is wrapped: both are a SEQUENCE,
 * which begins with an INTEGER in one and a SEQUENCE in the other.
 */
static struct str wrap_rsa(struct str p, struct arena *arena)
{
	static const uint8_t algorithm[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
		0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };
	uint8_t header[32];

	struct str octets = decode(p, arena);
	const uint8_t *der = (const uint8_t *)octets.p;
	if (octets.n < 16)
		return p;
	size_t inside = der[1] == 0x82 ? 4 : der[1] == 0x81 ? 3 : 2;
	if (der[0] != 0x30 || der[inside] != 0x02)
		return p;
	size_t length = octets.n;
	size_t h = put_header(header, 0x03, length + 1);
	header[h++] = 0; /* unused bits */
	uint8_t *out = arena_alloc(arena, length + 64);
	size_t at = put_header(out, 0x30, sizeof(algorithm) + h + length);
	memcpy(out + at, algorithm, sizeof(algorithm));
	memcpy(out + at + sizeof(algorithm), header, h);
	memcpy(out + at + sizeof(algorithm) + h, der, length);
	at += sizeof(algorithm) + h + length;
	char *text = arena_alloc(arena, at * 4 / 3 + 8);
	return str_from(text, (size_t)EVP_EncodeBlock((uint8_t *)text, out, (int)at));
}

static int compact(struct str txt, struct str algorithm, struct arena *arena, struct str *record_r,
	const char **reason_r)
{
	static const char *const known[] = { "v", "h", "k", "s", "t", "p" };
	struct tags tags;
	struct buf out = BUF_INIT;

	*reason_r = "the key record is malformed";
	if (tags_parse(txt, arena, &tags) < 0)
		return -1;
	/* 3.6.1: if v= is there, it is the first tag. */
	if (tags_get(&tags, "v").p && !str_eq_c(tags.list.v[0].name, "v"))
		return -1;
	struct str p = tags_get(&tags, "p");
	if (!p.p)
		return -1;
	*reason_r = "the key is revoked";
	if (p.n == 0)
		return -1;
	struct str k = tags_get(&tags, "k");
	bool rsa = !k.p || str_eq_c(k, "rsa");
	*reason_r = "the key is of another type than the signature";
	if (!str_eq(rsa ? STR("rsa") : k, str_sub(algorithm, 0, str_chr(algorithm, '-'))))
		return -1;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct str value = tags_get(&tags, known[i]);
		if (!value.p)
			continue;
		value = tags_squeeze(value, arena);
		buf_printf(&out, "%s%s=", out.n ? ";" : "", known[i]);
		buf_str_add(&out, rsa && known[i][0] == 'p' ? wrap_rsa(value, arena) : value);
	}
	*record_r = arena_dup(arena, buf_str(&out));
	buf_free(&out);
	*reason_r = "the key is too large";
	return record_r->n <= PUBKEY_RECORD_MAX ? 0 : -1;
}

int pubkey_select(const struct dns_answer *answer, struct str algorithm, struct arena *arena,
	struct str *record_r, const char **reason_r)
{
	struct str found = { NULL, 0 };

	for (size_t i = 0; i < answer->data.n; i++) {
		struct str txt = dns_txt(answer, i, arena);
		if (!looks_like_key(txt))
			continue;
		/* 3.6.2.2 leaves it open which of several to take: none, rather than a guess. */
		*reason_r = "there are several key records";
		if (found.p)
			return -1;
		found = txt;
	}
	*reason_r = "there is no key";
	return found.p ? compact(found, algorithm, arena, record_r, reason_r) : -1;
}

/* Is `wanted` or "*" among the values, or are there none (3.6.1)? */
static bool allows(const struct tags *tags, const char *name, const char *wanted)
{
	struct str values = tags_get(tags, name), value;

	if (!values.p)
		return true;
	while (str_cut(&values, ':', &value)) {
		value = str_trim_crlf(value);
		if (str_eq_c(value, wanted) || (name[0] == 's' && str_eq_c(value, "*")))
			return true;
	}
	return false;
}

/* d2i_PUBKEY() of OpenSSL 3.0 asks every decoder of every provider, which takes many times as long as
 * verifying a signature. */
static EVP_PKEY *load_rsa(const uint8_t *der, size_t n)
{
	ERR_set_mark();
	RSA *rsa = d2i_RSA_PUBKEY(NULL, &der, (long)n);
	ERR_pop_to_mark();
	EVP_PKEY *key = rsa ? EVP_PKEY_new() : NULL;
	if (key && EVP_PKEY_assign_RSA(key, rsa))
		return key;
	EVP_PKEY_free(key);
	RSA_free(rsa);
	return NULL;
}

static EVP_PKEY *load(struct str p, bool rsa, const char **reason_r)
{
	const uint8_t *octets = (const uint8_t *)p.p;

	*reason_r = "the key cannot be read";
	if (!rsa) /* RFC 8463 4: bare, 32 octets */
		return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, octets, p.n);
	EVP_PKEY *key = load_rsa(octets, p.n);
	if (!key || EVP_PKEY_get_bits(key) >= PUBKEY_RSA_BITS_MIN)
		return key;
	*reason_r = "the key has fewer than 1024 bits";
	EVP_PKEY_free(key);
	return NULL;
}

static bool verify_rsa(EVP_PKEY *key, const uint8_t digest[32], struct str signature)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool right = ctx && EVP_PKEY_verify_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		EVP_PKEY_verify(ctx, (const uint8_t *)signature.p, signature.n, digest, 32) == 1;

	EVP_PKEY_CTX_free(ctx);
	return right;
}

/* RFC 8463 3: PureEdDSA over the digest. */
static bool verify_ed25519(EVP_PKEY *key, const uint8_t digest[32], struct str signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool right = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
		EVP_DigestVerify(ctx, (const uint8_t *)signature.p, signature.n, digest, 32) == 1;

	EVP_MD_CTX_free(ctx);
	return right;
}

int pubkey_verify(struct str record, struct str algorithm, const uint8_t digest[32],
	struct str signature, struct arena *arena, const char **reason_r)
{
	bool rsa = str_eq_c(algorithm, "rsa-sha256");
	struct tags tags;

	*reason_r = "the key record is malformed";
	if (tags_parse(record, arena, &tags) < 0)
		return -1;
	struct str v = tags_get(&tags, "v");
	if (v.p && !str_eq_c(v, "DKIM1"))
		return -1;
	*reason_r = "the key is not for mail, or not for SHA-256";
	if (!allows(&tags, "s", "email") || !allows(&tags, "h", "sha256"))
		return -1;
	EVP_PKEY *key = load(decode(tags_get(&tags, "p"), arena), rsa, reason_r);
	if (!key)
		return -1;
	struct str octets = decode(signature, arena);
	*reason_r = "the signature does not verify";
	bool right = octets.n && (rsa ? verify_rsa : verify_ed25519)(key, digest, octets);
	EVP_PKEY_free(key);
	return right;
}
