/*
 * Runs of time_high, and of quiet segments (walship/wal/index.h, docs/format.md): a
 * segment carries on the run of the one before it, so that a search by time need read
 * only O(log n) indexes, and one for the last commit those where something happened.
 *
 * A run is a matter of the WAL, not of the store: to carry it on, the segment
 * before must have been read, not stored.  So segments can be pushed side by
 * side, in three steps of which only the second has an order:
 *
 *     wal_object_encode()            any order, in parallel: reads and compresses
 *     time_run_join(), _after()      in the order of the WAL: nanoseconds
 *     wal_object_store()             any order, in parallel: prints the index, sends
 *
 * A segment whose predecessor is not known (the first of a timeline, a lost
 * note, one that could not be read) begins a new run: just slower to search.
 */
#pragma once

#include "walship/archive/wal_object.h"

/* What a segment leaves to the one that comes after it. */
typedef struct TimeRun
{
	TimeLineID timeline;
	uint32_t segment_size;
	XLogRecPtr
		end; /* start of the segment that comes after; InvalidXLogRecPtr: nothing is known of the one before */
	XLogRecPtr since; /* start of the first segment; InvalidXLogRecPtr: there is no run to carry on */
	TimeUs high;      /* TIME_NONE: nothing ended yet */
	XLogRecPtr
		quiet_since; /* where nothing happens up to the end; InvalidXLogRecPtr: something did, or may have */
	WalEdge tail;    /* a commit whose time lies in the next segment counts there */
	uint8_t sha256[SHA256_SIZE]; /* of the segment */
	bool has_sha256;
} TimeRun;

/*
 * Sets time_high, time_high_since and quiet_since of a segment that was walked: carries
 * "run" on, if it joins, or begins anew.  Sets "previous".  Drops the bytes of "head"
 * where the segment before tells that nothing needs them.
 */
void time_run_join(const TimeRun *run, WalIndex *index);

/* What a segment whose index is complete leaves; no run behind one that a replay cannot pass without a look. */
TimeRun time_run_after(const WalIndex *index);

/*
 * The note in state_dir, one for each timeline, bound to store and system, that
 * hands the run from one process to the next.  What is missing, unreadable or
 * damaged is no run: never an error.
 */
TimeRun time_run_noted(const char *state_dir, const WalArchive *archive, TimeLineID timeline);

/* Not durable, for it can be done without.  A run that cannot be carried on removes the note. */
Error *time_run_note(const char *state_dir, const WalArchive *archive, TimeLineID timeline,
                     const TimeRun *run) MUST_CHECK;
