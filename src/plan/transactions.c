/* Names the transactions on both sides of the place where a recovery ends. */
#include "planner.h"

/* So far below the backup's start, where nothing is replayed, the last one is looked for. */
#define NEAR_SEGMENTS 128

static bool
is_included(const Bound *bound, XLogSegNo segno, const WalLandmark *landmark)
{
	if (landmark->lsn < bound->lsn)
		return true;
	return bound->through && segno == bound->segno && landmark->previous < bound->lsn;
}

/* The last included, or else the first excluded, in this segment; NULL: none. */
static const WalLandmark *
in_segment(const Path *path, XLogSegNo segno, const SegmentDetail *detail, const Bound *bound, bool included)
{
	const WalLandmark *last = NULL;

	for (size_t i = 0; i < detail->n_landmarks; i++)
	{
		const WalLandmark *landmark = &detail->landmarks[i];

		if (!landmark_ends_transaction(path, segno, landmark) ||
		    is_included(bound, segno, landmark) != included)
			continue;
		last = landmark;
		if (!included)
			break;
	}
	return last;
}

bool
planner_last_included(const Planner *planner, const Path *path, const BackupRecord *backup, Bound bound,
                      WalPlace *ret_place)
{
	XLogSegNo start = lsn_segment(backup->start_lsn, path->segment_size);
	XLogSegNo first = start > NEAR_SEGMENTS ? start - NEAR_SEGMENTS : 0;

	*ret_place = (WalPlace){.time = TIME_NONE};
	for (XLogSegNo segno = bound.segno + 1; segno-- > first;)
	{
		const SegmentFacts *segment;
		const SegmentDetail *detail;
		const WalLandmark *landmark;

		if (path_piece(path, segno) == NULL && segno < start)
			return true;
		if (path_piece(path, segno) == NULL)
			continue; /* it is in the backup only */
		segment = planner_segment_below(planner, path, segno < start ? first : start, segno);
		if (segment == NULL)
			return false;
		if (!segment->readable || (segment->transactions == 0 && !segment->continues))
			continue;
		detail = planner_detail(planner, path, segno);
		if (detail == NULL)
			return false;
		landmark = in_segment(path, segno, detail, &bound, true);
		if (landmark == NULL)
			continue;
		*ret_place = landmark_place(path, segno, landmark);
		return true;
	}
	return true;
}

bool
planner_first_excluded(const Planner *planner, const Path *path, Bound bound, WalPlace *ret_place)
{
	*ret_place = (WalPlace){.time = TIME_NONE};
	for (XLogSegNo segno = bound.segno; segno <= bound.highest && path_piece(path, segno) != NULL; segno++)
	{
		const SegmentFacts *segment = planner_segment_above(planner, path, segno, bound.highest);
		const SegmentDetail *detail;
		const WalLandmark *landmark;

		if (segment == NULL)
			return false;
		if (!segment->readable || (segment->transactions == 0 && !segment->continues))
			continue;
		detail = planner_detail(planner, path, segno);
		if (detail == NULL)
			return false;
		landmark = in_segment(path, segno, detail, &bound, false);
		if (landmark == NULL)
			continue;
		*ret_place = landmark_place(path, segno, landmark);
		return true;
	}
	return true;
}
