/* Finds targets on a path by the facts of its segments. */
#include "planner.h"

#include <string.h>

#include "walship/base/mem.h"

static Location
not_found(Found found, XLogSegNo end, Hole hole)
{
	return (Location){.found = found, .place = {.time = TIME_NONE}, .end = end, .hole = hole};
}

WalPlace
landmark_place(const Path *path, XLogSegNo segno, const WalLandmark *landmark)
{
	return (WalPlace){.timeline = timeline_history_at(path->history, landmark->lsn),
	                  .segno = segno,
	                  .lsn = landmark->lsn,
	                  .time = landmark->time,
	                  .xid = landmark->xid,
	                  .aborted = landmark->kind == WAL_EVENT_ABORT};
}

bool
landmark_ends_transaction(const Path *path, XLogSegNo segno, const WalLandmark *landmark)
{
	if (landmark->kind != WAL_EVENT_COMMIT && landmark->kind != WAL_EVENT_ABORT)
		return false;
	if (landmark->lsn >= path_piece(path, segno)->until)
		return false;
	return !landmark->continues || path_piece(path, segno + 1) != NULL;
}

/* Where nothing can be read at or after "segno": the end of the path's WAL, or a hole. */
static Location
missing_from(const Planner *planner, const Path *path, XLogSegNo segno)
{
	/* A backup that begins here lends no WAL: what is asked is the store's. */
	BackupRecord none = {.start_lsn = segment_start(segno, path->segment_size),
	                     .segment_size = path->segment_size};
	bool there = path_piece(path, segno) != NULL;
	Hole hole;
	Step step = planner_step(planner, path, &none, there ? segno + 1 : segno, &hole);

	return not_found(step == STEP_HOLE ? FOUND_HOLE : FOUND_NO, there || segno == 0 ? segno : segno - 1,
	                 hole);
}

static Location
found_lsn(const Path *path, XLogSegNo segno, XLogRecPtr lsn, bool continues)
{
	return (Location){.found = FOUND_YES,
	                  .place = {.timeline = timeline_history_at(path->history, lsn),
	                            .segno = segno,
	                            .lsn = lsn,
	                            .time = TIME_NONE},
	                  .continues = continues};
}

/* The first record at or after the target lies in this segment, unless it is one that nobody can read. */
static Location
lsn_in_segment(const Planner *planner, const Path *path, const SegmentFacts *segment)
{
	XLogRecPtr lsn = planner->request->target.lsn;
	XLogSegNo segno = segment->segno;
	const SegmentDetail *detail;

	if (!segment->continues)
		return found_lsn(path, segno, lsn, false);
	if (path_piece(path, segno + 1) != NULL)
		return found_lsn(path, segno, lsn, true);
	detail = planner_detail(planner, path, segno);
	if (detail == NULL)
		return not_found(FOUND_UNKNOWN, segno, (Hole){0});
	if (detail->last_complete >= lsn)
		return found_lsn(path, segno, lsn, false);
	return missing_from(planner, path, segno + 1);
}

Location
locate_lsn(const Planner *planner, const Path *path)
{
	XLogRecPtr lsn = planner->request->target.lsn;
	XLogSegNo segno = lsn_segment(lsn, path->segment_size);

	for (;; segno++)
	{
		const PathPiece *piece = path_piece(path, segno);

		if (piece == NULL || piece->until != UINT64_MAX)
			return missing_from(planner, path, segno);

		const SegmentFacts *segment = planner_segment(planner, path, segno);

		if (segment == NULL)
			return not_found(FOUND_UNKNOWN, segno, (Hole){0});
		if (!segment->readable)
			return missing_from(planner, path, segno);
		if (segment->last_record != InvalidXLogRecPtr && segment->last_record >= lsn)
			return lsn_in_segment(planner, path, segment);
		if (segment->valid_end < segment_start(segno + 1, path->segment_size))
			return missing_from(planner, path, segno);
	}
}

/* In the circular order of transaction ids (PostgreSQL: TransactionIdPrecedes). */
static bool
xid_between(TransactionId xid, TransactionId low, TransactionId high)
{
	return (int32_t) (xid - low) >= 0 && (int32_t) (high - xid) >= 0;
}

