/*
 * Where can a recovery go, from which backup, along which timeline?  Pure:
 * catalog and request in, facts as they are asked for; a plan or an explanation out.
 *
 * The rules are PostgreSQL's (xlogrecovery.c, recoveryStopsBefore,
 * recoveryStopsAfter): a time target is reached when the first commit or abort
 * record later than it, in the order of the WAL, has been read; an LSN target
 * when a record that starts there or later has been read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/archive/catalog.h"
#include "walship/archive/wal_facts.h"
#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/strs.h"

typedef enum TargetKind
{
	TARGET_TIME,
	TARGET_LSN,
	TARGET_XID,
	TARGET_NAME,
	TARGET_BEFORE, /* the last commit or abort that starts before this LSN; "xid" tells whose record that is.
	                * InvalidXLogRecPtr: before the commit or abort of "xid", wherever that is */
	TARGET_IMMEDIATE,   /* as soon as the backup is consistent */
	TARGET_LATEST,      /* to the end of the WAL in the store */
	TARGET_BACKUP_ONLY, /* as immediate, with nothing but the backup's own WAL */
} TargetKind;

typedef struct RecoveryTarget
{
	TargetKind kind;
	bool inclusive; /* time, LSN, xid; a named point is always included */
	TimeUs time;
	XLogRecPtr lsn;
	TransactionId xid;
	uint64_t full_xid; /* the same with its epoch; 0: the epoch was not said */
	const char *name;
} RecoveryTarget;

typedef enum RecoveryPurpose
{
	PURPOSE_COPY,    /* to look at: does not archive */
	PURPOSE_REJOIN,  /* goes live and archives on */
	PURPOSE_STANDBY, /* follows a primary; target is TARGET_LATEST */
} RecoveryPurpose;

typedef enum RecoveryAction
{
	ACTION_PAUSE,
	ACTION_PROMOTE,
	ACTION_SHUTDOWN,
} RecoveryAction;

/* How the server is told where a time lies. */
typedef enum StopBy
{
	STOP_BY_LSN,  /* right after the last commit or abort that counts */
	STOP_BY_TIME, /* by the time itself: just before the first one that does not */
} StopBy;

typedef struct RecoveryRequest
{
	RecoveryTarget target;
	TimeLineID timeline;   /* 0: choose */
	const char *backup_id; /* NULL: choose */
	bool restored;         /* that backup has been restored already: its objects need not be there */
	RecoveryPurpose purpose;
	RecoveryAction action;
	StopBy stop_by;   /* of a time */
	bool every_index; /* read every index on the way: also those of which a later one tells enough */
	TimeUs now;
} RecoveryRequest;

/* A place in the WAL; fields that are not known are InvalidXLogRecPtr, TIME_NONE and 0. */
typedef struct WalPlace
{
	TimeLineID timeline;
	XLogSegNo segno;
	XLogRecPtr lsn;
	TimeUs time;
	TransactionId xid;
	bool aborted; /* the transaction was rolled back */
} WalPlace;

typedef struct PlanSegments
{
	TimeLineID timeline;
	XLogSegNo first;
	XLogSegNo last;
	uint64_t stored_size;
} PlanSegments;

typedef struct RejectedBackup
{
	char *id;
	char *reason; /* "ended at ..., after the target" */
} RejectedBackup;

typedef struct RecoveryPlan
{
	const BackupRecord *backup;     /* the catalog's */
	TimeLineID timeline;            /* always explicit */
	const TimelineHistory *history; /* the catalog's: the way to that timeline */
	bool timeline_has_file;         /* its history file is in the store; timeline 1 has none */
	uint32_t segment_size;

	RecoveryTarget asked;
	RecoveryTarget target; /* as it is written: a time becomes the LSN of the last commit not after it, where
	                        * that is certain, or TARGET_LATEST when no later commit is there */
	RecoveryPurpose purpose;
	RecoveryAction action;

	WalPlace stop;         /* the record at which the server stops */
	WalPlace last;         /* the last commit or abort that is included, where it is known */
	WalPlace next;         /* the first that is not, where it is near */
	XLogRecPtr end_record; /* of TARGET_IMMEDIATE and TARGET_BACKUP_ONLY: the server stops after the record
	                               * that starts here; InvalidXLogRecPtr: as soon as it is consistent */
	XLogRecPtr end_lsn;    /* of a plan without a bound: the end of the WAL in the store */
	char plan_end[WAL_NAME_SIZE]; /* the segment in which the last record ends that the server needs; "" when
	                               * latest was asked */

	PlanSegments *segments; /* from the store, in the order of replay */
	size_t n_segments;
	uint64_t segment_count;
	uint64_t stored_wal_size;
	uint64_t stored_backup_size; /* parts and manifest */
	bool uses_backup_wal;        /* the store lacks segments that the backup brings along */

	BackupParameters parameters; /* the highest that the backup and the WAL on the way were written with */

	RejectedBackup *rejected; /* newer than the chosen one, or all that were looked at */
	size_t n_rejected;
	StrList notes;    /* sentences about what was decided */
	StrList warnings; /* sentences about what to know before */
} RecoveryPlan;

/*
 * Of the WAL no more is asked for than is needed: the index search goes on in
 * steps until the target has been passed.
 *
 * ERR_NOT_FOUND: there is no suitable backup or the target cannot be reached
 * (exit status 9); the message says what, the hint names the remedy and the
 * nearest places that can be reached.  Other errors are those of the facts'
 * source.  "catalog" must outlive the plan.
 */
Error *plan_recover(const Catalog *catalog, const RecoveryRequest *request, WalFacts *facts,
                    RecoveryPlan **ret_plan) MUST_CHECK;
void recovery_plan_free(RecoveryPlan *plan);
AUTO_DEFINE(RecoveryPlan, recovery_plan_free);

/*
 * How fast a server replays depends on what was written and on its disks; without
 * a measured figure two segments of 16 MB a second are assumed.
 */
#define REPLAY_BYTES_PER_SECOND (UINT64_C(32) * 1024 * 1024)

int64_t replay_estimate_ms(uint64_t wal_bytes);

/* "the time 2026-11-20 02:30:07+00", "restore point \"before\"": as it stands in a sentence.  The caller frees. */
char *recovery_target_text(const RecoveryTarget *target);
