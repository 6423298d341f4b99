/* The two members of a segment object, index and payload, read and checked as the object passes. */
#pragma once

#include <stdint.h>

#include "walship/pipe/sink.h"
#include "walship/wal/index.h"

/* Adds to "payload" what the stored bytes go through, behind their check.  "index" is there as long as the sink. */
typedef Error *(*WalPayloadBegin)(void *context, const WalIndex *index, Pipe *payload);

/*
 * Lets everything pass on to the next sink, if there is one.  ERR_CORRUPT, at finish at
 * the latest, when this is not the segment or partial of its key: index, seal, and size
 * and SHA-256 of the stored member.  With a "begin" of NULL no more of the payload is
 * looked at.  "ret_index" (may be NULL) is set at finish.
 */
Sink *wal_object_members_new(uint64_t system_identifier, const char *key, WalPayloadBegin begin,
                             void *context, WalIndex *ret_index);
