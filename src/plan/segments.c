/* The segments of a path as a replay meets them. */
#include "planner.h"

/* Reading goes forward in steps of so many indexes, so that it need not read much further than the target. */
#define INDEX_STEP 128

/* Backwards, in search of the last commit: so many at a time, and so many without one before giving up. */
#define INDEX_STEP_BACK    8
#define QUIET_SEGMENTS_MAX 64

const SegmentFacts *
planner_segment(const Planner *planner, const Path *path, XLogSegNo segno)
{
	const PathPiece *piece = path_piece(path, segno);
	const SegmentFacts *segment = wal_facts_find(planner->facts, piece->timeline, segno);
	XLogSegNo last = segno;

	if (segment != NULL)
		return segment;
	while (last < piece->last && last - segno + 1 < INDEX_STEP &&
	       wal_facts_find(planner->facts, piece->timeline, last + 1) == NULL)
		last++;
	wal_needs_index(planner->needs, piece->timeline, segno, last);
	return NULL;
}

const SegmentDetail *
planner_detail(const Planner *planner, const Path *path, XLogSegNo segno)
{
	const PathPiece *piece = path_piece(path, segno);
	const SegmentFacts *segment = wal_facts_find(planner->facts, piece->timeline, segno);

	if (segment == NULL || segment->detail == NULL)
	{
		wal_needs_detail(planner->needs, piece->timeline, segno);
		return NULL;
	}
	return segment->detail;
}

/* On which timeline a segment of this path ought to be. */
static TimeLineID
right_timeline(const Path *path, XLogSegNo segno)
{
	return timeline_history_at(path->history, segment_start(segno + 1, path->segment_size) - 1);
}

/* Does a history file say that this timeline was left at this segment's end or later? */
static bool
timeline_went_on(const Catalog *catalog, TimeLineID timeline, XLogRecPtr segment_end)
{
	for (size_t i = 0; i < catalog->n_timelines; i++)
	{
		const CatalogTimeline *newer = &catalog->timelines[i];
		XLogRecPtr end;

		if (newer->timeline > timeline && newer->has_history_file &&
		    timeline_history_end_of(newer->history, timeline, &end) && end >= segment_end)
			return true;
	}
	return false;
}

/* The first partial or backup file of this timeline above a segment; NULL: none. */
static const CatalogFile *
file_above(const Catalog *catalog, TimeLineID timeline, XLogSegNo segno)
{
	const CatalogTimeline *found = catalog_timeline(catalog, timeline);
	const CatalogFile *lowest = NULL;

	for (size_t i = 0; found != NULL && i < found->n_partials; i++)
		if (found->partials[i].segno > segno && (lowest == NULL || found->partials[i].segno < lowest->segno))
			lowest = &found->partials[i];
	for (size_t i = 0; found != NULL && i < found->n_backup_files; i++)
		if (found->backup_files[i].segno > segno &&
		    (lowest == NULL || found->backup_files[i].segno < lowest->segno))
			lowest = &found->backup_files[i];
	return lowest;
}

/* A hole by the rule of walship/archive/holes.h: what "fetch" does not take for the end must not be planned as one. */
static Step
stop(const Planner *planner, const Path *path, XLogSegNo segno, bool damaged, Hole *ret_hole)
{
	TimeLineID timeline = right_timeline(path, segno);
	XLogSegNo next;
	bool more = path_next(path, segno + 1, &next);
	const CatalogFile *file = more ? NULL : file_above(planner->catalog, timeline, segno);

	if (file != NULL)
		next = file->segno;
	*ret_hole = (Hole){.timeline = timeline,
	                   .first = segno,
	                   .last = (more || file != NULL) && !damaged ? next - 1 : segno,
	                   .damaged = damaged,
	                   .proof = file == NULL ? NULL : file->key};
	if (more || file != NULL ||
	    timeline_went_on(planner->catalog, timeline, segment_start(segno + 1, path->segment_size)))
		return STEP_HOLE;
	return STEP_END;
}

/* Known to be damaged, or to end in the middle. */
static bool
is_barrier(const Planner *planner, const PathPiece *piece, XLogSegNo segno)
{
	const SegmentFacts *segment = wal_facts_find(planner->facts, piece->timeline, segno);
	uint32_t size = planner->catalog->segment_size;

	return segment != NULL && (!segment->readable || segment->valid_end < segment_start(segno + 1, size));
}

static bool
backup_has(const BackupRecord *backup, XLogSegNo segno)
{
	return backup->wal_inside && segno >= lsn_segment(backup->start_lsn, backup->segment_size) &&
	       segno <= lsn_segment_before(backup->stop_lsn, backup->segment_size);
}

