/* Recoverable windows; see walship/plan/windows.h. */
#include "walship/plan/windows.h"

#include "planner.h"
#include "walship/base/mem.h"

/* So many segments without a commit are looked through for a time, at either end. */
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

/* The fact, or NULL and a need. */
static const SegmentFacts *
facts_of(const Planner *planner, TimeLineID timeline, XLogSegNo segno)
{
	const SegmentFacts *segment = wal_facts_find(planner->facts, timeline, segno);

	if (segment == NULL)
		wal_needs_index(planner->needs, timeline, segno, segno);
	return segment;
}

/*
 * The segment with a commit or abort that is nearest to the run's beginning or
 * end; NULL when it is far from there, or not yet known.
 */
static const SegmentFacts *
busy_near(const Planner *planner, TimeLineID timeline, const SegmentRun *run, bool from_end)
{
	XLogSegNo count = run->last - run->first + 1;

	for (XLogSegNo tried = 0; tried < QUIET_SEGMENTS_MAX && tried < count; tried++)
	{
		XLogSegNo segno = from_end ? run->last - tried : run->first + tried;
		const SegmentFacts *segment = facts_of(planner, timeline, segno);

		if (segment == NULL)
			return NULL;
		if (segment->readable && segment->transactions > 0)
			return segment;
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
	const SegmentFacts *first_busy = busy_near(planner, timeline->timeline, first, false);
	const SegmentFacts *last_busy = busy_near(planner, timeline->timeline, last, true);

	windows->first_commit = first_busy != NULL ? first_busy->first_time : TIME_NONE;
	windows->last_commit = last_busy != NULL ? last_busy->last_time : TIME_NONE;
}

static void
add_gap(TimelineWindows *windows, WalRange gap)
{
	GROW(windows->gaps, windows->n_gaps, windows->gaps_capacity);
	windows->gaps[windows->n_gaps++] = gap;
}

/* Missing segments between two that the path has, or between its oldest backup and its first segment. */
static void
find_gaps(const Planner *planner, const Path *path, const BackupRecord *oldest, TimelineWindows *windows)
{
	XLogSegNo from;
	XLogSegNo next;
	Hole hole;

	if (!path_next(path, 0, &from))
		return;
	if (oldest != NULL && !oldest->wal_inside)
		from = lsn_segment(oldest->start_lsn, path->segment_size) < from
		           ? lsn_segment(oldest->start_lsn, path->segment_size)
		           : from;
	for (from = path_first_missing(path, from); path_next(path, from, &next);
	     from = path_first_missing(path, next))
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
window_from(const Planner *planner, const Path *path, const BackupRecord *backup)
{
	XLogSegNo start = lsn_segment(backup->start_lsn, path->segment_size);
	RecoveryWindow window = {.backup = backup,
	                         .newest = backup,
	                         .from_lsn = backup->stop_lsn,
	                         .from_time = backup->stop_time,
	                         .to_lsn = backup->stop_lsn,
	                         .to_time = TIME_NONE};
	XLogSegNo segno = start;
	WalPlace reach;
	TimeUs high;
	Hole hole;
	Step step;

	while ((step = planner_step(planner, path, backup, segno, &hole)) == STEP_STORE || step == STEP_BACKUP)
		segno++;
	if (segno == start || !planner_know_barriers(planner, path, start, segno - 1) ||
	    !planner_time_high(planner, path, start, segno - 1, &high) || path_piece(path, segno - 1) == NULL)
		return window;
	if (!planner_reach(planner, path, segno - 1, &reach))
		return window;

	const PathPiece *piece = path_piece(path, segno - 1);
	const SegmentFacts *segment = planner_segment(planner, path, segno - 1);
	XLogRecPtr end = segment != NULL && segment->readable ? segment->valid_end : InvalidXLogRecPtr;

	if (end > piece->until)
		end = piece->until;
	if (end > window.to_lsn)
		window.to_lsn = end;
	window.to_time = high != TIME_NONE ? high : reach.time;
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

static void
describe_path(const Planner *planner, const Path *path, const BackupRecord **newest_first,
              TimelineWindows *windows)
{
	const BackupRecord *oldest = NULL;

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

void
plan_windows(const Catalog *catalog, const WalFacts *facts, WalNeeds *needs, WindowList *ret_list)
{
	Planner planner = {.catalog = catalog, .request = &any_place, .facts = facts, .needs = needs};
	AUTO_FREE const BackupRecord **newest_first = candidates_sorted(catalog);

	wal_needs_clear(needs);
	*ret_list = (WindowList){.timelines = NEW_ARRAY(TimelineWindows, catalog->n_timelines),
	                         .n_timelines = catalog->n_timelines};
	for (size_t i = 0; i < catalog->n_timelines; i++)
	{
		AUTO(Path) path = path_new(catalog, &catalog->timelines[i]);
		TimelineWindows *windows = &ret_list->timelines[i];

		windows->timeline = catalog->timelines[i].timeline;
		windows->first_commit = TIME_NONE;
		windows->last_commit = TIME_NONE;
		describe_own_wal(&planner, &catalog->timelines[i], windows);
		describe_path(&planner, path, newest_first, windows);
	}
}
