/* Waiting until something happens in a directory, instead of looking again and again. */
#pragma once

#include <stdint.h>

#include "walship/base/error.h"

typedef enum DirChange
{
	DIR_NAMES,   /* a file gets its name by a rename, or is removed */
	DIR_WRITTEN, /* a file that was open for writing is closed */
} DirChange;

/*
 * From here on nothing is missed: so first this, then a look, then the wait.  -1 where it cannot be: the
 * directory is not there, or this user has no watch left.  The caller closes it.
 */
int dir_watch_open(const char *directory, DirChange change);

/*
 * Until something happened there since the last wait, but no longer than "most_ms"; without a watch
 * (-1) for "blind_ms".  It may be over for nothing.  ERR_CANCELLED when cancelled.
 */
Error *dir_watch_wait(int watch, int64_t most_ms, int64_t blind_ms) MUST_CHECK;
