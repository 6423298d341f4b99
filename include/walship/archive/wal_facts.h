/*
 * What the WAL in the store tells, for those who decide: they ask, and what is
 * not known yet is read then.  Answers are remembered; they are values, and WAL
 * that is damaged or ends in the middle is an answer, too.  Whoever asks sees
 * nothing of where the answers come from: the store (walship/archive/wal_reader.h),
 * or a table.
 *
 * A source that fails (an unreachable store) is no answer.  From then on nothing
 * is read any more and every segment is told to be unreadable, so that who asks
 * comes to an end; what came of it is void: wal_facts_error() says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/archive/wal_path.h"
#include "walship/base/error.h"
#include "walship/wal/index.h"
#include "walship/wal/record.h"

/* From the index of one segment; every segment that is asked for lies in the store. */
typedef struct SegmentIndex
{
	TimeLineID timeline;
	bool readable; /* false: nothing below is known, for the object is damaged, or the segment is foreign: */
	bool
		foreign; /* ... of a PostgreSQL that is not known.  It is whole, and the server can replay it: valid_end */
	bool damaged;   /* a record fails its check, and nothing after it can be replayed */
	bool continues; /* the last record ends in a later segment */
	bool crosses;   /* ... and matters, or might */
	bool parameter_change;
	bool may_create_tablespace; /* a record does, or that is not known: the records tell */
	bool
		chain_tells_tablespaces; /* of the chain that ends here only this one may have the end of such a record */
	XLogSegNo segno;
	int major;
	uint32_t head_length;  /* of the record that began before this segment: what is still to come of it */
	uint64_t transactions; /* commits and aborts */
	uint64_t commits;
	uint64_t drops; /* commits that dropped files, and dropped databases */
	uint64_t files_created;
	TimeUs first_time; /* of commits and aborts, in LSN order; TIME_NONE: there are none */
	TimeUs last_time;
	TimeUs min_time;
	TimeUs max_time;
	TransactionId min_xid;
	TransactionId max_xid;

	/*
	 * The chain that ends here: of all segments from this one on (at most itself) the
	 * greatest time of a commit or abort; only this one may be damaged, end in the
	 * middle or change parameters.
	 */
	XLogSegNo chain_first;
	TimeUs time_high;

	/*
	 * From this segment to this one nothing happened that anybody looks for: no
	 * segment of them has transactions, drops, created files, restore points or a
	 * record that crosses.  segno + 1: something did, or it is not known.
	 */
	XLogSegNo quiet_first;
	XLogRecPtr last_record; /* start; InvalidXLogRecPtr: no record starts here */
	XLogRecPtr valid_end;   /* the WAL can be replayed up to this byte; InvalidXLogRecPtr: not known */

	/*
	 * At this record wal_level became "minimal": not everything is in the WAL behind it,
	 * and the server refuses to go on (PostgreSQL: CheckRequiredParameterValues).  Then it
	 * is valid_end, too; what the index tells besides is of the whole segment.
	 * InvalidXLogRecPtr: nowhere, or (as long as the records were not read) not known.
	 */
	XLogRecPtr minimal_at;
	XLogRecPtr
		full_page_writes_off_at; /* the first record that says so; InvalidXLogRecPtr: none, or not known */
	uint64_t known_full_xid;     /* see wal_index_full_xid(); 0: none */
	const char *recipients;      /* fingerprints of the keys that open the segment; "": it is not encrypted */
	uint64_t n_restore_points;
	WalRestorePoint *restore_points; /* owned; as many as the index holds */
	size_t n_listed_points;
} SegmentIndex;

/* Where whoever looks for something goes on, downwards, before this segment: the lowest one that he need not look at. */
static inline XLogSegNo
segment_index_quiet_from(const SegmentIndex *segment, XLogSegNo lowest)
{
	XLogSegNo from = segment->quiet_first > lowest ? segment->quiet_first : lowest;

	return from < segment->segno ? from : segment->segno;
}

/* What one transaction wrote, subtransactions apart. */
typedef struct WalWritten
{
	TransactionId xid;
	uint64_t records;
	uint64_t bytes;
} WalWritten;

/*
 * From the records of one segment, as they lie on one path: those that start
 * here, each to its end, in whatever segment of the path that is.  A record that
 * was given up because the server crashed is none.
 */
