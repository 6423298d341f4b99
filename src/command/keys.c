/* From the settings of encryption to keys. */
#include "keys.h"

#include <string.h>

#include "walship/base/crypto.h"
#include "walship/base/log.h"
#include "walship/base/strs.h"
#include "walship/config/secret_file.h"
#include "walship/wal/lsn.h"

#define SECRET_KEY_BEGIN "AGE-SECRET-KEY-"

static Error *
check_ciphers(void)
{
	if (cipher_available())
		return NULL;
	return error_hint(
		error_new(ERR_USAGE,
	              "encryption is set up, but the OpenSSL of this system has no ChaCha20-Poly1305 and X25519"),
		"It has nothing but a FIPS provider; activate the default provider beside it in openssl.cnf.");
}

Error *
keys_prepare(void)
{
	TRY(check_ciphers());
	secret_forbid_core_files();
	return NULL;
}

/* Nothing is returned with an error. */
static Error *
read_passphrase(const char *path, char **ret_passphrase)
{
	char *line = NULL;

	TRY(keys_prepare());
	TRY(error_context(secret_file_read_line(path, &line), "setting \"passphrase_file\""));
	if (!str_starts_with(line, SECRET_KEY_BEGIN))
	{
		*ret_passphrase = line;
		return NULL;
	}
	secret_free(line);
	return error_hint(
		error_new(ERR_USAGE, "setting \"passphrase_file\": file \"%s\" holds a secret key, not a passphrase",
	              path),
		"Set \"identity_file\" to it, and \"recipients\" to its public key.");
}

static Error *
add_recipients_file(AgeRecipients *recipients, const char *path)
{
	AUTO_BUF(text, SETTING_FILE_MAX);
	AUTO(AgeRecipients) in_file = age_recipients_new();

	TRY(public_file_read(path, &text));
	TRY(age_recipients_add(in_file, text.size > 0 ? text.data : "", text.size, path));
	if (age_recipients_count(in_file) == 0)
		return error_hint(error_new(ERR_USAGE, "file \"%s\" names no public key", path),
		                  "Nothing is stored until it does, or the setting is removed.");
	return age_recipients_add(recipients, text.data, text.size, path);
}

static Error *
add_passphrase(AgeRecipients *recipients, const char *path)
{
	char *passphrase = NULL;
	Error *error = read_passphrase(path, &passphrase);

	if (error == NULL)
		error = age_recipients_set_passphrase(recipients, passphrase);
	secret_free(passphrase);
	return error;
}

Error *
keys_recipients(const Settings *settings, AgeRecipients **ret_recipients)
{
	const char *keys = settings_text(settings, SETTING_recipients);
	const char *path = settings_text(settings, SETTING_recipients_file);
	const char *passphrase_path = settings_text(settings, SETTING_passphrase_file);
	AUTO(AgeRecipients) recipients = NULL;

	*ret_recipients = NULL;
	if (keys == NULL && path == NULL && passphrase_path == NULL)
		return NULL;
	TRY(check_ciphers());
	recipients = age_recipients_new();
	if (keys != NULL)
		TRY(age_recipients_add(recipients, keys, strlen(keys), "setting \"recipients\""));
	if (keys != NULL && age_recipients_count(recipients) == 0)
		return error_new(ERR_USAGE, "setting \"recipients\" names no public key");
	if (path != NULL)
		TRY(error_context(add_recipients_file(recipients, path), "setting \"recipients_file\""));
	if (passphrase_path != NULL)
		TRY(add_passphrase(recipients, passphrase_path));
	*ret_recipients = MOVE(recipients);
	return NULL;
}

Error *
keys_read_identities(const char *path, AgeIdentities *identities)
{
	AUTO_SECRET_BUF(text, SETTING_FILE_MAX);

	TRY(keys_prepare());
	TRY(secret_file_read(path, &text));
	return age_identities_add(identities, text.size > 0 ? text.data : "", text.size, path);
}

/* "on", "off" or "before LSN"; unset is none of them: for archives that began unencrypted before there was this setting. */
static Error *
read_plain_rule(const Settings *settings, AgePlainRule *ret_rule)
{
	static const char before[] = "before ";
	const char *text = settings_text(settings, SETTING_accept_plain);
	XLogRecPtr lsn = InvalidXLogRecPtr;

	*ret_rule = (AgePlainRule){.accept = AGE_PLAIN_OLDER, .notices = log_notices()};
	if (text == NULL)
		return NULL;
	if (str_starts_with(text, before) && !lsn_parse(text + strlen(before), &lsn))
		return error_new(ERR_USAGE, "setting \"accept_plain\" names no LSN: \"%s\"", text);
	ret_rule->before = lsn;
	ret_rule->accept = strcmp(text, "on") == 0    ? AGE_PLAIN_ACCEPTED
	                   : strcmp(text, "off") == 0 ? AGE_PLAIN_REFUSED
	                                              : AGE_PLAIN_BEFORE;
	return NULL;
}

Error *
keys_identities(const Settings *settings, AgeIdentities **ret_identities)
{
	const char *path = settings_text(settings, SETTING_identity_file);
	const char *passphrase_path = settings_text(settings, SETTING_passphrase_file);
	AUTO(AgeIdentities) identities = NULL;
	char *passphrase = NULL;
	AgePlainRule rule;

	*ret_identities = NULL;
	TRY(read_plain_rule(settings, &rule));
	if (path == NULL && passphrase_path == NULL && !settings_is_set(settings, SETTING_recipients) &&
	    !settings_is_set(settings, SETTING_recipients_file))
		return NULL;
	identities = age_identities_new();
	age_identities_set_plain(identities, &rule);
	if (path != NULL)
		TRY(error_context(keys_read_identities(path, identities), "setting \"identity_file\""));
	if (passphrase_path != NULL)
	{
		TRY(read_passphrase(passphrase_path, &passphrase));
		age_identities_set_passphrase(identities, passphrase);
		secret_free(passphrase);
	}
	*ret_identities = MOVE(identities);
	return NULL;
}
