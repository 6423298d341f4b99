/* Where the state directory keeps what it notes of one timeline. */
#pragma once

#include "walship/archive/wal_object.h"
#include "walship/wal/lsn.h"

/* "<state_dir>/<kind>-<system>-<timeline>-<digest of the store's identity>"; the caller frees. */
char *timeline_note_path(const char *state_dir, const char *kind, const WalArchive *archive,
                         TimeLineID timeline);
