/* Which backups stay: the rules, one after the other.  Each adds its reason; what has none goes. */
#include <inttypes.h>
#include <string.h>

#include "retain_rules.h"
#include "walship/base/mem.h"

static RetainPath *
path_of(const Retain *retain, TimeLineID timeline)
{
	for (size_t i = 0; i < retain->n_paths; i++)
		if (retain->paths[i].timeline->timeline == timeline)
			return &retain->paths[i];
	return NULL;
}

static RetainItem *
item_of(const Retain *retain, size_t newest_first)
{
	return (RetainItem *) retain->rules.newest_first[newest_first];
}

/* Can it be restored, on its own timeline? */
static char *
objection(void *context, const Dated *dated)
{
	const Retain *retain = context;
	const BackupRecord *backup = ((const RetainItem *) dated)->backup;

	return candidate_objection(&retain->planner, path_of(retain, backup->timeline)->path, backup);
}

static bool
leads_to(const Retain *retain, const RetainPath *path, RetainItem *item)
{
	AUTO_FREE char *missing = NULL;
	XLogRecPtr end;

	if (path->timeline->timeline == item->backup->timeline)
		return dated_is_complete(&retain->rules, &item->dated);

	/* Most are on no stretch of it, and need not be looked at. */
	if (!timeline_history_end_of(path->path->history, item->backup->timeline, &end) ||
	    item->backup->stop_lsn > end)
		return false;
	missing = candidate_objection(&retain->planner, path->path, item->backup);
	return missing == NULL;
}

/*
 * The newest that ended before the window, from which every moment in it can be
 * reached.  No older one can reach more of it: its replay has to come through the
 * same WAL.  Without one the oldest of those in the window: then the window begins where that ends.
 */
static RetainItem *
find_start(const Retain *retain, const RetainPath *path)
{
	size_t n_backups = retain->planner.catalog->n_backups;
	size_t n_in_window = 0;

	while (n_in_window < n_backups && retain->rules.newest_first[n_in_window]->time > retain->window_begin)
		n_in_window++;
	for (size_t i = n_in_window; i < n_backups; i++)
		if (leads_to(retain, path, item_of(retain, i)))
			return item_of(retain, i);
	for (size_t i = n_in_window; i-- > 0;)
		if (leads_to(retain, path, item_of(retain, i)))
			return item_of(retain, i);
	return NULL;
}

/* Where nobody knows what leads to a timeline, whatever is older may: the newest of it. */
static void
keep_possible_start(Retain *retain, const RetainPath *path)
{
	for (size_t i = 0; i < retain->planner.catalog->n_backups; i++)
	{
		RetainItem *item = item_of(retain, i);

		if (item->backup->stop_time > retain->window_begin ||
		    item->backup->timeline >= path->timeline->timeline ||
		    !dated_is_complete(&retain->rules, &item->dated))
			continue;
		dated_reason(&item->dated, "may lead to timeline %" PRIu32 ", whose history is missing",
		             path->timeline->timeline);
		return;
	}
}

static void
keep_window(Retain *retain)
{
	for (size_t i = 0; i < retain->planner.catalog->n_backups; i++)
	{
		RetainItem *item = &retain->items[i];

		item->in_window = item->backup->stop_time > retain->window_begin;
		if (item->in_window)
			dated_reason(&item->dated, "in the window");
	}
	for (size_t i = 0; i < retain->n_paths; i++)
	{
		RetainPath *path = &retain->paths[i];

		if (!path->alive)
			continue;
		path->from = find_start(retain, path);
		path->is_unclear = path->history_is_missing &&
		                   (path->from == NULL || path->from->backup->stop_time > retain->window_begin);
		if (path->is_unclear)
			keep_possible_start(retain, path);
		if (path->from == NULL || path->from->in_window)
			continue;
		path->from->in_window = true;
		dated_reason(&path->from->dated, "the window of timeline %" PRIu32 " begins with it",
		             path->timeline->timeline);
	}
}

static void
conclude(Retain *retain)
{
	RetainPlan *plan = retain->plan;

	plan->n_backups = retain->planner.catalog->n_backups;
	plan->backups = NEW_ARRAY(RetainedBackup, plan->n_backups);
	for (size_t i = 0; i < plan->n_backups; i++)
	{
		RetainItem *item = &retain->items[i];
		RetainedBackup *retained = &plan->backups[i];

		*retained = (RetainedBackup){.backup = item->backup};
		retained->keep = dated_conclude(&item->dated, &retained->reason);
		retained->in_window = retained->keep && item->in_window;
		if (retained->keep)
			continue;
		plan->removed_backups++;
		plan->freed += backup_record_stored_size(item->backup);
	}
}

void
retain_backups(Retain *retain)
{
	const RetainRequest *request = retain->request;
	const Dated *newest;

	retain->rules.noun = "backup";
	retain->rules.policy = &request->policy;
	retain->rules.now = request->now;
	retain->rules.pins = request->pins;
	retain->rules.n_pins = request->n_pins;
	retain->rules.leases = request->leases;
	retain->rules.n_leases = request->n_leases;
	retain->rules.objection = objection;
	retain->rules.context = retain;
	keep_window(retain);
	dated_keep(&retain->rules);
	newest = dated_keep_least(&retain->rules);
	retain->plan->newest = newest == NULL ? NULL : ((const RetainItem *) newest)->backup;
	conclude(retain);
}
