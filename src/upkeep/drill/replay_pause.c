/* See replay_pause.h. */
#include "replay_pause.h"

#include <string.h>

#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/mem.h"

#define NOTICED_WITHIN_MS 10000
#define RESUMED_WITHIN_MS 5000
#define POLL_MS           20
#define SETTLED_MS        1000 /* of 13, which does not tell when it has noticed */
#define PAUSE_STATE_SINCE 14

static Error *
ask_state(Server *server, bool *ret_asked_for, bool *ret_paused)
{
	AUTO_FREE char *state = NULL;

	TRY(server_value(
		server,
		server_major(server) < PAUSE_STATE_SINCE
			? "SELECT CASE WHEN pg_catalog.pg_is_wal_replay_paused() THEN 'paused' ELSE 'not paused' END"
			: "SELECT pg_catalog.pg_get_wal_replay_pause_state()",
		&state));
	*ret_paused = strcmp(state, "paused") == 0;
	*ret_asked_for = strcmp(state, "not paused") != 0;
	return NULL;
}

Error *
replay_pause_begin(Server *server, ReplayPause *pause)
{
	int64_t deadline = clock_monotonic_ms() + NOTICED_WITHIN_MS;
	AUTO_RESULTS results = {0};
	bool asked_for;
	bool paused;

	TRY(ask_state(server, &asked_for, &paused));
	*pause = (ReplayPause){.server = server, .ours = !asked_for};
	if (!asked_for)
		TRY(error_hint(
			server_run(server, "SELECT pg_catalog.pg_wal_replay_pause()", NOTICED_WITHIN_MS, &results),
			"On a standby rows are counted while its replay is paused: GRANT EXECUTE ON FUNCTION "
			"pg_wal_replay_pause, pg_wal_replay_resume to the role, or count on the primary."));
	for (;;)
	{
		TRY(ask_state(server, &asked_for, &paused));
		if (paused)
			return NULL;
		if (clock_monotonic_ms() > deadline)
			return error_new(ERR_TRANSIENT, "the standby does not pause its replay");
		TRY(cancel_sleep_ms(POLL_MS));
	}
}

/* A timeline is in pg_control once a page of it was written; whoever receives WAL knows it before. */
static Error *
ask_place(Server *server, XLogRecPtr *ret_lsn, TimeLineID *ret_timeline)
{
	AUTO_STRLIST row = {0};
	uint64_t timeline;

	TRY(server_row(server,
	               "SELECT pg_catalog.pg_last_wal_replay_lsn(), greatest("
	               "(SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()), "
	               "(SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()), "
	               "(SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver))",
	               2, &row));
	if (!lsn_parse(row.items[0], ret_lsn) || !str_to_uint64(row.items[1], &timeline))
		return error_new(ERR_TRANSIENT, "unexpected answer of the standby: no place in the WAL");
	*ret_timeline = (TimeLineID) timeline;
	return NULL;
}

/*
 * 13 stops before the next record, and one that is being applied is not in what it says yet
 * (PostgreSQL: xlog.c, StartupXLOG): only when that has not moved for a while is there none.
 */
Error *
replay_pause_place(const ReplayPause *pause, XLogRecPtr *ret_lsn, TimeLineID *ret_timeline)
{
	int64_t deadline = clock_monotonic_ms() + NOTICED_WITHIN_MS;

	TRY(ask_place(pause->server, ret_lsn, ret_timeline));
	while (server_major(pause->server) < PAUSE_STATE_SINCE)
	{
		XLogRecPtr before = *ret_lsn;

		TRY(cancel_sleep_ms(SETTLED_MS));
		TRY(ask_place(pause->server, ret_lsn, ret_timeline));
		if (*ret_lsn == before)
			break;
		if (clock_monotonic_ms() > deadline)
			return error_new(ERR_TRANSIENT, "the standby does not pause its replay");
	}
	return NULL;
}

void
replay_pause_end(ReplayPause *pause)
{
	if (pause->ours)
		error_free(
			server_run_cleanup(pause->server, "SELECT pg_catalog.pg_wal_replay_resume()", RESUMED_WITHIN_MS));
	pause->ours = false;
}
