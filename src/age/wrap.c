/* The file key, wrapped for recipients and unwrapped by identities (c2sp.org/age, "Native recipient types"). */
#include <string.h>

#include "format.h"
#include "walship/base/mem.h"

#define X25519_INFO  "age-encryption.org/v1/X25519"
#define SCRYPT_LABEL "age-encryption.org/v1/scrypt"
#define PAYLOAD_INFO "payload"

/* A wrap key is used once, so its nonce may be zero. */
static const uint8_t zero_nonce[AEAD_NONCE_SIZE];

static void
x25519_wrap_key(const SecretKey *shared, const uint8_t share[X25519_SIZE],
                const uint8_t recipient[X25519_SIZE], SecretKey *ret_key)
{
	uint8_t salt[2 * X25519_SIZE];

	memcpy(salt, share, X25519_SIZE);
	memcpy(salt + X25519_SIZE, recipient, X25519_SIZE);
	hkdf_sha256(shared->bytes, sizeof(shared->bytes), salt, sizeof(salt), X25519_INFO, ret_key->bytes,
	            sizeof(ret_key->bytes));
}

static Error *
scrypt_wrap_key(const char *passphrase, const uint8_t salt[AGE_SALT_SIZE], int work_factor,
                SecretKey *ret_key)
{
	uint8_t labelled[sizeof(SCRYPT_LABEL) - 1 + AGE_SALT_SIZE];

	memcpy(labelled, SCRYPT_LABEL, sizeof(SCRYPT_LABEL) - 1);
	memcpy(labelled + sizeof(SCRYPT_LABEL) - 1, salt, AGE_SALT_SIZE);
	if (scrypt_derive(passphrase, labelled, sizeof(labelled), work_factor, ret_key))
		return NULL;
	return error_new(ERR_SYSTEM, "could not get the %d MiB of memory that the passphrase's work factor takes",
	                 work_factor > 10 ? 1 << (work_factor - 10) : 1);
}

static void
seal_file_key(const SecretKey *wrap_key, const AgeFileKey *key, uint8_t ret_body[AGE_BODY_SIZE])
{
	AUTO(Aead) aead = aead_new(wrap_key);

	aead_seal(aead, zero_nonce, key->bytes, sizeof(key->bytes), ret_body);
}

static bool
open_file_key(const SecretKey *wrap_key, const uint8_t body[AGE_BODY_SIZE], AgeFileKey *ret_key)
{
	AUTO(Aead) aead = aead_new(wrap_key);

	return aead_open(aead, zero_nonce, body, AGE_BODY_SIZE, ret_key->bytes);
}

static Error *
wrap_x25519(const uint8_t recipient[X25519_SIZE], const AgeFileKey *key, AgeStanza *stanza)
{
	AUTO_SECRET_KEY ephemeral;
	AUTO_SECRET_KEY shared;
	AUTO_SECRET_KEY wrap_key;

	stanza->kind = AGE_STANZA_X25519;
	random_bytes(ephemeral.bytes, sizeof(ephemeral.bytes));
	x25519_public(&ephemeral, stanza->share);
	if (!x25519_shared(&ephemeral, recipient, &shared))
		return error_new(ERR_USAGE, "a recipient is no key: its point is of low order");
	x25519_wrap_key(&shared, stanza->share, recipient, &wrap_key);
	seal_file_key(&wrap_key, key, stanza->body);
	return NULL;
}

static Error *
wrap_scrypt(const char *passphrase, const AgeFileKey *key, AgeStanza *stanza)
{
	AUTO_SECRET_KEY wrap_key;

	stanza->kind = AGE_STANZA_SCRYPT;
	stanza->work_factor = AGE_WORK_FACTOR;
	random_bytes(stanza->salt, sizeof(stanza->salt));
	TRY(scrypt_wrap_key(passphrase, stanza->salt, stanza->work_factor, &wrap_key));
	seal_file_key(&wrap_key, key, stanza->body);
	return NULL;
}

