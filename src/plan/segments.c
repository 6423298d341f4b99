/* The segments of a path as a replay meets them. */
#include "planner.h"

#define QUIET_SEGMENTS_MAX \
	64 /* so many without a commit are passed over, backwards, in search of the last one */

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
look_behind_all(const Planner *planner, const WalPath *path, TimeLineID read_last, XLogSegNo segno,
                bool damaged, Behind *behind)
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
static NextSegment
stop(const Planner *planner, const WalPath *path, TimeLineID read_last, XLogSegNo segno, bool damaged,
     Hole *ret_hole)
{
	XLogRecPtr segment_end = segment_start(segno + 1, path->segment_size);
	Behind behind = {0};
	XLogSegNo next;

	if (wal_path_next(path, segno + 1, &next))
		consider(&behind, next, NULL);
	look_behind_all(planner, path, read_last, segno, damaged, &behind);
	*ret_hole = (Hole){.timeline = timeline_history_at(path->history, segment_end - 1),
	                   .first = segno,
	                   .last = behind.found && !damaged ? behind.next - 1 : segno,
	                   .damaged = damaged,
	                   .proof = behind.proof};
	return behind.found ? NEXT_IS_HOLE : NEXT_IS_END;
}

bool
planner_gap_behind(const Planner *planner, const WalPath *path, XLogSegNo segno, Hole *ret_hole)
{
	const WalPathPiece *piece = wal_path_piece(path, segno);

	return piece != NULL && stop(planner, path, piece->timeline, segno + 1, false, ret_hole) == NEXT_IS_HOLE;
}

NextSegment
planner_stop_at(const Planner *planner, const WalPath *path, XLogSegNo barrier, Hole *ret_hole)
{
	XLogRecPtr minimal_at = planner_index(planner, path, barrier)->minimal_at;
	NextSegment next = stop(planner, path, wal_path_piece(path, barrier)->timeline, barrier, true, ret_hole);

	ret_hole->minimal_at = minimal_at;
	return minimal_at == InvalidXLogRecPtr ? next : NEXT_IS_HOLE;
}

static bool
is_barrier(const SegmentIndex *segment, uint32_t segment_size)
{
	return segment->valid_end < segment_start(segment->segno + 1, segment_size);
}

bool
planner_find_foreign(const Planner *planner, const WalPath *path, XLogSegNo first, XLogSegNo last,
                     ForeignSegments *ret_foreign)
{
	*ret_foreign = (ForeignSegments){.first = last};
	for (XLogSegNo next = last + 1; next > first && wal_facts_met_foreign(planner->facts);)
	{
		const SegmentIndex *segment;

		if (wal_path_piece(path, --next) == NULL)
			continue;
		segment = planner_index_down(planner, path, first, next);
		if (!segment->foreign)
		{
			next = planner_chain_first(path, segment);
			continue;
		}
		if (ret_foreign->count++ == 0)
			ret_foreign->last = next;
		ret_foreign->first = next;
	}
	return ret_foreign->count > 0;
}

/*
 * Only the last segment of a chain can be a barrier, so that those are enough;
 * but for damage that only the records told.  An older timeline's copy of the
 * segment with the switch ends in the middle, and is none.
 */
