#include "core/tls.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/ip.h"

#define SELF_SIGNED_DAYS 3650

struct tls_context {
	SSL_CTX *ssl;
	bool server;
	bool verify_name;
};

struct tls {
	SSL *ssl;
	bool server;
};

/* OpenSSL's oldest error, which is the cause, and empties its queue. */
static int fail(struct err *err, const char *what)
{
	unsigned long code = ERR_get_error();
	char text[256] = "no reason given";

	if (code)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	return err_set(err, "%s: %s", what, text);
}

/* ---- contexts ---- */

static SSL_CTX *new_context(const SSL_METHOD *method, int security_level, struct err *err)
{
	SSL_CTX *ssl = SSL_CTX_new(method);

	if (!ssl) {
		fail(err, "cannot set up TLS");
		return NULL;
	}
	/* RFC 8996: nothing before 1.2. A level that the system sets higher is lowered here,
	 * because encryption with an old key beats none (RFC 7435). */
	SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
	SSL_CTX_set_security_level(ssl, security_level);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	return ssl;
}

static BIO *open_pem(const char *path, struct str pem, struct err *err)
{
	BIO *bio = path ? BIO_new_file(path, "r") : BIO_new_mem_buf(pem.p, (int)pem.n);

	if (!bio && path) {
		ERR_clear_error();
		err_sys(err, "cannot read %s", path);
	} else if (!bio) {
		fail(err, "cannot read a PEM text");
	}
	return bio;
}

/* The leaf first, then the chain, as servers' files have it. */
static int use_certificate(SSL_CTX *ssl, const char *path, struct str pem, struct err *err)
{
	const char *name = path ? path : "the certificate";
	BIO *bio = open_pem(path, pem, err);
	X509 *cert;
	int status = -1;

	if (!bio)
		return -1;
	cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
	if (!cert || SSL_CTX_use_certificate(ssl, cert) != 1) {
		fail(err, name);
		goto err1;
	}
	for (X509 *link; (link = PEM_read_bio_X509(bio, NULL, NULL, NULL));)
		if (SSL_CTX_add0_chain_cert(ssl, link) != 1) {
			X509_free(link);
			fail(err, name);
			goto err1;
		}
	ERR_clear_error(); /* the end of the file */
	status = 0;
err1:
	X509_free(cert);
	BIO_free(bio);
	return status;
}

/* Without a callback OpenSSL would ask the terminal for the password of an encrypted key. */
static int no_password(char *to, int size, int writing, void *context)
{
	return -1;
}

static int use_key(SSL_CTX *ssl, const char *path, struct str pem, struct err *err)
{
	BIO *bio = open_pem(path, pem, err);
	EVP_PKEY *key;
	int status = -1;

	if (!bio)
		return -1;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (!key)
		fail(err, path ? path : "the key");
	else if (SSL_CTX_use_PrivateKey(ssl, key) != 1 || SSL_CTX_check_private_key(ssl) != 1)
		fail(err, "the key does not belong to the certificate");
	else
		status = 0;
	EVP_PKEY_free(key);
	BIO_free(bio);
	return status;
}

/* Tickets are sealed with keys of the context; ids carry its name. So nothing that was
 * agreed with one listener is worth anything at another. */
static int isolate_sessions(SSL_CTX *ssl, const char *name, struct err *err)
{
	unsigned char id[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_Digest(name, strlen(name), id, &n, EVP_sha256(), NULL) != 1 ||
		SSL_CTX_set_session_id_context(ssl, id, n) != 1)
		return fail(err, "cannot set up TLS sessions");
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	return 0;
}

struct tls_context *tls_server_new(const struct tls_server_options *o, struct err *err)
{
	SSL_CTX *ssl = new_context(TLS_server_method(), o->security_level, err);

	if (!ssl)
		return NULL;
	SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
	if (use_certificate(ssl, o->certificate, o->certificate_pem, err) ||
		use_key(ssl, o->key, o->key_pem, err) ||
		isolate_sessions(ssl, o->name ? o->name : "", err)) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	struct tls_context *ctx = calloc(1, sizeof(*ctx));
	assert(ctx);
	*ctx = (struct tls_context){.ssl = ssl, .server = true};
	return ctx;
}

