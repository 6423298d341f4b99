/*
 * Where on a path does a time lie?  PostgreSQL's rule: at the first commit or
 * abort later than it, in the order of the WAL.  Commit times are not quite in
 * that order, and a clock may have been set back: what is searched is not the
 * time, but whether a later one has been met, which cannot be undone.
 */
#include "planner.h"

typedef struct TimeSearch
{
	const Planner *planner;
	const WalPath *path;
	XLogSegNo first; /* commits in segments before it do not count */
	XLogSegNo last;  /* the last segment that can be replayed, so far as is known */
	bool stopped;    /* ... for it is a barrier */
} TimeSearch;

/* PostgreSQL: recoveryStopsBefore(), "stop at the first record later than". */
static bool
stops_at_time(const RecoveryTarget *target, TimeUs time)
{
	if (time == TIME_NONE)
		return false;
	return target->inclusive ? time > target->time : time >= target->time;
}

static bool
is_late(const TimeSearch *search, TimeUs time)
{
	return stops_at_time(&search->planner->request->target, time);
}

/*
 * A chain that begins before the search may be late for a commit that does not
 * count: then it tells nothing.
 */
static bool
is_conclusive(const TimeSearch *search, const SegmentIndex *segment)
{
	const SegmentIndex *before;
	XLogSegNo chain_first = planner_chain_first(search->path, segment);

	if (chain_first >= search->first)
		return true;
	before = planner_index(search->planner, search->path, search->first - 1);
	return planner_chain_first(search->path, before) <= chain_first && !is_late(search, before->time_high);
}

/* By the index of every segment. */
static bool
first_late_of_all(const TimeSearch *search, XLogSegNo low, XLogSegNo high, XLogSegNo *ret_segno)
{
	for (XLogSegNo segno = low; segno <= high; segno++)
	{
		const SegmentIndex *segment = planner_index_up(search->planner, search->path, segno, high);

		if (!is_late(search, segment->max_time))
			continue;
		*ret_segno = segno;
		return true;
	}
	return false;
}

static bool first_late(const TimeSearch *search, XLogSegNo low, XLogSegNo high, XLogSegNo *ret_segno);

/* One chain ends at "high", and it is late. */
static bool
first_late_of_chain(const TimeSearch *search, XLogSegNo low, XLogSegNo high, XLogSegNo *ret_segno)
{
	XLogSegNo middle = low + (high - low) / 2;

	*ret_segno = high;
	return low == high || first_late(search, low, middle, ret_segno) ||
	       first_late(search, middle + 1, high, ret_segno);
}

/*
 * The first segment from "low" to "high" with a commit later than the target,
 * when none from the search's first to "low" has one.
 */
static bool
first_late(const TimeSearch *search, XLogSegNo low, XLogSegNo high, XLogSegNo *ret_segno)
{
	XLogSegNo from = 0; /* the lowest chain that is late */
	XLogSegNo to = 0;
	const SegmentIndex *late = NULL;

	for (XLogSegNo next = high + 1; next > low;)
	{
		const SegmentIndex *segment;
		XLogSegNo end = --next;

		if (wal_path_piece(search->path, end) == NULL)
			continue;
		segment = planner_index_down(search->planner, search->path, low, end);
		next = planner_chain_first(search->path, segment);
		next = next > low ? next : low;
		if (!is_late(search, segment->time_high))
			continue;
		late = segment;
		from = next;
		to = end;
	}
	if (late == NULL)
		return false;
	return is_conclusive(search, late) ? first_late_of_chain(search, from, to, ret_segno)
	                                   : first_late_of_all(search, from, high, ret_segno);
}

/*
 * In steps that double, for the target is seldom far from the backup.  Barriers
 * of a step are known once its chains are.
 */
