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
	const Path *path;
	XLogSegNo first; /* commits in segments before it do not count */
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
 * A run that begins before the search may be late for a commit that does not
 * count: then it tells nothing.
 */
static Found
is_conclusive(const TimeSearch *search, const SegmentFacts *segment)
{
	const SegmentFacts *before;

	if (planner_run_first(search->path, segment) >= search->first)
		return FOUND_YES;
	before = planner_segment_below(search->planner, search->path, search->first - 1, search->first - 1);
	if (before == NULL)
		return FOUND_UNKNOWN;
	if (planner_run_first(search->path, before) > planner_run_first(search->path, segment))
		return FOUND_NO;
	return is_late(search, before->time_high) ? FOUND_NO : FOUND_YES;
}

/* By the index of every segment. */
static Found
first_late_of_all(const TimeSearch *search, XLogSegNo low, XLogSegNo high, XLogSegNo *ret_segno)
{
	for (XLogSegNo segno = low; segno <= high; segno++)
	{
		const SegmentFacts *segment = planner_segment_above(search->planner, search->path, segno, high);

		if (segment == NULL)
			return FOUND_UNKNOWN;
		if (!is_late(search, segment->max_time))
			continue;
		*ret_segno = segno;
		return FOUND_YES;
	}
	return FOUND_NO;
}

static Found first_late(const TimeSearch *search, XLogSegNo low, XLogSegNo high, XLogSegNo *ret_segno);

/* One run ends at "high", and it is late. */
static Found
first_late_of_run(const TimeSearch *search, XLogSegNo low, XLogSegNo high, XLogSegNo *ret_segno)
{
	XLogSegNo middle = low + (high - low) / 2;
	Found found;

	*ret_segno = high;
	if (low == high)
		return FOUND_YES;
	found = first_late(search, low, middle, ret_segno);
	return found == FOUND_NO ? first_late(search, middle + 1, high, ret_segno) : found;
}

/*
 * The first segment from "low" to "high" with a commit later than the target,
 * when none from the search's first to "low" has one.
 */
static Found
first_late(const TimeSearch *search, XLogSegNo low, XLogSegNo high, XLogSegNo *ret_segno)
{
	XLogSegNo from = 0; /* the lowest run that is late */
	XLogSegNo to = 0;
	Found late = FOUND_NO;
	Found conclusive = FOUND_NO;

	for (XLogSegNo next = high + 1; next > low;)
	{
		const SegmentFacts *segment;
		XLogSegNo end = next - 1;

		next = end;
		if (path_piece(search->path, end) == NULL)
			continue;
		segment = planner_segment_below(search->planner, search->path, low, end);
		if (segment == NULL)
			return FOUND_UNKNOWN;
		next = planner_run_first(search->path, segment);
		next = next > low ? next : low;
		if (!is_late(search, segment->time_high))
			continue;
		late = FOUND_YES;
		from = next;
		to = end;
		conclusive = is_conclusive(search, segment);
	}
	if (late == FOUND_NO || conclusive == FOUND_UNKNOWN)
		return late == FOUND_NO ? FOUND_NO : FOUND_UNKNOWN;
	if (conclusive == FOUND_YES)
		return first_late_of_run(search, from, to, ret_segno);
	return first_late_of_all(search, from, high, ret_segno);
}

/* In steps that double, for the target is seldom far from the backup. */
static Found
search_forward(const TimeSearch *search, XLogSegNo last, XLogSegNo *ret_segno)
{
	XLogSegNo low = search->first;

	for (XLogSegNo step = 1; low <= last; step *= 2)
	{
		XLogSegNo high = last - low >= step ? low + step - 1 : last;
		Found found = first_late(search, low, high, ret_segno);

		if (found != FOUND_NO)
			return found;
		low = high + 1;
	}
	return FOUND_NO;
}

/* The record itself, in one segment. */
static bool
find_in_segment(const TimeSearch *search, const BackupRecord *backup, XLogSegNo segno,
                const SegmentDetail *detail, Location *location)
{
	for (size_t i = 0; i < detail->n_landmarks; i++)
	{
		const WalLandmark *landmark = &detail->landmarks[i];

		if (!landmark_ends_transaction(search->path, segno, landmark) || landmark->lsn < backup->start_lsn ||
		    !is_late(search, landmark->time))
			continue;
		location->found = FOUND_YES;
		location->place = landmark_place(search->path, segno, landmark);
		location->continues = landmark->continues;
		return true;
	}
	return false;
}

/* Up to which segment can be replayed, and what comes then? */
static Step
replayable(const Planner *planner, const Path *path, const BackupRecord *backup, Location *location)
{
	XLogSegNo start = lsn_segment(backup->start_lsn, path->segment_size);
	Step step;

	for (XLogSegNo segno = start;; segno++)
	{
		step = planner_step(planner, path, backup, segno, &location->hole);
		if (step != STEP_STORE && step != STEP_BACKUP)
			break;
		location->end = segno;
	}
	return step;
}

/*
 * In this segment, or in the record that comes into it from the one before: it
 * starts there, but may say its time only here.  False: facts are missing.
 */
static bool
find_around(const TimeSearch *search, const BackupRecord *backup, XLogSegNo segno, Location *location)
{
	XLogSegNo start = lsn_segment(backup->start_lsn, search->path->segment_size);

	for (XLogSegNo at = segno > start ? segno - 1 : segno; at <= segno; at++)
	{
		const SegmentFacts *segment;
		const SegmentDetail *detail;

		if (path_piece(search->path, at) == NULL)
			continue;
		segment = planner_segment(search->planner, search->path, at);
		if (segment == NULL)
			return false;
		if (!segment->readable || (at < segno && !segment->continues))
			continue;
		detail = planner_detail(search->planner, search->path, at);
		if (detail == NULL)
			return false;
		if (find_in_segment(search, backup, at, detail, location))
			return true;
	}
	return true;
}

Location
locate_time(const Planner *planner, const Path *path, const BackupRecord *backup)
{
	XLogSegNo start = lsn_segment(backup->start_lsn, path->segment_size);
	TimeSearch search = {.planner = planner, .path = path, .first = start};
	Location location = {.found = FOUND_UNKNOWN, .place = {.time = TIME_NONE}, .end = start};
	Step step = replayable(planner, path, backup, &location);
	XLogSegNo segno;
	Found found;

	while ((found = search_forward(&search, location.end, &segno)) == FOUND_YES)
	{
		if (!find_around(&search, backup, segno, &location) || location.found == FOUND_YES)
			return location;
		search.first = segno + 1; /* its late commits lie before the backup or after a switch */
	}
	if (found == FOUND_NO)
		location.found = step == STEP_END ? FOUND_NO : FOUND_HOLE;
	return location;
}
