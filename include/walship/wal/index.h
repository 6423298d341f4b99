/*
 * The index member of a segment object: what happened in the segment, as JSON
 * (docs/format.md).  Filled while the segment is read, printed once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/error.h"
#include "walship/wal/lsn.h"
#include "walship/wal/page.h"
#include "walship/wal/record.h"

#define WAL_INDEX_FORMAT    1
#define WAL_INDEX_READ_SIZE 8192 /* one ranged GET of this much holds tar header and index, nearly always */
#define WAL_INDEX_SIZE_NORMAL \
	4096 /* what 0.1.0 reads at once: with the tar header, longer only when much happened */
#define WAL_INDEX_TEXT_MAX           10240 /* with all lists full and long pieces of records at both edges */
#define WAL_INDEX_RESTORE_POINTS_MAX 8     /* more are only counted */
#define WAL_INDEX_DROPS_MAX          8     /* likewise */
#define WAL_INDEX_DROP_FILES_MAX     4     /* of one commit; likewise */
#define WAL_INDEX_RECIPIENTS_SIZE    384   /* bytes; 16 fingerprints of 20 characters */
#define WAL_INDEX_CHUNKS_MAX         16
#define WAL_INDEX_TABLESPACES_MAX    4   /* more are only counted */
#define WAL_INDEX_DATABASES_MAX      4   /* likewise */
#define WAL_INDEX_PATH_SIZE          256 /* of a tablespace; a longer one is to be read in the segment */

typedef struct WalRestorePoint
{
	char name[64];
	XLogRecPtr lsn;
	TimeUs time;
} WalRestorePoint;

/* A commit that dropped files (dropped, truncated or rewritten), or a database that was dropped. */
typedef struct WalDrop
{
	XLogRecPtr lsn;
	TransactionId xid;
	TimeUs time;       /* TIME_NONE of a database: its files go before the commit */
	uint32_t database; /* OID; 0: no database */
	uint64_t n_files;  /* exact, also when the list is cut; 0 of a database */
	WalRelation files[WAL_INDEX_DROP_FILES_MAX];
} WalDrop;

/* A tablespace that was created or dropped. */
typedef struct WalTablespace
{
	uint32_t oid;
	XLogRecPtr lsn;
	bool created;
	char path[WAL_INDEX_PATH_SIZE]; /* of a created one; "": not told here */
} WalTablespace;

/* A database that was created or dropped. */
typedef struct WalDatabase
{
	uint32_t oid;
	XLogRecPtr lsn;
	bool created;

	/* Of a created one. */
	uint32_t tablespace; /* OID */
	uint32_t source; /* OID of the database whose files are copied; 0: STRATEGY wal_log, all is in the WAL */
} WalDatabase;

/* Where decoding of the member can begin. */
typedef struct WalChunk
{
	uint64_t offset; /* in the compressed stream, before it is encrypted */
	uint32_t crc32c; /* of the bytes of the segment from here to the next chunk */
} WalChunk;

