/* Public and secret keys, as people write them. */
#include <ctype.h>
#include <string.h>

#include "format.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define PUBLIC_PREFIX  "age"
#define SECRET_PREFIX  "age-secret-key-" /* written in upper case */
#define SECRET_BEGIN   "AGE-SECRET-KEY-"
#define PQ_BEGIN       "AGE-SECRET-KEY-PQ-1"
#define PLUGIN_BEGIN   "AGE-PLUGIN-"
#define SSH_BEGIN      "ssh-"
#define PEM_BEGIN      "-----BEGIN "
#define ENCRYPTED_FILE "age-encryption.org/"
#define SEPARATOR      ", "
#define LINE_END       "\r\n"
#define TOKEN_END      ", \t" LINE_END

AgeRecipients *
age_recipients_new(void)
{
	return NEW(AgeRecipients);
}

void
age_recipients_free(AgeRecipients *recipients)
{
	if (recipients == NULL)
		return;
	secret_free(recipients->passphrase);
	free(recipients);
}

size_t
age_recipients_count(const AgeRecipients *recipients)
{
	return recipients->passphrase != NULL ? 1 : recipients->count;
}

char *
age_recipients_public(const AgeRecipients *recipients, size_t i)
{
	if (recipients->passphrase != NULL)
		return NULL;
	return bech32_encode(PUBLIC_PREFIX, recipients->keys[i], sizeof(recipients->keys[i]));
}

const char *
age_recipients_fingerprints(const AgeRecipients *recipients)
{
	return recipients->fingerprints;
}

