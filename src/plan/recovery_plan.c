/* Builds plans. */
#include "recovery_plan.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/mem.h"

/* The first transaction that is left out is looked for so far behind the end of the recovery. */
#define NEAR_SEGMENTS 128

void
recovery_plan_free(RecoveryPlan *plan)
{
	if (plan == NULL)
		return;
	for (size_t i = 0; i < plan->n_rejected; i++)
	{
		free(plan->rejected[i].id);
		free(plan->rejected[i].reason);
	}
	free(plan->rejected);
	free(plan->segments);
	strlist_release(&plan->notes);
	strlist_release(&plan->warnings);
	free(plan);
}

static void add_sentence(StrList *list, const char *format, ...) PRINTF_LIKE(2, 3);

static void
add_sentence(StrList *list, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	AUTO_FREE char *text = mem_vprintf(format, arguments);
	va_end(arguments);
	strlist_add(list, text);
}

static bool
is_bounded(const RecoveryTarget *target)
{
	return target->kind != TARGET_LATEST;
}

/* What the store gives from the backup's start to "last", as ranges of one timeline each. */
static void
add_segments(const Path *path, XLogSegNo last, RecoveryPlan *plan)
{
	XLogSegNo first = lsn_segment(plan->backup->start_lsn, plan->segment_size);

	plan->segments = NEW_ARRAY(PlanSegments, path->n_pieces);
	for (size_t i = 0; i < path->n_pieces; i++)
	{
		const PathPiece *piece = &path->pieces[i];
		PlanSegments part = {.timeline = piece->timeline,
		                     .first = piece->first > first ? piece->first : first,
		                     .last = piece->last < last ? piece->last : last};

		if (part.first > part.last || path_piece_for(path, part.first, plan->backup) == NULL)
			continue;
		for (XLogSegNo segno = part.first; segno <= part.last; segno++)
			part.stored_size += piece->sizes[segno - piece->first];
		plan->segment_count += part.last - part.first + 1;
		plan->stored_wal_size += part.stored_size;
		plan->segments[plan->n_segments++] = part;
	}
}

static bool
store_lacks_own_wal(const Path *path, const BackupRecord *backup)
{
	XLogSegNo last = lsn_segment_before(backup->stop_lsn, path->segment_size);

	for (XLogSegNo segno = lsn_segment(backup->start_lsn, path->segment_size); segno <= last; segno++)
		if (path_piece_for(path, segno, backup) == NULL)
			return true;
	return false;
}

static void
add_wal(const Outcome *outcome, RecoveryPlan *plan)
{
	const BackupRecord *backup = outcome->backup;

	if (plan->target.kind == TARGET_BACKUP_ONLY)
	{
		plan->uses_backup_wal = true;
		return;
	}
	plan->uses_backup_wal = store_lacks_own_wal(outcome->path, backup);
	add_segments(outcome->path, outcome->last, plan);
	if (plan->uses_backup_wal)
		add_sentence(&plan->notes,
		             "Some of the WAL from the time of the backup is not in the store; the backup "
		             "brings it along.");
}

/*
 * The server reads ahead: it may ask for more than "last" and must be told that
 * there is no more.  A time behind which no commit was found has no target to
 * stop at, but an archive that goes on while the backup is being restored must
 * not carry the recovery past it.
 */
static void
set_plan_end(const Outcome *outcome, RecoveryPlan *plan)
{
	const PathPiece *piece = path_piece_for(outcome->path, outcome->last, outcome->backup);
	TimeLineID timeline = piece == NULL ? outcome->backup->timeline : piece->timeline;

	if (is_bounded(&plan->asked))
		(void) wal_segment_name(timeline, outcome->last, plan->segment_size, plan->plan_end);
}

static void
describe_end(const Planner *planner, const Outcome *outcome, RecoveryPlan *plan)
{
	const PathPiece *piece = path_piece_for(outcome->path, outcome->last, outcome->backup);

	if (plan->target.kind != TARGET_LATEST)
		return;
	plan->end_lsn = outcome->backup->stop_lsn;
	if (piece != NULL)
	{
		const SegmentFacts *segment = planner_segment(planner, outcome->path, outcome->last);
		XLogRecPtr end = segment != NULL && segment->readable ? segment->valid_end : InvalidXLogRecPtr;

		if (piece->until < end)
			end = piece->until;
		if (end > plan->end_lsn)
			plan->end_lsn = end;
	}
}

