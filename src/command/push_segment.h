/* One segment or partial into the archive, with what the log should know of it. */
#pragma once

#include "walship/archive/history_file.h"
#include "walship/archive/wal_object.h"

/*
 * Called once a segment was read and before it is stored: to set what in its
 * index depends on other segments.  With an error it is not stored.
 */
typedef Error *(*PushReady)(void *context, WalIndex *index);

/* A segment whose WAL ends at a switch of timelines is stored as a partial.  "ready" may be NULL. */
Error *push_segment(const WalArchive *archive, const HistoryFiles *histories, const char *path, WalName name,
                    PushReady ready, void *context, WalIndex *ret_index) MUST_CHECK;
