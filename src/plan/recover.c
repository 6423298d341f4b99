/* Puts the parts of the planner together: candidate per timeline, then one of them or a refusal. */
#include <string.h>

#include "planner.h"
#include "recovery_plan.h"
#include "walship/archive/layout.h"
#include "walship/base/mem.h"

/* Two clocks may differ so far; a time further ahead is a mistaken zone or year, and would bring the accident back. */
#define FUTURE_ALLOWED_US (INT64_C(60) * 1000000)

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
is_considered(const Planner *planner, const WalPath *path)
{
	const RecoveryRequest *request = planner->request;
	const BackupRecord *wanted = wanted_backup(planner);

	if (request->timeline != 0)
		return path->timeline == request->timeline;
	if (competes_by_leaf(request))
		return branch_is_leaf(planner, path);
	if (request->target.kind == TARGET_IMMEDIATE || request->target.kind == TARGET_BACKUP_ONLY)
		return path->timeline == wanted->timeline;
	return true;
}

/* An index lists restore points of its whole segment, also those behind wal_level = minimal. */
static bool
is_behind_minimal(const Planner *planner, const WalPath *path, const WalPlace *place)
{
	XLogRecPtr minimal_at = planner_index(planner, path, place->segno)->minimal_at;

	return minimal_at != InvalidXLogRecPtr && place->lsn > minimal_at;
}

static Candidate
evaluate(const Planner *planner, const WalPath *path, const WalPlace *point)
{
	const BackupRecord *oldest = candidates_oldest(planner, path);
	TargetSearch target;

	/* Without a usable backup there is nothing to search; choosing gives the reasons. */
	if (oldest == NULL)
		return candidates_choose(planner, path, NULL);
	switch (planner->request->target.kind)
	{
		case TARGET_LSN:
			target = locate_lsn(planner, path);
			break;
		case TARGET_BEFORE:
			target = planner->request->target.lsn == InvalidXLogRecPtr
			             ? locate_xid(planner, path, oldest->start_lsn)
			             : locate_lsn(planner, path);
			target.place.xid = planner->request->target.xid;
			if (target.found == TARGET_FOUND)
				target.last =
					target.place.segno; /* what the server stops before need not be read to its end */
			break;
		case TARGET_XID:
			target = locate_xid(planner, path, oldest->start_lsn);
			if (target.found == TARGET_ABSENT)
				target = locate_by_server(planner, path, oldest->start_lsn);
			break;
		case TARGET_NAME:
			target = point->lsn == InvalidXLogRecPtr ? locate_by_server(planner, path, oldest->start_lsn)
			                                         : locate_point(planner, path, point);
			break;
		default:
			return candidates_choose(planner, path, NULL);
	}
	if (target.found == TARGET_FOUND && !target.by_server && is_behind_minimal(planner, path, &target.place))
	{
		target.found = TARGET_BEHIND_HOLE;
		target.last = target.place.segno;
		(void) planner_stop_at(planner, path, target.place.segno, &target.hole);
	}
	if (target.found == TARGET_FOUND)
		return candidates_choose(planner, path, &target);
	return (Candidate){.kind = target.found == TARGET_ABSENT ? CANDIDATE_ABSENT : CANDIDATE_HOLE,
	                   .path = path,
	                   .target = target};
}

/* One candidate per considered timeline, ascending. */
typedef struct Candidates
{
	Candidate *items;
	size_t count;
	size_t capacity;
} Candidates;

static void
candidates_release(Candidates *candidates)
{
	for (size_t i = 0; i < candidates->count; i++)
		candidate_release(&candidates->items[i]);
	free(candidates->items);
}

static void
candidates_add(Candidates *candidates, Candidate candidate)
{
	GROW(candidates->items, candidates->count, candidates->capacity);
	candidates->items[candidates->count++] = candidate;
}

/* A name must say one thing: where it was given twice, nobody but the user knows which. */
static Error *
find_point(const Planner *planner, WalPlace *ret_point)
{
	NamedPoints points = {0};
	Error *error = NULL;

	*ret_point = (WalPlace){.time = TIME_NONE};
	for (int pass = 0; pass < 2 && points.n_places == 0; pass++)
		for (size_t i = 0; i < planner->n_paths; i++)
		{
			const WalPath *path = planner->paths[i];
			const BackupRecord *oldest =
				is_considered(planner, path) ? candidates_oldest(planner, path) : NULL;

			if (oldest != NULL)
				locate_names(planner, path, oldest->start_lsn, pass > 0, &points);
		}
	if (points.n_places == 1)
		*ret_point = points.places[0];
	else if (points.n_places > 1)
		error = explain_names(planner, &points);
	free(points.places);
	return error;
}

/* The candidates that stand for different places: of several with the same place the lowest timeline. */
static size_t
different_places(const Planner *planner, const Candidate *const *from, size_t n_from,
                 const Candidate **ret_different)
{
	size_t count = 0;

	for (size_t i = 0; i < n_from; i++)
	{
		bool known = false;

		for (size_t j = 0; j < count && !known; j++)
			known = branch_same_place(planner, ret_different[j], from[i]);
		if (!known)
			ret_different[count++] = from[i];
	}
	return count;
}

