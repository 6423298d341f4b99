/* The order of a drill; see walship/upkeep/drill.h. */
#include "walship/upkeep/drill.h"

#include <inttypes.h>
#include <string.h>

#include "drill_steps.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

/* Nothing found: it passed, unless there was nothing to look at but notes. */
bool
drill_close_level(DrillReport *report, DrillLevel level, int64_t begin_ms)
{
	DrillCheck *check = &report->checks[level];

	check->duration_ms = clock_monotonic_ms() - begin_ms;
	check->outcome = check->findings.count > 0                       ? DRILL_FAILED
	                 : check->checked == 0 && check->notes.count > 0 ? DRILL_SKIPPED
	                                                                 : DRILL_PASSED;
	return check->outcome != DRILL_FAILED;
}

/* Why there is a window is no matter of the backup, but the time of the replay is that of its fetching, too. */
static void
note_window(const PrivateServer *server, DrillReport *report)
{
	char size[SIZE_TEXT_SIZE];

	report->wal_window = wal_window_bytes(server->window);
	drill_note(report, DRILL_RESTORED,
	           "not all WAL had room here: it comes while it is replayed, %s at a time",
	           size_format(report->wal_window, size));
}

/* *ret_lease holds what is read, until the WAL has come. */
static Error *
restore(Recovery *recovery, const DrillOptions *options, PrivateServer *server, DrillReport *report,
        LeaseHold **ret_lease)
{
	const BackupRecord *backup = recovery->plan->backup;
	Error *error = copy_prepare(recovery, &options->copy, server);

	recovery->leased = true;
	if (error == NULL)
		error = drill_lease_take(options->directory, recovery->store, backup->system_identifier,
		                         (LeaseOn){.kind = "drill",
		                                   .backup = backup->id,
		                                   .timeline = recovery->plan->timeline,
		                                   .start_lsn = backup->start_lsn},
		                         &recovery->notices, ret_lease);
	if (error == NULL)
		error = recovery_run(recovery);
	if (error == NULL)
		error = copy_stage_wal(recovery, options->copy.wal_max, server);
	if (error == NULL && server->window != NULL)
		note_window(server, report);
	report->checks[DRILL_RESTORED].checked = recovery->plan->backup->files;
	return drill_take_error(report, DRILL_RESTORED, error);
}

/* What the server says of a transaction, "" of one that it has not seen yet.  The caller frees. */
static Error *
ask_transaction(Server *connection, TransactionId xid, char **ret_status)
{
	AUTO_FREE char *sql = mem_printf(
		"WITH n AS (SELECT txid_snapshot_xmax(txid_current_snapshot()) AS next), "
		"f AS (SELECT next, (next >> 32 << 32) + %" PRIu32 " AS xid FROM n), "
		"e AS (SELECT next, CASE WHEN xid - next > 2147483648 THEN xid - 4294967296 ELSE xid END AS xid FROM f) "
		"SELECT CASE WHEN xid < next THEN txid_status(xid) ELSE '' END FROM e",
		xid);

	return server_value(connection, sql, ret_status);
}

/*
 * pg_last_xact_replay_timestamp() would not do: at a target that is an LSN the server
 * stops before it notes the last commit's (PostgreSQL: xlogrecovery.c, recoveryStopsAfter).
 */
static Error *
check_target(const RecoveryPlan *plan, PrivateServer *server, DrillReport *report)
{
	AUTO(Server) connection = NULL;
	AUTO_FREE char *status = NULL;
	AUTO_FREE char *next = NULL;
	const char *expected = plan->last.aborted ? "aborted" : "committed";
	Error *error;

	if (plan->last.xid == 0)
	{
		drill_note(report, DRILL_TARGET,
		           "the plan knows no last transaction: there is none after the backup's start");
		return NULL;
	}
	report->checks[DRILL_TARGET].checked = 1;
	error = private_server_connect(server, "template1", &connection);
	if (error == NULL)
		error = ask_transaction(connection, plan->last.xid, &status);
	if (error == NULL && plan->next.xid != 0)
		error = ask_transaction(connection, plan->next.xid, &next);
	TRY(drill_take_error(report, DRILL_TARGET, error));
	if (status != NULL && strcmp(status, expected) != 0)
		drill_finding(report, DRILL_TARGET,
		              "the last transaction of the plan, %" PRIu32 ", is not %s there but \"%s\"",
		              plan->last.xid, expected, status);
	if (next != NULL && strcmp(next, "committed") == 0)
		drill_finding(report, DRILL_TARGET, "transaction %" PRIu32 " is there, which comes after the target",
		              plan->next.xid);
	report->last_transaction = MOVE(status);
	return NULL;
}

static Error *
replay(const RecoveryPlan *plan, PrivateServer *server, DrillReport *report, bool *ret_runs)
{
	ServerProgress progress = {.consistent_ms = -1, .last_xact_time = TIME_NONE};
	int64_t begin = clock_monotonic_ms();
	Error *error = copy_start(server, &progress);

	*ret_runs = error == NULL;
	report->no_network = server->note.no_network;
	report->fence_reason = server->fence_reason == NULL ? NULL : mem_strdup(server->fence_reason);
	TRY(drill_take_error(report, progress.consistent_ms < 0 ? DRILL_CONSISTENT : DRILL_TARGET, error));
	(void) drill_close_level(report, DRILL_CONSISTENT, begin);
	if (progress.consistent_ms >= 0)
		report->checks[DRILL_CONSISTENT].duration_ms = progress.consistent_ms;
	if (!*ret_runs && progress.consistent_ms >= 0)
		(void) drill_close_level(report, DRILL_TARGET, begin);
	if (!*ret_runs)
		return NULL;
	report->replay_ms = progress.reached_ms;
	report->replay_lsn = progress.replay_lsn;
	TRY(check_target(plan, server, report));
	(void) drill_close_level(report, DRILL_TARGET, begin);
	return NULL;
}

