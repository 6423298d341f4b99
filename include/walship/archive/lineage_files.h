/* What lineage.c and lineage_stub.c read from pg_wal. */
#pragma once

#include <stdint.h>

#include "walship/base/error.h"
#include "walship/wal/history.h"

#define HISTORY_FILE_MAX (1024 * 1024)

/* A missing file is ERR_NOT_FOUND. */
Error *lineage_read_history(const char *wal_directory, const char *name, TimeLineID timeline,
                            TimelineHistory **ret_history) MUST_CHECK;

/* By the segment's own header. */
Error *lineage_segment_size(const char *path, uint32_t *ret_size) MUST_CHECK;