bool
planner_find_barrier(const Planner *planner, const WalPath *path, XLogSegNo first, XLogSegNo last, bool every,
                     XLogSegNo *ret_segno)
{
	bool found = false;

	for (XLogSegNo next = last + 1; next > first;)
	{
		const WalPathPiece *piece = wal_path_piece(path, --next);
		XLogSegNo segno = next;
		const SegmentIndex *segment;

		if (piece == NULL || piece->until != UINT64_MAX)
			continue;
		segment = planner_index_down(planner, path, first, segno);
		if (!every)
			next = planner_chain_first(path, segment);
		if (is_barrier(segment, path->segment_size))
			*ret_segno = segno;
		else if (!wal_facts_damaged_between(planner->facts,
		                                    &(WalRange){piece->timeline, first > next ? first : next, segno},
		                                    ret_segno))
			continue;
		found = true;
	}
	return found;
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

NextSegment
planner_next(const Planner *planner, const WalPath *path, const BackupRecord *backup, XLogSegNo segno,
             Hole *ret_hole)
{
	const WalPathPiece *piece = wal_path_piece_for(path, segno, backup);
	XLogSegNo start = lsn_segment(backup->start_lsn, path->segment_size);
	const WalPathPiece *before = segno > start ? wal_path_piece(path, segno - 1) : NULL;
	TimeLineID read_last = before == NULL ? backup->timeline : before->timeline;

	if (before != NULL && before->until != UINT64_MAX && !backup_has(backup, segno - 1))
		return stop(planner, path, read_last, segno - 1, false, ret_hole);
	if (segno > start && before == NULL && backup_ends_within(backup, segno - 1))
		return stop(planner, path, read_last, segno - 1, false, ret_hole);
	if (piece != NULL)
		return NEXT_IN_STORE;
	if (backup_has(backup, segno))
		return NEXT_IN_BACKUP;
	return stop(planner, path, read_last, segno, false, ret_hole);
}

bool
planner_covers(const Planner *planner, const WalPath *path, const BackupRecord *backup, XLogSegNo first,
               XLogSegNo last, Hole *ret_hole)
{
	XLogSegNo barrier;

	for (XLogSegNo segno = first; segno <= last; segno++)
	{
		NextSegment next = planner_next(planner, path, backup, segno, ret_hole);

		if (next == NEXT_IS_END || next == NEXT_IS_HOLE)
			return false;
	}

	/* Also where the backup has a better copy: the server takes the archive's first. */
	if (last == first ||
	    !planner_find_barrier(planner, path, first, last - 1, planner->request->every_index, &barrier))
		return true;
	(void) planner_stop_at(planner, path, barrier, ret_hole);
	return false;
}

TimeUs
planner_last_time(const Planner *planner, const WalPath *path, XLogSegNo last)
{
	XLogSegNo next = last + 1;

	for (XLogSegNo tried = 0; tried < QUIET_SEGMENTS_MAX && next > 0; tried++)
	{
		XLogSegNo segno = next - 1;
		XLogSegNo left = QUIET_SEGMENTS_MAX - 1 - tried;
		const SegmentIndex *segment;

		if (wal_path_piece(path, segno) == NULL)
			break;
		segment = planner_index_down(planner, path, segno > left ? segno - left : 0, segno);
		if (segment->readable && segment->transactions > 0)
			return segment->last_time;
		next = planner_quiet_from(path, segment);
	}
	return TIME_NONE;
}

/* The last record of this segment that ends by the end of the path's segment "last". */
static XLogRecPtr
last_record_in(const Planner *planner, const WalPath *path, const SegmentIndex *segment, XLogSegNo last)
{
	const SegmentRecords *records;
	XLogRecPtr record;

	if (!segment->continues && !segment->damaged && segment->minimal_at == InvalidXLogRecPtr)
		return segment->last_record;
	records = planner_records(planner, path, segment->segno);
	record = records->last_end <= segment_start(last + 1, path->segment_size) ? records->last_start
	                                                                          : records->last_previous;
	return record >= segment_start(segment->segno, path->segment_size) ? record : InvalidXLogRecPtr;
}

WalPlace
planner_reach(const Planner *planner, const WalPath *path, XLogSegNo last)
{
	WalPlace place = {.time = TIME_NONE, .segno = last};
	const WalPathPiece *piece = wal_path_piece(path, last);

	if (piece == NULL)
		return place;
	place.timeline = piece->timeline;

	/* A long record may fill whole segments. */
	for (XLogSegNo segno = last; piece->until == UINT64_MAX; segno--)
	{
		const SegmentIndex *segment = planner_index(planner, path, segno);

		if (segment->readable && segment->last_record != InvalidXLogRecPtr)
			place.lsn = last_record_in(planner, path, segment, last);
		if (!segment->readable || place.lsn != InvalidXLogRecPtr || segno == 0 ||
		    last - segno == QUIET_SEGMENTS_MAX || wal_path_piece(path, segno - 1) == NULL)
			break;
	}
	place.time = planner_last_time(planner, path, last);
	return place;
}