static void
explain_end_action(RecoveryPlan *plan)
{
	if (plan->target.kind == TARGET_LATEST && plan->purpose != PURPOSE_STANDBY &&
	    plan->action != ACTION_PROMOTE)
		add_sentence(&plan->notes,
		             "At the end of the WAL the server promotes itself: only at a target can it %s.",
		             plan->action == ACTION_PAUSE ? "pause" : "shut down");
}

static void
explain_late_time(const Planner *planner, RecoveryPlan *plan)
{
	char time[TIME_TEXT_SIZE];
	char last[TIME_TEXT_SIZE];

	(void) time_format_postgres(plan->asked.time, time);
	if (plan->asked.time > planner->request->now)
		add_sentence(&plan->warnings, "The target time %s lies in the future.", time);
	if (plan->last.time == TIME_NONE)
		add_sentence(&plan->notes,
		             "No commit later than %s is in the store: recovery goes to the end of the WAL.", time);
	else
		add_sentence(
			&plan->notes,
			"No commit later than %s is in the store: recovery goes to the end of the WAL, whose last "
			"commit is of %s.",
			time, time_format_postgres(plan->last.time, last));
}

/* The server asks for whole segments only: what lies in a partial one is left out, and that must be said. */
static void
warn_of_partials(const Planner *planner, const Outcome *outcome, RecoveryPlan *plan)
{
	const CatalogTimeline *timeline = catalog_timeline(planner->catalog, outcome->path->timeline);

	if (plan->target.kind != TARGET_LATEST || plan->purpose == PURPOSE_STANDBY)
		return;
	for (size_t i = 0; i < timeline->n_partials; i++)
	{
		char name[WAL_NAME_SIZE];
		XLogSegNo segno = timeline->partials[i].segno;

		if (segno <= outcome->last || path_piece(outcome->path, segno) != NULL)
			continue;
		add_sentence(
			&plan->warnings,
			"The store holds %s.partial, from after the end of this recovery. The server does not read it "
			"by itself.",
			wal_segment_name(timeline->timeline, segno, plan->segment_size, name));
	}
}

static void
warn_of_backup(const Planner *planner, RecoveryPlan *plan)
{
	if (plan->backup->page_errors)
		add_sentence(&plan->warnings, "Backup %s holds pages with wrong checksums.", plan->backup->id);
	for (size_t i = 0; i < planner->catalog->damaged.count; i++)
		add_sentence(&plan->warnings, "Not considered, for it cannot be read: %s.",
		             planner->catalog->damaged.items[i]);
}

static void
copy_rejected(const Outcome *outcome, RecoveryPlan *plan)
{
	plan->rejected = NEW_ARRAY(RejectedBackup, outcome->n_rejected);
	for (size_t i = 0; i < outcome->n_rejected; i++)
		plan->rejected[plan->n_rejected++] = (RejectedBackup){
			.id = mem_strdup(outcome->rejected[i].id), .reason = mem_strdup(outcome->rejected[i].reason)};
}

/*
 * A record that goes over a segment's end shows its time in the next segment
 * only, or not even its kind: between the last known commit and the stop it may
 * be a commit, before the target or after it.
 */
static bool
commit_may_hide(const Planner *planner, const Outcome *outcome, const RecoveryPlan *plan)
{
	const Path *path = outcome->path;
	XLogSegNo segno = lsn_segment_before(plan->backup->stop_lsn, plan->segment_size);

	if (plan->last.lsn != InvalidXLogRecPtr && plan->last.segno > segno)
		segno = plan->last.segno;
	for (; segno < plan->stop.segno; segno++)
	{
		const PathPiece *piece = path_piece(path, segno);
		const SegmentFacts *segment =
			piece == NULL ? NULL : wal_facts_find(planner->facts, piece->timeline, segno);

		if (segment != NULL && segment->continues && (segment->detail == NULL || !segment->detail->joined))
			return true;
	}
	return false;
}

/* What the server makes of it: just before a record. */
static RecoveryTarget
by_the_server(const RecoveryTarget *asked)
{
	if (asked->kind == TARGET_BEFORE)
		return (RecoveryTarget){.kind = TARGET_LSN, .inclusive = false, .lsn = asked->lsn};
	return *asked;
}

