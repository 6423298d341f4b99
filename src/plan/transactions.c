/* Names the transactions on both sides of the place where a recovery ends. */
#include "planner.h"

/* So far below the backup's start, where nothing is replayed, the last one is looked for. */
#define NEAR_SEGMENTS 128

/* The first record that does not start before the stop is known by the one before it. */
static bool
is_included(const StopPoint *stop, const WalEvent *event)
{
	return event->lsn < stop->lsn || (stop->through && event->previous < stop->lsn);
}

/* The last included, or else the first excluded, in this segment; NULL: none. */
static const WalEvent *
in_segment(const SegmentRecords *records, const StopPoint *stop, bool included)
{
	const WalEvent *last = NULL;

	for (size_t i = 0; i < records->n_events; i++)
	{
		const WalEvent *event = &records->events[i];

		if (!event_ends_transaction(event) || is_included(stop, event) != included)
			continue;
		last = event;
		if (!included)
			break;
	}
	return last;
}

WalPlace
planner_last_included(const Planner *planner, const WalPath *path, const BackupRecord *backup,
                      const StopPoint *stop)
{
	XLogSegNo start = lsn_segment(backup->start_lsn, path->segment_size);
	XLogSegNo first = start > NEAR_SEGMENTS ? start - NEAR_SEGMENTS : 0;

	for (XLogSegNo next = stop->segno + 1; next > first;)
	{
		XLogSegNo segno = --next;
		const SegmentIndex *segment;
		const SegmentRecords *records;
		const WalEvent *event;

		if (wal_path_piece(path, segno) == NULL && segno < start)
			break;
		if (wal_path_piece(path, segno) == NULL)
			continue; /* it is in the backup only */
		segment = planner_index_down(planner, path, segno < start ? first : start, segno);
		if (segment->foreign)
			break;
		if (!planner->request->every_index)
			next = planner_quiet_from(path, segment);
		if (!segment->readable || (segment->transactions == 0 && !segment->continues))
			continue;
		records = planner_records(planner, path, segno);
		event = in_segment(records, stop, true);
		if (event != NULL)
			return event_place(path, event);
		if (!records->readable)
			break; /* it will be decided once more */
	}
	return (WalPlace){.time = TIME_NONE};
}

WalPlace
planner_first_excluded(const Planner *planner, const WalPath *path, const StopPoint *stop)
{
	for (XLogSegNo segno = stop->segno; segno <= stop->highest && wal_path_piece(path, segno) != NULL;
	     segno++)
	{
		const SegmentIndex *segment = planner_index_up(planner, path, segno, stop->highest);
		const SegmentRecords *records;
		const WalEvent *event;

		if (segment->foreign)
			break;
		if (!segment->readable || (segment->transactions == 0 && !segment->continues))
			continue;
		records = planner_records(planner, path, segno);
		event = in_segment(records, stop, false);
		if (event != NULL)
			return event_place(path, event);
		if (!records->readable)
			break;
	}
	return (WalPlace){.time = TIME_NONE};
}
