/*
 * Keeps timelines whole in the store.  After a failover the old timeline's tail
 * may exist only on the promoted server: streaming marked it as archived without
 * anyone having archived it (PostgreSQL: walreceiver.c, XLogArchiveForceDone).
 * So before the first file of a new timeline, what leads to it is stored.
 */
#pragma once

#include "walship/archive/history_file.h"
#include "walship/archive/wal_object.h"
#include "walship/base/strs.h"

typedef struct LineageReport
{
	StrList stored;   /* names of files that were missing in the store */
	StrList warnings; /* what could not be stored, and why */
	bool complete;    /* everything was looked at */
} LineageReport;

/*
 * Stores the history files of "timeline" and of every timeline it descends
 * from, and the segments of those that lie wholly before the switch, so far as
 * wal_directory has them and the store lacks them.  Damaged files are reported,
 * never an error; an unreachable store is.  Ends with ERR_TRANSIENT at the
 * deadline (of clock_monotonic_ms()): what was stored until then stays.
 */
Error *lineage_ensure(const WalArchive *archive, const char *wal_directory, TimeLineID timeline,
                      int64_t deadline_ms, LineageReport *report) MUST_CHECK;

void lineage_report_release(LineageReport *report);

/*
 * Is this segment a stub: does its WAL end exactly where a history file of its
 * pg_wal says that its timeline was left?  A standby with
 * archive_mode=always hands such a file over under the full name, whose bytes
 * the old primary may yet archive (PostgreSQL: walreceiver.c, XLogWalRcvClose).
 * The history file is there before the segment is handed over (WalReceiverMain
 * fetches it before it closes the segment), so a push reads them once for all.
 */
Error *lineage_is_stub(const WalArchive *archive, const HistoryFiles *histories, const char *path,
                       const WalName *name, bool *ret_stub) MUST_CHECK;

/*
 * Notes in state_dir that what leads to a timeline is in the store, valid for an
 * hour, so that few pushes do the work.
 */
bool timeline_complete_is_noted(const char *state_dir, const WalArchive *archive, TimeLineID timeline);
Error *timeline_complete_note(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
	MUST_CHECK;
