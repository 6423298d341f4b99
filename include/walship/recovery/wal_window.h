/*
 * WAL that comes while it is replayed: for a server that is thrown away, where there is
 * no room for all of it.  This process fetches what comes next, as much as the window
 * holds; the server, behind its fence, takes each segment out of the directory, by a
 * restore_command that waits for it (walship/recovery/staged_wal.h), and removes it
 * from pg_wal once a restartpoint is beyond it.  So the server has no store and no key here, either.
 */
#pragma once

#include <stdint.h>

#include "walship/base/error.h"
#include "walship/recovery/staged_wal.h"

/*
 * Bytes of WAL that are to be in the directory at a time; 0: all of it, before the server
 * starts.  "room" is what is free there, of which half is the data's, for it grows while
 * it is replayed; "most": not more than that (0: as the room allows).  Pure.
 */
uint64_t wal_window_size(uint64_t wal_size, uint64_t room, uint64_t most, uint32_t segment_size);

typedef struct WalWindow WalWindow;

/*
 * Fetches the history files and no segment yet.  Of "staged" everything but directory and
 * tablespaces must outlive it; "mappings", to which these refer, become its own.
 * ERR_SYSTEM: there is not even room for the window.
 */
Error *wal_window_open(const StagedWal *staged, TablespaceMappings *mappings, uint64_t size,
                       WalWindow **ret_window) MUST_CHECK;

uint64_t wal_window_bytes(const WalWindow *window); /* at a time */

/*
 * To be called again and again while the server runs: has the next segments fetched, in
 * threads, as many as the server has taken.  Does not wait.  What a fetch that failed says; ERR_SYSTEM when for
 * a minute there has been no room for any.
 */
Error *wal_window_advance(WalWindow *window) MUST_CHECK;

/* Waits for what is being fetched. */
void wal_window_free(WalWindow *window);
AUTO_DEFINE(WalWindow, wal_window_free);
