/* The segments of a path as a replay meets them. */
#include "planner.h"

/* Backwards, in search of the last commit: so many at a time, and so many without one before giving up. */
#define INDEX_STEP_BACK    8
#define QUIET_SEGMENTS_MAX 64

const SegmentFacts *
planner_segment(const Planner *planner, const Path *path, XLogSegNo segno)
{
	const PathPiece *piece = path_piece(path, segno);
	const SegmentFacts *segment = wal_facts_find(planner->facts, piece->timeline, segno);

	if (segment == NULL)
		wal_needs_index(planner->needs, piece->timeline, segno, segno);
	return segment;
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

/* The nearest that proves that there was more WAL behind a segment. */
typedef struct Behind
{
	bool found;
	XLogSegNo next;    /* of which it is a proof */
	const char *proof; /* key of a partial or backup file; NULL: the segment itself, or a history file */
} Behind;

static void
consider(Behind *behind, XLogSegNo next, const char *proof)
{
	if (!behind->found || next < behind->next)
		*behind = (Behind){.found = true, .next = next, .proof = proof};
}

static void
consider_files(Behind *behind, const CatalogFile *files, size_t n_files, XLogSegNo segno)
{
	for (size_t i = 0; i < n_files; i++)
		if (files[i].segno > segno)
			consider(behind, files[i].segno, files[i].key);
}

/*
 * By the rule of walship/archive/holes.h for this name: what "fetch" does not take
 * for the end must not be planned as one.
 */
static void
look_behind(const Catalog *catalog, TimeLineID number, XLogSegNo segno, Behind *behind)
{
	const CatalogTimeline *timeline = catalog_timeline(catalog, number);
	XLogRecPtr segment_end = segment_start(segno + 1, catalog->segment_size);
	XLogRecPtr end;

	for (size_t i = 0; timeline != NULL && i < timeline->n_runs; i++)
		if (timeline->runs[i].last > segno)
			consider(behind, timeline->runs[i].first > segno ? timeline->runs[i].first : segno + 1, NULL);
	if (timeline != NULL)
	{
		consider_files(behind, timeline->partials, timeline->n_partials, segno);
		consider_files(behind, timeline->backup_files, timeline->n_backup_files, segno);
	}
	for (size_t i = 0; i < catalog->n_timelines; i++)
	{
		const CatalogTimeline *newer = &catalog->timelines[i];

		if (newer->timeline > number && newer->has_history_file &&
		    timeline_history_end_of(newer->history, number, &end) && end >= segment_end)
			consider(behind, lsn_segment(end, catalog->segment_size), NULL);
	}
}

/*
 * A server that misses a segment asks for it on every timeline of the path that
 * has begun by then, down to the one that it has read last (PostgreSQL:
 * xlogrecovery.c, XLogFileReadAnyTLI).  It fails when "fetch" tells it of a hole on
 * any of them.
 */
static void
look_behind_all(const Planner *planner, const Path *path, TimeLineID read_last, XLogSegNo segno, bool damaged,
                Behind *behind)
{
	const TimelineHistory *history = path->history;

	for (size_t i = history->n_ancestors + 1; i-- > 0;)
	{
		TimeLineID timeline = i < history->n_ancestors ? history->ancestors[i].timeline : history->timeline;
		XLogRecPtr begin = i == 0 ? 0 : history->ancestors[i - 1].switch_lsn;

		if (segno < lsn_segment(begin, path->segment_size))
			continue;
		if (timeline < read_last)
			break;
		if (damaged || !catalog_has_segment(planner->catalog, timeline, segno))
			look_behind(planner->catalog, timeline, segno, behind);
	}
}

/* The replay ends before this segment, or in it when it is damaged. */
static Step
stop(const Planner *planner, const Path *path, TimeLineID read_last, XLogSegNo segno, bool damaged,
     Hole *ret_hole)
{
	XLogRecPtr segment_end = segment_start(segno + 1, path->segment_size);
	Behind behind = {0};
	XLogSegNo next;

	if (path_next(path, segno + 1, &next))
		consider(&behind, next, NULL);
	look_behind_all(planner, path, read_last, segno, damaged, &behind);
	*ret_hole = (Hole){.timeline = timeline_history_at(path->history, segment_end - 1),
	                   .first = segno,
	                   .last = behind.found && !damaged ? behind.next - 1 : segno,
	                   .damaged = damaged,
	                   .proof = behind.proof};
	return behind.found ? STEP_HOLE : STEP_END;
}

bool
planner_gap_behind(const Planner *planner, const Path *path, XLogSegNo segno, Hole *ret_hole)
{
	const PathPiece *piece = path_piece(path, segno);

	return piece != NULL && stop(planner, path, piece->timeline, segno + 1, false, ret_hole) == STEP_HOLE;
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
	TimeLineID read_last = before == NULL ? backup->timeline : before->timeline;

	if (before != NULL && before->until != UINT64_MAX && !backup_has(backup, segno - 1))
		return stop(planner, path, read_last, segno - 1, false, ret_hole);

	/* Also where the backup has a better copy: the server takes the archive's first. */
	if (before != NULL && before->until == UINT64_MAX && is_barrier(planner, before, segno - 1))
		return stop(planner, path, read_last, segno - 1, true, ret_hole);
	if (segno > start && before == NULL && backup_ends_within(backup, segno - 1))
		return stop(planner, path, read_last, segno - 1, false, ret_hole);
	if (piece != NULL)
		return STEP_STORE;
	if (backup_has(backup, segno))
		return STEP_BACKUP;
	return stop(planner, path, read_last, segno, false, ret_hole);
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
	}
	if (last > first)
		(void) planner_know_barriers(planner, path, first, last - 1);
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
