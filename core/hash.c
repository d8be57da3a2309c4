#include "core/hash.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t rotate(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static uint64_t load64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
	return v;
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

uint64_t hash_sip(const uint8_t key[16], struct str s)
{
	uint64_t k0 = load64(key), k1 = load64(key + 8);
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
		k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u };
	size_t whole = s.n / 8 * 8;
	for (size_t i = 0; i < whole; i += 8) {
		uint64_t m = load64(s.p + i);
		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
	}
	uint64_t last = (uint64_t)s.n << 56;
	for (size_t i = whole; i < s.n; i++)
		last |= (uint64_t)(unsigned char)s.p[i] << (8 * (i - whole));
	v[3] ^= last;
	sip_round(v);
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void hash_random(void *p, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = getrandom((char *)p + done, n - done, 0);
		if (got < 0 && errno == EINTR)
			continue;
		assert(got > 0);
		done += (size_t)got;
	}
}

void hash_sha256(struct str s, uint8_t digest_r[32])
{
	/* Fetched once a process: OpenSSL 3 looks methods up by name at every other use. */
	static EVP_MD *method;
	if (!method)
		method = EVP_MD_fetch(NULL, "SHA256", NULL);
	assert(method);
	int ok = EVP_Digest(s.n ? s.p : "", s.n, digest_r, NULL, method, NULL);
	assert(ok == 1);
}

bool hash_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

void hash_sha256_hex(struct str s, char hex_r[65])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[32];
	hash_sha256(s, digest);
	for (int i = 0; i < 32; i++) {
		hex_r[2 * i] = digits[digest[i] >> 4];
		hex_r[2 * i + 1] = digits[digest[i] & 15];
	}
	hex_r[64] = '\0';
}
