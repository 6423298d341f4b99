/* Puts the parts of the planner together: outcome per timeline, then one of them or a refusal. */
#include <string.h>

#include "planner.h"
#include "recovery_plan.h"
#include "walship/base/mem.h"

/* Targets for which every branch has an answer of its own: only the ends of the tree compete. */
static bool
competes_by_leaf(const RecoveryRequest *request)
{
	switch (request->target.kind)
	{
		case TARGET_LATEST:
			return request->timeline == 0;
		case TARGET_IMMEDIATE:
		case TARGET_BACKUP_ONLY:
			return request->timeline == 0 && request->backup_id == NULL;
		default:
			return false;
	}
}

static const BackupRecord *
wanted_backup(const Planner *planner)
{
	for (size_t i = 0; i < planner->catalog->n_backups; i++)
		if (str_equal(planner->catalog->backups[i]->id, planner->request->backup_id))
			return planner->catalog->backups[i];
	return NULL;
}

static bool
is_considered(const Planner *planner, const Path *path)
{
	const RecoveryRequest *request = planner->request;
	const BackupRecord *wanted = wanted_backup(planner);

	if (request->timeline != 0)
		return path->timeline == request->timeline;
	if (competes_by_leaf(request))
		return branch_is_leaf(planner, path) != ANSWER_NO;
	if (request->target.kind == TARGET_IMMEDIATE || request->target.kind == TARGET_BACKUP_ONLY)
		return path->timeline == wanted->timeline;
	return true;
}

static Outcome
outcome_of_location(const Planner *planner, const Path *path, const Location *location)
{
	Outcome outcome = {.path = path, .location = *location};

	switch (location->found)
	{
		case FOUND_YES:
			return candidates_choose(planner, path, location);
		case FOUND_NO:
			outcome.kind = OUTCOME_ABSENT;
			break;
		case FOUND_HOLE:
			outcome.kind = OUTCOME_HOLE;
			break;
		case FOUND_UNKNOWN:
			outcome.kind = OUTCOME_UNKNOWN;
			break;
	}
	return outcome;
}

static Outcome
evaluate(const Planner *planner, const Path *path, const WalPlace *point)
{
	const BackupRecord *oldest;
	Location location;

	/* Without a usable backup there is nothing to search; choosing gives the reasons. */
	if (!candidates_begin(planner, path, &oldest))
		return candidates_choose(planner, path, NULL);
	switch (planner->request->target.kind)
	{
		case TARGET_LSN:
			location = locate_lsn(planner, path);
			break;
		case TARGET_BEFORE:
			location = locate_lsn(planner, path);
			location.place.xid = planner->request->target.xid;
			break;
		case TARGET_XID:
			location = locate_xid(planner, path, oldest->start_lsn);
			break;
		case TARGET_NAME:
			location = locate_point(planner, path, point);
			break;
		default:
			return candidates_choose(planner, path, NULL);
	}
	return outcome_of_location(planner, path, &location);
}

/* One outcome per considered timeline, ascending. */
typedef struct Outcomes
{
	Outcome *items;
	size_t count;
	size_t capacity;
} Outcomes;

static void
outcomes_release(Outcomes *outcomes)
{
	for (size_t i = 0; i < outcomes->count; i++)
		outcome_release(&outcomes->items[i]);
	free(outcomes->items);
}

static void
outcomes_add(Outcomes *outcomes, Outcome outcome)
{
	GROW(outcomes->items, outcomes->count, outcomes->capacity);
	outcomes->items[outcomes->count++] = outcome;
}

/* A name must say one thing: where it was given twice, nobody but the user knows which. */
static Error *
find_point(const Planner *planner, WalPlace *ret_point)
{
	NamedPoints points = {0};
	Error *error = NULL;

	*ret_point = (WalPlace){.time = TIME_NONE};
	for (size_t i = 0; i < planner->n_paths; i++)
	{
		const BackupRecord *oldest;

		if (is_considered(planner, planner->paths[i]) &&
		    candidates_begin(planner, planner->paths[i], &oldest))
			(void) locate_names(planner, planner->paths[i], oldest->start_lsn, &points);
	}
	if (points.n_places == 1)
		*ret_point = points.places[0];
	else if (points.n_places > 1)
		error = explain_names(planner, &points);
	free(points.places);
	return error;
}