static size_t
select_kind(const Planner *planner, const Candidates *candidates, CandidateKind kind, bool leaves,
            const Candidate **ret_selected)
{
	size_t count = 0;

	for (size_t i = 0; i < candidates->count; i++)
	{
		const Candidate *candidate = &candidates->items[i];

		if (candidate->kind == kind && (!leaves || branch_is_leaf(planner, candidate->path)))
			ret_selected[count++] = candidate;
	}
	return count;
}

/*
 * Without its history file, a newer timeline might well be what goes on from
 * the end that was found: taking that end would leave its WAL out without a word.
 */
static Error *
check_orphans(const Planner *planner, const Candidate *winner)
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
settle_ends(const Planner *planner, const Candidates *candidates, CandidateKind kind,
            const Candidate **ret_winner)
{
	AUTO_FREE const Candidate **ends = NEW_ARRAY(const Candidate *, candidates->count + 1);
	bool leaves = planner->request->timeline == 0;
	size_t count = select_kind(planner, candidates, kind, leaves, ends);

	count += select_kind(planner, candidates, CANDIDATE_HOLE, leaves, ends + count);
	if (count == 0)
		count = select_kind(planner, candidates, CANDIDATE_HOLE, false, ends) > 0 ? 1 : 0;
	if (count == 0)
		return explain_no_backup(planner, candidates->items, candidates->count);
	if (count > 1)
		return explain_branches(planner, ends, count);
	if (ends[0]->kind == CANDIDATE_HOLE)
		return explain_hole(planner, ends[0]);
	TRY(check_orphans(planner, ends[0]));
	*ret_winner = ends[0];
	return NULL;
}

static Error *
settle_nowhere(const Planner *planner, const Candidates *candidates)
{
	for (size_t i = 0; i < candidates->count; i++)
		if (candidates->items[i].kind == CANDIDATE_HOLE)
			return explain_hole(planner, &candidates->items[i]);
	for (size_t i = 0; i < candidates->count; i++)
		if (candidates->items[i].kind == CANDIDATE_NO_BACKUP)
			return explain_no_backup(planner, candidates->items, candidates->count);
	return explain_absent(planner, candidates->items, candidates->count);
}

static Error *
settle(const Planner *planner, const Candidates *candidates, const Candidate **ret_winner)
{
	AUTO_FREE const Candidate **found = NEW_ARRAY(const Candidate *, candidates->count + 1);
	AUTO_FREE const Candidate **different = NEW_ARRAY(const Candidate *, candidates->count + 1);
	size_t n_found = select_kind(planner, candidates, CANDIDATE_FOUND, false, found);
	size_t n_different;

	if (planner->request->target.kind == TARGET_LATEST)
		return settle_ends(planner, candidates, CANDIDATE_FOUND, ret_winner);
	if (n_found == 0 && planner->request->target.kind == TARGET_TIME)
		return settle_ends(planner, candidates, CANDIDATE_BEYOND, ret_winner);
	if (n_found == 0)
		return settle_nowhere(planner, candidates);

	/* A time that only the server can find may lie beyond the end there, as it does elsewhere. */
	for (size_t i = 0; i < n_found && planner->request->target.kind == TARGET_TIME; i++)
		if (found[i]->target.by_server)
		{
			n_found += select_kind(planner, candidates, CANDIDATE_BEYOND, true, found + n_found);
			break;
		}
	n_different = different_places(planner, found, n_found, different);
	if (n_different > 1)
		return explain_branches(planner, different, n_different);
	*ret_winner = different[0];
	return NULL;
}

/* A standby follows the newest timeline without a gap in the numbers (PostgreSQL: findNewestTimeLine). */
static Error *
check_standby(const Planner *planner, const Candidate *winner)
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
warn_of_holes(const Candidates *candidates, const Candidate *winner, RecoveryPlan *plan)
{
	for (size_t i = 0; i < candidates->count; i++)
	{
		const Candidate *candidate = &candidates->items[i];
		char name[WAL_NAME_SIZE];

		if (candidate->kind != CANDIDATE_HOLE || candidate == winner)
			continue;

		AUTO_FREE char *text =
			mem_printf("Timeline %u might hold the target, too, but its WAL segment %s is %s.",
		               candidate->path->timeline,
		               wal_segment_name(candidate->target.hole.timeline, candidate->target.hole.first,
		                                plan->segment_size, name),
		               candidate->target.hole.damaged ? "damaged" : "missing");

		strlist_add(&plan->warnings, text);
	}
}