static bool
starts_with_any_case(const char *text, const char *prefix)
{
	return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* Never quotes the text when it may be a secret. */
static Error *
not_a_recipient(const char *text, const char *where)
{
	if (starts_with_any_case(text, SECRET_BEGIN) || starts_with_any_case(text, PLUGIN_BEGIN))
		return error_hint(
			error_new(ERR_USAGE, "%s: that is a secret key, not a public one", where),
			"Put it into the file of \"identity_file\"; \"walship key show\" prints the public keys of one.");
	if (str_starts_with(text, SSH_BEGIN))
		return error_hint(error_new(ERR_USAGE, "%s: SSH keys are not supported as recipients", where),
		                  "\"walship key new FILE\" makes a key pair; its public key begins with \"age1\".");
	if (!str_starts_with(text, PUBLIC_PREFIX "1"))
		return error_hint(
			error_new(ERR_USAGE, "%s: not a public key of age", where),
			"A public key begins with \"age1\". For a passphrase there is the setting \"passphrase_file\".");
	return error_hint(
		error_new(ERR_USAGE, "%s: \"%s\" is not a public key of age (X25519)", where, text),
		"Copy it whole: \"age1\" and 58 characters, the last 6 of which are a checksum. Keys of plugins and "
		"of hybrids (\"age1pq...\") are not supported.");
}

static Error *
add_recipient(AgeRecipients *recipients, const char *text, const char *where)
{
	AUTO_BUF(fingerprints, AGE_FINGERPRINTS_SIZE);
	AUTO_SECRET_KEY any;
	AUTO_SECRET_KEY shared;
	uint8_t point[X25519_SIZE];

	random_bytes(any.bytes, sizeof(any.bytes));
	if (!bech32_decode(text, PUBLIC_PREFIX, point, sizeof(point)) || isupper((unsigned char) text[0]))
		return not_a_recipient(text, where);

	/* With a point of low order every file would have the same wrap key, which anyone can compute. */
	if (!x25519_shared(&any, point, &shared))
		return error_new(ERR_USAGE, "%s: \"%s\" is no key: it would encrypt for everybody", where, text);
	for (size_t i = 0; i < recipients->count; i++)
		if (memcmp(recipients->keys[i], point, X25519_SIZE) == 0)
			return NULL;
	if (recipients->count == AGE_RECIPIENTS_MAX)
		return error_new(ERR_USAGE, "%s: there are more than %d recipients", where, AGE_RECIPIENTS_MAX);
	memcpy(recipients->keys[recipients->count++], point, X25519_SIZE);

	buf_printf(&fingerprints, "%s%s%.*s", recipients->fingerprints, recipients->count > 1 ? SEPARATOR : "",
	           AGE_FINGERPRINT_LENGTH, text);
	memcpy(recipients->fingerprints, fingerprints.data, fingerprints.size + 1);
	return NULL;
}

Error *
age_recipients_add(AgeRecipients *recipients, const char *text, size_t size, const char *what)
{
	AUTO_FREE char *copy = mem_strndup(text, size);
	int line = 1;

	if (strlen(copy) != size)
		return error_new(ERR_USAGE, "%s is not text: it holds a NUL byte", what);
	for (char *next = copy; *next != '\0';)
	{
		size_t length = *next == '#' ? strcspn(next, LINE_END) : strcspn(next, TOKEN_END "#");

		if (length > 0 && *next != '#')
		{
			AUTO_FREE char *token = mem_strndup(next, length);
			AUTO_FREE char *where = mem_printf("%s, line %d", what, line);

			TRY(add_recipient(recipients, token, where));
		}
		next += length;
		line += *next == '\n';
		next += *next != '\0' && *next != '#';
	}
	return NULL;
}

Error *
age_recipients_set_passphrase(AgeRecipients *recipients, const char *passphrase)
{
	if (recipients->count > 0)
		return error_hint(
			error_new(ERR_USAGE, "recipients and a passphrase are set, but only one of them can be used"),
			"With \"recipients\" or \"recipients_file\" this host needs no secret to encrypt; unset "
			"\"passphrase_file\" then.");
	if (strlen(passphrase) < AGE_PASSPHRASE_LEAST)
		return error_hint(
			error_new(ERR_USAGE, "the passphrase is shorter than %d characters", AGE_PASSPHRASE_LEAST),
			"Whoever gets hold of a backup can try out passphrases for as long as he likes. Take six words or "
			"more that were drawn at random, or a key pair: \"walship key new FILE\".");
	recipients->passphrase = mem_strdup(passphrase);
	memcpy(recipients->fingerprints, AGE_FINGERPRINT_PASSPHRASE, sizeof(AGE_FINGERPRINT_PASSPHRASE));
	return NULL;
}

AgeIdentities *
age_identities_new(void)
{
	AgeIdentities *identities = NEW(AgeIdentities);

	identities->warned_of_plain = NEW(atomic_bool);
	return identities;
}

static void
identity_free(AgeIdentity *identity)
{
	if (identity == NULL)
		return;
	free(identity->public_text);
	secret_clear(identity, sizeof(*identity));
	free(identity);
}

AUTO_DEFINE(AgeIdentity, identity_free);

void
age_identities_free(AgeIdentities *identities)
{
	if (identities == NULL)
		return;
	for (size_t i = 0; i < identities->count; i++)
		identity_free(identities->keys[i]);
	secret_free(identities->passphrase);
	free(identities->warned_of_plain);
	free(identities);
}

static Error *
not_an_identity(const char *text, const char *where)
{
	if (str_starts_with(text, PUBLIC_PREFIX "1"))
		return error_hint(error_new(ERR_USAGE, "%s: that is a public key, not a secret one", where),
		                  "Public keys go into \"recipients\" or \"recipients_file\".");
	if (str_starts_with(text, ENCRYPTED_FILE))
		return error_hint(error_new(ERR_USAGE, "%s: the file is encrypted itself", where),
		                  "Decrypt it first, into a file of mode 0600 that you remove afterwards: age -d.");
	if (str_starts_with(text, PLUGIN_BEGIN) || str_starts_with(text, PEM_BEGIN) ||
	    str_starts_with(text, PQ_BEGIN))
		return error_new(ERR_USAGE, "%s: keys of plugins, of hybrids and of SSH are not supported", where);
	return error_hint(error_new(ERR_USAGE, "%s: not a secret key of age (X25519)", where),
	                  "Such a line begins with \"AGE-SECRET-KEY-1\" and has 74 characters; is it whole?");
}

/* "text" is the line, which is in memory that the caller clears. */
static Error *
add_identity(AgeIdentities *identities, const char *text, const char *where)
{
	AUTO(AgeIdentity) identity = NEW(AgeIdentity);

	if (!bech32_decode(text, SECRET_PREFIX, identity->secret.bytes, sizeof(identity->secret.bytes)) ||
	    !isupper((unsigned char) text[0]))
		return not_an_identity(text, where);
	if (identities->count == AGE_IDENTITIES_MAX)
		return error_new(ERR_USAGE, "%s: there are more than %d keys", where, AGE_IDENTITIES_MAX);
	x25519_public(&identity->secret, identity->public_key);
	identity->public_text = bech32_encode(PUBLIC_PREFIX, identity->public_key, sizeof(identity->public_key));
	identities->keys[identities->count++] = MOVE(identity);
	return NULL;
}

static Error *
add_identities(AgeIdentities *identities, char *text, const char *what)
{
	size_t before = identities->count;
	int line = 0;

	for (char *next = text; *next != '\0';)
	{
		char *end = next + strcspn(next, "\n");
		char *after = *end == '\0' ? end : end + 1;

		line++;
		*end = '\0';
		if (end > next && end[-1] == '\r')
			end[-1] = '\0';
		if (*next != '\0' && *next != '#')
		{
			AUTO_FREE char *where = mem_printf("%s, line %d", what, line);

			TRY(add_identity(identities, next, where));
		}
		next = after;
	}
	if (identities->count == before)
		return error_hint(error_new(ERR_USAGE, "%s holds no key", what),
		                  "\"walship key new FILE\" makes one.");
	return NULL;
}

Error *
age_identities_add(AgeIdentities *identities, const char *text, size_t size, const char *what)
{
	char *copy = mem_strndup(text, size);
	Error *error = strlen(copy) != size ? error_new(ERR_USAGE, "%s is not text: it holds a NUL byte", what)
	                                    : add_identities(identities, copy, what);

	secret_clear(copy, size); /* lines have become strings of their own */
	free(copy);
	return error;
}

void
age_identities_set_passphrase(AgeIdentities *identities, const char *passphrase)
{
	secret_free(identities->passphrase);
	identities->passphrase = mem_strdup(passphrase);
}

void
age_identities_set_plain(AgeIdentities *identities, const AgePlainRule *rule)
{
	identities->plain = *rule;
}

AgePlainRule
age_identities_plain(const AgeIdentities *identities)
{
	return identities == NULL ? (AgePlainRule){.accept = AGE_PLAIN_ACCEPTED} : identities->plain;
}

bool
age_identities_warn_of_plain(const AgeIdentities *identities)
{
	return !atomic_exchange(identities->warned_of_plain, true);
}

bool
age_identities_any(const AgeIdentities *identities)
{
	return identities != NULL && (identities->count > 0 || identities->passphrase != NULL);
}

size_t
age_identities_count(const AgeIdentities *identities)
{
	return identities->count;
}

const char *
age_identities_public(const AgeIdentities *identities, size_t i)
{
	return identities->keys[i]->public_text;
}

static bool
opens_one(const AgeIdentities *identities, const char *fingerprint, size_t length)
{
	if (length == strlen(AGE_FINGERPRINT_PASSPHRASE) &&
	    strncmp(fingerprint, AGE_FINGERPRINT_PASSPHRASE, length) == 0)
		return identities->passphrase != NULL;
	for (size_t i = 0; i < identities->count; i++)
		if (length == AGE_FINGERPRINT_LENGTH &&
		    strncmp(identities->keys[i]->public_text, fingerprint, length) == 0)
			return true;
	return false;
}

bool
age_identities_open(const AgeIdentities *identities, const char *fingerprints)
{
	for (const char *next = fingerprints; *next != '\0';)
	{
		size_t length = strcspn(next, SEPARATOR);

		if (opens_one(identities, next, length))
			return true;
		next += length;
		next += strspn(next, SEPARATOR);
	}
	return false;
}

Error *
age_check_identities(const AgeIdentities *identities, const char *fingerprints, const char *what)
{
	bool by_passphrase = strcmp(fingerprints, AGE_FINGERPRINT_PASSPHRASE) == 0;
	bool has_keys = identities != NULL && identities->count > 0;

	if (*fingerprints == '\0' || (identities != NULL && age_identities_open(identities, fingerprints)))
		return NULL;
	if (by_passphrase)
		return error_hint(error_new(ERR_DENIED, "%s is encrypted with a passphrase, and none is set", what),
		                  "Set \"passphrase_file\".");
	if (!has_keys)
		return error_hint(
			error_new(ERR_DENIED, "%s is encrypted for %s, and no secret key is set", what, fingerprints),
			"Set \"identity_file\" to the file with the secret key of one of them.");
	return error_hint(
		error_new(ERR_DENIED, "%s is encrypted for %s, and the secret keys at hand are others", what,
	              fingerprints),
		"Add the secret key of one of them to the file of \"identity_file\"; it may hold several.");
}

void
age_generate(char **ret_secret, char **ret_public)
{
	AUTO_SECRET_KEY secret;
	uint8_t public_key[X25519_SIZE];

	random_bytes(secret.bytes, sizeof(secret.bytes));
	x25519_public(&secret, public_key);
	*ret_public = bech32_encode(PUBLIC_PREFIX, public_key, sizeof(public_key));
	*ret_secret = bech32_encode(SECRET_PREFIX, secret.bytes, sizeof(secret.bytes));
	for (char *c = *ret_secret; *c != '\0'; c++)
		*c = (char) toupper((unsigned char) *c);
}
