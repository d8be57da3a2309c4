/* hash: keyed and cryptographic digests, by OpenSSL's fetched-once methods. */
#ifndef CORE_HASH_H
#define CORE_HASH_H

#include "core/str.h"

/* SipHash-2-4 with a 16-octet key: for tables whose keys peers choose. */
uint64_t hash_sip(const uint8_t key[16], struct str s);
/* A key for this process (getrandom); call before a sandbox is entered. */
void hash_random(void *p, size_t n);
void hash_sha256(struct str s, uint8_t digest_r[32]);
/* In a time that says nothing about where they differ: for secrets. */
bool hash_equal(const uint8_t *a, const uint8_t *b, size_t n);
/* 64 hexadecimal digits and a NUL. */
void hash_sha256_hex(struct str s, char hex_r[65]);

#endif
