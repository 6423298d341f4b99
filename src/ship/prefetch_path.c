/* Along which timelines a recovery goes on; see walship/archive/prefetch.h. */
#include "walship/archive/history_file.h"
#include "walship/ship/prefetch.h"

/* Would a server on this way have asked for this file?  It asks for the newest timeline that has a part in the segment. */
static bool
leads_through(const TimelineHistory *history, const WalName *got, XLogSegNo segno, uint32_t segment_size)
{
	return timeline_history_at(history, segment_start(segno + 1, segment_size) - 1) == got->timeline;
}

TimelineHistory *
prefetch_path(const char *wal_directory, const WalName *got, uint32_t segment_size)
{
	TimelineHistory *best = timeline_history_root(got->timeline);
	AUTO_HISTORY_FILES files = {0};
	AUTO(Error) unreadable = history_files_read(wal_directory, &files);
	XLogSegNo segno;

	if (unreadable != NULL || !wal_name_segno(got, segment_size, &segno))
		return best;
	for (size_t i = 0; i < files.count; i++)
	{
		if (files.items[i]->timeline <= best->timeline ||
		    !leads_through(files.items[i], got, segno, segment_size))
			continue;
		timeline_history_free(best);
		best = MOVE(files.items[i]);
	}
	return best;
}
