/* How much would be lost with the server: DRILL_RECENT. */
#include <inttypes.h>
#include <string.h>

#include "drill_steps.h"
#include "walship/base/clock.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

#define CONNECT_TIMEOUT_MS 5000
#define REPLY_MS           60000
#define LOOKED_AT          100000 /* transaction ids, the newest ones */

static Error *
check_system(Server *server, uint64_t system_identifier, bool *ret_standby)
{
	AUTO_STRLIST row = {0};
	uint64_t identifier;

	TRY(server_row(
		server,
		"SELECT system_identifier, pg_catalog.pg_is_in_recovery() FROM pg_catalog.pg_control_system()", 2,
		&row));
	if (!str_to_uint64(row.items[0], &identifier) || identifier != system_identifier)
		return error_new(ERR_EXISTS, "\"conninfo\" leads to database system %s", row.items[0]);
	*ret_standby = strcmp(row.items[1], "t") == 0;
	return NULL;
}

/* Before "end", of the newest; what is not known any more was frozen, and what is in the future has not been. */
static Error *
count_committed(Server *server, uint64_t end, uint64_t *ret_count)
{
	AUTO_RESULTS results = {0};
	AUTO_FREE char *sql = mem_printf(
		"SELECT pg_catalog.count(*) FROM pg_catalog.generate_series(greatest(%" PRIu64 " - %d, 3), %" PRIu64
		" - 1) x WHERE CASE WHEN x < pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) "
		"THEN pg_catalog.txid_status(x) = 'committed' END",
		end, LOOKED_AT, end);

	TRY(server_run(server, sql, REPLY_MS, &results));
	if (results.count != 1 || !str_to_uint64(results.items[0].values[0], ret_count))
		return error_new(ERR_TRANSIENT, "unexpected answer of the server: no number of transactions");
	return NULL;
}

static Error *
ask(const char *conninfo, uint64_t system_identifier, LiveServer *live)
{
	AUTO(Server) server = NULL;
	AUTO_FREE char *end = NULL;

	TRY(server_connect_sql_within(conninfo, CONNECT_TIMEOUT_MS, &server));
	TRY(check_system(server, system_identifier, &live->standby));
	TRY(server_value(server, "SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())",
	                 &end));
	if (!str_to_uint64(end, &live->next_xid))
		return error_new(ERR_TRANSIENT, "unexpected answer of the server: no transaction id");
	return count_committed(server, live->next_xid, &live->committed);
}

Error *
drill_ask_live(const char *conninfo, uint64_t system_identifier, LiveServer *live)
{
	Error *error = ask(conninfo, system_identifier, live);

	live->answered = error == NULL;
	if (error_is(error, ERR_CANCELLED))
		return error;
	if (error != NULL)
		live->reason = mem_strdup(error_message(error));
	error_free(error);
	return NULL;
}

void
live_server_release(LiveServer *live)
{
	free(live->reason);
	*live = (LiveServer){0};
}

/*
 * What had been committed there when the drill began, and is not here.  The copy has a beginning of the server's WAL,
 * so it has no others.
 */
static Error *
compare(const LiveServer *live, PrivateServer *server, DrillReport *report)
{
	AUTO(Server) copy = NULL;
	uint64_t committed;

	report->server_ahead = DRILL_AHEAD_UNKNOWN;
	if (!live->answered)
		return NULL;
	TRY(private_server_connect(server, "template1", &copy));
	TRY(count_committed(copy, live->next_xid, &committed));
	report->missing_transactions = live->committed > committed ? live->committed - committed : 0;
	if (report->missing_transactions > 0)
		report->server_ahead = DRILL_AHEAD;
	else if (!live->standby)
		report->server_ahead = DRILL_NOT_AHEAD;
	return NULL;
}

/* An idle server has no younger commit; a store that lags has not got it. */
static void
judge(const LiveServer *live, DrillReport *report)
{
	int64_t target = report->rpo_target_ms;
	char age[SIZE_TEXT_SIZE];
	char limit[SIZE_TEXT_SIZE];
	AUTO_FREE char *server =
		report->server_ahead == DRILL_AHEAD
			? mem_printf("%" PRIu64 " transactions that the server had committed when the drill began are "
	                     "not in the store",
	                     report->missing_transactions)
		: report->server_ahead == DRILL_NOT_AHEAD
			? mem_strdup("the server has committed nothing since: nothing would be lost")
			: mem_printf("whether the server has committed anything since is not known: %s",
	                     live->answered ? "a standby was asked, which may be behind its primary"
	                                    : live->reason);

	(void) duration_format((int64_t) report->rpo_ms, age);
	if (report->rpo_ms > 0 && target > 0 && report->rpo_ms > (uint64_t) target &&
	    report->server_ahead != DRILL_NOT_AHEAD)
		drill_finding(report, DRILL_RECENT,
		              "the last commit in the store is %s old, and rpo_target is %s; %s", age,
		              duration_format(target, limit), server);
	else if (report->rpo_ms > 0)
		drill_note(report, DRILL_RECENT, "the last commit in the store is %s old; %s", age, server);
	else
		drill_note(report, DRILL_RECENT, "the plan knows no last commit; %s", server);
	if (target == 0)
		drill_note(report, DRILL_RECENT, "setting \"rpo_target\" is not set: no last commit is too old");
	report->checks[DRILL_RECENT].checked =
		target > 0 && (report->rpo_ms > 0 || report->server_ahead == DRILL_NOT_AHEAD);
}

/* Only a drill to the end says how far the store is behind. */
Error *
drill_check_recent(const RecoveryPlan *plan, const LiveServer *live, PrivateServer *server,
                   DrillReport *report)
{
	if (plan->asked.kind != TARGET_LATEST)
	{
		drill_note(report, DRILL_RECENT,
		           "the target is not the end of the WAL: the age of the last commit is not measured");
		return NULL;
	}
	if (plan->last.time != TIME_NONE && plan->last.time < report->time)
		report->rpo_ms = (uint64_t) (report->time - plan->last.time + 999) / 1000;
	TRY(drill_take_error(report, DRILL_RECENT, compare(live, server, report)));
	judge(live, report);
	return NULL;
}
