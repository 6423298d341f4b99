/*
 * Indexes and records decide which backup is taken and where a recovery stops,
 * so a flipped bit in them must not go unseen, also where the JSON stays valid.
 * Their last member, "seal", is the SHA-256 of every byte before the comma that
 * begins it (docs/format.md).
 */
#pragma once

#include <stddef.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"

#define SELF_SHA256_TEXT_SIZE 78 /* bytes that it adds to an object */

/* Adds the member.  "text" holds one printed JSON object with at least one member. */
void self_sha256_append(Buf *text);

/* ERR_CORRUPT, naming "what", when there is no seal or it does not fit. */
Error *self_sha256_check(const char *text, size_t size, const char *what) MUST_CHECK;
