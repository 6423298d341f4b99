/* The order of a retention plan; see walship/plan/retain.h. */
#include "walship/plan/retain.h"

#include <inttypes.h>
#include <string.h>

#include "retain_rules.h"
#include "walship/base/mem.h"

static const RecoveryRequest any_place = {.target = {.kind = TARGET_LATEST, .time = TIME_NONE}};

void
retain_plan_free(RetainPlan *plan)
{
	if (plan == NULL)
		return;
	for (size_t i = 0; i < plan->n_backups; i++)
		free(plan->backups[i].reason);
	for (size_t i = 0; i < plan->n_wal; i++)
		free(plan->wal[i].reason);
	for (size_t i = 0; i < plan->n_leftovers; i++)
		free(plan->leftovers[i].reason);
	free(plan->backups);
	free(plan->wal);
	free(plan->files);
	free(plan->leftovers);
	free(plan->branches);
	free(plan);
}

static int64_t
local_time(const RetainRequest *request, size_t backup, TimeUs time)
{
	if (request->local_times != NULL)
		return request->local_times[backup];
	return time / 1000000 - (time % 1000000 < 0);
}

static void
collect_items(Retain *retain)
{
	const Catalog *catalog = retain->planner.catalog;

	retain->items = NEW_ARRAY(RetainItem, catalog->n_backups);
	retain->rules.newest_first = NEW_ARRAY(Dated *, catalog->n_backups);
	retain->rules.count = catalog->n_backups;
	for (size_t i = 0; i < catalog->n_backups; i++)
	{
		const BackupRecord *backup = catalog->backups[i];

		retain->items[i].backup = backup;
		dated_init(&retain->items[i].dated, backup->id, backup->stop_time,
		           local_time(retain->request, i, backup->stop_time));
		retain->rules.newest_first[i] = &retain->items[i].dated;
	}
	dated_sort(retain->rules.newest_first, retain->rules.count);
}

static bool
has_contents(const Catalog *catalog, const CatalogTimeline *timeline)
{
	if (timeline->n_runs > 0 || timeline->n_partials > 0)
		return true;
	for (size_t i = 0; i < catalog->n_backups; i++)
		if (catalog->backups[i]->timeline == timeline->timeline)
			return true;
	return false;
}

/*
 * The last moment that is known of a timeline's own stretch: when its last WAL
 * came into the store, which is not before it was written; without that, the
 * last commit in it; and the end of its backups.  TIME_NONE: nothing tells it.
 */
static TimeUs
last_moment(const Retain *retain, const RetainPath *path)
{
	const Catalog *catalog = retain->planner.catalog;
	const CatalogTimeline *timeline = path->timeline;
	TimeUs last = timeline->last_modified > 0 ? timeline->last_modified : TIME_NONE;

	if (last == TIME_NONE && timeline->n_runs > 0)
	{
		last = planner_last_time(&retain->planner, path->path, timeline->runs[timeline->n_runs - 1].last);
		if (last == TIME_NONE)
			return TIME_NONE;
	}
	for (size_t i = 0; i < catalog->n_backups; i++)
		if (catalog->backups[i]->timeline == timeline->timeline && catalog->backups[i]->stop_time > last)
			last = catalog->backups[i]->stop_time;
	return last;
}

/*
 * The newest timeline has a moment in every window: its end is now, however quiet
 * the server is.  So has one whose WAL came a short while ago, or whose last moment is not known.
 */
