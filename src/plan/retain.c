/* The order of a retention plan, and what keeps it from being carried out; see walship/plan/retain.h. */
#include "walship/plan/retain.h"

#include <inttypes.h>
#include <string.h>

#include "retain_rules.h"
#include "walship/base/mem.h"

/*
 * So many backups may go in a run without being a surprise: twice those that came since the last one, and some
 * more, a few and a part of all: a branch that was given up leaves the window with several of them at once.
 */
#define SURPRISE_BACKUPS 3
#define SURPRISE_PART    5 /* one in so many */

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

static int
compare_newest_first(const void *a, const void *b)
{
	const BackupRecord *left = (*(RetainItem *const *) a)->backup;
	const BackupRecord *right = (*(RetainItem *const *) b)->backup;

	if (left->stop_time != right->stop_time)
		return left->stop_time > right->stop_time ? -1 : 1;
	return strcmp(right->id, left->id);
}

static void
collect_items(Retain *retain)
{
	const Catalog *catalog = retain->planner.catalog;

	retain->items = NEW_ARRAY(RetainItem, catalog->n_backups);
	retain->newest_first = NEW_ARRAY(RetainItem *, catalog->n_backups);
	for (size_t i = 0; i < catalog->n_backups; i++)
	{
		retain->items[i] = (RetainItem){.backup = catalog->backups[i], .number = i};
		buf_init(&retain->items[i].reasons, REASON_MAX);
		retain->newest_first[i] = &retain->items[i];
	}
	if (catalog->n_backups > 1)
		qsort(retain->newest_first, catalog->n_backups, sizeof(RetainItem *), compare_newest_first);
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
	{
		free(retain->items[i].objection);
		buf_release(&retain->items[i].reasons);
	}
	free(retain->items);
	free(retain->newest_first);
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

static Error *
refuse_clock(const RetainRequest *request, const RetainPlan *plan, const RetainGuard *guard)
{
	char ours[TIME_TEXT_SIZE];
	char theirs[TIME_TEXT_SIZE];

	(void) time_format_utc(request->now, ours);
	if (guard->store_now != TIME_NONE && (request->now > guard->store_now + RETAIN_CLOCK_US ||
	                                      request->now < guard->store_now - RETAIN_CLOCK_US))
		return error_hint(error_new(ERR_EXISTS, "this machine's clock says %s, the store's %s", ours,
		                            time_format_utc(guard->store_now, theirs)),
		                  "By a wrong clock the wrong backups would go. Set it right, and run expire again.");
	if (plan->newest != NULL && plan->newest->stop_time > request->now + RETAIN_CLOCK_US)
		return error_hint(
			error_new(ERR_EXISTS,
		              "this machine's clock says %s, but backup \"%s\" ended at %s by the server's", ours,
		              plan->newest->id, time_format_utc(plan->newest->stop_time, theirs)),
			"By a wrong clock the wrong backups would go. Set it right, and run expire again.");
	return NULL;
}

static bool
removes_anything(const RetainPlan *plan)
{
	bool removes = plan->removed_backups > 0 || plan->removed_segments > 0;

	for (size_t i = 0; i < plan->n_files && !removes; i++)
		removes = !plan->files[i].keep;
	return removes;
}

/* WAL before every backup there is: nothing could ever be recovered by it.  A new archive always has some. */
static bool
is_of_no_use(const Catalog *catalog, const RetainPlan *plan)
{
	for (size_t i = 0; i < catalog->n_backups; i++)
		for (size_t j = 0; j < plan->n_wal; j++)
			if (!plan->wal[j].keep &&
			    plan->wal[j].range.last >= lsn_segment(catalog->backups[i]->start_lsn, catalog->segment_size))
				return false;
	return plan->removed_backups == 0;
}

/* Backups that came since the last run make place for as many; a first run has nothing to be measured by. */
static Error *
refuse_surprise(const Catalog *catalog, const RetainPlan *plan, const RetainGuard *guard)
{
	size_t came = 0;

	if (is_of_no_use(catalog, plan))
		return NULL;
	if (!guard->has_last_run)
		return error_hint(
			error_new(
				ERR_EXISTS,
				"this would be the first run under this retention: it would remove %zu backups and %" PRIu64
				" WAL segments",
				plan->removed_backups, plan->removed_segments),
			"Look through the list. If it is right: walship expire --force. Later runs need no --force.");
	for (size_t i = 0; i < catalog->n_backups; i++)
		if (catalog->backups[i]->stop_time > guard->last_run)
			came++;
	if (plan->removed_backups <=
	    2 * came + SURPRISE_BACKUPS + catalog->n_backups / SURPRISE_PART + guard->unfinished_removals)
		return NULL;
	return error_hint(
		error_new(ERR_EXISTS, "%zu backups would be removed, but only %zu came since the last run",
	              plan->removed_backups, came),
		"Something is not as it was at the last run. Look through the list; if it is right: walship expire --force");
}

Error *
retain_refusal(const Catalog *catalog, const RetainRequest *request, const RetainPlan *plan,
               const RetainGuard *guard)
{
	TRY(refuse_clock(request, plan, guard));
	if (!removes_anything(plan))
		return NULL;
	if (plan->newest == NULL)
		return error_hint(
			error_new(ERR_EXISTS, "there is no complete backup"),
			"Nothing is removed before there is one: walship backup. walship verify says what is wrong with those that are there.");
	if (plan->newest->stop_time < request->now - guard->backup_max_age_ms * 1000)
	{
		AUTO_FREE char *most = retention_duration_text(guard->backup_max_age_ms);

		return error_hint(
			error_new(ERR_EXISTS, "the newest complete backup, \"%s\", is older than %s", plan->newest->id,
		              most),
			"The job that takes backups is dead, and these may be the last ones: nothing is removed before there is a new "
			"one. Where backups are meant to be so rare, set backup_max_age.");
	}
	return guard->force ? NULL : refuse_surprise(catalog, plan, guard);
}
