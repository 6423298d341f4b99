/* Which WAL stays: the ranges that something needs, and what lies between them goes. */
#include <inttypes.h>
#include <string.h>

#include "retain_rules.h"
#include "walship/base/mem.h"

static const char *
own(Retain *retain, char *why)
{
	strlist_add(&retain->whys, why);
	free(why);
	return retain->whys.items[retain->whys.count - 1];
}

static void
need(Retain *retain, TimeLineID timeline, XLogSegNo first, XLogSegNo last, const char *why)
{
	GROW(retain->needs, retain->n_needs, retain->needs_capacity);
	retain->needs[retain->n_needs++] = (RetainNeed){{timeline, first, last}, why};
}

/*
 * Segments "first" to "last" of a path: of each timeline on it the stretch that
 * counts, and of the segment in which it was left its copy, too: it is what
 * there is where the next timeline's own was never stored.
 */
static void
need_path(Retain *retain, const TimelineHistory *history, XLogSegNo first, XLogSegNo last, const char *why)
{
	uint32_t size = retain->planner.catalog->segment_size;

	for (size_t i = 0; i <= history->n_ancestors; i++)
	{
		bool is_ancestor = i < history->n_ancestors;
		XLogSegNo begin = i == 0 ? 0 : lsn_segment(history->ancestors[i - 1].switch_lsn, size);
		XLogSegNo end = is_ancestor ? lsn_segment(history->ancestors[i].switch_lsn, size) : UINT64_MAX;

		if (begin < first)
			begin = first;
		if (end > last)
			end = last;
		if (begin <= end)
			need(retain, is_ancestor ? history->ancestors[i].timeline : history->timeline, begin, end, why);
	}
}

/* From the backup that its window begins with; without one, or without knowing the way, nothing can be given up. */
static void
need_branch(Retain *retain, const RetainPath *path)
{
	const Catalog *catalog = retain->planner.catalog;
	TimeLineID number = path->timeline->timeline;

	if (path->from != NULL)
		need_path(retain, path->path->history,
		          lsn_segment(path->from->backup->start_lsn, catalog->segment_size), UINT64_MAX,
		          own(retain, mem_printf("the window of timeline %" PRIu32 ", from backup %s on", number,
		                                 path->from->backup->id)));
	else
		need_path(
			retain, path->path->history, 0, UINT64_MAX,
			own(retain, mem_printf("no complete backup leads to timeline %" PRIu32 ", which is in the window",
		                           number)));
	if (!path->is_unclear)
		return;
	for (size_t i = 0; i < catalog->n_timelines && catalog->timelines[i].timeline <= number; i++)
		need(retain, catalog->timelines[i].timeline, 0, UINT64_MAX,
		     own(retain, mem_printf("the history of timeline %" PRIu32 " is missing: it may have begun here",
		                            number)));
}

/* Start to stop, where the backup does not bring it along, whole. */
static void
need_own_wal(Retain *retain, const RetainItem *item)
{
	const BackupRecord *backup = item->backup;
	uint32_t size = retain->planner.catalog->segment_size;
	const CatalogTimeline *timeline = catalog_timeline(retain->planner.catalog, backup->timeline);

	/* What could not be restored by the archive's copy must not look as if it could, once that is gone. */
	if (backup->wal_inside && !backup->from_standby && item->dated.objection == NULL)
		return;
	need_path(retain, timeline->history, lsn_segment(backup->start_lsn, size),
	          lsn_segment_before(backup->stop_lsn, size),
	          own(retain, mem_printf("backup %s needs it to be restored", backup->id)));
}

static void
need_lease(Retain *retain, const RetainLease *lease)
{
	const CatalogTimeline *timeline = catalog_timeline(retain->planner.catalog, lease->timeline);

	if (lease->timeline == 0 || timeline == NULL || retain->planner.catalog->segment_size == 0)
		return;
	need_path(retain, timeline->history, lsn_segment(lease->start_lsn, retain->planner.catalog->segment_size),
	          UINT64_MAX, own(retain, mem_printf("in use by %s", lease->what)));
}

static int
compare_needs(const void *a, const void *b)
{
	const WalRange *left = &((const RetainNeed *) a)->range;
	const WalRange *right = &((const RetainNeed *) b)->range;

	if (left->timeline != right->timeline)
		return left->timeline < right->timeline ? -1 : 1;
	if (left->first != right->first)
		return left->first < right->first ? -1 : 1;
	return 0;
}

