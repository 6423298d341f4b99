/* The part of "walship check" that is about keys. */
#pragma once

#include "walship/base/error.h"
#include "walship/config/settings.h"

/*
 * Encrypts and decrypts, as far as this host can; *ret_detail says what it can, and
 * for which keys.  The caller frees it.  ERR_DENIED: it has keys, and not the one for what is stored from now on.
 */
Error *check_encryption(const Settings *settings, char **ret_detail) MUST_CHECK;