typedef struct WalIndex
{
	char segment[WAL_NAME_SIZE]; /* the file's name, with ".partial" when it is one */
	uint64_t system_identifier;
	TimeLineID timeline; /* of the name */
	int major;           /* 0: of a PostgreSQL that its writer did not know */
	uint32_t segment_size;
	XLogRecPtr start_lsn;
	XLogRecPtr end_lsn;              /* the byte after the segment */
	uint8_t sha256[SHA256_SIZE];     /* of the plain segment */
	char member[WAL_NAME_SIZE + 16]; /* name of the payload member */
	char codec[16];
	char recipients
		[WAL_INDEX_RECIPIENTS_SIZE]; /* fingerprints of the keys that open the member; "": it is not encrypted */
	uint64_t stored_size;
	uint8_t stored_sha256[SHA256_SIZE];
	uint32_t
		chunk_size; /* bytes of the segment that each chunk holds, the last maybe fewer; 0: none is known */
	uint32_t n_chunks;
	WalChunk chunks[WAL_INDEX_CHUNKS_MAX];
	bool has_previous;
	uint8_t previous[SHA256_SIZE]; /* of the plain segment before this one, on the same timeline */

	/* From the records.  False for a .partial, and when wal_index_is_foreign(): then nothing below is known. */
	bool walked;
	WalWalkResult walk;
	uint64_t commits;
	uint64_t aborts;
	TimeUs first_time; /* of commits and aborts; TIME_NONE when there are none */
	TimeUs last_time;
	TimeUs min_time;
	TimeUs max_time;

	/*
	 * A run: the greatest commit or abort time on this timeline from the start of
	 * the segment at "time_high_since" (this one at the latest; InvalidXLogRecPtr:
	 * not known) to the end of this one; TIME_NONE: there is none.  A run is carried
	 * along from segment to segment.  It begins anew where it cannot be, and also
	 * after a segment that is damaged, whose WAL ends in the middle or in which
	 * parameters change: only the last segment of a run can be such a one, so that a
	 * planner need not read the others.  A commit that starts in one segment of the
	 * run and says its time in the next (wal_index_join()) counts there.
	 */
	TimeUs time_high;
	XLogRecPtr time_high_since;

	/*
	 * A run of its own: from the start of the segment that begins here (this one at
	 * the latest) to the end of this one nothing happened that a search looks for
	 * (wal_index_is_quiet()).  It is carried along likewise, so that whoever looks for
	 * the last commit need not read all indexes of a server that was idle.  It counts
	 * only where wal_index_is_quiet() is true of this one.
	 * InvalidXLogRecPtr: something happened here, or it is not known.
	 */
	XLogRecPtr quiet_since;
	TransactionId min_xid; /* of commits and aborts, in xid order; 0 when there are none */
	TransactionId max_xid;
	uint64_t checkpoints;
	bool parameter_change;
	bool timeline_switch;      /* an end-of-recovery record, or a checkpoint that begins a timeline */
	uint64_t n_restore_points; /* exact, also when the list is cut */
	WalRestorePoint restore_points[WAL_INDEX_RESTORE_POINTS_MAX];

	/* A commit that goes on in the next segment is among them only if the number of its files lies here. */
	uint64_t n_drops; /* exact, also when the list is cut */
	WalDrop drops[WAL_INDEX_DROPS_MAX];
	uint64_t n_files_created;

	/*
	 * Of the records that the writers of 0.1.0 passed over.  False: it is not known
	 * whether there are such.  What a record says in the next segment is not told.
	 */
	bool tells_changes;
	uint64_t n_tablespaces; /* exact, also when the list is cut */
	WalTablespace tablespaces[WAL_INDEX_TABLESPACES_MAX];
	uint64_t n_databases; /* exact, also when the list is cut */
	WalDatabase databases[WAL_INDEX_DATABASES_MAX];
	XLogRecPtr switch_lsn;           /* of the record that begins a timeline here; InvalidXLogRecPtr: none */
	TimeLineID previous_timeline;    /* the one that was left then; 0: not known */
	XLogRecPtr wal_level_minimal_at; /* the first change to "minimal": no recovery passes it */
	XLogRecPtr full_page_writes_off_at; /* the first record that says so */
	uint64_t
		known_full_xid; /* an xid of these times with its epoch: what wal_index_full_xid() goes by; 0: none */
	bool
		continues_tablespace; /* while it is written: the record that came from the segment before creates one */
	WalDrop open_drop;        /* while events are added: the items of the record that is being read */
} WalIndex;

/*
 * Is the segment of a PostgreSQL that is not in walship/wal/majors.h?  It is whole,
 * but what happened in it cannot be read.
 */
bool wal_index_is_foreign(const WalIndex *index);

/*
 * Did nothing happen in this segment that a search looks for?  Then its records, all
 * of which could be read, are of no commit or abort, nothing that was created or
 * dropped, no restore point, no change of parameters or timeline; nor does one that
 * might be such go on in the next segment.
 */
bool wal_index_is_quiet(const WalIndex *index);

/* Empty, with no time known. */
void wal_index_init(WalIndex *index);

/* A WalEventCallback whose context is the WalIndex: counts the event in. */
void wal_index_add_event(void *index, const WalEvent *event);

/* With its epoch, when it is of the times of "known", which is another one with its epoch; 0: neither is known. */
uint64_t full_xid_near(uint64_t known, TransactionId xid);

/* With its epoch, when it is of the times of this segment; 0: the epoch is not known. */
uint64_t wal_index_full_xid(const WalIndex *index, TransactionId xid);

/*
 * The record that goes on in the next segment, out of "tail" of the one index
 * and "head" of the next: its items, then its event, to "callback".  False, and
 * nothing is told, when they do not hold it.
 */
bool wal_index_join(const WalIndex *index, const WalIndex *next, WalEventCallback callback, void *context);

void wal_index_print(const WalIndex *index, Buf *into);
Error *wal_index_parse(const char *text, size_t size, const char *what, WalIndex *ret_index) MUST_CHECK;
