/*
 * Encryption in the format age-encryption.org/v1 (c2sp.org/age): what these stages
 * write, the program age reads, and the other way round.  A file is encrypted for
 * up to AGE_RECIPIENTS_MAX public keys (X25519), or with one passphrase (scrypt).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/error.h"
#include "walship/base/notice.h"
#include "walship/pipe/sink.h"

#define AGE_SUFFIX         ".age"
#define AGE_RECIPIENTS_MAX 16
#define AGE_IDENTITIES_MAX 100

/* Every object costs one scrypt, so a guess must be expensive by its length, not by its work alone. */
#define AGE_PASSPHRASE_LEAST 16 /* bytes */

/*
 * What is kept beside an object, in plain, to say which key opens it: the first
 * 20 characters of a public key, "age1" and 80 bits of it, or the word "passphrase".
 * Several are joined by ", ".
 */
#define AGE_FINGERPRINT_LENGTH     20
#define AGE_FINGERPRINT_PASSPHRASE "passphrase"
#define AGE_FINGERPRINTS_SIZE      (AGE_RECIPIENTS_MAX * (AGE_FINGERPRINT_LENGTH + 2) + 1)

/* For whom to encrypt.  Not changed once it is in use, and then shared by all threads. */
typedef struct AgeRecipients AgeRecipients;

AgeRecipients *age_recipients_new(void);
void age_recipients_free(AgeRecipients *recipients);
AUTO_DEFINE(AgeRecipients, age_recipients_free);

/*
 * Adds the public keys of a text: separated by commas, blanks or line ends; "#"
 * begins a comment that goes to the end of the line.  The same key twice is one.
 * ERR_USAGE, naming "what" and the line: anything else, or too many.
 */
Error *age_recipients_add(AgeRecipients *recipients, const char *text, size_t size, const char *what)
	MUST_CHECK;

/* ERR_USAGE when there are public keys already, and for a passphrase that is too short. */
Error *age_recipients_set_passphrase(AgeRecipients *recipients, const char *passphrase) MUST_CHECK;

size_t age_recipients_count(const AgeRecipients *recipients);
char *age_recipients_public(const AgeRecipients *recipients,
                            size_t i); /* the caller frees; NULL: the passphrase */
const char *age_recipients_fingerprints(const AgeRecipients *recipients); /* "" while there are none */

/* Secret keys and a passphrase: what can be decrypted.  Shared like the recipients, and cleared when freed. */
typedef struct AgeIdentities AgeIdentities;

/* What is thought of an object that claims not to be encrypted: whoever writes to a store can make one. */
typedef enum AgePlain
{
	AGE_PLAIN_ACCEPTED, /* as it is */
	AGE_PLAIN_BEFORE,   /* only what begins before a position */
	AGE_PLAIN_OLDER,    /* only what is older than all that is encrypted, and with a warning */
	AGE_PLAIN_REFUSED,
} AgePlain;

typedef struct AgePlainRule
{
	AgePlain accept;
	uint64_t before; /* with AGE_PLAIN_BEFORE: an LSN, as the archive understands it */
	Notices notices; /* for the warning */
} AgePlainRule;

AgeIdentities *age_identities_new(void);
void age_identities_free(AgeIdentities *identities);
AUTO_DEFINE(AgeIdentities, age_identities_free);

/*
 * Adds the keys of an identity file as age-keygen writes it: one per line, "#"
 * begins a comment line.  No message ever quotes the text.  ERR_USAGE: what is no key of
 * this kind, no key at all, too many.
 */
Error *age_identities_add(AgeIdentities *identities, const char *text, size_t size, const char *what)
	MUST_CHECK;
void age_identities_set_passphrase(AgeIdentities *identities, const char *passphrase);

/*
 * Beside the keys, so that nobody reads with the ones and forgets the other.  It is
 * the archive that applies it (walship/archive/readable.h).  At first, and for NULL
 * identities, everything is accepted.
 */
void age_identities_set_plain(AgeIdentities *identities, const AgePlainRule *rule);
AgePlainRule age_identities_plain(const AgeIdentities *identities);

/* True for the first caller alone. */
bool age_identities_warn_of_plain(const AgeIdentities *identities);

bool age_identities_any(const AgeIdentities *identities);                     /* a key or a passphrase */
size_t age_identities_count(const AgeIdentities *identities);                 /* of secret keys */
const char *age_identities_public(const AgeIdentities *identities, size_t i); /* "age1..." in full */

/* Is there a key, or the passphrase, for one of these fingerprints? */
bool age_identities_open(const AgeIdentities *identities, const char *fingerprints);

/*
 * ERR_DENIED, naming "what" and the fingerprints, when nothing at hand opens it; "identities" may
 * be NULL.  No fingerprints: it is not encrypted, and that is no error.
 */
Error *age_check_identities(const AgeIdentities *identities, const char *fingerprints, const char *what)
	MUST_CHECK;

/* A new key pair as age-keygen prints it.  The caller frees both, the secret one by secret_free(). */
void age_generate(char **ret_secret, char **ret_public);

/* NULL recipients: nothing is added.  They outlive the pipe. */
void age_add_encoder(Pipe *pipe, const AgeRecipients *recipients);

/*
 * Nothing passes before its tag was checked.  ERR_DENIED: none of the identities opens it.  ERR_CORRUPT,
 * naming "what" and the reason: everything else.  The identities outlive the stage.
 */
Sink *age_decoder_new(const AgeIdentities *identities, const char *what);