typedef struct SegmentRecords
{
	XLogSegNo segno;
	bool readable;    /* false: the object is damaged, nothing below is known */
	WalEvent *events; /* of the kinds that were asked for, in LSN order, names owned; owned */
	size_t n_events;
	size_t capacity;
	WalWritten *written; /* with WAL_WRITTEN: by each transaction, one maybe several times; owned */
	size_t n_written;
	size_t written_capacity;
	XLogRecPtr last_start;    /* of the last record; InvalidXLogRecPtr: none starts here */
	XLogRecPtr last_previous; /* the record before that one */
	XLogRecPtr last_end;      /* where that one ends by its length, in this segment or further on */
} SegmentRecords;

void segment_records_release(SegmentRecords *records);

/* Which kinds of events: a sum of WAL_KIND()s. */
typedef uint32_t WalKinds;
#define WAL_KIND(kind) (UINT32_C(1) << (kind))

/* Beside them: what each transaction wrote is counted, too. */
#define WAL_WRITTEN (UINT32_C(1) << 31)

/* What a plan asks for: what ends a transaction, has a name, or changes what a server must have. */
#define WAL_PLAN_KINDS                                                                            \
	(WAL_KIND(WAL_EVENT_COMMIT) | WAL_KIND(WAL_EVENT_ABORT) | WAL_KIND(WAL_EVENT_RESTORE_POINT) | \
	 WAL_KIND(WAL_EVENT_PARAMETER_CHANGE))

/* Where answers come from.  Both fill in items whose place is set; damage is no error. */
typedef struct WalSource WalSource;

typedef struct WalSourceOps
{
	/* "recipients" may point to text that lives as long as the source. */
	Error *(*read_indexes)(WalSource *source, SegmentIndex *const *items, size_t n_items);
	Error *(*read_records)(WalSource *source, const WalPath *path, WalKinds kinds, SegmentRecords *items,
	                       size_t n_items);
	void (*free)(WalSource *source);
} WalSourceOps;

struct WalSource
{
	const WalSourceOps *ops;
};

/* For a source: what an index tells. */
void segment_index_fill(SegmentIndex *segment, const WalIndex *index);

/* For a source: keeps an event of these kinds; where an item is kept, so is its record. */
void segment_records_add(SegmentRecords *records, WalKinds kinds, const WalEvent *event);

typedef struct WalFacts WalFacts;

WalFacts *wal_facts_new(WalSource *source); /* takes ownership */
void wal_facts_free(WalFacts *facts);
AUTO_DEFINE(WalFacts, wal_facts_free);

/*
 * "toward": the segment up to which the caller may go on asking, one after the
 * other, down or up, all of which the store has.  The more of them were asked
 * for, the more are read at once.
 */
const SegmentIndex *wal_facts_index(WalFacts *facts, TimeLineID timeline, XLogSegNo segno, XLogSegNo toward);

/* Was any of the segments so far foreign? */
bool wal_facts_met_foreign(const WalFacts *facts);

/* A hint: this one will be asked for, too, and is read together with the next one that must be. */
void wal_facts_expect(WalFacts *facts, TimeLineID timeline, XLogSegNo segno);

/*
 * Events of WAL_PLAN_KINDS, up to where wal_level became minimal.  A segment that
 * turns out to be damaged only now has an unreadable index, too, from here on; one
 * in which wal_level turns out to become minimal ends there.
 */
const SegmentRecords *wal_facts_records(WalFacts *facts, const WalPath *path, XLogSegNo segno);

/*
 * Segments whose records turned out to stop a replay though their index did not tell:
 * how many, and which is the lowest of a range.  Chains do not tell of them, and
 * what was decided before one was met may be wrong.
 */
size_t wal_facts_damaged_count(const WalFacts *facts);
bool wal_facts_damaged_between(const WalFacts *facts, const WalRange *range, XLogSegNo *ret_segno);

/* Events of other kinds, of several segments side by side, not remembered.  Release every item, also after a failure. */
Error *wal_facts_read_records(WalFacts *facts, const WalPath *path, WalKinds kinds, SegmentRecords *items,
                              size_t n_items) MUST_CHECK;

/* The first failure of the source; it is told once. */
Error *wal_facts_error(WalFacts *facts) MUST_CHECK;
