/*
 * What a planner knows of the contents of segments.  Planning is pure: it says
 * which facts it lacks (WalNeeds), the caller reads them from the store and
 * asks again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/wal/index.h"
#include "walship/wal/lsn.h"
#include "walship/wal/record.h"

/* A commit, an abort or a restore point. */
typedef struct WalLandmark
{
	WalEventKind kind;
	XLogRecPtr lsn;
	XLogRecPtr previous; /* start of the record before it in this segment; invalid: it is the first */
	bool continues;      /* ends in the next segment */
	TransactionId xid;
	TimeUs time;
	char *name; /* of a restore point; owned */
} WalLandmark;

/* From the records themselves, for the few segments in which it matters. */
typedef struct SegmentDetail
{
	WalLandmark *landmarks; /* in LSN order; owned */
	size_t n_landmarks;
	size_t capacity;
	XLogRecPtr last_start; /* of a record, so far; and of the one before it */
	XLogRecPtr previous;
	XLogRecPtr last_complete; /* start of the last record that ends in this segment; or invalid */
	WalParameters parameters; /* the highest of each that a change in this segment tells */
	bool parameters_hidden;   /* ... and there is a change whose values lie in the next segment */
	bool joined;              /* what goes on in the next segment was put together */
} SegmentDetail;

/* From the index of one segment. */
typedef struct SegmentFacts
{
	TimeLineID timeline;
	XLogSegNo segno;
	bool readable;         /* false: the object is damaged, nothing below is known */
	uint64_t transactions; /* commits and aborts */
	TimeUs first_time;     /* in LSN order */
	TimeUs last_time;
	TimeUs max_time;

	/*
	 * The run that ends here: of all segments from this one on (at most itself) the
	 * greatest time of a commit or abort; only this one may be damaged, end in the
	 * middle or change parameters.
	 */
	XLogSegNo run_first;
	TimeUs time_high;
	TransactionId min_xid;
	TransactionId max_xid;
	XLogRecPtr first_record; /* invalid: no record starts here */
	XLogRecPtr last_record;
	XLogRecPtr valid_end; /* the WAL can be replayed up to this byte */
	bool damaged;         /* ... because the record there fails its check */
	bool continues;       /* the last record ends in the next segment */
	bool parameter_change;
	uint64_t n_restore_points;
	WalRestorePoint *restore_points; /* owned; as many as the index holds */
	size_t n_listed_points;
	SegmentDetail *detail; /* owned; NULL until it was asked for */
} SegmentFacts;

typedef struct WalFacts
{
	SegmentFacts **segments; /* ascending by timeline and number; owned */
	size_t n_segments;
	size_t capacity;
} WalFacts;

void wal_facts_add(WalFacts *facts, XLogSegNo segno, const WalIndex *index);
void wal_facts_add_unreadable(WalFacts *facts, TimeLineID timeline, XLogSegNo segno);
void wal_facts_add_detail(WalFacts *facts, TimeLineID timeline, XLogSegNo segno, SegmentDetail *detail);
const SegmentFacts *wal_facts_find(const WalFacts *facts, TimeLineID timeline, XLogSegNo segno);
void wal_facts_release(WalFacts *facts);

/* Raises each of "into" to at least that of "from". */
void wal_parameters_raise(WalParameters *into, const WalParameters *from);

SegmentDetail *segment_detail_new(void);
void segment_detail_add(void *detail, const WalEvent *event); /* a WalEventCallback */
void segment_detail_join(void *detail,
                         const WalEvent *event); /* likewise, of the record that goes on in the next */
void segment_detail_free(SegmentDetail *detail);
AUTO_DEFINE(SegmentDetail, segment_detail_free);

/* Segments of one timeline, "first" to "last". */
typedef struct WalRange
{
	TimeLineID timeline;
	XLogSegNo first;
	XLogSegNo last;
} WalRange;

/* Every range lies in the store, wholly. */
typedef struct WalNeeds
{
	WalRange *indexes;
	size_t n_indexes;
	size_t indexes_capacity;
	WalRange *details; /* of which the index is known: read the segments themselves */
	size_t n_details;
	size_t details_capacity;
} WalNeeds;

void wal_needs_index(WalNeeds *needs, TimeLineID timeline, XLogSegNo first, XLogSegNo last);
void wal_needs_detail(WalNeeds *needs, TimeLineID timeline, XLogSegNo segno);
bool wal_needs_nothing(const WalNeeds *needs);
void wal_needs_clear(WalNeeds *needs);
void wal_needs_release(WalNeeds *needs);