/* The outcomes that stand for different places: of several with the same place the lowest timeline. */
static size_t
different_places(const Planner *planner, const Outcome *const *from, size_t n_from,
                 const Outcome **ret_different)
{
	size_t count = 0;

	for (size_t i = 0; i < n_from; i++)
	{
		bool known = false;

		for (size_t j = 0; j < count && !known; j++)
			known = branch_same_place(planner, ret_different[j], from[i]) != ANSWER_NO;
		if (!known)
			ret_different[count++] = from[i];
	}
	return count;
}

static size_t
select_kind(const Planner *planner, const Outcomes *outcomes, OutcomeKind kind, bool leaves,
            const Outcome **ret_selected)
{
	size_t count = 0;

	for (size_t i = 0; i < outcomes->count; i++)
	{
		const Outcome *outcome = &outcomes->items[i];

		if (outcome->kind == kind && (!leaves || branch_is_leaf(planner, outcome->path) != ANSWER_NO))
			ret_selected[count++] = outcome;
	}
	return count;
}

/*
 * Without its history file, a newer timeline might well be what goes on from
 * the end that was found: taking that end would leave its WAL out without a word.
 */
static Error *
check_orphans(const Planner *planner, const Outcome *winner)
{
	const Catalog *catalog = planner->catalog;

	for (size_t i = 0; i < catalog->n_timelines && planner->request->timeline == 0; i++)
	{
		const CatalogTimeline *timeline = &catalog->timelines[i];

		if (timeline->timeline > winner->path->timeline && timeline->n_runs > 0 &&
		    !timeline->has_history_file)
			return explain_orphan(timeline);
	}
	return NULL;
}

/*
 * Branches that go on to their own end: the wanted one, or the only one.  A
 * branch with a hole counts, for nobody knows what lies behind it.
 */
static Error *
settle_ends(const Planner *planner, const Outcomes *outcomes, OutcomeKind kind, const Outcome **ret_winner)
{
	AUTO_FREE const Outcome **ends = NEW_ARRAY(const Outcome *, outcomes->count + 1);
	bool leaves = planner->request->timeline == 0;
	size_t count = select_kind(planner, outcomes, kind, leaves, ends);

	count += select_kind(planner, outcomes, OUTCOME_HOLE, leaves, ends + count);
	if (count == 0)
		count = select_kind(planner, outcomes, OUTCOME_HOLE, false, ends) > 0 ? 1 : 0;
	if (count == 0)
		return explain_no_backup(planner, outcomes->items, outcomes->count);
	if (count > 1)
		return explain_branches(planner, ends, count);
	if (ends[0]->kind == OUTCOME_HOLE)
		return explain_hole(planner, ends[0]);
	TRY(check_orphans(planner, ends[0]));
	*ret_winner = ends[0];
	return NULL;
}

static Error *
settle_nowhere(const Planner *planner, const Outcomes *outcomes)
{
	for (size_t i = 0; i < outcomes->count; i++)
		if (outcomes->items[i].kind == OUTCOME_HOLE)
			return explain_hole(planner, &outcomes->items[i]);
	for (size_t i = 0; i < outcomes->count; i++)
		if (outcomes->items[i].kind == OUTCOME_NO_BACKUP)
			return explain_no_backup(planner, outcomes->items, outcomes->count);
	return explain_absent(planner, outcomes->items, outcomes->count);
}

static Error *
settle(const Planner *planner, const Outcomes *outcomes, const Outcome **ret_winner)
{
	AUTO_FREE const Outcome **found = NEW_ARRAY(const Outcome *, outcomes->count + 1);
	AUTO_FREE const Outcome **different = NEW_ARRAY(const Outcome *, outcomes->count + 1);
	size_t n_found = select_kind(planner, outcomes, OUTCOME_FOUND, false, found);
	size_t n_different;

	if (planner->request->target.kind == TARGET_LATEST)
		return settle_ends(planner, outcomes, OUTCOME_FOUND, ret_winner);
	if (n_found == 0 && planner->request->target.kind == TARGET_TIME)
		return settle_ends(planner, outcomes, OUTCOME_BEYOND, ret_winner);
	if (n_found == 0)
		return settle_nowhere(planner, outcomes);
	n_different = different_places(planner, found, n_found, different);
	if (n_different > 1)
		return explain_branches(planner, different, n_different);
	*ret_winner = different[0];
	return NULL;
}

