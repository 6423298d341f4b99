/*
 * What few indexes tell of many segments: the index at the end of a chain speaks
 * for all of it (SegmentIndex in walship/archive/wal_facts.h).
 */
#include "planner.h"

XLogSegNo
planner_chain_first(const WalPath *path, const SegmentIndex *segment)
{
	const WalPathPiece *piece = wal_path_piece(path, segment->segno);

	return segment->chain_first > piece->first ? segment->chain_first : piece->first;
}

TimeUs
planner_time_high(const Planner *planner, const WalPath *path, XLogSegNo first, XLogSegNo last)
{
	TimeUs high = TIME_NONE;

	for (XLogSegNo next = last + 1; next > first;)
	{
		const SegmentIndex *segment;
		XLogSegNo chain_first;

		if (wal_path_piece(path, next - 1) == NULL)
		{
			next--;
			continue;
		}
		segment = planner_index_down(planner, path, first, next - 1);
		chain_first = planner_chain_first(path, segment);
		next = chain_first;
		if (chain_first < first)
		{
			const SegmentIndex *before = planner_index(planner, path, first - 1);

			/* It may be the time of one before "first". */
			if (before->time_high >= segment->time_high || planner_chain_first(path, before) > chain_first)
				continue;
		}
		if (segment->time_high > high)
			high = segment->time_high;
	}
	return high;
}
