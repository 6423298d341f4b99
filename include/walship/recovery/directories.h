/*
 * The directories of a recovery: nothing is overwritten, and what an interrupted
 * run left behind is known by its marker and cleared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "walship/base/error.h"
#include "walship/base/strs.h"

typedef struct RecoverDirectories
{
	const char *pgdata;
	const char *const *tablespaces; /* absolute paths */
	size_t n_tablespaces;
	bool move_aside;
	char *suffix; /* of what is moved aside: ".before-20261120T023007.123Z" */

	int lock;      /* of the data directory, against another run; -1: not held.  The caller sets it to -1 */
	StrList moved; /* directories that now carry the suffix */
	StrList made;  /* directories that did not exist before, parents first */
} RecoverDirectories;

/* Would prepare() refuse?  Touches nothing. */
Error *recover_directories_check(const RecoverDirectories *directories) MUST_CHECK;

/* Moves aside, clears leftovers of an interrupted run, makes the directories (0700) and the marker. */
Error *recover_directories_prepare(RecoverDirectories *directories) MUST_CHECK;

/* After a failure: everything as it was before, so far as that is possible. */
Error *recover_directories_undo(RecoverDirectories *directories) MUST_CHECK;

/* After restore_complete(): the marker means nothing any more and is removed. */
void recover_directories_finish(const RecoverDirectories *directories);

void recover_directories_release(RecoverDirectories *directories);
