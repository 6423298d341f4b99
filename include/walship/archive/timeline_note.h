/* What the state directory knows of one timeline in one store. */
#pragma once

#include "walship/archive/wal_object.h"
#include "walship/base/state_note.h"
#include "walship/wal/lsn.h"

/* Bound to the store's identity, the database system and the timeline. */
StateNote timeline_note(const char *state_dir, const char *kind, const WalArchive *archive,
                        TimeLineID timeline);