/*
 * A primary ends a backup with a switch to the next segment; a standby cannot,
 * so what its backup holds of the last segment ends in the middle.
 */
static bool
backup_ends_within(const BackupRecord *backup, XLogSegNo segno)
{
	return backup->from_standby && segno == lsn_segment_before(backup->stop_lsn, backup->segment_size) &&
	       backup->stop_lsn < segment_start(segno + 1, backup->segment_size);
}

Step
planner_step(const Planner *planner, const Path *path, const BackupRecord *backup, XLogSegNo segno,
             Hole *ret_hole)
{
	const PathPiece *piece = path_piece_for(path, segno, backup);
	XLogSegNo start = lsn_segment(backup->start_lsn, path->segment_size);
	const PathPiece *before = segno > start ? path_piece(path, segno - 1) : NULL;

	if (before != NULL && before->until != UINT64_MAX && !backup_has(backup, segno - 1))
		return stop(planner, path, segno - 1, false, ret_hole);

	/* Also where the backup has a better copy: the server takes the archive's first. */
	if (before != NULL && before->until == UINT64_MAX && is_barrier(planner, before, segno - 1))
		return stop(planner, path, segno - 1, true, ret_hole);
	if (segno > start && before == NULL && backup_ends_within(backup, segno - 1))
		return stop(planner, path, segno - 1, false, ret_hole);
	if (piece != NULL)
		return STEP_STORE;
	if (backup_has(backup, segno))
		return STEP_BACKUP;
	return stop(planner, path, segno, false, ret_hole);
}

/* Only its index tells whether a segment that is there can be replayed to its end. */
static void
need_index(const Planner *planner, const Path *path, XLogSegNo segno)
{
	const PathPiece *piece = path_piece(path, segno);

	if (piece != NULL && wal_facts_find(planner->facts, piece->timeline, segno) == NULL)
		wal_needs_index(planner->needs, piece->timeline, segno, segno);
}

bool
planner_covers(const Planner *planner, const Path *path, const BackupRecord *backup, XLogSegNo first,
               XLogSegNo last, Hole *ret_hole)
{
	for (XLogSegNo segno = first; segno <= last; segno++)
	{
		Step step = planner_step(planner, path, backup, segno, ret_hole);

		if (step == STEP_END || step == STEP_HOLE)
			return false;
		if (segno < last)
			need_index(planner, path, segno);
	}
	return true;
}

/* Asks for this index and a few before it. */
static void
need_backwards(const Planner *planner, const PathPiece *piece, XLogSegNo segno)
{
	XLogSegNo first = segno;

	while (first > piece->first && segno - first + 1 < INDEX_STEP_BACK &&
	       wal_facts_find(planner->facts, piece->timeline, first - 1) == NULL)
		first--;
	wal_needs_index(planner->needs, piece->timeline, first, segno);
}

/* The last transaction at or before this segment, if it is not too far away.  False: facts are missing. */
static bool
last_transaction(const Planner *planner, const Path *path, XLogSegNo segno, WalPlace *place)
{
	for (int tried = 0; tried < QUIET_SEGMENTS_MAX; tried++, segno--)
	{
		const PathPiece *piece = path_piece(path, segno);
		const SegmentFacts *segment;

		if (piece == NULL)
			return true;
		segment = wal_facts_find(planner->facts, piece->timeline, segno);
		if (segment == NULL)
		{
			need_backwards(planner, piece, segno);
			return false;
		}
		if (segment->readable && segment->transactions > 0)
			place->time = segment->last_time;
		if (place->time != TIME_NONE || segno == 0)
			return true;
	}
	return true;
}

bool
planner_reach(const Planner *planner, const Path *path, XLogSegNo last, WalPlace *ret_place)
{
	WalPlace place = {.time = TIME_NONE, .segno = last};
	const PathPiece *piece = path_piece(path, last);
	const SegmentFacts *segment;

	*ret_place = place;
	if (piece == NULL)
		return true;
	segment = planner_segment(planner, path, last);
	if (segment == NULL)
		return false;
	place.timeline = piece->timeline;
	if (segment->readable)
	{
		place.lsn = segment->last_record;
		if (segment->continues || segment->damaged || piece->until != UINT64_MAX)
		{
			const SegmentDetail *detail = planner_detail(planner, path, last);

			if (detail == NULL)
				return false;
			place.lsn = piece->until == UINT64_MAX ? detail->last_complete : InvalidXLogRecPtr;
		}
	}
	if (!last_transaction(planner, path, last, &place))
		return false;
	*ret_place = place;
	return true;
}
