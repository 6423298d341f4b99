/* Builds plans. */
#include "recovery_plan.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/plan/clocks.h"

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
add_segments(const WalPath *path, XLogSegNo last, RecoveryPlan *plan)
{
	XLogSegNo first = lsn_segment(plan->backup->start_lsn, plan->segment_size);

	plan->segments = NEW_ARRAY(PlanSegments, path->n_pieces);
	for (size_t i = 0; i < path->n_pieces; i++)
	{
		const WalPathPiece *piece = &path->pieces[i];
		PlanSegments part = {.timeline = piece->timeline,
		                     .first = piece->first > first ? piece->first : first,
		                     .last = piece->last < last ? piece->last : last};

		if (part.first > part.last || wal_path_piece_for(path, part.first, plan->backup) == NULL)
			continue;
		for (XLogSegNo segno = part.first; segno <= part.last; segno++)
			part.stored_size += piece->sizes[segno - piece->first];
		plan->segment_count += part.last - part.first + 1;
		plan->stored_wal_size += part.stored_size;
		plan->segments[plan->n_segments++] = part;
	}
}

static bool
store_lacks_own_wal(const WalPath *path, const BackupRecord *backup)
{
	XLogSegNo last = lsn_segment_before(backup->stop_lsn, path->segment_size);

	for (XLogSegNo segno = lsn_segment(backup->start_lsn, path->segment_size); segno <= last; segno++)
		if (wal_path_piece_for(path, segno, backup) == NULL)
			return true;
	return false;
}