struct tls_context *tls_client_new(const struct tls_client_options *o, struct err *err)
{
	SSL_CTX *ssl = new_context(TLS_client_method(), o->security_level, err);

	if (!ssl)
		return NULL;
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	if (o->verify == TLS_VERIFY_NAME) {
		int ok = o->ca_file ? SSL_CTX_load_verify_file(ssl, o->ca_file)
				    : SSL_CTX_set_default_verify_paths(ssl);
		if (ok != 1) {
			fail(err, o->ca_file ? o->ca_file : "the system's certificates");
			SSL_CTX_free(ssl);
			return NULL;
		}
		SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	}
	struct tls_context *ctx = calloc(1, sizeof(*ctx));
	assert(ctx);
	*ctx = (struct tls_context){.ssl = ssl, .verify_name = o->verify == TLS_VERIFY_NAME};
	return ctx;
}

void tls_context_free(struct tls_context **ctx)
{
	if (!*ctx)
		return;
	SSL_CTX_free((*ctx)->ssl);
	free(*ctx);
	*ctx = NULL;
}

/* ---- self-signed certificates ---- */

static int add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX v3;

	X509V3_set_ctx_nodb(&v3);
	X509V3_set_ctx(&v3, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &v3, nid, value);
	int ok = ext && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok ? 0 : -1;
}

static int fill_certificate(X509 *cert, EVP_PKEY *key, const char *hostname)
{
	struct ip ip;
	unsigned char serial[16];
	char name[300];
	X509_NAME *subject = X509_get_subject_name(cert);
	BIGNUM *number;

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return -1;
	serial[0] &= 0x7f;
	number = BN_bin2bn(serial, sizeof(serial), NULL);
	int ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	snprintf(name, sizeof(name), "%s:%s", ip_parse(str_c(hostname), &ip) ? "DNS" : "IP",
		hostname);
	return ok && X509_set_version(cert, X509_VERSION_3) == 1 &&
			       X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
			       X509_gmtime_adj(
				       X509_getm_notAfter(cert), 86400L * SELF_SIGNED_DAYS) &&
			       X509_set_pubkey(cert, key) == 1 &&
			       /* ub-common-name is 64; the name that counts is the alternative one.
				*/
			       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
				       (const unsigned char *)hostname,
				       strlen(hostname) > 64 ? 64 : -1, -1, 0) == 1 &&
			       X509_set_issuer_name(cert, subject) == 1 &&
			       !add_extension(cert, NID_subject_alt_name, name) &&
			       !add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
			       X509_sign(cert, key, EVP_sha256()) > 0
		       ? 0
		       : -1;
}

static int bio_to_str(BIO *bio, struct str *s_r)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	char *copy = n > 0 ? malloc((size_t)n + 1) : NULL;

	if (!copy)
		return -1;
	memcpy(copy, p, (size_t)n);
	copy[n] = '\0';
	*s_r = str_from(copy, (size_t)n);
	return 0;
}

int tls_self_signed_pem(
	const char *hostname, struct str *certificate_r, struct str *key_r, struct err *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
	struct str cert_pem = {0}, key_pem = {0};
	int status = -1;

	if (key && cert && cert_bio && key_bio && !fill_certificate(cert, key, hostname) &&
		PEM_write_bio_X509(cert_bio, cert) == 1 &&
		PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		!bio_to_str(cert_bio, &cert_pem) && !bio_to_str(key_bio, &key_pem)) {
		*certificate_r = cert_pem;
		*key_r = key_pem;
		status = 0;
	} else {
		free((void *)cert_pem.p);
		fail(err, "cannot make a self-signed certificate");
	}
	BIO_free(cert_bio);
	BIO_free(key_bio);
	X509_free(cert);
	EVP_PKEY_free(key);
	return status;
}

/* Under another name first, so that nobody ever reads half of it. */
static int put_file(const char *path, struct str text, mode_t mode, struct err *err)
{
	char tmp[4096];
	int fd;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.new", path) >= sizeof(tmp))
		return err_set(err, "%.200s…: name too long", path);
	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(err, "cannot write %s", tmp);
	ssize_t n = write(fd, text.p, text.n);
	if (n != (ssize_t)text.n || fsync(fd)) {
		err_sys(err, "cannot write %s", tmp);
		close(fd);
		unlink(tmp);
		return -1;
	}
	close(fd);
	return rename(tmp, path) ? err_sys(err, "cannot put %s in place", path) : 0;
}

