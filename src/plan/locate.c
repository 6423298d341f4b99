/* Finds targets on a path by what its segments tell. */
#include "planner.h"

#include <string.h>

#include "walship/base/mem.h"

/* So far from the others of its segment the xid of a record that crosses its end is still sought. */
#define NEAR_XIDS (1u << 20)

static TargetSearch
absent(XLogSegNo last)
{
	return (TargetSearch){.found = TARGET_ABSENT, .place = {.time = TIME_NONE}, .last = last};
}

bool
event_ends_transaction(const WalEvent *event)
{
	return (event->kind == WAL_EVENT_COMMIT || event->kind == WAL_EVENT_ABORT) &&
	       event->end != InvalidXLogRecPtr;
}

WalPlace
event_place(const WalPath *path, const WalEvent *event)
{
	return (WalPlace){.timeline = timeline_history_at(path->history, event->lsn),
	                  .segno = lsn_segment(event->lsn, path->segment_size),
	                  .lsn = event->lsn,
	                  .time = event->time,
	                  .xid = event->xid,
	                  .aborted = event->kind == WAL_EVENT_ABORT};
}

/* Where nothing can be read at or after "segno": the end of the path's WAL, or a hole. */
static TargetSearch
nothing_from(const Planner *planner, const WalPath *path, XLogSegNo segno)
{
	/* A backup that begins here lends no WAL: what is asked is the store's. */
	BackupRecord none = {.start_lsn = segment_start(segno, path->segment_size),
	                     .segment_size = path->segment_size};
	const WalPathPiece *piece = wal_path_piece(path, segno);
	TargetSearch target = absent(piece != NULL || segno == 0 ? segno : segno - 1);
	NextSegment next;

	if (piece == NULL)
		next = planner_next(planner, path, &none, segno, &target.hole);
	else if (piece->until != UINT64_MAX)
		next = planner_next(planner, path, &none, segno + 1, &target.hole);
	else
		next = planner_stop_at(planner, path, segno, &target.hole);
	if (next == NEXT_IS_HOLE)
		target.found = TARGET_BEHIND_HOLE;
	return target;
}

static TargetSearch
found_at(const WalPath *path, XLogRecPtr lsn, XLogSegNo last)
{
	return (TargetSearch){.found = TARGET_FOUND,
	                      .place = {.timeline = timeline_history_at(path->history, lsn),
	                                .segno = lsn_segment(lsn, path->segment_size),
	                                .lsn = lsn,
	                                .time = TIME_NONE},
	                      .last = last};
}

/*
 * The first record at or after the target starts in this segment.  Where is its
 * end?  It is found by the record's length, so every segment up to there must be
 * in the store, and go on with it.  False: the record was given up, because the
 * server crashed, and the next one comes after it.
 */
static bool
lsn_in_segment(const Planner *planner, const WalPath *path, XLogSegNo segno, TargetSearch *ret_target)
{
	XLogRecPtr lsn = planner->request->target.lsn;
	const SegmentIndex *segment = planner_index(planner, path, segno);
	const SegmentRecords *records;
	XLogSegNo last;

	*ret_target = found_at(path, lsn, segno);
	ret_target->place.segno = segno;
	if (!segment->continues || planner->request->target.kind == TARGET_BEFORE)
		return true; /* what the server stops before need not be read to its end */
	records = planner_records(planner, path, segno);
	if (records->last_start < lsn)
		return false;
	last = lsn_segment_before(records->last_end, path->segment_size);
	if (records->last_previous >= lsn || last == segno)
		return true;
	for (XLogSegNo next = segno + 1; next <= last; next++)
		if (wal_path_piece(path, next) == NULL)
		{
			*ret_target = nothing_from(planner, path, next);
			return true;
		}
	ret_target->last = last;
	return planner_index(planner, path, segno + 1)->head_length > 0;
}

/* Does wal_level become minimal in this segment before the first record at or after the target? */
static bool
stops_at_minimal(const Planner *planner, const WalPath *path, const SegmentIndex *segment)
{
	XLogRecPtr lsn = planner->request->target.lsn;
	bool before = planner->request->target.kind == TARGET_BEFORE || !planner->request->target.inclusive;

	if (segment->minimal_at == InvalidXLogRecPtr)
		return false;
	return before ? lsn > segment->minimal_at
	              : lsn > planner_records(planner, path, segment->segno)->last_start;
}

