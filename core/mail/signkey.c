#include "core/mail/signkey.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/mail/pubkey.h"

#define GENERATED_BITS 2048 /* RFC 8301 3.2: what signers should use; larger ones need two TXT strings */
#define SIGNATURE_MAX  2048 /* octets: of RSA keys that OpenSSL takes at all */

struct signkey {
	EVP_PKEY *pkey;
	bool is_rsa;
};

static struct signkey *wrap(EVP_PKEY *pkey)
{
	struct signkey *key = calloc(1, sizeof(*key));

	assert(key);
	key->pkey = pkey;
	key->is_rsa = EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA;
	return key;
}

int signkey_generate(bool ed25519, struct signkey **key_r, struct err *err)
{
	EVP_PKEY *pkey = ed25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") :
				   EVP_RSA_gen(GENERATED_BITS);

	ERR_clear_error();
	if (!pkey)
		return err_set(err, "OpenSSL makes no %s key", ed25519 ? "Ed25519" : "RSA");
	*key_r = wrap(pkey);
	return 0;
}

/* Nobody is there to type a passphrase. */
static int no_passphrase(char *buf, int size, int rwflag, void *context)
{
	(void)buf, (void)size, (void)rwflag, (void)context;
	return -1;
}

int signkey_parse(struct str pem, struct signkey **key_r, struct err *err)
{
	BIO *bio = pem.n < 1 << 20 ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	if (!pkey)
		return err_set(err, "there is no PEM private key without passphrase");
	int kind = EVP_PKEY_get_base_id(pkey), bits = EVP_PKEY_get_bits(pkey);
	bool is_good = kind == EVP_PKEY_ED25519 || (kind == EVP_PKEY_RSA &&
		bits >= PUBKEY_RSA_BITS_MIN && EVP_PKEY_get_size(pkey) <= SIGNATURE_MAX);
	if (!is_good) {
		EVP_PKEY_free(pkey);
		return err_set(err, "the key is neither Ed25519 nor RSA of 1024 bits or more");
	}
	*key_r = wrap(pkey);
	return 0;
}

void signkey_free(struct signkey **key)
{
	if (!*key)
		return;
	EVP_PKEY_free((*key)->pkey);
	free(*key);
	*key = NULL;
}

const char *signkey_algorithm(const struct signkey *key)
{
	return key->is_rsa ? "rsa-sha256" : "ed25519-sha256";
}

static void add_base64(struct buf *out, const uint8_t *p, size_t n)
{
	char *place = buf_reserve(out, n * 4 / 3 + 8);

	buf_commit(out, (size_t)EVP_EncodeBlock((uint8_t *)place, p, (int)n));
}

void signkey_pem(const struct signkey *key, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *text;
	int done = bio && PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL);

	assert(done == 1);
	long n = BIO_get_mem_data(bio, &text);
	buf_add(out, text, (size_t)n);
	BIO_free(bio);
}

void signkey_record(const struct signkey *key, struct buf *out)
{
	uint8_t *der = NULL, raw[32];
	size_t n = sizeof(raw);

	if (key->is_rsa) {
		int length = i2d_PUBKEY(key->pkey, &der);
		assert(length > 0);
		buf_c(out, "v=DKIM1; k=rsa; p=");
		add_base64(out, der, (size_t)length);
		OPENSSL_free(der);
	} else {
		int done = EVP_PKEY_get_raw_public_key(key->pkey, raw, &n);
		assert(done == 1 && n == sizeof(raw));
		buf_c(out, "v=DKIM1; k=ed25519; p=");
		add_base64(out, raw, n);
	}
}

static int sign_rsa(EVP_PKEY *pkey, const uint8_t digest[32], uint8_t *out, size_t *n)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	int done = ctx && EVP_PKEY_sign_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		EVP_PKEY_sign(ctx, out, n, digest, 32) == 1;

	EVP_PKEY_CTX_free(ctx);
	return done;
}

/* RFC 8463 3: PureEdDSA over the digest. */
static int sign_ed25519(EVP_PKEY *pkey, const uint8_t digest[32], uint8_t *out, size_t *n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int done = ctx && EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, pkey, NULL) == 1 &&
		EVP_DigestSign(ctx, out, n, digest, 32) == 1;

	EVP_MD_CTX_free(ctx);
	return done;
}

void signkey_sign(const struct signkey *key, const uint8_t digest[32], struct buf *out)
{
	uint8_t signature[SIGNATURE_MAX];
	size_t n = sizeof(signature);
	int done = (key->is_rsa ? sign_rsa : sign_ed25519)(key->pkey, digest, signature, &n);

	assert(done); /* no memory: a key that was read and a digest are all that it takes */
	add_base64(out, signature, n);
}