Error *
age_wrap(const AgeRecipients *recipients, const AgeFileKey *key, AgeHeader *ret_header)
{
	AUTO_AGE_HEADER header = {.n_stanzas = age_recipients_count(recipients)};

	header.stanzas = NEW_ARRAY(AgeStanza, header.n_stanzas);
	if (recipients->passphrase != NULL)
		TRY(wrap_scrypt(recipients->passphrase, key, &header.stanzas[0]));
	for (size_t i = 0; i < recipients->count; i++)
		TRY(wrap_x25519(recipients->keys[i], key, &header.stanzas[i]));
	*ret_header = header;
	header = (AgeHeader){0};
	return NULL;
}

static Error *
try_x25519(const AgeIdentity *identity, const AgeStanza *stanza, AgeFileKey *key, bool *ret_opened)
{
	AUTO_SECRET_KEY shared;
	AUTO_SECRET_KEY wrap_key;

	if (!x25519_shared(&identity->secret, stanza->share, &shared))
		return error_new(ERR_CORRUPT, "its header has a share of low order, which hides nothing");
	x25519_wrap_key(&shared, stanza->share, identity->public_key, &wrap_key);
	*ret_opened = open_file_key(&wrap_key, stanza->body, key);
	return NULL;
}

static Error *
no_identity_fits(const AgeIdentities *identities, const AgeHeader *header)
{
	bool by_passphrase = header->stanzas[0].kind == AGE_STANZA_SCRYPT;

	if (by_passphrase && identities->passphrase == NULL)
		return error_hint(error_new(ERR_DENIED, "it is encrypted with a passphrase, and none is set"),
		                  "Set \"passphrase_file\".");
	if (by_passphrase)
		return error_new(ERR_DENIED, "the passphrase is not the one it is encrypted with");
	if (identities->count == 0)
		return error_hint(error_new(ERR_DENIED, "it is encrypted for keys, and no secret key is set"),
		                  "Set \"identity_file\".");
	return error_new(ERR_DENIED, "none of the secret keys at hand opens it: it is encrypted for others");
}

Error *
age_unwrap(const AgeIdentities *identities, const AgeHeader *header, AgeFileKey *ret_key)
{
	for (size_t i = 0; i < header->n_stanzas; i++)
	{
		const AgeStanza *stanza = &header->stanzas[i];
		bool opened = false;

		if (stanza->kind == AGE_STANZA_SCRYPT && identities->passphrase != NULL)
		{
			AUTO_SECRET_KEY wrap_key;

			TRY(scrypt_wrap_key(identities->passphrase, stanza->salt, stanza->work_factor, &wrap_key));
			opened = open_file_key(&wrap_key, stanza->body, ret_key);
		}
		for (size_t k = 0; stanza->kind == AGE_STANZA_X25519 && k < identities->count && !opened; k++)
			TRY(try_x25519(identities->keys[k], stanza, ret_key, &opened));
		if (opened)
			return NULL;
	}
	return no_identity_fits(identities, header);
}

Aead *
age_payload_cipher(const AgeFileKey *key, const uint8_t nonce[AGE_NONCE_SIZE])
{
	AUTO_SECRET_KEY payload_key;

	hkdf_sha256(key->bytes, sizeof(key->bytes), nonce, AGE_NONCE_SIZE, PAYLOAD_INFO, payload_key.bytes,
	            sizeof(payload_key.bytes));
	return aead_new(&payload_key);
}

void
age_chunk_nonce(uint64_t number, bool last, uint8_t ret_nonce[AEAD_NONCE_SIZE])
{
	memset(ret_nonce, 0, AEAD_NONCE_SIZE);
	for (int i = 0; i < 8; i++)
		ret_nonce[AEAD_NONCE_SIZE - 2 - i] = (uint8_t) (number >> (8 * i));
	ret_nonce[AEAD_NONCE_SIZE - 1] = last ? 1 : 0;
}