int tls_self_signed(const char *hostname, const char *certificate, const char *key, struct err *err)
{
	struct str cert_pem, key_pem;

	if (tls_self_signed_pem(hostname, &cert_pem, &key_pem, err))
		return -1;
	int status = put_file(key, key_pem, 0600, err);
	if (!status)
		status = put_file(certificate, cert_pem, 0644, err);
	OPENSSL_cleanse((void *)key_pem.p, key_pem.n);
	free((void *)cert_pem.p);
	free((void *)key_pem.p);
	return status;
}

/* ---- connections ---- */

static void set_name(const struct tls_context *ctx, SSL *ssl, const char *name)
{
	struct ip ip;
	bool address = name && !ip_parse(str_c(name), &ip);

	/* RFC 6066 3: an address is no server name. */
	if (name && !address)
		SSL_set_tlsext_host_name(ssl, name);
	if (!ctx->verify_name)
		return;
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	/* Without a name nothing can match, and the handshake fails. */
	int ok = address ? X509_VERIFY_PARAM_set1_ip_asc(param, name)
			 : X509_VERIFY_PARAM_set1_host(param, name ? name : "name.invalid", 0);
	assert(ok == 1);
}

struct tls *tls_new(struct tls_context *ctx, int fd, const char *name)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	assert(tls);
	tls->ssl = SSL_new(ctx->ssl);
	tls->server = ctx->server;
	assert(tls->ssl && SSL_set_fd(tls->ssl, fd) == 1);
	if (ctx->server) {
		SSL_set_accept_state(tls->ssl);
	} else {
		set_name(ctx, tls->ssl, name);
		SSL_set_connect_state(tls->ssl);
	}
	return tls;
}

void tls_free(struct tls **tls)
{
	if (!*tls)
		return;
	SSL_free((*tls)->ssl);
	free(*tls);
	*tls = NULL;
}

static enum tls_status status_of(struct tls *tls, int result, const char *what, struct err *err)
{
	int cause = SSL_get_error(tls->ssl, result), number = errno;
	long verify;

	switch (cause) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_CLOSED;
	case SSL_ERROR_SYSCALL:
		if (!ERR_peek_error()) {
			errno = number ? number : ECONNRESET;
			err_sys(err, "%s", what);
			return TLS_FAILED;
		}
		break;
	default:
		break;
	}
	verify = SSL_get_verify_result(tls->ssl);
	if (verify != X509_V_OK && !tls->server &&
		SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE) {
		ERR_clear_error();
		err_set(err, "%s: the server's certificate: %s", what,
			X509_verify_cert_error_string(verify));
	} else {
		fail(err, what);
	}
	return TLS_FAILED;
}

enum tls_status tls_handshake(struct tls *tls, struct err *err)
{
	ERR_clear_error();
	errno = 0;
	int n = SSL_do_handshake(tls->ssl);
	return n == 1 ? TLS_DONE : status_of(tls, n, "TLS handshake", err);
}

enum tls_status tls_read(struct tls *tls, void *p, size_t n, size_t *got_r, struct err *err)
{
	ERR_clear_error();
	errno = 0;
	int ok = SSL_read_ex(tls->ssl, p, n, got_r);
	return ok == 1 ? TLS_DONE : status_of(tls, ok, "TLS read", err);
}

enum tls_status tls_write(struct tls *tls, const void *p, size_t n, size_t *put_r, struct err *err)
{
	ERR_clear_error();
	errno = 0;
	int ok = SSL_write_ex(tls->ssl, p, n, put_r);
	return ok == 1 ? TLS_DONE : status_of(tls, ok, "TLS write", err);
}

void tls_shutdown(struct tls *tls)
{
	ERR_clear_error();
	if (SSL_is_init_finished(tls->ssl))
		SSL_shutdown(tls->ssl);
	ERR_clear_error();
}

size_t tls_pending(const struct tls *tls)
{
	return (size_t)SSL_pending(tls->ssl);
}

const char *tls_version(const struct tls *tls)
{
	return SSL_get_version(tls->ssl);
}

const char *tls_cipher(const struct tls *tls)
{
	return SSL_get_cipher_name(tls->ssl);
}