static Error *
check_contents(const DrillOptions *options, PrivateServer *server, DrillReport *report)
{
	int64_t begin = clock_monotonic_ms();

	TRY(drill_check_configuration(server, report));
	TRY(drill_check_databases(server, options->counts, report));
	(void) drill_close_level(report, DRILL_CONFIGURED, begin);
	(void) drill_close_level(report, DRILL_DATABASES, begin);
	(void) drill_close_level(report, DRILL_TABLES, begin);
	(void) drill_close_level(report, DRILL_COUNTS, begin);
	(void) drill_close_level(report, DRILL_STRUCTURE, begin);
	begin = clock_monotonic_ms();
	TRY(drill_check_sql(server, options->sql_directory, report));
	(void) drill_close_level(report, DRILL_SQL, begin);
	return NULL;
}

/* What whoever needs the database back waits for: until it has been looked at. */
static void
check_time(const DrillOptions *options, int64_t begin, DrillReport *report)
{
	report->total_ms = clock_monotonic_ms() - begin;
	report->rto_target_ms = options->rto_target_ms;
	if (options->rto_target_ms == 0)
		drill_note(report, DRILL_IN_TIME, "setting \"rto_target\" is not set: no time is too long");
	else
		report->checks[DRILL_IN_TIME].checked = 1;
	if (options->rto_target_ms > 0 && report->total_ms > options->rto_target_ms)
		drill_finding(report, DRILL_IN_TIME,
		              "the recovery took %" PRId64 " ms, and rto_target is %" PRId64 " ms", report->total_ms,
		              options->rto_target_ms);
	(void) drill_close_level(report, DRILL_IN_TIME, begin);
}

/* What nobody who needs the database back would wait for.  "server" has ended, unless it is kept. */
static Error *
check_afterwards(const DrillOptions *options, PrivateServer *server, DrillReport *report)
{
	int64_t begin = clock_monotonic_ms();

	if (options->dump)
		TRY(drill_check_dump(server, report));
	else
		drill_note(report, DRILL_DUMP, "\"--dump-check\" was not given");
	(void) drill_close_level(report, DRILL_DUMP, begin);
	begin = clock_monotonic_ms();
	if (options->keep)
		drill_note(report, DRILL_PAGES, "the server is kept, and pg_checksums needs one that has ended");
	else
	{
		TRY(private_server_stop(server));
		TRY(drill_check_pages(server, report));
	}
	(void) drill_close_level(report, DRILL_PAGES, begin);
	return NULL;
}

static void
describe(const Recovery *recovery, const DrillOptions *options, DrillReport *report)
{
	const RecoveryPlan *plan = recovery->plan;

	report->time = recovery->request.now;
	report->system_identifier = recovery->catalog->system_identifier;
	report->walship_version = mem_strdup(options->walship_version);
	report->backup = mem_strdup(plan->backup->id);
	report->server_version = plan->backup->server_version;
	report->timeline = plan->timeline;
	report->target = recovery_target_text(&plan->asked);
	report->stop_lsn = plan->stop.lsn;
	report->planned_time = plan->last.time;
	report->planned_xid = plan->last.xid;
	report->counts_lsn = options->counts == NULL ? InvalidXLogRecPtr : options->counts->counts.lsn;
	if (options->counts != NULL && options->counts->tolerance.text != NULL)
		report->counts_tolerance = mem_strdup(options->counts->tolerance.text);
	report->counts_exact = options->counts != NULL && options->counts->exact;
	report->rpo_target_ms = options->rpo_target_ms;
	report->fetched_size = plan->stored_backup_size + plan->stored_wal_size;
}

static void
begin_phase(const DrillOptions *options, const char *phase)
{
	if (options->on_phase != NULL)
		options->on_phase(options->on_phase_context, phase);
}

Error *
drill_run(Recovery *recovery, const DrillOptions *options, PrivateServer *server, DrillReport *report)
{
	int64_t begin = clock_monotonic_ms();
	AUTO(LeaseHold) lease = NULL;
	AUTO_LIVE live = {0};
	bool runs = false;

	describe(recovery, options, report);
	if (recovery->plan->asked.kind == TARGET_LATEST)
		TRY(drill_ask_live(options->conninfo, report->system_identifier, &live));
	TRY(restore(recovery, options, server, report, &lease));
	if (server->window == NULL)
		lease_hold_free(MOVE(lease));
	report->restore_ms = clock_monotonic_ms() - begin;
	begin_phase(options, "replaying");
	if (drill_close_level(report, DRILL_RESTORED, begin))
		TRY(replay(recovery->plan, server, report, &runs));
	lease_hold_free(MOVE(lease));
	if (runs)
	{
		int64_t checks = clock_monotonic_ms();

		begin_phase(options, "checking");
		TRY(check_contents(options, server, report));
		report->checks_ms = clock_monotonic_ms() - checks;
		check_time(options, begin, report);
		begin = clock_monotonic_ms();
		TRY(drill_check_recent(recovery->plan, &live, server, report));
		(void) drill_close_level(report, DRILL_RECENT, begin);
		TRY(check_afterwards(options, server, report));
	}
	report->passed = runs;
	for (int level = 0; level < N_DRILL_LEVELS; level++)
		report->passed = report->passed && report->checks[level].outcome != DRILL_FAILED;
	return options->keep && runs ? NULL : private_server_stop(server);
}