/* A standby follows the newest timeline without a gap in the numbers (PostgreSQL: findNewestTimeLine). */
static Error *
check_standby(const Planner *planner, const Outcome *winner)
{
	TimeLineID newest = winner->backup->timeline;
	const CatalogTimeline *next;

	if (planner->request->purpose != PURPOSE_STANDBY)
		return NULL;
	while ((next = catalog_timeline(planner->catalog, newest + 1)) != NULL && next->has_history_file)
		newest++;
	return newest == winner->path->timeline ? NULL : explain_standby(winner, newest);
}

/* What else might hold the target, behind WAL that is missing. */
static void
warn_of_holes(const Outcomes *outcomes, const Outcome *winner, RecoveryPlan *plan)
{
	for (size_t i = 0; i < outcomes->count; i++)
	{
		const Outcome *outcome = &outcomes->items[i];
		char name[WAL_NAME_SIZE];

		if (outcome->kind != OUTCOME_HOLE || outcome == winner)
			continue;

		AUTO_FREE char *text = mem_printf(
			"Timeline %u might hold the target, too, but its WAL segment %s is %s.", outcome->path->timeline,
			wal_segment_name(outcome->location.hole.timeline, outcome->location.hole.first,
		                     plan->segment_size, name),
			outcome->location.hole.damaged ? "damaged" : "missing");

		strlist_add(&plan->warnings, text);
	}
}

static Error *
decide(const Planner *planner, Outcomes *outcomes, RecoveryPlan **ret_plan)
{
	const Outcome *winner = NULL;
	WalPlace point;

	if (planner->request->target.kind == TARGET_NAME)
		TRY(find_point(planner, &point));
	for (size_t i = 0; i < planner->n_paths; i++)
		if (is_considered(planner, planner->paths[i]))
			outcomes_add(outcomes, evaluate(planner, planner->paths[i], &point));
	if (!wal_needs_nothing(planner->needs))
		return NULL;
	TRY(settle(planner, outcomes, &winner));
	TRY(check_standby(planner, winner));
	*ret_plan = recovery_plan_build(planner, winner);
	warn_of_holes(outcomes, winner, *ret_plan);
	return NULL;
}

static Error *
check_request(const Planner *planner)
{
	if (planner->catalog->n_backups == 0)
		return explain_no_backups(planner);
	if (planner->request->backup_id != NULL && wanted_backup(planner) == NULL)
		return explain_unknown_backup(planner);
	if (planner->request->timeline != 0 &&
	    catalog_timeline(planner->catalog, planner->request->timeline) == NULL)
		return explain_unknown_timeline(planner);
	return NULL;
}

Error *
plan_recover(const Catalog *catalog, const RecoveryRequest *request, const WalFacts *facts, WalNeeds *needs,
             RecoveryPlan **ret_plan)
{
	Planner planner = {.catalog = catalog, .request = request, .facts = facts, .needs = needs};
	Outcomes outcomes = {0};
	RecoveryPlan *plan = NULL;
	Error *error;

	wal_needs_clear(needs);
	TRY(check_request(&planner));
	planner.paths = NEW_ARRAY(Path *, catalog->n_timelines);
	for (size_t i = 0; i < catalog->n_timelines; i++)
		planner.paths[planner.n_paths++] = path_new(catalog, &catalog->timelines[i]);

	error = decide(&planner, &outcomes, &plan);

	/* What was decided while facts were missing does not count. */
	if (!wal_needs_nothing(needs))
	{
		error_free(error);
		recovery_plan_free(plan);
		error = NULL;
		plan = NULL;
	}
	outcomes_release(&outcomes);
	for (size_t i = 0; i < planner.n_paths; i++)
		path_free(planner.paths[i]);
	free(planner.paths);
	*ret_plan = plan;
	return error;
}
