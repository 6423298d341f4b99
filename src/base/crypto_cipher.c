/* The door to OpenSSL's keys and ciphers. */
#include <assert.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "walship/base/crypto.h"
#include "walship/base/mem.h"

/* As for MD5 in crypto.c: the ordinary provider's, also where FIPS is the default. */
#define PROPERTIES "-fips"

#define SCRYPT_R 8
#define SCRYPT_P 1

bool
cipher_available(void)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", PROPERTIES);
	EVP_KEYMGMT *x25519 = EVP_KEYMGMT_fetch(NULL, "X25519", PROPERTIES);
	EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", PROPERTIES);
	EVP_KDF *scrypt = EVP_KDF_fetch(NULL, "SCRYPT", PROPERTIES);
	bool available = cipher != NULL && x25519 != NULL && hkdf != NULL && scrypt != NULL;

	EVP_CIPHER_free(cipher);
	EVP_KEYMGMT_free(x25519);
	EVP_KDF_free(hkdf);
	EVP_KDF_free(scrypt);
	ERR_clear_error();
	return available;
}

void
secret_clear(void *memory, size_t size)
{
	if (size > 0)
		OPENSSL_cleanse(memory, size);
}

bool
secret_equal(const void *a, const void *b, size_t size)
{
	return CRYPTO_memcmp(a, b, size) == 0;
}

static EVP_PKEY *
private_pkey(const SecretKey *key)
{
	EVP_PKEY *pkey =
		EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", PROPERTIES, key->bytes, sizeof(key->bytes));

	mem_must(pkey != NULL);
	return pkey;
}

void
x25519_public(const SecretKey *private_key, uint8_t ret_public[X25519_SIZE])
{
	EVP_PKEY *pkey = private_pkey(private_key);
	size_t size = X25519_SIZE;

	mem_must(EVP_PKEY_get_raw_public_key(pkey, ret_public, &size) == 1 && size == X25519_SIZE);
	EVP_PKEY_free(pkey);
}

bool
x25519_shared(const SecretKey *private_key, const uint8_t point[X25519_SIZE], SecretKey *ret_shared)
{
	EVP_PKEY *mine = private_pkey(private_key);
	EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", PROPERTIES, point, X25519_SIZE);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, mine, PROPERTIES);
	size_t size = sizeof(ret_shared->bytes);

	mem_must(theirs != NULL && context != NULL);
	mem_must(EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_derive_set_peer(context, theirs) == 1);

	/* OpenSSL: crypto/ec/curve25519.c, ossl_x25519 fails when the result is all zeros, as RFC 7748 6.1 wants. */
	bool derived = EVP_PKEY_derive(context, ret_shared->bytes, &size) == 1;

	if (!derived)
	{
		secret_clear(ret_shared, sizeof(*ret_shared));
		ERR_clear_error();
	}
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(theirs);
	EVP_PKEY_free(mine);
	return derived;
}

/* "name" as in EVP_KDF-HKDF(7). */
static bool
derive(const char *name, const OSSL_PARAM *parameters, void *ret_bytes, size_t size)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, PROPERTIES);
	EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);

	mem_must(kdf != NULL && context != NULL);

	bool derived = EVP_KDF_derive(context, ret_bytes, size, parameters) == 1;

	if (!derived)
		ERR_clear_error();
	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	return derived;
}

/* OSSL_PARAM has no const; nothing is written to what is given. */
static OSSL_PARAM
octets(const char *key, const void *bytes, size_t size)
{
	return OSSL_PARAM_construct_octet_string(key, (void *) (uintptr_t) bytes, size);
}

void
hkdf_sha256(const void *key, size_t key_size, const void *salt, size_t salt_size, const char *info,
            void *ret_bytes, size_t size)
{
	char digest[] = "SHA256";
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		octets(OSSL_KDF_PARAM_KEY, key, key_size),
		octets(OSSL_KDF_PARAM_INFO, info, strlen(info)),
		octets(OSSL_KDF_PARAM_SALT, salt, salt_size),
		OSSL_PARAM_construct_end(),
	};

	/* No salt and a salt of zeros are the same (RFC 5869, 2.2); OpenSSL refuses the empty one. */
	if (salt_size == 0)
		parameters[3] = OSSL_PARAM_construct_end();
	mem_must(derive("HKDF", parameters, ret_bytes, size));
}

bool
scrypt_derive(const char *passphrase, const void *salt, size_t salt_size, int log_n, SecretKey *ret_key)
{
	uint64_t n = UINT64_C(1) << log_n;
	uint32_t r = SCRYPT_R;
	uint32_t p = SCRYPT_P;
	uint64_t most = 128 * r * (n + p + 32); /* bytes; OpenSSL's own limit is 32 MiB */
	OSSL_PARAM parameters[] = {
		octets(OSSL_KDF_PARAM_PASSWORD, passphrase, strlen(passphrase)),
		octets(OSSL_KDF_PARAM_SALT, salt, salt_size),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &most),
		OSSL_PARAM_construct_end(),
	};

	assert(log_n > 0 && log_n < 32);
	return derive("SCRYPT", parameters, ret_key->bytes, sizeof(ret_key->bytes));
}

struct Aead
{
	EVP_CIPHER_CTX *context;
};

Aead *
aead_new(const SecretKey *key)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", PROPERTIES);
	Aead *aead = NEW(Aead);

	aead->context = EVP_CIPHER_CTX_new();
	mem_must(cipher != NULL && aead->context != NULL);
	mem_must(EVP_CipherInit_ex2(aead->context, cipher, key->bytes, NULL, 1, NULL) == 1);
	EVP_CIPHER_free(cipher); /* the context holds it */
	return aead;
}

void
aead_free(Aead *aead)
{
	if (aead == NULL)
		return;
	EVP_CIPHER_CTX_free(aead->context); /* overwrites the key */
	free(aead);
}

void
aead_seal(Aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], const void *plain, size_t size, void *ret_sealed)
{
	uint8_t *sealed = ret_sealed;
	int written = 0;
	int rest = 0;

	mem_must(size <= INT_MAX);
	mem_must(EVP_EncryptInit_ex2(aead->context, NULL, NULL, nonce, NULL) == 1);
	mem_must(EVP_EncryptUpdate(aead->context, sealed, &written, plain, (int) size) == 1);
	mem_must(EVP_EncryptFinal_ex(aead->context, sealed + written, &rest) == 1);
	mem_must(written == (int) size && rest == 0);
	mem_must(EVP_CIPHER_CTX_ctrl(aead->context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, sealed + size) == 1);
}

bool
aead_open(Aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], const void *sealed, size_t size, void *ret_plain)
{
	const uint8_t *bytes = sealed;
	size_t plain_size = size - AEAD_TAG_SIZE;
	uint8_t tag[AEAD_TAG_SIZE];
	int written = 0;
	int rest = 0;

	mem_must(size >= AEAD_TAG_SIZE && plain_size <= INT_MAX);
	memcpy(tag, bytes + plain_size, sizeof(tag));
	mem_must(EVP_DecryptInit_ex2(aead->context, NULL, NULL, nonce, NULL) == 1);
	mem_must(EVP_CIPHER_CTX_ctrl(aead->context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, tag) == 1);
	mem_must(EVP_DecryptUpdate(aead->context, ret_plain, &written, bytes, (int) plain_size) == 1);
	if (EVP_DecryptFinal_ex(aead->context, (uint8_t *) ret_plain + written, &rest) == 1)
		return true;
	secret_clear(ret_plain, plain_size);
	ERR_clear_error();
	return false;
}