static Error *
decide(const Planner *planner, Candidates *candidates, RecoveryPlan **ret_plan)
{
	const Candidate *winner = NULL;
	WalPlace point;

	if (planner->request->target.kind == TARGET_NAME)
		TRY(find_point(planner, &point));
	for (size_t i = 0; i < planner->n_paths; i++)
		if (is_considered(planner, planner->paths[i]))
			candidates_add(candidates, evaluate(planner, planner->paths[i], &point));
	TRY(settle(planner, candidates, &winner));
	TRY(check_standby(planner, winner));
	*ret_plan = recovery_plan_build(planner, winner);
	warn_of_holes(candidates, winner, *ret_plan);
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
	if (planner->request->target.kind == TARGET_TIME &&
	    planner->request->target.time > planner->request->now + FUTURE_ALLOWED_US)
		return explain_future(planner);
	return NULL;
}

/*
 * "The end of a backup" means the newest one's.  Where a newer record cannot be
 * read, or its objects are missing, an older backup is another answer, to which somebody must say yes.
 */
static Error *
check_newer_records(const Planner *planner, const BackupRecord *chosen)
{
	TargetKind kind = planner->request->target.kind;

	if (planner->request->backup_id != NULL || (kind != TARGET_IMMEDIATE && kind != TARGET_BACKUP_ONLY))
		return NULL;
	for (size_t i = 0; i < planner->catalog->n_backups; i++)
	{
		const BackupRecord *newer = planner->catalog->backups[i];

		/* One that lacks only its own WAL is whole for whoever has the archive. */
		if ((newer->unusable || (newer->missing != NULL && kind == TARGET_BACKUP_ONLY)) &&
		    newer->start_lsn > chosen->start_lsn)
			return error_hint(
				error_new(ERR_CORRUPT, "backup %s is not all there: %s is missing in the store, or cut short",
			              newer->id, newer->missing),
				"The newest backup that is whole is older: choose it with --backup %s.", chosen->id);
	}
	for (size_t i = 0; i < planner->catalog->damaged.count; i++)
	{
		const char *damaged = planner->catalog->damaged.items[i];
		AUTO_FREE char *id = mem_strndup(damaged, strcspn(damaged, ":"));

		if (layout_is_backup_id(id) && strcmp(id, chosen->id) > 0)
			return error_hint(error_new(ERR_CORRUPT, "record of backup %s", damaged),
			                  "The newest backup that can be read is older: choose it with --backup %s.",
			                  chosen->id);
	}
	return NULL;
}

/*
 * A segment whose records are damaged, though its index is not, is known only
 * once they have been read: what was decided until then may lead through it.
 */
static Error *
decide_on_facts(const Planner *planner, RecoveryPlan **ret_plan)
{
	for (;;)
	{
		size_t damaged = wal_facts_damaged_count(planner->facts);
		Candidates candidates = {0};
		RecoveryPlan *plan = NULL;
		Error *error = decide(planner, &candidates, &plan);

		candidates_release(&candidates);
		if (wal_facts_damaged_count(planner->facts) == damaged)
		{
			*ret_plan = plan;
			return error;
		}
		error_free(error);
		recovery_plan_free(plan);
	}
}

/*
 * A newer timeline whose history is damaged might hold the target, or go on where the plan ends: neither "there is
 * none" nor another timeline's end may be said then.  A backup by itself is not touched by it.
 */
static Error *
check_histories(const Planner *planner, const RecoveryPlan *plan, const Error *refusal)
{
	const RecoveryRequest *request = planner->request;
	bool by_backup = request->target.kind == TARGET_IMMEDIATE || request->target.kind == TARGET_BACKUP_ONLY;

	for (size_t i = 0; i < planner->catalog->n_timelines; i++)
	{
		const CatalogTimeline *timeline = &planner->catalog->timelines[i];
		bool newer = plan != NULL && timeline->timeline > plan->timeline;
		bool matters = request->timeline == 0 ? !by_backup && (error_is(refusal, ERR_NOT_FOUND) || newer)
		                                      : request->timeline == timeline->timeline;

		if (timeline->history_damage != NULL && matters)
			return explain_damaged_history(timeline);
	}
	return NULL;
}

Error *
plan_recover(const Catalog *catalog, const RecoveryRequest *request, WalFacts *facts, RecoveryPlan **ret_plan)
{
	Planner planner = {.catalog = catalog, .request = request, .facts = facts};
	AUTO(RecoveryPlan) plan = NULL;
	AUTO(Error) refusal = NULL;

	TRY(check_request(&planner));
	planner.paths = NEW_ARRAY(WalPath *, catalog->n_timelines);
	for (size_t i = 0; i < catalog->n_timelines; i++)
		planner.paths[planner.n_paths++] = wal_path_new(catalog, &catalog->timelines[i]);
	refusal = decide_on_facts(&planner, &plan);
	for (size_t i = 0; i < planner.n_paths; i++)
		wal_path_free(planner.paths[i]);
	free(planner.paths);
	TRY(wal_facts_error(facts));
	TRY(check_histories(&planner, plan, refusal));
	if (refusal == NULL)
		TRY(check_newer_records(&planner, plan->backup));
	*ret_plan = MOVE(plan);
	return MOVE(refusal);
}