/*
 * The server's own time target stops just before the first later commit: what
 * that transaction did is replayed by then.  The locks of a DROP TABLE are held,
 * so that nobody can read the table, and the files of a DROP DATABASE are gone,
 * for its commit comes after.  Stopping right after the last commit that counts
 * gives the same transactions and neither of that.  Where it is not certain
 * which one that is, the server knows best.
 */
static RecoveryTarget
pin_time(const Planner *planner, const Outcome *outcome, const RecoveryPlan *plan)
{
	if (planner->request->stop_by == STOP_BY_TIME || commit_may_hide(planner, outcome, plan))
		return by_the_server(&plan->asked);
	if (plan->last.lsn != InvalidXLogRecPtr && plan->last.lsn >= plan->backup->stop_lsn)
		return (RecoveryTarget){.kind = TARGET_LSN, .inclusive = true, .lsn = plan->last.lsn};

	/*
	 * None after the backup's end: then that is the place.  A standby's backup is
	 * consistent somewhat before it (PostgreSQL: do_pg_backup_stop, minRecoveryPoint),
	 * and a commit may lie between.
	 */
	if (plan->backup->from_standby)
		return (RecoveryTarget){.kind = TARGET_LSN, .inclusive = false, .lsn = plan->backup->stop_lsn};
	return (RecoveryTarget){.kind = TARGET_IMMEDIATE, .inclusive = true};
}

/* In an index a '?' may stand for bytes of the name that are no text: the server would wait for that name in vain. */
static RecoveryTarget
pin_name(const RecoveryPlan *plan)
{
	if (strchr(plan->asked.name, '?') == NULL)
		return plan->asked;
	return (RecoveryTarget){.kind = TARGET_LSN, .inclusive = true, .lsn = plan->stop.lsn};
}

/* Where what is replayed ends. */
static Bound
bound_of(const Outcome *outcome, const RecoveryPlan *plan)
{
	XLogRecPtr place = plan->stop.lsn;
	Bound bound = {.segno = plan->stop.segno, .highest = plan->stop.segno + NEAR_SEGMENTS};

	switch (plan->asked.kind)
	{
		case TARGET_TIME:
			bound.lsn = place;
			break;
		case TARGET_BEFORE:
			bound.lsn = plan->asked.lsn;
			break;
		case TARGET_LSN:
			bound.lsn = plan->asked.lsn;
			bound.through = plan->asked.inclusive;
			break;
		case TARGET_XID:
		case TARGET_NAME:
			bound.lsn = plan->asked.inclusive ? place + 1 : place;
			break;
		case TARGET_IMMEDIATE:
		case TARGET_BACKUP_ONLY:
			bound.lsn = plan->backup->stop_lsn;
			break;
		case TARGET_LATEST:
			break;
	}
	if (plan->target.kind == TARGET_LATEST)
		bound = (Bound){.lsn = UINT64_MAX, .segno = outcome->last};
	return bound;
}

static void
name_transactions(const Planner *planner, const Outcome *outcome, RecoveryPlan *plan)
{
	Bound bound = bound_of(outcome, plan);

	plan->last = (WalPlace){.time = TIME_NONE};
	plan->next = (WalPlace){.time = TIME_NONE};
	if (plan->target.kind == TARGET_BACKUP_ONLY)
		return;
	(void) planner_last_included(planner, outcome->path, plan->backup, bound, &plan->last);
	if (plan->target.kind != TARGET_LATEST)
		(void) planner_first_excluded(planner, outcome->path, bound, &plan->next);
}

/* What the server does differently when it is told the time itself. */
static void
warn_of_stop_by_time(RecoveryPlan *plan)
{
	char time[TIME_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];

	if (plan->target.kind == TARGET_TIME)
		add_sentence(
			&plan->warnings,
			"--stop-by time: the server replays everything up to the next commit or abort, that of "
			"transaction %" PRIu32 " at %s (LSN %s), and stops just before it. If that transaction dropped a "
			"database, its files are gone by then; if it dropped or truncated a table, the table stays locked "
			"while recovery is paused. If that record does not arrive, the server ends with \"recovery ended "
			"before configured recovery target was reached\".",
			plan->stop.xid, time_format_postgres(plan->stop.time, time), lsn_format(plan->stop.lsn, lsn));
	else
		add_sentence(&plan->warnings,
		             "--stop-by time: the server would end with \"recovery ended before configured recovery "
		             "target was reached\", for no later commit is in the store; so no target is written.");
}

