/*
 * The WAL of a backup, brought along by a connection and a thread of its own
 * while the backup runs.  It may fail without harm to the backup.
 */
#pragma once

#include <stdbool.h>

#include "parts.h"
#include "walship/base/error.h"
#include "walship/wal/lsn.h"

typedef struct BackupWalOptions
{
	const BackupTarget *target; /* outlives the object */
	const char *conninfo;       /* see server_connect(); outlives the object */
	uint64_t system_identifier;
	TimeLineID timeline;
	uint32_t segment_size;

	/*
	 * Where to begin: on a primary a position from before the backup is asked
	 * for, so that what must be kept for us moves on from the first moment.  On
	 * a standby the backup starts at an older restartpoint: InvalidXLogRecPtr,
	 * and the stream begins when backup_wal_started() tells where.
	 */
	XLogRecPtr from;

	/*
	 * Tell the server what was taken, and hold WAL by a slot?  Not when that
	 * would make this connection count as a synchronous standby.
	 */
	bool confirm;
} BackupWalOptions;

typedef struct BackupWal BackupWal;

/* Returns when WAL is safe from being removed, as far as it can be; ERR_CANCELLED only. */
Error *backup_wal_new(const BackupWalOptions *options, BackupWal **ret_wal) MUST_CHECK;

void backup_wal_started(BackupWal *wal, XLogRecPtr start_lsn);

/*
 * Waits until WAL up to the stop position is stored, or that has failed.
 * *ret_failure (NULL: all is there) says why not; it is the caller's.
 */
Error *backup_wal_finish(BackupWal *wal, XLogRecPtr stop_lsn, Error **ret_failure) MUST_CHECK;

/* Ends the stream, wherever it is. */
void backup_wal_abandon(BackupWal *wal);

/* Of a stream that has ended. */
PartList *backup_wal_parts(BackupWal *wal);

void backup_wal_free(BackupWal *wal);
AUTO_DEFINE(BackupWal, backup_wal_free);
