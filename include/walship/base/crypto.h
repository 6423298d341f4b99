/*
 * What is had from OpenSSL, which only src/base/crypto*.c know: digests, random bytes, base64; and key agreement, key
 * derivation and authenticated encryption.  Key material is overwritten before its memory is given back; a local
 * SecretKey is declared with AUTO_SECRET_KEY, other memory goes through secret_clear().
 */
#pragma once

#include <stdbool.h>
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

/* RFC 4648, section 4, with padding. */
#define BASE64_TEXT_SIZE(size) (((size) + 2) / 3 * 4 + 1) /* with the NUL */

void base64_encode(const void *bytes, size_t size, char *ret_text);

/* Overwrites before it frees; NULL is nothing. */
void secret_free(char *secret);

/*
 * From here on this process leaves no core file, and no other process of its user can
 * look into it: for whoever reads a secret, before it does.
 */
void secret_forbid_core_files(void);

/*
 * False where the system's policy has no such ciphers (OpenSSL with nothing but a
 * FIPS provider): then no function below may be called but secret_*.
 */
bool cipher_available(void);

#define SECRET_KEY_SIZE 32

/* Of X25519 the private scalar, of ChaCha20-Poly1305 the key: anything that must not outlive its use. */
typedef struct SecretKey
{
	uint8_t bytes[SECRET_KEY_SIZE];
} SecretKey;

/* Overwrites, in a way that the compiler does not leave out. */
void secret_clear(void *memory, size_t size);

static inline void
secret_key_auto(SecretKey *key)
{
	secret_clear(key, sizeof(*key));
}

#define AUTO_SECRET_KEY __attribute__((cleanup(secret_key_auto))) SecretKey

/* In constant time. */
bool secret_equal(const void *a, const void *b, size_t size);

/* RFC 7748.  Points are 32 bytes, little-endian; any 32 bytes are a private key. */
#define X25519_SIZE 32

void x25519_public(const SecretKey *private_key, uint8_t ret_public[X25519_SIZE]);

/* False when the shared secret is all zeros: the point is of low order, and gives nothing away but that. */
bool x25519_shared(const SecretKey *private_key, const uint8_t point[X25519_SIZE], SecretKey *ret_shared);

/* RFC 5869 with SHA-256.  "salt" may be empty; up to 255 * 32 bytes come out. */
void hkdf_sha256(const void *key, size_t key_size, const void *salt, size_t salt_size, const char *info,
                 void *ret_bytes, size_t size);

/*
 * RFC 7914 with N = 2^log_n, r = 8, p = 1: takes 2^log_n kilobytes of memory.
 * False when there is not so much.
 */
bool scrypt_derive(const char *passphrase, const void *salt, size_t salt_size, int log_n, SecretKey *ret_key)
	MUST_CHECK;

/* ChaCha20-Poly1305 of RFC 8439, without additional data, under one key. */
#define AEAD_NONCE_SIZE 12
#define AEAD_TAG_SIZE   16

typedef struct Aead Aead;

Aead *aead_new(const SecretKey *key);
void aead_free(Aead *aead);
AUTO_DEFINE(Aead, aead_free);

/* Writes size + AEAD_TAG_SIZE bytes.  Input and output do not overlap; at most INT_MAX bytes. */
void aead_seal(Aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], const void *plain, size_t size,
               void *ret_sealed);

/*
 * Writes size - AEAD_TAG_SIZE bytes; "size" is at least AEAD_TAG_SIZE.  False when
 * the tag is wrong: then what was written is overwritten again.
 */
bool aead_open(Aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], const void *sealed, size_t size,
               void *ret_plain) MUST_CHECK;
