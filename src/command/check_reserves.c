/* Room, slots and senders. */
#include "check_reserves.h"

#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>

#include "walship/base/buf.h"
#include "walship/base/dir.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/base/strs.h"

#define WAITING_MAX         100 /* files; docs/operations.md, "What to watch" */
#define ROOM_MIN_PERCENT    10
#define SENDERS_OF_A_BACKUP 2
#define DETAIL_MAX          4096

static Error *
count_waiting(const CheckedServer *server, size_t *ret_count)
{
	AUTO_STRLIST found = {0};
	uint64_t count = 0;
	TimeUs since;

	if (server->data_directory != NULL)
	{
		AUTO_FREE char *status = path_join(server->data_directory, "pg_wal/archive_status");

		TRY(dir_list_ending(status, ".ready", &found));
		*ret_count = found.count;
		return NULL;
	}
	TRY(server_waiting(server->sql, &count, &since));
	*ret_count = (size_t) count;
	return NULL;
}

/* pg_wal: what waits there, and whether there is room for more. */
static void
check_waiting(const CheckedServer *server, CheckReport *report)
{
	AUTO_FREE char *directory =
		server->data_directory == NULL ? NULL : path_join(server->data_directory, "pg_wal");
	AUTO_BUF(detail, DETAIL_MAX);
	struct statvfs status;
	bool little_room = false;
	size_t waiting = 0;
	char size[SIZE_TEXT_SIZE];
	Error *error = count_waiting(server, &waiting);

	if (error != NULL)
	{
		check_report_unknown(report, "pg_wal", error, NULL);
		return;
	}
	buf_printf(&detail, "%zu file%s wait%s to be archived", waiting, waiting == 1 ? "" : "s",
	           waiting == 1 ? "s" : "");
	if (directory != NULL && statvfs(directory, &status) == 0 && status.f_blocks > 0)
	{
		uint64_t percent = (uint64_t) status.f_bavail * 100 / status.f_blocks;

		little_room = percent < ROOM_MIN_PERCENT;
		buf_printf(&detail, "; %s free on its file system (%" PRIu64 " %%)",
		           size_format((uint64_t) status.f_bavail * status.f_frsize, size), percent);
	}
	if (waiting > WAITING_MAX)
		check_report_add(report, "pg_wal", CHECK_FAIL, buf_steal(&detail), mem_strdup(CHECK_LOG_HINT));
	else if (little_room)
		check_report_add(
			report, "pg_wal", CHECK_WARN, buf_steal(&detail),
			mem_strdup("When it is full, the server stops: make room, or give pg_wal a larger one."));
	else
		check_report_add(report, "pg_wal", CHECK_OK, buf_steal(&detail), NULL);
}

/* What a slot keeps beyond the server's own measure for pg_wal nobody fetches; and a lost one will never go on. */
static void
check_slots(Server *sql, CheckReport *report)
{
	AUTO_STRLIST row = {0};
	Error *error = server_row(
		sql,
		"SELECT count(*), string_agg(slot_name || ' (' || pg_size_pretty(kept) || ')', ', ') "
		"FILTER (WHERE NOT active AND kept > pg_size_bytes(current_setting('max_wal_size'))), "
		"string_agg(slot_name, ', ') FILTER (WHERE wal_status = 'lost'), "
		"current_setting('max_replication_slots')::bigint - count(*) FROM (SELECT slot_name, active, wal_status, "
		"pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() "
		"END, restart_lsn) AS kept FROM pg_replication_slots) AS slots",
		4, &row);

	if (error != NULL)
	{
		check_report_unknown(report, "slots", error, NULL);
		return;
	}
	if (*row.items[1] != '\0')
		check_report_add(
			report, "slots", CHECK_WARN,
			mem_printf("WAL is kept for nobody, more than max_wal_size, by: %s", row.items[1]),
			mem_strdup("Where nobody will come for it: SELECT pg_drop_replication_slot('NAME'). Else "
		               "pg_wal grows until its disk is full."));
	else if (*row.items[2] != '\0')
		check_report_add(
			report, "slots", CHECK_WARN, mem_printf("the WAL that these wait for is gone: %s", row.items[2]),
			mem_strdup("Their standbys can go on by restore_command only, or must be made anew."));
	else if (strcmp(row.items[3], "0") == 0)
		check_report_add(
			report, "slots", CHECK_WARN, mem_printf("all %s are taken", row.items[0]),
			mem_strdup("Raise max_replication_slots: a backup keeps its WAL by one of its own."));
	else
		check_report_add(report, "slots", CHECK_OK,
		                 mem_printf("%s in use, %s free", row.items[0], row.items[3]), NULL);
}

/* The connection by which this program asks is one of them. */
static void
check_senders(Server *sql, CheckReport *report)
{
	AUTO_STRLIST row = {0};
	uint64_t most = 0;
	uint64_t used = 0;
	Error *error = server_row(
		sql, "SELECT current_setting('max_wal_senders'), count(*) FROM pg_stat_replication", 2, &row);

	if (error != NULL)
	{
		check_report_unknown(report, "senders", error, NULL);
		return;
	}
	(void) str_to_uint64(row.items[0], &most);
	(void) str_to_uint64(row.items[1], &used);

	uint64_t others = used > 0 ? used - 1 : 0;
	uint64_t left = most > others ? most - others : 0;
	bool enough = left >= SENDERS_OF_A_BACKUP;

	check_report_add(
		report, "senders", enough ? CHECK_OK : CHECK_WARN,
		mem_printf("%" PRIu64 " of max_wal_senders = %" PRIu64 " free", left, most),
		enough ? NULL
			   : mem_strdup("A backup takes two: with one it does not bring its own WAL along. Raise "
	                        "max_wal_senders."));
}

void
check_reserves(const CheckedServer *server, CheckReport *report)
{
	if (server->sql != NULL || server->data_directory != NULL)
		check_waiting(server, report);
	if (server->sql == NULL)
		return;
	check_slots(server->sql, report);
	check_senders(server->sql, report);
}
