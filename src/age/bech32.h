/* Bech32 (BIP 173), as age uses it: without its limit on the length. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The text for a prefix ("age") and bytes, lower case; the prefix is lower case, too.  The caller frees. */
char *bech32_encode(const char *prefix, const void *bytes, size_t size);

/*
 * Exactly "size" bytes of a text with this prefix (given in lower case), all lower
 * or all upper case.  False for another prefix, length or alphabet, a wrong
 * checksum, and padding that is not zero.
 */
bool bech32_decode(const char *text, const char *prefix, void *ret_bytes, size_t size);