static void
add_wal(const Candidate *candidate, RecoveryPlan *plan)
{
	const BackupRecord *backup = candidate->backup;

	if (plan->target.kind == TARGET_BACKUP_ONLY)
	{
		plan->uses_backup_wal = true;
		return;
	}
	plan->uses_backup_wal = store_lacks_own_wal(candidate->path, backup);
	add_segments(candidate->path, candidate->last, plan);
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
set_plan_end(const Candidate *candidate, RecoveryPlan *plan)
{
	const WalPathPiece *piece = wal_path_piece_for(candidate->path, candidate->last, candidate->backup);
	TimeLineID timeline = piece == NULL ? candidate->backup->timeline : piece->timeline;

	/* Where only the server can find the target it must be able to go on to it. */
	if (is_bounded(&plan->asked) && !candidate->target.by_server)
		(void) wal_segment_name(timeline, candidate->last, plan->segment_size, plan->plan_end);
}

static void
describe_end(const Planner *planner, const Candidate *candidate, RecoveryPlan *plan)
{
	const WalPathPiece *piece = wal_path_piece_for(candidate->path, candidate->last, candidate->backup);

	if (plan->target.kind != TARGET_LATEST)
		return;
	plan->end_lsn = candidate->backup->stop_lsn;
	if (piece != NULL)
	{
		XLogRecPtr end = planner_index(planner, candidate->path, candidate->last)->valid_end;

		if (piece->until < end)
			end = piece->until;
		if (end > plan->end_lsn)
			plan->end_lsn = end;
	}
}

static void
explain_standby_end(RecoveryPlan *plan)
{
	char lsn[LSN_TEXT_SIZE];

	if (plan->backup->from_standby &&
	    (plan->target.kind == TARGET_IMMEDIATE || plan->target.kind == TARGET_BACKUP_ONLY))
		add_sentence(
			&plan->notes,
			"Backup %s is of a standby, which cannot mark its end in the WAL: the server is told the last "
			"record before LSN %s, by recovery_target_lsn, as soon as the backup is restored and it is found.",
			plan->backup->id, lsn_format(plan->backup->stop_lsn, lsn));
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
warn_of_partials(const Planner *planner, const Candidate *candidate, RecoveryPlan *plan)
{
	const CatalogTimeline *timeline = catalog_timeline(planner->catalog, candidate->path->timeline);

	if (plan->target.kind != TARGET_LATEST || plan->purpose == PURPOSE_STANDBY)
		return;
	for (size_t i = 0; i < timeline->n_partials; i++)
	{
		char name[WAL_NAME_SIZE];
		XLogSegNo segno = timeline->partials[i].segno;

		if (segno <= candidate->last || wal_path_piece(candidate->path, segno) != NULL)
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
	if (plan->asked.kind == TARGET_TIME)
		clocks_warn(planner->catalog, planner->request->now, &plan->warnings);
	for (size_t i = 0; i < planner->catalog->damaged.count; i++)
		add_sentence(&plan->warnings, "Not considered, for it cannot be read: %s.",
		             planner->catalog->damaged.items[i]);
	for (size_t i = 0; i < planner->catalog->n_backups; i++)
		if (planner->catalog->backups[i]->unusable && !planner->request->restored)
			add_sentence(&plan->warnings, "Not considered, for objects of it are missing: backup %s (%s).",
			             planner->catalog->backups[i]->id, planner->catalog->backups[i]->missing);
}

static void
copy_rejected(const Candidate *candidate, RecoveryPlan *plan)
{
	plan->rejected = NEW_ARRAY(RejectedBackup, candidate->n_rejected);
	for (size_t i = 0; i < candidate->n_rejected; i++)
		plan->rejected[plan->n_rejected++] = (RejectedBackup){
			.id = mem_strdup(candidate->rejected[i].id), .reason = mem_strdup(candidate->rejected[i].reason)};
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
 * gives the same transactions and neither of that.
 */
static RecoveryTarget
pin_time(const Planner *planner, const RecoveryPlan *plan)
{
	if (planner->request->stop_by == STOP_BY_TIME)
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
static StopPoint
stop_point_of(const Candidate *candidate, const RecoveryPlan *plan)
{
	XLogRecPtr place = plan->stop.lsn;
	StopPoint stop = {.segno = plan->stop.segno, .highest = plan->stop.segno + NEAR_SEGMENTS};

	switch (plan->asked.kind)
	{
		case TARGET_TIME:
			stop.lsn = place;
			break;
		case TARGET_BEFORE:
			stop.lsn = plan->asked.lsn;
			break;
		case TARGET_LSN:
			stop.lsn = plan->asked.lsn;
			stop.through = plan->asked.inclusive;
			break;
		case TARGET_XID:
		case TARGET_NAME:
			stop.lsn = plan->asked.inclusive ? place + 1 : place;
			break;
		case TARGET_IMMEDIATE:
		case TARGET_BACKUP_ONLY:
			stop.lsn = plan->backup->stop_lsn;
			break;
		case TARGET_LATEST:
			break;
	}
	if (plan->target.kind == TARGET_LATEST)
		stop = (StopPoint){.lsn = UINT64_MAX, .segno = candidate->last};
	return stop;
}

static void
name_transactions(const Planner *planner, const Candidate *candidate, RecoveryPlan *plan)
{
	StopPoint stop = stop_point_of(candidate, plan);

	plan->last = (WalPlace){.time = TIME_NONE};
	plan->next = (WalPlace){.time = TIME_NONE};
	if (plan->target.kind == TARGET_BACKUP_ONLY || candidate->target.by_server)
		return;
	plan->last = planner_last_included(planner, candidate->path, plan->backup, &stop);
	if (plan->target.kind != TARGET_LATEST)
		plan->next = planner_first_excluded(planner, candidate->path, &stop);
}

/* What only the server can read, and what it does with it. */
static void
warn_of_foreign(const Planner *planner, const Candidate *candidate, RecoveryPlan *plan)
{
	static const char *const searches[] = {
		[TARGET_TIME] = "the first commit or abort later than it",
		[TARGET_LSN] = "the first record that starts there or later",
		[TARGET_XID] = "the end of that transaction",
		[TARGET_NAME] = "the first restore point of that name",
	};
	XLogSegNo start = lsn_segment(plan->backup->start_lsn, plan->segment_size);
	ForeignSegments foreign;
	char first[WAL_NAME_SIZE];
	char last[WAL_NAME_SIZE];

	if (plan->asked.kind == TARGET_BACKUP_ONLY ||
	    !planner_find_foreign(planner, candidate->path, start, candidate->last, &foreign))
		return;
	(void) wal_segment_name(wal_path_piece(candidate->path, foreign.first)->timeline, foreign.first,
	                        plan->segment_size, first);
	(void) wal_segment_name(wal_path_piece(candidate->path, foreign.last)->timeline, foreign.last,
	                        plan->segment_size, last);
	add_sentence(&plan->warnings,
	             "%" PRIu64
	             " of the WAL segments, %s to %s, are of a PostgreSQL that this walship does not know: "
	             "what happened in them could not be read.",
	             foreign.count, first, last);
	if (!candidate->target.by_server)
		return;
	add_sentence(
		&plan->warnings,
		"So the server has to find the target by itself, which is %s. If that does not come, it ends "
		"with \"recovery ended before configured recovery target was reached\".",
		searches[plan->asked.kind]);
	if (plan->stop.lsn == InvalidXLogRecPtr && plan->asked.kind != TARGET_TIME)
		add_sentence(
			&plan->notes,
			"Backup %s is the oldest that can be used: which of them ended before the target is not known. "
			"Another one can be chosen with --backup.",
			plan->backup->id);
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

static void
raise_to(int32_t *into, int32_t from)
{
	if (*into < from)
		*into = from;
}

static void
raise_parameters(const WalParameters *change, BackupParameters *parameters)
{
	raise_to(&parameters->max_connections, change->max_connections);
	raise_to(&parameters->max_worker_processes, change->max_worker_processes);
	raise_to(&parameters->max_wal_senders, change->max_wal_senders);
	raise_to(&parameters->max_prepared_transactions, change->max_prepared_transactions);
	raise_to(&parameters->max_locks_per_transaction, change->max_locks_per_transaction);
}

/* While the backup was taken the server wrote full pages in any case (PostgreSQL: forcePageWrites). */
static void
warn_of_torn_pages(XLogRecPtr from, RecoveryPlan *plan)
{
	char lsn[LSN_TEXT_SIZE];

	add_sentence(
		&plan->warnings,
		"full_page_writes was off on the way, as LSN %s says: should the machine fail while the server "
		"replays, pages may be torn beyond repair; then begin this recovery anew.",
		lsn_format(from, lsn));
}

/*
 * Where the primary was restarted with more connections, workers, ..., a recovery
 * with less pauses for good, or stops (PostgreSQL: xlogrecovery.c,
 * RecoveryRequiresIntParameter).  Whole segments are looked at: what was raised
 * just before the backup or just after the target does no harm.  Only the last
 * segment of a chain can change parameters.
 */
static void
collect_parameters(const Planner *planner, const Candidate *candidate, RecoveryPlan *plan)
{
	const WalPath *path = candidate->path;
	XLogSegNo first = lsn_segment(plan->backup->start_lsn, plan->segment_size);
	XLogRecPtr torn_from = InvalidXLogRecPtr;

	plan->parameters = plan->backup->parameters;
	if (plan->target.kind == TARGET_BACKUP_ONLY)
		return;
	for (XLogSegNo next = candidate->last + 1; next > first;)
	{
		const SegmentIndex *segment;
		const SegmentRecords *records;

		if (wal_path_piece(path, --next) == NULL)
			continue;
		segment = planner_index_down(planner, path, first, next);
		if (segment->full_page_writes_off_at != InvalidXLogRecPtr)
			torn_from = segment->full_page_writes_off_at;
		records =
			segment->readable && segment->parameter_change ? planner_records(planner, path, next) : NULL;
		next = planner_chain_first(path, segment);
		for (size_t i = 0; records != NULL && i < records->n_events; i++)
			if (records->events[i].kind == WAL_EVENT_PARAMETER_CHANGE)
				raise_parameters(&records->events[i].parameters, &plan->parameters);
	}

	/* Its checkpoint tells what was set when the backup began; the keys are looked up in this index, too. */
	if (wal_path_piece(path, first) != NULL &&
	    planner_index(planner, path, first)->full_page_writes_off_at != InvalidXLogRecPtr)
		torn_from = planner_index(planner, path, first)->full_page_writes_off_at;
	if (torn_from != InvalidXLogRecPtr)
		warn_of_torn_pages(torn_from, plan);
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
recovery_plan_build(const Planner *planner, const Candidate *candidate)
{
	const CatalogTimeline *timeline = catalog_timeline(planner->catalog, candidate->path->timeline);
	RecoveryPlan *plan = NEW(RecoveryPlan);

	plan->backup = candidate->backup;
	plan->timeline = timeline->timeline;
	plan->history = timeline->history;
	plan->timeline_has_file = timeline->has_history_file;
	plan->segment_size = planner->catalog->segment_size;
	plan->asked = planner->request->target;
	plan->purpose = planner->request->purpose;
	plan->action = planner->request->action;
	plan->stop = candidate->target.place;
	if (plan->asked.kind == TARGET_BEFORE && plan->asked.lsn == InvalidXLogRecPtr)
		plan->asked.lsn = plan->stop.lsn;
	plan->target = plan->asked;
	if (candidate->kind == CANDIDATE_BEYOND)
		plan->target.kind = TARGET_LATEST;
	name_transactions(planner, candidate, plan);
	if (plan->target.kind == TARGET_BEFORE)
		plan->target = pin_time(planner, plan);
	if (plan->target.kind == TARGET_TIME && !candidate->target.by_server)
		plan->target = pin_time(planner, plan);
	if (plan->target.kind == TARGET_NAME && !candidate->target.by_server)
		plan->target = pin_name(plan);

	for (size_t i = 0; i < plan->backup->n_parts; i++)
		plan->stored_backup_size += plan->backup->parts[i].stored_size;
	plan->stored_backup_size += plan->backup->manifest_stored_size;
	add_wal(candidate, plan);
	set_plan_end(candidate, plan);
	describe_end(planner, candidate, plan);
	collect_parameters(planner, candidate, plan);
	if (candidate->kind == CANDIDATE_BEYOND)
		explain_late_time(planner, plan);
	if (planner->request->stop_by == STOP_BY_TIME && !candidate->target.by_server)
		warn_of_stop_by_time(plan);
	warn_of_foreign(planner, candidate, plan);
	explain_end_action(plan);
	explain_standby_end(plan);
	explain_parameters(plan);
	warn_of_partials(planner, candidate, plan);
	warn_of_backup(planner, plan);
	copy_rejected(candidate, plan);
	return plan;
}
