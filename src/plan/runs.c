/*
 * What few indexes tell of many segments: the index at the end of a run speaks
 * for all of them (walship/plan/facts.h).
 */
#include "planner.h"

/* Where indexes tell of nothing but their own segment, so many are asked for at once. */
#define BATCH_MAX 4096

/* As many below "segno" as are known above it, so that long stretches are read in few rounds. */
static void
need_below(const Planner *planner, const PathPiece *piece, XLogSegNo first, XLogSegNo segno)
{
	XLogSegNo lowest = piece->first > first ? piece->first : first;
	XLogSegNo from = segno;
	XLogSegNo known = 1;

	while (known < BATCH_MAX && segno + known <= piece->last &&
	       wal_facts_find(planner->facts, piece->timeline, segno + known) != NULL)
		known++;
	while (from > lowest && segno - from + 1 < known &&
	       wal_facts_find(planner->facts, piece->timeline, from - 1) == NULL)
		from--;
	wal_needs_index(planner->needs, piece->timeline, from, segno);
}

const SegmentFacts *
planner_segment_below(const Planner *planner, const Path *path, XLogSegNo first, XLogSegNo segno)
{
	const PathPiece *piece = path_piece(path, segno);
	const SegmentFacts *segment = wal_facts_find(planner->facts, piece->timeline, segno);

	if (segment == NULL)
		need_below(planner, piece, first, segno);
	return segment;
}

const SegmentFacts *
planner_segment_above(const Planner *planner, const Path *path, XLogSegNo segno, XLogSegNo limit)
{
	const PathPiece *piece = path_piece(path, segno);
	const SegmentFacts *segment = wal_facts_find(planner->facts, piece->timeline, segno);
	XLogSegNo highest = piece->last < limit ? piece->last : limit;
	XLogSegNo known = 1;
	XLogSegNo to = segno;

	if (segment != NULL)
		return segment;
	while (known < BATCH_MAX && segno >= piece->first + known &&
	       wal_facts_find(planner->facts, piece->timeline, segno - known) != NULL)
		known++;
	while (to < highest && to - segno + 1 < known &&
	       wal_facts_find(planner->facts, piece->timeline, to + 1) == NULL)
		to++;
	wal_needs_index(planner->needs, piece->timeline, segno, to);
	return NULL;
}

XLogSegNo
planner_run_first(const Path *path, const SegmentFacts *segment)
{
	const PathPiece *piece = path_piece(path, segment->segno);

	return segment->run_first > piece->first ? segment->run_first : piece->first;
}

/* Everything that is not known, at once. */
static bool
every_index(const Planner *planner, const Path *path, XLogSegNo first, XLogSegNo last)
{
	bool complete = true;

	for (XLogSegNo segno = first; segno <= last; segno++)
	{
		const PathPiece *piece = path_piece(path, segno);

		if (piece == NULL || wal_facts_find(planner->facts, piece->timeline, segno) != NULL)
			continue;
		wal_needs_index(planner->needs, piece->timeline, segno, segno);
		complete = false;
	}
	return complete;
}

bool
planner_know_barriers(const Planner *planner, const Path *path, XLogSegNo first, XLogSegNo last)
{
	if (planner->request->every_index)
		return every_index(planner, path, first, last);
	for (XLogSegNo next = last + 1; next > first;)
	{
		const SegmentFacts *segment;

		if (path_piece(path, next - 1) == NULL)
		{
			next--;
			continue;
		}
		segment = planner_segment_below(planner, path, first, next - 1);
		if (segment == NULL)
			return false;
		next = planner_run_first(path, segment);
	}
	return true;
}

bool
planner_time_high(const Planner *planner, const Path *path, XLogSegNo first, XLogSegNo last, TimeUs *ret_time)
{
	*ret_time = TIME_NONE;
	for (XLogSegNo next = last + 1; next > first;)
	{
		const SegmentFacts *segment;
		const SegmentFacts *before;
		XLogSegNo run_first;

		if (path_piece(path, next - 1) == NULL)
		{
			next--;
			continue;
		}
		segment = planner_segment_below(planner, path, first, next - 1);
		if (segment == NULL)
			return false;
		run_first = planner_run_first(path, segment);
		next = run_first;
		if (run_first < first)
		{
			before = planner_segment_below(planner, path, first - 1, first - 1);
			if (before == NULL)
				return false;
			if (before->time_high >= segment->time_high || planner_run_first(path, before) > run_first)
				continue; /* it may be the time of one before "first" */
		}
		if (segment->time_high > *ret_time)
			*ret_time = segment->time_high;
	}
	return true;
}
