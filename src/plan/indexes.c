/*
 * What the indexes of a path tell.  The index at the end of a chain speaks for all
 * of it (SegmentIndex in walship/archive/wal_facts.h), so few are asked for.
 */
#include "planner.h"

const SegmentIndex *
planner_index_down(const Planner *planner, const WalPath *path, XLogSegNo first, XLogSegNo segno)
{
	const WalPathPiece *piece = wal_path_piece(path, segno);

	return wal_facts_index(planner->facts, piece->timeline, segno,
	                       first > piece->first ? first : piece->first);
}

const SegmentIndex *
planner_index_up(const Planner *planner, const WalPath *path, XLogSegNo segno, XLogSegNo limit)
{
	const WalPathPiece *piece = wal_path_piece(path, segno);

	return wal_facts_index(planner->facts, piece->timeline, segno, limit < piece->last ? limit : piece->last);
}

const SegmentIndex *
planner_index(const Planner *planner, const WalPath *path, XLogSegNo segno)
{
	return wal_facts_index(planner->facts, wal_path_piece(path, segno)->timeline, segno, segno);
}

const SegmentRecords *
planner_records(const Planner *planner, const WalPath *path, XLogSegNo segno)
{
	return wal_facts_records(planner->facts, path, segno);
}

XLogSegNo
planner_chain_first(const WalPath *path, const SegmentIndex *segment)
{
	const WalPathPiece *piece = wal_path_piece(path, segment->segno);

	return segment->chain_first > piece->first ? segment->chain_first : piece->first;
}

XLogSegNo
planner_quiet_from(const WalPath *path, const SegmentIndex *segment)
{
	return segment_index_quiet_from(segment, wal_path_piece(path, segment->segno)->first);
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
