/* Recoverable windows; see walship/plan/windows.h. */
#include "walship/plan/windows.h"

#include "planner.h"
#include "walship/base/mem.h"

/* So many indexes without a commit are looked through for a time, at either end. */
#define QUIET_SEGMENTS_MAX 64

static const RecoveryRequest any_place = {.target = {.kind = TARGET_LATEST, .time = TIME_NONE}};

void
window_list_release(WindowList *list)
{
	for (size_t i = 0; i < list->n_timelines; i++)
	{
		free(list->timelines[i].windows);
		free(list->timelines[i].gaps);
	}
	free(list->timelines);
	*list = (WindowList){0};
}

/* The first segment with a commit or abort from the run's beginning on; NULL when it is far from there. */
static const SegmentIndex *
first_busy(const Planner *planner, TimeLineID timeline, const SegmentRun *run)
{
	XLogSegNo limit =
		run->last - run->first < QUIET_SEGMENTS_MAX ? run->last : run->first + QUIET_SEGMENTS_MAX - 1;

	for (XLogSegNo segno = run->first; segno <= limit; segno++)
	{
		const SegmentIndex *segment = wal_facts_index(planner->facts, timeline, segno, limit);

		if (segment->foreign)
			break;
		if (segment->readable && segment->transactions > 0)
			return segment;
	}
	return NULL;
}

/* The last one.  Runs of quiet segments are passed over, however long they are. */
static const SegmentIndex *
last_busy(const Planner *planner, TimeLineID timeline, const SegmentRun *run)
{
	XLogSegNo next = run->last + 1;

	for (XLogSegNo tried = 0; tried < QUIET_SEGMENTS_MAX && next > run->first; tried++)
	{
		XLogSegNo left = QUIET_SEGMENTS_MAX - 1 - tried;
		XLogSegNo lowest = next - 1 - run->first > left ? next - 1 - left : run->first;
		const SegmentIndex *segment = wal_facts_index(planner->facts, timeline, next - 1, lowest);

		if (segment->foreign)
			break;
		if (segment->readable && segment->transactions > 0)
			return segment;
		next = segment_index_quiet_from(segment, run->first);
	}
	return NULL;
}

static void
describe_own_wal(const Planner *planner, const CatalogTimeline *timeline, TimelineWindows *windows)
{
	uint32_t size = planner->catalog->segment_size;

	if (timeline->n_runs == 0)
		return;

	const SegmentRun *first = &timeline->runs[0];
	const SegmentRun *last = &timeline->runs[timeline->n_runs - 1];

	windows->first_lsn = segment_start(first->first, size);
	windows->last_lsn = segment_start(last->last + 1, size);

	const SegmentIndex *busy = first_busy(planner, timeline->timeline, first);

	if (busy != NULL)
		windows->first_commit = busy->first_time;
	busy = last_busy(planner, timeline->timeline, last);
	if (busy != NULL)
		windows->last_commit = busy->last_time;
}

/* Of all its runs. */
static void
describe_foreign(const Planner *planner, const CatalogTimeline *timeline, TimelineWindows *windows)
{
	for (size_t i = timeline->n_runs; i-- > 0;)
	{
		const SegmentRun *run = &timeline->runs[i];

		for (XLogSegNo next = run->last + 1; next > run->first;)
		{
			const SegmentIndex *segment =
				wal_facts_index(planner->facts, timeline->timeline, --next, run->first);

			if (!segment->foreign)
			{
				next = segment->chain_first > run->first ? segment->chain_first : run->first;
				continue;
			}
			if (windows->n_foreign++ == 0)
				windows->last_foreign = next;
			windows->first_foreign = next;
		}
	}
}

static void
add_gap(TimelineWindows *windows, WalRange gap)
{
	GROW(windows->gaps, windows->n_gaps, windows->gaps_capacity);
	windows->gaps[windows->n_gaps++] = gap;
}

/* Missing segments between two that the path has, or between its oldest backup and its first segment. */
static void
find_gaps(const Planner *planner, const WalPath *path, const BackupRecord *oldest, TimelineWindows *windows)
{
	XLogSegNo from;
	XLogSegNo next;
	Hole hole;

	if (!wal_path_next(path, 0, &from))
		return;
	if (oldest != NULL && !oldest->wal_inside)
		from = lsn_segment(oldest->start_lsn, path->segment_size) < from
		           ? lsn_segment(oldest->start_lsn, path->segment_size)
		           : from;
	for (from = wal_path_first_missing(path, from); wal_path_next(path, from, &next);
	     from = wal_path_first_missing(path, next))
	{
		XLogRecPtr end = segment_start(from + 1, planner->catalog->segment_size) - 1;

		add_gap(windows, (WalRange){timeline_history_at(path->history, end), from, next - 1});
	}

	/* Only a history file, a partial or a backup file may tell that the path went on. */
	if (planner_gap_behind(planner, path, from - 1, &hole))
		add_gap(windows, (WalRange){hole.timeline, hole.first, hole.last});
}

