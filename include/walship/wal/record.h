/*
 * Walks the records of one segment: framing, CRC and the few records that a
 * planner must know.  The bytes come in pieces, in order; nothing is kept but
 * one field of the record that is open.  Pure: no I/O, no clock.
 *
 * A record belongs to the segment in which it starts (PostgreSQL:
 * access/xlogrecord.h, xlogreader.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/clock.h"
#include "walship/wal/lsn.h"
#include "walship/wal/page.h"

#define WAL_STATISTICS_RELATION 2 /* PostgreSQL: PGSTAT_KIND_RELATION; the same since 15 */

typedef enum WalEventKind
{
	/* Records: one event for each, in the order of the WAL. */
	WAL_EVENT_COMMIT, /* also of a prepared transaction */
	WAL_EVENT_ABORT,
	WAL_EVENT_RESTORE_POINT,
	WAL_EVENT_CHECKPOINT,      /* shutdown or online */
	WAL_EVENT_END_OF_RECOVERY, /* a new timeline begins */
	WAL_EVENT_BACKUP_END,
	WAL_EVENT_PARAMETER_CHANGE,
	WAL_EVENT_SWITCH,           /* nothing follows in this segment */
	WAL_EVENT_FILE_CREATED,     /* XLOG_SMGR_CREATE of a main or init fork: "xid", "relation" */
	WAL_EVENT_DATABASE_CREATED, /* "xid", "relation.tablespace" and ".database", "source_database" */
	WAL_EVENT_DATABASE_DROPPED, /* "xid", "relation.database"; its files go here, before the commit */
	WAL_EVENT_TABLESPACE_CREATED, /* "xid", "relation.tablespace", "name" is its path: the only one in all WAL */
	WAL_EVENT_TABLESPACE_DROPPED, /* "xid", "relation.tablespace" */
	WAL_EVENT_FULL_PAGE_WRITES,   /* "full_page_writes" changed; every checkpoint tells it, too */
	WAL_EVENT_OTHER,              /* any other record: only "lsn", "end", "previous" are of use */

	/*
	 * Items: parts of a record, as many events as it has of them.  They come while
	 * it is read, before its CRC is known: they count only if the event of the
	 * record itself follows, with the same LSN.  Their "end" is InvalidXLogRecPtr.
	 */
	WAL_EVENT_SUBXACT,       /* of a commit: "xid" is a committed subtransaction of it */
	WAL_EVENT_DROPPED_FILE,  /* of a commit: the files of "relation" go (dropped, truncated or rewritten) */
	WAL_EVENT_DROPPED_STATS, /* of a commit, since 15: "statistics_kind", OIDs in "relation" */
	WAL_EVENT_LOCK, /* of WAL_EVENT_OTHER: AccessExclusiveLock of "xid", maybe a subtransaction; OIDs in "relation" */
} WalEventKind;

/* Is it part of a record, whose own event follows? */
static inline bool
wal_event_is_item(WalEventKind kind)
{
	return kind > WAL_EVENT_OTHER;
}

/* What a file on disk is named after, or, where it says "OIDs in", an object of the catalog. */
typedef struct WalRelation
{
	uint32_t tablespace; /* 0 with OIDs */
	uint32_t database;   /* 0: shared */
	uint64_t number;     /* relfilenode, or OID of the object */
} WalRelation;

/* Settings that a hot standby needs at least as high (PostgreSQL: xlogrecovery.c CheckRequiredParameterValues). */
typedef struct WalParameters
{
	int32_t max_connections;
	int32_t max_worker_processes;
	int32_t max_wal_senders;
	int32_t max_prepared_transactions;
	int32_t max_locks_per_transaction;
} WalParameters;

/*
 * What lies beyond the last byte that was fed is not known: a commit whose
 * record continues there may have no time, or (prepared) no xid, and not all of
 * its items, a change of parameters no values, a database or tablespace no OID; a
 * created file, and a record whose header continues there, is WAL_EVENT_OTHER.
 */
typedef struct WalEvent
{
	WalEventKind kind;
	TransactionId xid; /* where the kind says so, and of commit and abort; of a prepared transaction: the one
	                      that ends; 0: not known */
	TransactionId
		writer; /* of a record: by its header, maybe a subtransaction; 0: no transaction's, or not known */
	XLogRecPtr lsn;      /* where the record starts */
	XLogRecPtr end;      /* where the next may start, or InvalidXLogRecPtr when its end was not seen */
	XLogRecPtr previous; /* start of the record before it; InvalidXLogRecPtr: its header is not all here */
	TimeUs time;         /* commit, abort, restore point; else, or when it is no sane time, TIME_NONE */
	const char *name; /* of a restore point, at most 63 bytes; path of a tablespace, at most 1023; NULL: not
	                     known; only as long as the callback runs */

	/* By kind. */
	union
	{
		struct
		{
			WalParameters parameters; /* of a change; all zero: not known */
			int32_t wal_level;        /* likewise; PostgreSQL: access/xlog.h, WalLevel */
		};
		struct
		{
			WalRelation relation;
			uint32_t statistics_kind; /* PostgreSQL: pgstat_kind.h; a relation's is WAL_STATISTICS_RELATION */
			uint32_t source_database; /* whose files are copied; 0: none are (STRATEGY wal_log) */
		};
		struct
		{
			uint64_t next_full_xid;       /* of a checkpoint: epoch and the next xid; 0: not known */
			bool begins_timeline;         /* end of recovery, or a checkpoint in its place */
			TimeLineID previous_timeline; /* then; 0: not known */
			bool full_page_writes;
		};
		uint64_t dropped_files; /* of a commit: exact; 0 also when the record says so only further on */
	};
} WalEvent;