/* Of a segment on the way; false: it changes parameters in a record that goes on in the next one. */
static bool
raise_parameters(const Planner *planner, const Path *path, XLogSegNo segno, BackupParameters *parameters)
{
	const PathPiece *piece = path_piece(path, segno);
	const SegmentFacts *segment =
		piece == NULL ? NULL : wal_facts_find(planner->facts, piece->timeline, segno);
	const SegmentDetail *detail;

	if (segment == NULL || !segment->readable || !segment->parameter_change)
		return true;
	detail = planner_detail(planner, path, segno);
	if (detail == NULL)
		return true;
	wal_parameters_raise(parameters, &detail->parameters);
	return !detail->parameters_hidden;
}

/*
 * Where the primary was restarted with more connections, workers, ..., a recovery
 * with less pauses for good, or stops (PostgreSQL: xlogrecovery.c,
 * RecoveryRequiresIntParameter).  Whole segments are looked at: what was raised
 * just before the backup or just after the target does no harm.
 */
static void
collect_parameters(const Planner *planner, const Outcome *outcome, RecoveryPlan *plan)
{
	XLogSegNo first = lsn_segment(plan->backup->start_lsn, plan->segment_size);
	char name[WAL_NAME_SIZE];

	plan->parameters = plan->backup->parameters;
	if (plan->target.kind == TARGET_BACKUP_ONLY ||
	    !planner_know_barriers(planner, outcome->path, first, outcome->last))
		return;
	for (XLogSegNo segno = first; segno <= outcome->last; segno++)
		if (!raise_parameters(planner, outcome->path, segno, &plan->parameters))
			add_sentence(&plan->warnings,
			             "At the end of WAL segment %s the server was restarted with other settings, which "
			             "cannot be told here. If the recovery stops for \"insufficient parameter "
			             "settings\", raise those that the server's log names.",
			             wal_segment_name(path_piece(outcome->path, segno)->timeline, segno,
			                              plan->segment_size, name));
}

/* Unlike a target, they still count after the promotion, and are stronger than postgresql.conf. */
static void
explain_parameters(RecoveryPlan *plan)
{
	if (plan->purpose != PURPOSE_COPY)
		add_sentence(&plan->notes,
		             "max_connections, max_worker_processes, max_wal_senders, max_prepared_transactions and "
		             "max_locks_per_transaction are written as high as the WAL needs them; they stay in "
		             "postgresql.auto.conf until they are removed with ALTER SYSTEM RESET.");
}

RecoveryPlan *
recovery_plan_build(const Planner *planner, const Outcome *outcome)
{
	const CatalogTimeline *timeline = catalog_timeline(planner->catalog, outcome->path->timeline);
	RecoveryPlan *plan = NEW(RecoveryPlan);

	plan->backup = outcome->backup;
	plan->timeline = timeline->timeline;
	plan->history = timeline->history;
	plan->timeline_has_file = timeline->has_history_file;
	plan->segment_size = planner->catalog->segment_size;
	plan->asked = planner->request->target;
	plan->target = plan->asked;
	plan->purpose = planner->request->purpose;
	plan->action = planner->request->action;
	plan->stop = outcome->location.place;
	if (outcome->kind == OUTCOME_BEYOND)
		plan->target.kind = TARGET_LATEST;
	name_transactions(planner, outcome, plan);
	if (plan->target.kind == TARGET_TIME || plan->target.kind == TARGET_BEFORE)
		plan->target = pin_time(planner, outcome, plan);
	if (plan->target.kind == TARGET_NAME)
		plan->target = pin_name(plan);

	for (size_t i = 0; i < plan->backup->n_parts; i++)
		plan->stored_backup_size += plan->backup->parts[i].stored_size;
	plan->stored_backup_size += plan->backup->manifest_stored_size;
	add_wal(outcome, plan);
	set_plan_end(outcome, plan);
	describe_end(planner, outcome, plan);
	collect_parameters(planner, outcome, plan);
	if (outcome->kind == OUTCOME_BEYOND)
		explain_late_time(planner, plan);
	if (planner->request->stop_by == STOP_BY_TIME)
		warn_of_stop_by_time(plan);
	explain_end_action(plan);
	explain_parameters(plan);
	warn_of_partials(planner, outcome, plan);
	warn_of_backup(planner, plan);
	copy_rejected(outcome, plan);
	return plan;
}
