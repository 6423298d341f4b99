/* What this host encrypts for, and what it can decrypt: the settings of encryption, read and understood. */
#pragma once

#include "walship/age/age.h"
#include "walship/base/error.h"
#include "walship/config/settings.h"

/*
 * Of "recipients", "recipients_file" and "passphrase_file"; NULL when none of them is
 * set: then nothing is encrypted.  Everything that is wrong with one that is set is ERR_USAGE.
 */
Error *keys_recipients(const Settings *settings, AgeRecipients **ret_recipients) MUST_CHECK;

/*
 * What this host reads with: the keys of "identity_file" and "passphrase_file", and beside them what
 * "accept_plain" says of objects that are not encrypted.  NULL when nothing of encryption is set; of a host
 * with "recipients" alone it holds no key.  Reading a key forbids core files.
 */
Error *keys_identities(const Settings *settings, AgeIdentities **ret_identities) MUST_CHECK;

/* Before any key is made or read: has this system the ciphers?  And no core file from here on. */
Error *keys_prepare(void) MUST_CHECK;

/* The keys of one identity file. */
Error *keys_read_identities(const char *path, AgeIdentities *identities) MUST_CHECK;