static bool
find_xid(const Planner *planner, const Path *path, XLogRecPtr from, XLogSegNo segno,
         const SegmentDetail *detail, Location *location)
{
	for (size_t i = 0; i < detail->n_landmarks; i++)
	{
		const WalLandmark *landmark = &detail->landmarks[i];

		if (!landmark_ends_transaction(path, segno, landmark) ||
		    landmark->xid != planner->request->target.xid || landmark->lsn < from)
			continue;
		*location = (Location){.found = FOUND_YES,
		                       .place = landmark_place(path, segno, landmark),
		                       .continues = landmark->continues};
		return true;
	}
	return false;
}

Location
locate_xid(const Planner *planner, const Path *path, XLogRecPtr from)
{
	TransactionId xid = planner->request->target.xid;
	XLogSegNo segno = lsn_segment(from, path->segment_size);
	Location location = not_found(FOUND_NO, segno, (Hole){0});

	for (; path_next(path, segno, &segno); segno++)
	{
		const SegmentFacts *segment = planner_segment_above(planner, path, segno, UINT64_MAX);
		const SegmentDetail *detail;

		location.end = segno;
		if (segment == NULL)
			return not_found(FOUND_UNKNOWN, segno, (Hole){0});
		if (!segment->readable || segment->transactions == 0 ||
		    !xid_between(xid, segment->min_xid, segment->max_xid))
			continue;
		detail = planner_detail(planner, path, segno);
		if (detail == NULL)
			return not_found(FOUND_UNKNOWN, segno, (Hole){0});
		if (find_xid(planner, path, from, segno, detail, &location))
			return location;
	}
	return location;
}

static void
add_point(const Path *path, const PathPiece *piece, XLogRecPtr from, XLogRecPtr lsn, TimeUs time,
          NamedPoints *points)
{
	TimeLineID timeline = timeline_history_at(path->history, lsn);

	if (lsn < from || lsn >= piece->until)
		return;
	for (size_t i = 0; i < points->n_places; i++)
		if (points->places[i].timeline == timeline && points->places[i].lsn == lsn)
			return;
	GROW(points->places, points->n_places, points->capacity);
	points->places[points->n_places++] = (WalPlace){
		.timeline = timeline, .segno = lsn_segment(lsn, path->segment_size), .lsn = lsn, .time = time};
}

/* The index lists the first few points of a segment; when it had more, the segment itself is asked. */
static bool
names_in_segment(const Planner *planner, const Path *path, XLogRecPtr from, const SegmentFacts *segment,
                 NamedPoints *points)
{
	const char *name = planner->request->target.name;
	const PathPiece *piece = path_piece(path, segment->segno);
	const SegmentDetail *detail;

	if (segment->n_restore_points == segment->n_listed_points)
	{
		for (size_t i = 0; i < segment->n_listed_points; i++)
			if (strcmp(segment->restore_points[i].name, name) == 0)
				add_point(path, piece, from, segment->restore_points[i].lsn, segment->restore_points[i].time,
				          points);
		return true;
	}
	detail = planner_detail(planner, path, segment->segno);
	if (detail == NULL)
		return false;
	for (size_t i = 0; i < detail->n_landmarks; i++)
		if (detail->landmarks[i].name != NULL && strcmp(detail->landmarks[i].name, name) == 0)
			add_point(path, piece, from, detail->landmarks[i].lsn, detail->landmarks[i].time, points);
	return true;
}

bool
locate_names(const Planner *planner, const Path *path, XLogRecPtr from, NamedPoints *points)
{
	XLogSegNo segno = lsn_segment(from, path->segment_size);

	for (; path_next(path, segno, &segno); segno++)
	{
		const SegmentFacts *segment = planner_segment_above(planner, path, segno, UINT64_MAX);

		if (segment == NULL)
			return false;
		if (segment->readable && !names_in_segment(planner, path, from, segment, points))
			return false;
	}
	return true;
}

Location
locate_point(const Planner *planner, const Path *path, const WalPlace *point)
{
	const PathPiece *piece = path_piece(path, point->segno);
	const SegmentFacts *segment =
		piece == NULL ? NULL : wal_facts_find(planner->facts, piece->timeline, point->segno);
	Location location = not_found(FOUND_NO, point->segno, (Hole){0});

	if (segment == NULL || !segment->readable || point->lsn >= piece->until ||
	    timeline_history_at(path->history, point->lsn) != point->timeline)
		return location;
	location.continues = segment->continues && segment->last_record == point->lsn;
	if (location.continues && path_piece(path, point->segno + 1) == NULL)
		return location;
	location.found = FOUND_YES;
	location.place = *point;
	return location;
}
