/*
 * When a segment is not in the store: is that the end of the archive, or a hole
 * in it?  To the server both look alike, and at the end it goes live.
 */
#pragma once

#include <stdbool.h>

#include "walship/base/error.h"
#include "walship/store/store.h"
#include "walship/wal/name.h"

/*
 * A hole it is when the store has (i) a segment, partial or backup file of that
 * timeline above "name", or (ii) a history file that leaves that timeline at or
 * after the segment's end, or (iii) nothing at all under this system identifier.
 * The planner (src/plan/segments.c) goes by the same rule, with the catalog in
 * place of listings: what it plans as an end must be one here, or the server ends
 * with an error.  "Above" is a higher segment number; a partial or backup file of the
 * missing segment itself proves nothing about the next.
 * *ret_why is a clause for a message, the caller's to free; NULL when it is no hole.
 */
Error *holes_explain(Store *store, uint64_t system_identifier, const WalName *name, uint32_t segment_size,
                     char **ret_why) MUST_CHECK;
