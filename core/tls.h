/*
 * tls: OpenSSL, behind non-blocking calls over a descriptor.
 *
 * A context is made once from a certificate (server) or a policy (client), and
 * is read-only afterwards. A struct tls is one connection; it borrows the
 * descriptor and the context, which must outlive it. TLS 1.2 at least; no
 * renegotiation; session tickets of one context are worth nothing at another.
 *
 *	struct tls_context *ctx = tls_server_new(&options, &err);
 *	struct tls *tls = tls_new(ctx, fd, NULL);
 *	switch (tls_handshake(tls, &err)) { ... }
 */
#ifndef CORE_TLS_H
#define CORE_TLS_H

#include "core/err.h"
#include "core/str.h"

struct tls_context;
struct tls;

enum tls_status {
	TLS_DONE,
	TLS_WANT_READ,	/* call again when the descriptor is readable */
	TLS_WANT_WRITE, /* … writable */
	TLS_CLOSED,	/* the peer has ended TLS in due form */
	TLS_FAILED,	/* err says why; a connection cut without due form is this */
};

struct tls_server_options {
	const char *name;	       /* of the listener: the session id context */
	const char *certificate, *key; /* PEM files; or, where NULL: */
	struct str certificate_pem, key_pem;
	int security_level; /* of OpenSSL, 0 to 5; a port for the world wants 1 */
};

enum tls_verify {
	TLS_VERIFY_NONE, /* opportunistic: any certificate (RFC 7435) */
	TLS_VERIFY_NAME, /* a trusted chain, and the name given to tls_new() */
};
struct tls_client_options {
	enum tls_verify verify;
	const char *ca_file; /* PEM; NULL: the system's */
	int security_level;
};

struct tls_context *tls_server_new(const struct tls_server_options *options, struct err *err);
struct tls_context *tls_client_new(const struct tls_client_options *options, struct err *err);
void tls_context_free(struct tls_context **ctx);

/* Writes a self-signed P-256 certificate for hostname, good for ten years, and its
 * key (mode 0600) to the two paths, each put in place by rename. 0 or -1. */
int tls_self_signed(const char *hostname, const char *certificate, const char *key,
	struct err *err);
/* The same into memory, for tests and for roles that may not write. The two
 * strings are from malloc(). */
int tls_self_signed_pem(const char *hostname, struct str *certificate_r, struct str *key_r,
	struct err *err);

/* `name`: client: whom we want (SNI and, with TLS_VERIFY_NAME, the check), or NULL. */
struct tls *tls_new(struct tls_context *ctx, int fd, const char *name);
void tls_free(struct tls **tls);
enum tls_status tls_handshake(struct tls *tls, struct err *err);
enum tls_status tls_read(struct tls *tls, void *p, size_t n, size_t *got_r, struct err *err);
enum tls_status tls_write(struct tls *tls, const void *p, size_t n, size_t *put_r,
	struct err *err);
/* Sends close_notify, as far as that goes without waiting. */
void tls_shutdown(struct tls *tls);
/* Octets that are decrypted already, for which no readiness will be reported. */
size_t tls_pending(const struct tls *tls);
const char *tls_version(const struct tls *tls); /* "TLSv1.3" */
const char *tls_cipher(const struct tls *tls);	/* "TLS_AES_256_GCM_SHA384" */

#endif