static bool
search_forward(TimeSearch *search, XLogSegNo *ret_segno)
{
	XLogSegNo low = search->first;

	for (XLogSegNo step = 1; low <= search->last; step *= 2)
	{
		XLogSegNo high = search->last - low >= step ? low + step - 1 : search->last;

		if (planner_find_barrier(search->planner, search->path, low, high, false, &search->last))
		{
			search->stopped = true;
			high = search->last;
		}
		if (first_late(search, low, high, ret_segno))
			return true;
		low = high + 1;
	}
	return false;
}

/* Up to which segment can be replayed, by what the store has, and what comes then? */
static NextSegment
replayable(TimeSearch *search, const BackupRecord *backup, Hole *ret_hole)
{
	NextSegment next;

	search->last = search->first;
	for (XLogSegNo segno = search->first;; segno++)
	{
		next = planner_next(search->planner, search->path, backup, segno, ret_hole);
		if (next != NEXT_IN_STORE && next != NEXT_IN_BACKUP)
			return next;
		search->last = segno;
	}
}

/*
 * The record itself, in this segment, or, since it may say its time only here, one
 * that begins in the segment before.  False: it is further on.
 */
static bool
find_around(TimeSearch *search, const BackupRecord *backup, XLogSegNo segno, TargetSearch *target)
{
	XLogSegNo start = lsn_segment(backup->start_lsn, search->path->segment_size);

	for (XLogSegNo at = segno > start ? segno - 1 : segno; at <= segno; at++)
	{
		const SegmentIndex *segment;
		const SegmentRecords *records;

		if (wal_path_piece(search->path, at) == NULL)
			continue;
		segment = planner_index(search->planner, search->path, at);
		if (!segment->readable || (at < segno && !segment->continues))
			continue;
		records = planner_records(search->planner, search->path, at);
		if (!records->readable)
		{
			search->last = at;
			search->stopped = true;
			return true;
		}
		for (size_t i = 0; i < records->n_events; i++)
		{
			const WalEvent *event = &records->events[i];

			if (!event_ends_transaction(event) || event->lsn < backup->start_lsn ||
			    !is_late(search, event->time))
				continue;
			target->found = TARGET_FOUND;
			target->place = event_place(search->path, event);
			target->last = lsn_segment_before(event->end, search->path->segment_size);
			return true;
		}
	}
	return false;
}

TargetSearch
locate_time(const Planner *planner, const WalPath *path, const BackupRecord *backup)
{
	XLogSegNo start = lsn_segment(backup->start_lsn, path->segment_size);
	TimeSearch search = {.planner = planner, .path = path, .first = start};
	TargetSearch target = {.found = TARGET_ABSENT, .place = {.time = TIME_NONE}};
	NextSegment next = replayable(&search, backup, &target.hole);
	ForeignSegments foreign;
	bool look_again = planner->request->every_index || wal_facts_damaged_count(planner->facts) > 0;
	XLogSegNo segno;

	while (search_forward(&search, &segno) && !find_around(&search, backup, segno, &target))
		search.first = segno + 1; /* its late commits lie before the backup or after a switch */

	/* The search steps over indexes of which a later one tells enough, but for damage. */
	if (look_again && planner_find_barrier(planner, path, start,
	                                       target.found == TARGET_FOUND ? target.last - 1 : search.last,
	                                       planner->request->every_index, &search.last))
	{
		search.stopped = true;
		target.found = TARGET_ABSENT;
	}

	/* Whether a later commit comes before the one that was found, or comes at all, only the server can see. */
	if (planner_find_foreign(planner, path, start, target.found == TARGET_FOUND ? target.last : search.last,
	                         &foreign))
	{
		if (target.found != TARGET_FOUND)
			target.last = search.last;
		target.found = TARGET_FOUND;
		target.by_server = true;
		target.place = (WalPlace){.time = TIME_NONE};
		return target;
	}
	if (target.found == TARGET_FOUND)
		return target;
	target.place = (WalPlace){.time = TIME_NONE};
	target.last = search.last;
	if (search.stopped)
		next = planner_stop_at(planner, path, search.last, &target.hole);
	if (next == NEXT_IS_HOLE)
		target.found = TARGET_BEHIND_HOLE;
	return target;
}
