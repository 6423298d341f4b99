/* Along which timelines a recovery goes on; see walship/archive/prefetch.h. */
#include <string.h>

#include "walship/archive/lineage_files.h"
#include "walship/base/file.h"
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
	AUTO_STRLIST names = {0};
	AUTO(Error) unreadable = dir_list(wal_directory, &names);
	XLogSegNo segno;

	if (unreadable != NULL || !wal_name_segno(got, segment_size, &segno))
		return best;
	for (size_t i = 0; i < names.count; i++)
	{
		AUTO(TimelineHistory) history = NULL;
		AUTO(Error) error = NULL;
		WalName name;

		if (!str_ends_with(names.items[i], ".history"))
			continue;
		error = wal_name_parse(names.items[i], &name);
		if (error != NULL || name.timeline <= best->timeline)
			continue;
		error = lineage_read_history(wal_directory, names.items[i], name.timeline, &history);
		if (error != NULL || !leads_through(history, got, segno, segment_size))
			continue;
		timeline_history_free(best);
		best = MOVE(history);
	}
	return best;
}
