/*
 * Notes in the state directory: what one process has found out and the next one
 * need not find out again.  They spare work and are nothing to rely on: the
 * directory may be emptied at any time, and they are never fsynced, so after a loss
 * of power there may be old, empty or cut ones.
 *
 * A note is believed only when all of it is true: it is a regular file of this user
 * that nobody else may write, it is whole (checksum), it is bound to the very same
 * things, and it is not too old.  Everything else is no note, and no error.
 *
 *     walship note 1
 *     <binding>
 *     written <milliseconds since 1970> <milliseconds of the monotonic clock>
 *     <contents>
 *     crc32c <of all that comes before>
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"
#include "walship/base/file.h"

#define STATE_NOTE_SIZE_MAX 16384

typedef struct StateNote
{
	const char *directory; /* not owned */
	char *name;            /* of the file in it: "<kind>-<what keeps it apart from others of that kind>" */
	char *binding;         /* lines of text, of which all must be equal */
	int64_t valid_ms;      /* void after this time, by either clock; 0: does not age */
} StateNote;

void state_note_release(StateNote *note);

#define AUTO_STATE_NOTE __attribute__((cleanup(state_note_release))) StateNote

/* Its contents, appended; false when there is no note. */
bool state_note_read(const StateNote *note, Buf *contents);

/* Text that ends with a line feed, or none at all.  Replaces the note that is there. */
Error *state_note_write(const StateNote *note, const char *contents) MUST_CHECK;

/* A missing one is success. */
Error *state_note_remove(const StateNote *note) MUST_CHECK;

/*
 * The same in two steps, for what is worth doing only if it can be noted: room on
 * the disk first, the note once the work is done.
 */
Error *state_note_begin(const StateNote *note, TemporaryFile *ret_file) MUST_CHECK;
Error *state_note_commit(const StateNote *note, TemporaryFile *file, const char *contents) MUST_CHECK;

/* Removes those of a kind ("<kind>-") that were written longer ago than that, and what killed writers left. */
void state_note_sweep(const char *directory, const char *kind, int64_t valid_ms);