/* Sorted, and none touches the next one of its timeline. */
static void
merge_needs(Retain *retain)
{
	size_t kept = 0;

	if (retain->n_needs > 1)
		qsort(retain->needs, retain->n_needs, sizeof(*retain->needs), compare_needs);
	for (size_t i = 1; i < retain->n_needs; i++)
	{
		WalRange *before = &retain->needs[kept].range;
		const WalRange *next = &retain->needs[i].range;

		if (next->timeline == before->timeline &&
		    (before->last == UINT64_MAX || next->first <= before->last + 1))
		{
			if (next->last > before->last)
				before->last = next->last;
			continue;
		}
		retain->needs[++kept] = retain->needs[i];
	}
	if (retain->n_needs > 0)
		retain->n_needs = kept + 1;
}

static void
add_wal(RetainPlan *plan, const SegmentRun *run, WalRange range, bool keep, char *why)
{
	RetainedWal wal = {.range = range, .keep = keep, .segments = range.last - range.first + 1, .reason = why};

	for (XLogSegNo segno = range.first; segno <= range.last; segno++)
		wal.stored_size += run->sizes[segno - run->first];
	GROW(plan->wal, plan->n_wal, plan->wal_capacity);
	plan->wal[plan->n_wal++] = wal;
	if (keep)
		return;
	plan->removed_segments += wal.segments;
	plan->freed += wal.stored_size;
}

static const RetainNeed *
need_at(const RetainNeed *needs, size_t n_needs, TimeLineID timeline, XLogSegNo segno)
{
	size_t low = 0;
	size_t high = n_needs;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;
		const WalRange *range = &needs[middle].range;

		if (range->timeline < timeline || (range->timeline == timeline && range->last < segno))
			low = middle + 1;
		else
			high = middle;
	}
	return low < n_needs && needs[low].range.timeline == timeline ? &needs[low] : NULL;
}

static char *
why_not(const Retain *retain, const RetainNeed *next, const WalRange *range)
{
	for (size_t i = 0; i < retain->n_paths; i++)
		if (retain->paths[i].timeline->timeline == range->timeline && retain->paths[i].alive && next != NULL)
			return mem_strdup("before the window, and no backup that is kept needs it");
	return mem_printf("on no way to a moment in the window");
}

/* One run is cut where a need begins or ends. */
static void
divide_run(Retain *retain, TimeLineID timeline, const SegmentRun *run)
{
	for (XLogSegNo from = run->first; from <= run->last;)
	{
		const RetainNeed *next = need_at(retain->needs, retain->n_needs, timeline, from);
		bool keep = next != NULL && next->range.first <= from;
		WalRange range = {timeline, from, run->last};

		if (keep && next->range.last < range.last)
			range.last = next->range.last;
		else if (!keep && next != NULL && next->range.first <= range.last)
			range.last = next->range.first - 1;
		add_wal(retain->plan, run, range, keep, keep ? mem_strdup(next->why) : why_not(retain, next, &range));
		from = range.last + 1;
	}
}

static void
add_files(Retain *retain, TimeLineID timeline, const CatalogFile *files, size_t n_files)
{
	RetainPlan *plan = retain->plan;

	for (size_t i = 0; i < n_files; i++)
	{
		const RetainNeed *at = need_at(retain->needs, retain->n_needs, timeline, files[i].segno);
		RetainedFile *file = &plan->files[plan->n_files++];

		*file = (RetainedFile){&files[i], timeline, at != NULL && at->range.first <= files[i].segno};
		if (!file->keep)
			plan->freed += files[i].stored_size;
	}
}

void
retain_wal(Retain *retain)
{
	const Catalog *catalog = retain->planner.catalog;
	size_t n_files = 0;

	for (size_t i = 0; i < retain->n_paths; i++)
		if (retain->paths[i].alive)
			need_branch(retain, &retain->paths[i]);
	for (size_t i = 0; i < catalog->n_backups; i++)
		if (retain->plan->backups[i].keep)
			need_own_wal(retain, &retain->items[i]);
	for (size_t i = 0; i < retain->request->n_leases; i++)
		need_lease(retain, &retain->request->leases[i]);
	merge_needs(retain);

	for (size_t i = 0; i < catalog->n_timelines; i++)
		n_files += catalog->timelines[i].n_partials + catalog->timelines[i].n_backup_files;
	retain->plan->files = NEW_ARRAY(RetainedFile, n_files);
	for (size_t i = 0; i < catalog->n_timelines; i++)
	{
		const CatalogTimeline *timeline = &catalog->timelines[i];

		for (size_t j = 0; j < timeline->n_runs; j++)
			divide_run(retain, timeline->timeline, &timeline->runs[j]);
		add_files(retain, timeline->timeline, timeline->partials, timeline->n_partials);
		add_files(retain, timeline->timeline, timeline->backup_files, timeline->n_backup_files);
	}
}
