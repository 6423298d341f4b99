/*
 * Pushes the segment that the server has asked for, and beside it those that it
 * has not asked for yet.  What was stored of these is noted (walship/archive/
 * pushed.h), and the call for it is then done at once.  They cannot fail the
 * push: what goes wrong with one is met again by its own call.  None is stored
 * unless the asked-for segment is.
 */
#pragma once

#include "walship/archive/history_file.h"
#include "walship/archive/wal_object.h"
#include "walship/base/strs.h"

typedef struct PushAhead
{
	const char *state_dir;
	const char *wal_directory;
	const HistoryFiles *histories; /* of wal_directory */

	/* What was asked for: goes first. */
	const char *path;
	WalName name;
	const WalArchive *archive;

	/* The others, in the order in which they are begun. */
	const StrList *segments;
	const WalArchive *archive_of_others; /* gives up at the deadline of the push; not used without segments */
	int64_t last_start_ms;               /* of clock_monotonic_ms(): from then on none is begun */
	int threads;                         /* at most */

	/* With the level of a backlog, as long as that is the faster way (walship/archive/pace.h). */
	bool may_hurry;
} PushAhead;

/* The error is that of the segment that was asked for.  Returns when all have ended. */
Error *push_ahead(const PushAhead *ahead) MUST_CHECK;
