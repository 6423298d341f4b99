/* WAL that is needed and is not there; see walship/plan/gaps.h. */
#include "walship/plan/gaps.h"

#include <stdlib.h>

#include "planner.h"
#include "walship/base/mem.h"

static const RecoveryRequest any_place = {.target = {.kind = TARGET_LATEST, .time = TIME_NONE}};

void
wal_gap_list_release(WalGapList *gaps)
{
	free(gaps->items);
	*gaps = (WalGapList){0};
}

/* Each segment is missing on the timeline from which the server would take it: the newest that begins in it or before. */
static void
add_gap(WalGapList *gaps, const WalPath *path, XLogSegNo first, XLogSegNo last, const BackupRecord *needed_by)
{
	while (first <= last)
	{
		TimeLineID timeline =
			timeline_history_at(path->history, segment_start(first + 1, path->segment_size) - 1);
		XLogSegNo until = last;
		XLogRecPtr end;

		/* The segment in which it is left belongs to the next one. */
		if (timeline_history_end_of(path->history, timeline, &end) && end != UINT64_MAX &&
		    lsn_segment(end, path->segment_size) - 1 < until)
			until = lsn_segment(end, path->segment_size) - 1;
		GROW(gaps->items, gaps->count, gaps->capacity);
		gaps->items[gaps->count++] = (WalGap){{timeline, first, until}, needed_by};
		first = until + 1;
	}
}

static void
add_missing(WalGapList *gaps, const WalPath *path, XLogSegNo from, XLogSegNo last,
            const BackupRecord *needed_by)
{
	for (from = wal_path_first_missing(path, from); from <= last; from = wal_path_first_missing(path, from))
	{
		XLogSegNo next;

		if (!wal_path_next(path, from, &next) || next > last)
			next = last + 1;
		add_gap(gaps, path, from, next - 1, needed_by);
		from = next;
	}
}

/* Without the archive's WAL a backup comes to its own end when it brings it along. */
static XLogSegNo
first_needed(const BackupRecord *backup)
{
	return lsn_segment(backup->wal_inside ? backup->stop_lsn : backup->start_lsn, backup->segment_size);
}

static void
add_own(WalGapList *gaps, const WalPath *path, const BackupRecord *backup)
{
	if (!backup->wal_inside)
		add_missing(gaps, path, first_needed(backup),
		            lsn_segment_before(backup->stop_lsn, path->segment_size), backup);
}

/* From this backup on to the path's end, also where only a partial or a backup file tells that there was more. */
static void
add_onward(WalGapList *gaps, const Planner *planner, const WalPath *path, const BackupRecord *backup)
{
	XLogSegNo from = first_needed(backup);
	XLogSegNo last;
	Hole hole;

	add_own(gaps, path, backup);
	if (!wal_path_last(path, &last))
		return;
	add_missing(gaps, path, from, last, backup);
	if (planner_gap_behind(planner, path, last, &hole))
		add_gap(gaps, path, hole.first > from ? hole.first : from, hole.last, backup);
}

static bool
is_on_path(const WalPath *path, const BackupRecord *backup)
{
	XLogRecPtr end;

	return backup->segment_size == path->segment_size &&
	       timeline_history_end_of(path->history, backup->timeline, &end) && backup->stop_lsn <= end;
}

static void
add_all(WalGapList *gaps, const Planner *planner)
{
	const Catalog *catalog = planner->catalog;
	AUTO_FREE const BackupRecord **newest_first = candidates_sorted(catalog);

	for (size_t i = 0; i < catalog->n_timelines; i++)
	{
		AUTO(WalPath) path = wal_path_new(catalog, &catalog->timelines[i]);
		bool begun = false;

		for (size_t j = catalog->n_backups; j-- > 0;)
		{
			if (!is_on_path(path, newest_first[j]))
				continue;
			if (begun)
				add_own(gaps, path, newest_first[j]);
			else
				add_onward(gaps, planner, path, newest_first[j]);
			begun = true;
		}
	}
}

static void
add_retained(WalGapList *gaps, const Planner *planner, const RetainPlan *retain)
{
	const Catalog *catalog = planner->catalog;

	for (size_t i = 0; i < retain->n_branches; i++)
	{
		const RetainBranch *branch = &retain->branches[i];

		if (branch->from == NULL)
			continue;

		AUTO(WalPath) path = wal_path_new(catalog, catalog_timeline(catalog, branch->timeline));

		add_onward(gaps, planner, path, branch->from);
	}
	for (size_t i = 0; i < retain->n_backups; i++)
	{
		const BackupRecord *backup = retain->backups[i].backup;

		if (!retain->backups[i].keep || backup->wal_inside)
			continue;

		AUTO(WalPath) path = wal_path_new(catalog, catalog_timeline(catalog, backup->timeline));

		if (is_on_path(path, backup))
			add_own(gaps, path, backup);
	}
}

