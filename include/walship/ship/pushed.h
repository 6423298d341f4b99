/*
 * Notes of segments that were pushed ahead: stored, and acknowledged as durable,
 * before the server asked for it.  A note lies in state_dir and is bound to the
 * store's identity, the database system, the name, and the very file: device,
 * inode, size, times of modification and change.  When the server asks and all
 * of that is equal, the segment is safe and its file need not be read.  A note
 * that does not fit, or cannot be trusted or read, is no note: then the segment
 * is pushed, which finds out what is stored.
 *
 * Notes save work and nothing else.  They are not fsynced: after a loss of power
 * there may be fewer, or empty ones, but none of a segment that is not stored,
 * for the store's acknowledgement came first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/archive/wal_object.h"
#include "walship/base/clock.h"
#include "walship/base/error.h"

/* Void after this time, so that an archive that was emptied meanwhile is not taken for a full one for long. */
#define PUSHED_VALID_MS (3600 * INT64_C(1000))

/* Is the file at "path" safe?  Any trouble is a no. */
bool pushed_is_noted(const char *state_dir, const WalArchive *archive, const char *path, const WalName *name);

/* After use: a segment is asked for once.  A note that stays is no harm. */
void pushed_forget(const char *state_dir, const WalArchive *archive, const char *path, const WalName *name);

typedef struct PushedNote PushedNote;

/*
 * Before the file is read: looks at it, and makes room for the note, so that a
 * state_dir that cannot hold it is known before the work is done.  Files that
 * were changed just now are ERR_TRANSIENT: a later change might not show in
 * their times.
 */
Error *pushed_begin(const char *state_dir, const WalArchive *archive, const char *path, const WalName *name,
                    PushedNote **ret_note) MUST_CHECK;

/* Once it is stored.  ERR_TRANSIENT when the file is not what it was at the beginning. */
Error *pushed_commit(PushedNote *note, const uint8_t sha256[SHA256_SIZE]) MUST_CHECK;

/* Without a commit nothing is left of the note. */
void pushed_free(PushedNote *note);
AUTO_DEFINE(PushedNote, pushed_free);

/* Removes notes that are void by age, and what killed writers left. */
void pushed_sweep(const char *state_dir);