static void
collect_paths(Retain *retain)
{
	const Catalog *catalog = retain->planner.catalog;
	TimeUs recent = retain->request->now - RETAIN_GRACE_US;
	bool newest = true;

	if (retain->window_begin < recent)
		recent = retain->window_begin;
	retain->paths = NEW_ARRAY(RetainPath, catalog->n_timelines);
	retain->n_paths = catalog->n_timelines;
	for (size_t i = catalog->n_timelines; i-- > 0;)
	{
		const CatalogTimeline *timeline = &catalog->timelines[i];
		RetainPath *path = &retain->paths[i];

		*path =
			(RetainPath){.timeline = timeline,
		                 .path = wal_path_new(catalog, timeline),
		                 .history_is_missing = timeline->timeline > 1 && timeline->history->n_ancestors == 0};
		if (!has_contents(catalog, timeline))
			continue;

		TimeUs last = last_moment(retain, path);

		path->alive = newest || last == TIME_NONE || last >= recent;
		newest = false;
	}
}

static void
describe_branches(Retain *retain)
{
	RetainPlan *plan = retain->plan;

	for (size_t i = 0; i < retain->n_paths; i++)
	{
		const RetainPath *path = &retain->paths[i];
		RetainBranch branch = {.timeline = path->timeline->timeline, .from_time = TIME_NONE};

		if (!path->alive)
			continue;
		if (path->from != NULL)
		{
			branch.from = path->from->backup;
			branch.from_time =
				branch.from->stop_time > retain->window_begin ? branch.from->stop_time : retain->window_begin;
		}
		if (path->from != NULL && retain->request->policy.window_ms == 0)
			branch.from_time = branch.from->stop_time;
		GROW(plan->branches, plan->n_branches, plan->branches_capacity);
		plan->branches[plan->n_branches++] = branch;
	}
}

/* A lease, or an object that came a while ago, tells that somebody works on it. */
static void
retain_leftovers(Retain *retain)
{
	const RetainRequest *request = retain->request;
	RetainPlan *plan = retain->plan;

	plan->n_leftovers = request->n_unfinished;
	plan->leftovers = NEW_ARRAY(RetainedLeftover, request->n_unfinished);
	for (size_t i = 0; i < request->n_unfinished; i++)
	{
		const RetainUnfinished *unfinished = &request->unfinished[i];
		RetainedLeftover *leftover = &plan->leftovers[i];

		*leftover = (RetainedLeftover){.unfinished = unfinished};
		for (size_t j = 0; j < request->n_leases && leftover->reason == NULL; j++)
			if (request->leases[j].backup != NULL && strcmp(request->leases[j].backup, unfinished->id) == 0)
				leftover->reason = mem_printf("in use by %s", request->leases[j].what);
		if (leftover->reason == NULL && unfinished->last_modified > request->now - RETAIN_GRACE_US)
			leftover->reason = mem_strdup("its last object is less than a day old");
		leftover->keep = leftover->reason != NULL;
		if (leftover->keep)
			continue;
		leftover->reason = mem_strdup("never finished, or half removed");
		plan->freed += unfinished->stored_size;
	}
}

static void
retain_release(Retain *retain)
{
	for (size_t i = 0; i < retain->planner.catalog->n_backups && retain->items != NULL; i++)
		dated_release(&retain->items[i].dated);
	free(retain->items);
	free(retain->rules.newest_first);
	for (size_t i = 0; i < retain->n_paths; i++)
		wal_path_free(retain->paths[i].path);
	free(retain->paths);
	free(retain->needs);
	strlist_release(&retain->whys);
}

Error *
plan_retain(const Catalog *catalog, const RetainRequest *request, WalFacts *facts, RetainPlan **ret_plan)
{
	AUTO(RetainPlan) plan = NEW(RetainPlan);
	Retain retain = {.planner = {.catalog = catalog, .request = &any_place, .facts = facts},
	                 .request = request,
	                 .window_begin = request->now - request->policy.window_ms * 1000,
	                 .plan = plan};

	plan->window_begin = retain.window_begin;
	collect_items(&retain);
	collect_paths(&retain);
	retain_backups(&retain);
	retain_wal(&retain);
	retain_leftovers(&retain);
	describe_branches(&retain);
	retain_release(&retain);
	TRY(wal_facts_error(facts));
	*ret_plan = MOVE(plan);
	return NULL;
}
