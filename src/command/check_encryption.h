/* The part of "walship check" that is about keys. */
#pragma once

#include "walship/base/error.h"
#include "walship/config/settings.h"
#include "walship/store/store.h"

/*
 * Encrypts and decrypts, as far as this host can; *ret_detail says what it can, and
 * for which keys.  The caller frees it.  ERR_DENIED: it has keys, and not the one for what is stored from now on.
 */
Error *check_encryption(const Settings *settings, char **ret_detail) MUST_CHECK;

/*
 * Is what is stored encrypted as this host expects it?  ERR_UNTRUSTED when something there would be refused.
 * *ret_detail is NULL where nothing of encryption is set up; *ret_hint, when a later version will refuse
 * something, what to set before.  The caller frees both.
 */
Error *check_stored_encryption(const Settings *settings, Store *store, uint64_t system_identifier,
                               char **ret_detail, char **ret_hint) MUST_CHECK;
