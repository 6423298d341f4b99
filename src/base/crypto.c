/* The door to OpenSSL's digests. */
#include "walship/base/crypto.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "walship/base/mem.h"

struct Sha256
{
	EVP_MD_CTX *context;
};

Sha256 *
sha256_new(void)
{
	Sha256 *sha = NEW(Sha256);

	sha->context = EVP_MD_CTX_new();
	mem_must(sha->context != NULL);
	mem_must(EVP_DigestInit_ex(sha->context, EVP_sha256(), NULL) == 1);
	return sha;
}

void
sha256_update(Sha256 *sha, const void *data, size_t size)
{
	mem_must(EVP_DigestUpdate(sha->context, data, size) == 1);
}

void
sha256_final(Sha256 *sha, uint8_t ret_digest[SHA256_SIZE])
{
	mem_must(EVP_DigestFinal_ex(sha->context, ret_digest, NULL) == 1);
}

void
sha256_free(Sha256 *sha)
{
	if (sha == NULL)
		return;
	EVP_MD_CTX_free(sha->context);
	free(sha);
}

void
sha256_of(const void *data, size_t size, uint8_t ret_digest[SHA256_SIZE])
{
	AUTO(Sha256) sha = sha256_new();

	sha256_update(sha, data, size);
	sha256_final(sha, ret_digest);
}

void
hmac_sha256(const void *key, size_t key_size, const void *data, size_t size, uint8_t ret_mac[SHA256_SIZE])
{
	unsigned int mac_size = 0;

	mem_must(key_size <= INT_MAX);
	mem_must(HMAC(EVP_sha256(), key, (int) key_size, data, size, ret_mac, &mac_size) != NULL);
	mem_must(mac_size == SHA256_SIZE);
}

struct Md5
{
	EVP_MD_CTX *context;
};

Md5 *
md5_new(void)
{
	/* "-fips": the ordinary provider's, also where FIPS is the default, unless there is no other provider. */
	EVP_MD *method = EVP_MD_fetch(NULL, "MD5", "-fips");
	Md5 *md5;

	if (method == NULL)
		return NULL;
	md5 = NEW(Md5);
	md5->context = EVP_MD_CTX_new();
	mem_must(md5->context != NULL);
	mem_must(EVP_DigestInit_ex2(md5->context, method, NULL) == 1);
	EVP_MD_free(method); /* the context holds it */
	return md5;
}

void
md5_update(Md5 *md5, const void *data, size_t size)
{
	mem_must(EVP_DigestUpdate(md5->context, data, size) == 1);
}

void
md5_final(Md5 *md5, uint8_t ret_digest[MD5_SIZE])
{
	mem_must(EVP_DigestFinal_ex(md5->context, ret_digest, NULL) == 1);
}

void
md5_free(Md5 *md5)
{
	if (md5 == NULL)
		return;
	EVP_MD_CTX_free(md5->context);
	free(md5);
}

/* Both, for a core file that is piped to a program does not ask for its size. */
void
secret_forbid_core_files(void)
{
	const struct rlimit none = {0, 0};

	(void) prctl(PR_SET_DUMPABLE, 0);
	(void) setrlimit(RLIMIT_CORE, &none);
}

void
secret_free(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void
base64_encode(const void *bytes, size_t size, char *ret_text)
{
	(void) EVP_EncodeBlock((unsigned char *) ret_text, bytes, (int) size);
}

void
random_bytes(void *ret_bytes, size_t size)
{
	uint8_t *next = ret_bytes;

	while (size > 0)
	{
		ssize_t got = getrandom(next, size, 0);

		if (got < 0)
			continue; /* EINTR: nothing else is possible with these arguments */
		next += got;
		size -= (size_t) got;
	}
}
