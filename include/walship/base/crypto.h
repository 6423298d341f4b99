/* Digests, keyed digests and random bytes.  Only src/base/crypto*.c know OpenSSL; its ciphers are in cipher.h. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "walship/base/attributes.h"

#define SHA256_SIZE      32
#define SHA256_TEXT_SIZE (2 * SHA256_SIZE + 1)

typedef struct Sha256 Sha256;

Sha256 *sha256_new(void);
void sha256_update(Sha256 *sha, const void *data, size_t size);
void sha256_final(Sha256 *sha, uint8_t ret_digest[SHA256_SIZE]);
void sha256_free(Sha256 *sha);
AUTO_DEFINE(Sha256, sha256_free);

void sha256_of(const void *data, size_t size, uint8_t ret_digest[SHA256_SIZE]);

/* RFC 2104 with SHA-256. */
void hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                 uint8_t ret_mac[SHA256_SIZE]);

#define MD5_SIZE 16

/* Not for security: S3 wants it as the checksum of what is sent. */
typedef struct Md5 Md5;

Md5 *md5_new(void); /* NULL where the system's policy (FIPS) has no MD5 */
void md5_update(Md5 *md5, const void *data, size_t size);
void md5_final(Md5 *md5, uint8_t ret_digest[MD5_SIZE]);
void md5_free(Md5 *md5);
AUTO_DEFINE(Md5, md5_free);

void random_bytes(void *ret_bytes, size_t size);

/* Overwrites before it frees; NULL is nothing. */
void secret_free(char *secret);
