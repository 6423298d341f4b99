/* The pieces of an age file: header, stanzas, file key. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/base/buf.h"
#include "walship/base/crypto.h"
#include "walship/base/error.h"

#define AGE_CHUNK_SIZE    (64u * 1024) /* of plain text; a tag more when it is sealed */
#define AGE_NONCE_SIZE    16           /* of the payload */
#define AGE_FILE_KEY_SIZE 16
#define AGE_BODY_SIZE     (AGE_FILE_KEY_SIZE + AEAD_TAG_SIZE)
#define AGE_SALT_SIZE     16

/* What a header may be at most; age itself has no such limits.  Of our own the longest has 2 kB. */
#define AGE_HEADER_MAX  (128u * 1024)
#define AGE_LINE_MAX    (8u * 1024)
#define AGE_STANZAS_MAX 256

/*
 * Work factors: 2^15 takes 32 MiB and some 100 ms, and every WAL segment has to take it; age's own
 * 2^18 would keep the archiver busy for a second each.  2^20 takes 1 GiB.
 */
#define AGE_WORK_FACTOR     15
#define AGE_WORK_FACTOR_MAX 20

typedef struct AgeFileKey
{
	uint8_t bytes[AGE_FILE_KEY_SIZE];
} AgeFileKey;

static inline void
age_file_key_auto(AgeFileKey *key)
{
	secret_clear(key, sizeof(*key));
}

#define AUTO_AGE_FILE_KEY __attribute__((cleanup(age_file_key_auto))) AgeFileKey

typedef enum AgeStanzaKind
{
	AGE_STANZA_OTHER, /* a kind of recipient that is not known here */
	AGE_STANZA_X25519,
	AGE_STANZA_SCRYPT,
} AgeStanzaKind;

typedef struct AgeStanza
{
	AgeStanzaKind kind;
	uint8_t share[X25519_SIZE];  /* of X25519 */
	uint8_t salt[AGE_SALT_SIZE]; /* of scrypt */
	int work_factor;             /* of scrypt */
	uint8_t body[AGE_BODY_SIZE]; /* the file key, sealed */
} AgeStanza;

typedef struct AgeHeader
{
	AgeStanza *stanzas; /* owned */
	size_t n_stanzas;
	size_t capacity;
	size_t authenticated; /* so many bytes of the text the MAC covers */
	uint8_t mac[SHA256_SIZE];
} AgeHeader;

void age_header_release(AgeHeader *header);

#define AUTO_AGE_HEADER __attribute__((cleanup(age_header_release))) AgeHeader

void age_header_print(const AgeHeader *header, const AgeFileKey *key, Buf *into);

/* Only the first line, or what there is of it.  ERR_CORRUPT: it is no age file, or none that is read here. */
Error *age_header_check_version(const char *text, size_t size) MUST_CHECK;

/* The whole header, up to and with the line of the MAC, which is not checked here.  ERR_CORRUPT says what is wrong. */
Error *age_header_parse(const char *text, size_t size, AgeHeader *ret_header) MUST_CHECK;

/* Is this MAC the one that the key makes of the text? */
bool age_header_is_authentic(const AgeHeader *header, const char *text, const AgeFileKey *key);

/* One stanza for each recipient, or the one of the passphrase. */
Error *age_wrap(const AgeRecipients *recipients, const AgeFileKey *key, AgeHeader *ret_header) MUST_CHECK;

/* ERR_DENIED: no identity fits.  ERR_CORRUPT: a share is of low order. */
Error *age_unwrap(const AgeIdentities *identities, const AgeHeader *header, AgeFileKey *ret_key) MUST_CHECK;

/* Base64 without padding; there is room for BASE64_TEXT_SIZE(size). */
void age_base64_encode(const void *bytes, size_t size, char *ret_text);

/*
 * The bytes that "length" characters stand for; there is room for length * 3 / 4.  False for other characters,
 * padding, an impossible length, and a text that is not the one that age_base64_encode() makes of the bytes.
 */
bool age_base64_decode(const char *text, size_t length, uint8_t *ret_bytes, size_t *ret_size);

/*
 * Bech32 (BIP 173) without its limit on the length: the text for a prefix ("age") and bytes, lower case; the prefix
 * is lower case, too.  The caller frees.
 */
char *bech32_encode(const char *prefix, const void *bytes, size_t size);

/*
 * Exactly "size" bytes of a text with this prefix (given in lower case), all lower or all upper case.  False for
 * another prefix, length or alphabet, a wrong checksum, and padding that is not zero.
 */
bool bech32_decode(const char *text, const char *prefix, void *ret_bytes, size_t size);

/* The cipher of the payload. */
Aead *age_payload_cipher(const AgeFileKey *key, const uint8_t nonce[AGE_NONCE_SIZE]);

/* The nonce of a chunk: its number, and whether it is the last one. */
void age_chunk_nonce(uint64_t number, bool last, uint8_t ret_nonce[AEAD_NONCE_SIZE]);

/* The keys themselves, for age_wrap() and age_unwrap(). */
struct AgeRecipients
{
	uint8_t keys[AGE_RECIPIENTS_MAX][X25519_SIZE];
	size_t count;
	char *passphrase; /* NULL: none */
	char fingerprints[AGE_FINGERPRINTS_SIZE];
};

typedef struct AgeIdentity
{
	SecretKey secret;
	uint8_t public_key[X25519_SIZE];
	char *public_text;
} AgeIdentity;

struct AgeIdentities
{
	AgeIdentity *keys[AGE_IDENTITIES_MAX]; /* each in memory of its own, which never moves */
	size_t count;
	char *passphrase; /* NULL: none */
	AgePlainRule plain;
	atomic_bool *warned_of_plain;
};
