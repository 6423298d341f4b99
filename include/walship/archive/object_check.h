/*
 * Is an object whole?  What can be told without a key while its bytes pass: of a
 * segment by its index, of a small JSON object by its seal, of a backup's objects by
 * the record's digests (verify_stage_new() in walship/pipe/stages.h).
 */
#pragma once

#include <stdint.h>

#include "walship/pipe/sink.h"

/*
 * Lets everything pass.  ERR_CORRUPT, at finish at the latest, when this is not the
 * segment or partial of its key: index, seal, and size and SHA-256 of the stored member.
 */
Sink *object_check_segment(uint64_t system_identifier, const char *key);

/* Likewise of a text with a seal at its end, of at most "most" bytes. */
Sink *object_check_sealed(size_t most);