TargetSearch
locate_lsn(const Planner *planner, const WalPath *path)
{
	XLogRecPtr lsn = planner->request->target.lsn;
	XLogSegNo segno = lsn_segment(lsn, path->segment_size);

	for (;; segno++)
	{
		const WalPathPiece *piece = wal_path_piece(path, segno);
		const SegmentIndex *segment;
		TargetSearch target;

		if (piece == NULL || piece->until != UINT64_MAX)
			return nothing_from(planner, path, segno);
		segment = planner_index(planner, path, segno);
		if (segment->foreign)
		{
			target = found_at(path, lsn, segno);
			target.by_server = true;
			return target;
		}
		if (!segment->readable || stops_at_minimal(planner, path, segment))
			return nothing_from(planner, path, segno);
		if (segment->last_record != InvalidXLogRecPtr && segment->last_record >= lsn &&
		    lsn_in_segment(planner, path, segno, &target))
			return target;
		if (segment->valid_end < segment_start(segno + 1, path->segment_size))
			return nothing_from(planner, path, segno);
	}
}

/* In the circular order of transaction ids (PostgreSQL: TransactionIdPrecedes). */
static bool
xid_between(TransactionId xid, TransactionId low, TransactionId high)
{
	return (int32_t) (xid - low) >= 0 && (int32_t) (high - xid) >= 0;
}

static bool
may_have_xid(const SegmentIndex *segment, TransactionId xid)
{
	return segment->transactions > 0 && xid_between(xid, segment->min_xid, segment->max_xid);
}

/* Four billion transactions later numbers come again: with its epoch, where the index tells one, it is another. */
static bool
is_other_epoch(const SegmentIndex *segment, const RecoveryTarget *target)
{
	uint64_t full = full_xid_near(segment->known_full_xid, target->xid);

	return target->full_xid != 0 && full != 0 && full != target->full_xid;
}

/*
 * Of a record that begins far before the segment's end the index keeps no piece.  It
 * counted a commit, if it is one; the xid of a prepared transaction stands at its end.
 */
static bool
hides_long_record(const SegmentIndex *segment, uint32_t segment_size)
{
	return segment->continues && segment->transactions > 0 && segment->last_record != InvalidXLogRecPtr &&
	       segment->last_record + WAL_EDGE_MAX < segment_start(segment->segno + 1, segment_size);
}

/*
 * The xid of a prepared transaction, or even what kind of record it is, may lie
 * behind the segment's end; but not for long is a transaction open.
 */
static bool
may_hide_xid(const SegmentIndex *segment, TransactionId xid, uint32_t segment_size)
{
	return (segment->crosses || hides_long_record(segment, segment_size)) &&
	       (segment->transactions == 0 ||
	        xid_between(xid, segment->min_xid - NEAR_XIDS, segment->max_xid + NEAR_XIDS));
}

/* By the indexes, and then, when it is in none of them, in the records that go over a segment's end. */
TargetSearch
locate_xid(const Planner *planner, const WalPath *path, XLogRecPtr from)
{
	TransactionId xid = planner->request->target.xid;
	XLogSegNo first = lsn_segment(from, path->segment_size);
	TargetSearch target = absent(first);

	for (int pass = 0; pass < 2; pass++)
		for (XLogSegNo segno = first; wal_path_next(path, segno, &segno); segno++)
		{
			const SegmentIndex *segment = planner_index_up(planner, path, segno, UINT64_MAX);
			const SegmentRecords *records;

			target.last = segno;
			if (!segment->readable || is_other_epoch(segment, &planner->request->target) ||
			    !(pass == 0 ? may_have_xid(segment, xid) : may_hide_xid(segment, xid, path->segment_size)))
				continue;
			records = planner_records(planner, path, segno);
			for (size_t i = 0; i < records->n_events; i++)
			{
				const WalEvent *event = &records->events[i];

				if (event_ends_transaction(event) && event->xid == xid && event->lsn >= from)
					return (TargetSearch){.found = TARGET_FOUND,
					                      .place = event_place(path, event),
					                      .last = lsn_segment_before(event->end, path->segment_size)};
			}
		}
	return target;
}

