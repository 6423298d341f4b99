/*
 * What can be recovered: per timeline, from the end of a backup to the end of
 * the WAL that follows without a gap or damage.  Asked for are the indexes at
 * the ends of chains, which tell of the others.  Pure, like walship/plan/recover.h.
 */
#pragma once

#include <stddef.h>

#include "walship/archive/catalog.h"
#include "walship/archive/wal_facts.h"
#include "walship/base/clock.h"

/* Any place from "from" to "to" can be recovered. */
typedef struct RecoveryWindow
{
	const BackupRecord *backup; /* the oldest one in it; the catalog's */
	const BackupRecord *newest; /* the newest one in it: the longest replay begins between two, or here */
	XLogRecPtr from_lsn;        /* its end */
	TimeUs from_time;
	XLogRecPtr to_lsn;
	TimeUs to_time; /* the latest commit in it, TIME_NONE when it is not known; not before from_time */
} RecoveryWindow;

typedef struct TimelineWindows
{
	TimeLineID timeline;
	XLogRecPtr first_lsn; /* of the timeline's own segments in the store; both 0 when there are none */
	XLogRecPtr last_lsn;
	TimeUs first_commit; /* in its own first and last segments with commits; TIME_NONE when not known */
	TimeUs last_commit;
	uint64_t
		n_foreign; /* segments of its own of a PostgreSQL that is not known: what happened in them is not, too */
	XLogSegNo first_foreign;
	XLogSegNo last_foreign;
	RecoveryWindow *windows; /* along the path to this timeline, ascending, with a gap between two */
	size_t n_windows;
	size_t windows_capacity;
	WalRange *gaps; /* on the path, after the start of its oldest backup or its first segment */
	size_t n_gaps;
	size_t gaps_capacity;
} TimelineWindows;

typedef struct WindowList
{
	TimelineWindows *timelines; /* one per timeline of the catalog */
	size_t n_timelines;
} WindowList;

/* Reads indexes only; errors are those of the facts' source.  Release the list in any case. */
Error *plan_windows(const Catalog *catalog, WalFacts *facts, WindowList *ret_list) MUST_CHECK;
void window_list_release(WindowList *list);

/* PostgreSQL's "latest": the newest timeline that has WAL or can be recovered; n_timelines when none does. */
size_t plan_live_timeline(const Catalog *catalog, const WindowList *windows);