/* Does wal_level become "minimal" here?  (PostgreSQL: access/xlog.h, WAL_LEVEL_MINIMAL) */
static inline bool
wal_event_is_minimal(const WalEvent *event)
{
	return event->kind == WAL_EVENT_PARAMETER_CHANGE && event->parameters.max_connections > 0 &&
	       event->wal_level == 0;
}

typedef void (*WalEventCallback)(void *context, const WalEvent *event);

typedef struct WalWalker WalWalker;

#define WAL_EDGE_MAX 1024 /* bytes; what matters of a record lies at its beginning */

/* What lies here of a record that crosses an edge of the segment, without page headers. */
typedef struct WalEdge
{
	uint32_t
		length; /* of the record: what is still to come at the segment's start; of a tail: what lies here */
	uint32_t size; /* so much of it is kept, from its beginning; 0: nothing */
	uint8_t bytes[WAL_EDGE_MAX];
} WalEdge;

/*
 * "wal_end" is where the valid WAL ends, as the server sees it (its EndOfLog).
 * It lies below the segment's end when the WAL stops in the middle, though never
 * after a switch, whose zeros belong to it.
 *
 * "damaged_at" is the first record that is damaged, not just the end of WAL; the
 * segment's start when that is the one continued from before.  Nothing after it
 * is counted: no server replays it.
 */
typedef struct WalWalkResult
{
	uint64_t records;        /* that start here */
	XLogRecPtr first_record; /* start; InvalidXLogRecPtr when none starts here */
	XLogRecPtr last_record;  /* start of the last one */
	XLogRecPtr wal_end;
	bool continues; /* the last record, or the one from before this segment, goes on in the next segment */
	bool switched;  /* ended by XLOG_SWITCH, which may have come across its border */
	XLogRecPtr damaged_at; /* InvalidXLogRecPtr: nowhere */
	WalEdge head; /* of the record continued from before; at most WAL_EDGE_MAX bytes of it are kept */
	WalEdge
		tail; /* of the record that goes on in the next segment, if it starts here: kept wholly or not at all,
	                 which is when it is longer or of no interest */
} WalWalkResult;

/*
 * "header" is the segment's first page header, already checked, and of a major
 * that is known; its page is fed like all others.  Events come in LSN order, each (but items) once its record is
 * whole and its CRC right; the one that continues in the next segment comes from
 * wal_walker_finish().  Bytes beyond the segment's size are ignored.
 */
WalWalker *wal_walker_new(const WalPageHeader *header, WalEventCallback callback, void *context);
void wal_walker_feed(WalWalker *walker, const void *data, size_t size);

/*
 * A record may go on in the next segment, and in as many after it as it is
 * long.  Between the last feed of a segment and finish its end can be added, so
 * that its items and event are told as if they lay here, with its CRC checked.
 * A record that the next segment does not go on with was given up, because the
 * server had crashed: of it nothing is told.
 */

/* Would the end of the record that is open here tell anything? */
bool wal_walker_is_open(const WalWalker *walker);

/* Where the record that is open here ends, by its length; InvalidXLogRecPtr when none is. */
XLogRecPtr wal_walker_open_end(const WalWalker *walker);

/* Is it the open record's head, and is less kept of it than there is? */
bool wal_walker_needs_more(const WalWalker *walker, const WalEdge *head);

/* Its end, or as much as is kept of it, from the index of the next segment. */
void wal_walker_continue(WalWalker *walker, const WalEdge *head);

/* What is fed from here on is the next segment, of which no more is read than the record's end. */
void wal_walker_enter_next(WalWalker *walker);

void wal_walker_finish(WalWalker *walker, WalWalkResult *ret_result); /* once */
void wal_walker_free(WalWalker *walker);
AUTO_DEFINE(WalWalker, wal_walker_free);

/*
 * The same from what two indexes keep, without the segments: the record that
 * "tail" begins and "head" of the next segment continues.  "next_start" is that
 * segment's start.  Items, then the event; false, and no event, when the pieces
 * do not belong together or the tail was not kept.
 */
bool wal_edge_join(const WalEdge *tail, const WalEdge *head, int major, XLogRecPtr lsn, XLogRecPtr next_start,
                   WalEventCallback callback, void *context);