/* How far replay goes from this backup: the end of its last segment, or of itself. */
static RecoveryWindow
window_from(const Planner *planner, const WalPath *path, const BackupRecord *backup)
{
	XLogSegNo start = lsn_segment(backup->start_lsn, path->segment_size);
	RecoveryWindow window = {.backup = backup,
	                         .newest = backup,
	                         .from_lsn = backup->stop_lsn,
	                         .from_time = backup->stop_time,
	                         .to_lsn = backup->stop_lsn,
	                         .to_time = TIME_NONE};
	XLogSegNo end = start; /* the first segment that is not reached */
	XLogSegNo barrier;
	Hole hole;
	NextSegment next;

	while ((next = planner_next(planner, path, backup, end, &hole)) == NEXT_IN_STORE ||
	       next == NEXT_IN_BACKUP)
		end++;
	if (end > start && planner_find_barrier(planner, path, start, end - 1, false, &barrier))
		end = barrier + 1;

	const WalPathPiece *piece = end == start ? NULL : wal_path_piece(path, end - 1);

	if (piece == NULL)
		return window;

	XLogRecPtr valid_end = planner_index(planner, path, end - 1)->valid_end;
	ForeignSegments foreign;

	if (valid_end > piece->until)
		valid_end = piece->until;
	if (valid_end > window.to_lsn)
		window.to_lsn = valid_end;
	if (planner_find_foreign(planner, path, start, end - 1, &foreign))
		return window;

	/* Which commits of the last segment come before wal_level = minimal, its index does not tell. */
	if (planner_index(planner, path, end - 1)->minimal_at != InvalidXLogRecPtr)
		end--;
	if (end == start)
		return window;
	window.to_time = planner_time_high(planner, path, start, end - 1);
	if (window.to_time == TIME_NONE)
		window.to_time = planner_last_time(planner, path, end - 1);
	if (window.to_time != TIME_NONE && window.to_time < window.from_time)
		window.to_time = window.from_time;
	return window;
}

/* A backup whose end lies in the window of an older one adds nothing to it. */
static void
add_window(TimelineWindows *windows, RecoveryWindow window)
{
	if (windows->n_windows > 0)
	{
		RecoveryWindow *before = &windows->windows[windows->n_windows - 1];

		if (window.from_lsn <= before->to_lsn)
		{
			if (window.to_lsn > before->to_lsn)
			{
				before->to_lsn = window.to_lsn;
				before->to_time = window.to_time;
			}
			before->newest = window.backup;
			return;
		}
	}
	GROW(windows->windows, windows->n_windows, windows->windows_capacity);
	windows->windows[windows->n_windows++] = window;
}

/*
 * For the time that each window reaches, the index before its backup is asked
 * where one chain spans it: all of them at once.
 */
static void
expect_indexes(const Planner *planner, const WalPath *path)
{
	for (size_t i = 0; i < planner->catalog->n_backups; i++)
	{
		XLogSegNo start = lsn_segment(planner->catalog->backups[i]->start_lsn, path->segment_size);
		const WalPathPiece *piece = wal_path_piece(path, start);
		const WalPathPiece *before = start == 0 ? NULL : wal_path_piece(path, start - 1);

		if (piece != NULL && before == piece &&
		    planner_chain_first(path, planner_index(planner, path, piece->last)) < start)
			wal_facts_expect(planner->facts, piece->timeline, start - 1);
	}
}

static void
describe_path(const Planner *planner, const WalPath *path, const BackupRecord **newest_first,
              TimelineWindows *windows)
{
	const BackupRecord *oldest = NULL;

	expect_indexes(planner, path);
	for (size_t i = planner->catalog->n_backups; i-- > 0;)
	{
		const BackupRecord *backup = newest_first[i];
		AUTO_FREE char *objection = candidate_objection(planner, path, backup);

		if (objection != NULL)
			continue;
		if (oldest == NULL)
			oldest = backup;
		add_window(windows, window_from(planner, path, backup));
	}
	find_gaps(planner, path, oldest, windows);
}

Error *
plan_windows(const Catalog *catalog, WalFacts *facts, WindowList *ret_list)
{
	Planner planner = {.catalog = catalog, .request = &any_place, .facts = facts};
	AUTO_FREE const BackupRecord **newest_first = candidates_sorted(catalog);

	*ret_list = (WindowList){.timelines = NEW_ARRAY(TimelineWindows, catalog->n_timelines),
	                         .n_timelines = catalog->n_timelines};
	for (size_t i = 0; i < catalog->n_timelines; i++)
	{
		AUTO(WalPath) path = wal_path_new(catalog, &catalog->timelines[i]);
		TimelineWindows *windows = &ret_list->timelines[i];

		windows->timeline = catalog->timelines[i].timeline;
		windows->first_commit = TIME_NONE;
		windows->last_commit = TIME_NONE;
		describe_own_wal(&planner, &catalog->timelines[i], windows);
		describe_path(&planner, path, newest_first, windows);
	}
	for (size_t i = 0; i < catalog->n_timelines && wal_facts_met_foreign(facts); i++)
		describe_foreign(&planner, &catalog->timelines[i], &ret_list->timelines[i]);
	return wal_facts_error(facts);
}

size_t
plan_live_timeline(const Catalog *catalog, const WindowList *windows)
{
	for (size_t i = catalog->n_timelines; i-- > 0;)
		if (catalog->timelines[i].n_runs > 0 || windows->timelines[i].n_windows > 0)
			return i;
	return catalog->n_timelines;
}