static void
add_point(const WalPath *path, XLogRecPtr lsn, TimeUs time, NamedPoints *points)
{
	TimeLineID timeline = timeline_history_at(path->history, lsn);

	for (size_t i = 0; i < points->n_places; i++)
		if (points->places[i].timeline == timeline && points->places[i].lsn == lsn)
			return;
	GROW(points->places, points->n_places, points->capacity);
	points->places[points->n_places++] = (WalPlace){
		.timeline = timeline, .segno = lsn_segment(lsn, path->segment_size), .lsn = lsn, .time = time};
}

/* The index lists the first few points of a segment, but the last one may have its name only in the next. */
static bool
lists_all_points(const SegmentIndex *segment)
{
	if (segment->n_restore_points != segment->n_listed_points)
		return false;
	return segment->n_listed_points == 0 || !segment->continues ||
	       segment->restore_points[segment->n_listed_points - 1].lsn != segment->last_record;
}

static void
names_in_index(const SegmentIndex *segment, const WalPath *path, const char *name, XLogRecPtr from,
               NamedPoints *points)
{
	XLogRecPtr until = wal_path_piece(path, segment->segno)->until;

	for (size_t i = 0; i < segment->n_listed_points; i++)
	{
		const WalRestorePoint *point = &segment->restore_points[i];

		if (strcmp(point->name, name) == 0 && point->lsn >= from && point->lsn < until)
			add_point(path, point->lsn, point->time, points);
	}
}

static void
names_in_records(const SegmentRecords *records, const WalPath *path, const char *name, XLogRecPtr from,
                 NamedPoints *points)
{
	for (size_t i = 0; i < records->n_events; i++)
	{
		const WalEvent *event = &records->events[i];

		if (event->kind == WAL_EVENT_RESTORE_POINT && event->name != NULL && strcmp(event->name, name) == 0 &&
		    event->lsn >= from)
			add_point(path, event->lsn, event->time, points);
	}
}

void
locate_names(const Planner *planner, const WalPath *path, XLogRecPtr from, bool hidden, NamedPoints *points)
{
	const char *name = planner->request->target.name;
	XLogSegNo segno = lsn_segment(from, path->segment_size);

	for (; wal_path_next(path, segno, &segno); segno++)
	{
		const SegmentIndex *segment = planner_index_up(planner, path, segno, UINT64_MAX);

		if (!segment->readable)
			continue;
		if (!hidden && lists_all_points(segment))
			names_in_index(segment, path, name, from, points);
		else if (!hidden || segment->crosses)
			names_in_records(planner_records(planner, path, segno), path, name, from, points);
	}
}

TargetSearch
locate_point(const Planner *planner, const WalPath *path, const WalPlace *point)
{
	const WalPathPiece *piece = wal_path_piece(path, point->segno);
	const SegmentIndex *segment;
	TargetSearch target = absent(point->segno);

	if (piece == NULL || point->lsn >= piece->until ||
	    timeline_history_at(path->history, point->lsn) != point->timeline)
		return target;
	segment = planner_index(planner, path, point->segno);
	if (!segment->readable)
		return target;
	if (segment->continues && segment->last_record == point->lsn)
	{
		const SegmentRecords *records = planner_records(planner, path, point->segno);

		target.last = lsn_segment_before(records->last_end, path->segment_size);
		if (records->last_start != point->lsn || wal_path_piece(path, target.last) == NULL)
			return target;
	}
	target.found = TARGET_FOUND;
	target.place = *point;
	return target;
}

TargetSearch
locate_by_server(const Planner *planner, const WalPath *path, XLogRecPtr from)
{
	XLogSegNo first = lsn_segment(from, path->segment_size);
	XLogSegNo last;
	ForeignSegments foreign;

	if (!wal_path_last(path, &last) || !planner_find_foreign(planner, path, first, last, &foreign))
		return absent(first);
	last = wal_path_first_missing(path, foreign.first) - 1;
	return (TargetSearch){
		.found = TARGET_FOUND, .by_server = true, .place = {.time = TIME_NONE}, .last = last};
}