static int
compare_gaps(const void *left, const void *right)
{
	const WalRange *a = &((const WalGap *) left)->range;
	const WalRange *b = &((const WalGap *) right)->range;

	if (a->timeline != b->timeline)
		return a->timeline < b->timeline ? -1 : 1;
	return a->first == b->first ? 0 : a->first < b->first ? -1 : 1;
}

/* A gap lies on the way to every timeline that branched off after it, and of several backups: told once. */
static void
merge(WalGapList *gaps)
{
	size_t kept = 0;

	if (gaps->count > 1)
		qsort(gaps->items, gaps->count, sizeof(*gaps->items), compare_gaps);
	for (size_t i = 1; i < gaps->count; i++)
	{
		WalGap *before = &gaps->items[kept];
		WalGap *gap = &gaps->items[i];

		if (gap->range.timeline != before->range.timeline || gap->range.first > before->range.last + 1)
		{
			gaps->items[++kept] = *gap;
			continue;
		}
		if (gap->range.last > before->range.last)
			before->range.last = gap->range.last;
		if (gap->needed_by->stop_lsn < before->needed_by->stop_lsn)
			before->needed_by = gap->needed_by;
	}
	if (gaps->count > 0)
		gaps->count = kept + 1;
}

Error *
plan_gaps(const Catalog *catalog, const RetainPlan *retain, WalFacts *facts, WalGapList *ret_gaps)
{
	Planner planner = {.catalog = catalog, .request = &any_place, .facts = facts};

	*ret_gaps = (WalGapList){0};
	if (catalog->segment_size == 0)
		return NULL;
	if (retain == NULL)
		add_all(ret_gaps, &planner);
	else
		add_retained(ret_gaps, &planner, retain);
	merge(ret_gaps);
	return wal_facts_error(facts);
}

/* The newest timeline that has WAL or a backup: what a recovery to the latest moment goes along. */
static const CatalogTimeline *
newest_timeline(const Catalog *catalog)
{
	for (size_t i = catalog->n_timelines; i-- > 0;)
	{
		const CatalogTimeline *timeline = &catalog->timelines[i];

		if (timeline->n_runs > 0)
			return timeline;
		for (size_t j = 0; j < catalog->n_backups; j++)
			if (catalog->backups[j]->timeline == timeline->timeline)
				return timeline;
	}
	return NULL;
}

static bool
lies_on_path(const WalPath *path, const WalRange *gap)
{
	XLogRecPtr first_end = segment_start(gap->first + 1, path->segment_size) - 1;
	XLogRecPtr last_end = segment_start(gap->last + 1, path->segment_size) - 1;

	return timeline_history_at(path->history, first_end) == gap->timeline ||
	       timeline_history_at(path->history, last_end) == gap->timeline;
}

char *
wal_gap_objection(const Catalog *catalog, const bool *kept, const WalRange *gap)
{
	const CatalogTimeline *newest = newest_timeline(catalog);
	bool has_backup_behind = false;

	for (size_t i = 0; i < catalog->n_backups; i++)
	{
		const BackupRecord *backup = catalog->backups[i];

		if ((kept == NULL || kept[i]) && !backup->wal_inside && backup->timeline == gap->timeline &&
		    gap->last >= first_needed(backup) &&
		    gap->first <= lsn_segment_before(backup->stop_lsn, backup->segment_size))
			return mem_printf("backup %s needs it for itself, for it does not bring its WAL along",
			                  backup->id);
	}
	if (newest == NULL)
		return NULL;

	AUTO(WalPath) path = wal_path_new(catalog, newest);

	if (!lies_on_path(path, gap))
		return NULL;
	for (size_t i = 0; i < catalog->n_backups && !has_backup_behind; i++)
	{
		const BackupRecord *backup = catalog->backups[i];

		has_backup_behind = (kept == NULL || kept[i]) && !backup->unusable && is_on_path(path, backup) &&
		                    first_needed(backup) > gap->last;
	}
	return has_backup_behind ? NULL
	                         : mem_strdup("no complete backup comes after it, so nothing behind it can be "
	                                      "recovered");
}
