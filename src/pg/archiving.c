/* What a server says of its archiver: pg_stat_archiver, and what waits for it. */
#include <stdio.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/pg/server.h"

#define EPOCH_US(time) "(extract(epoch FROM " time ") * 1000000)::bigint"

static TimeUs
time_of_text(const char *text)
{
	uint64_t us;

	return str_to_uint64(text, &us) ? (TimeUs) us : TIME_NONE;
}

Error *
server_archiving(Server *server, ServerArchiving *ret_archiving)
{
	static const char sql[] =
		"SELECT (SELECT system_identifier FROM pg_control_system()), pg_is_in_recovery(), "
		"current_setting('archive_mode'), "
		"CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, " EPOCH_US("clock_timestamp()") ", archived_count, last_archived_wal, " EPOCH_US(
			"last_archived_time") ", failed_count, last_failed_wal, " EPOCH_US("last_failed_time") " FROM pg_stat_archiver";
	AUTO_STRLIST row = {0};
	ServerArchiving archiving = {0};

	TRY(server_row(server, sql, 11, &row));
	(void) str_to_uint64(row.items[0], &archiving.system_identifier);
	archiving.in_recovery = strcmp(row.items[1], "t") == 0;
	archiving.archives = strcmp(row.items[2], "off") != 0;
	(void) lsn_parse(row.items[3], &archiving.position);
	archiving.now = time_of_text(row.items[4]);
	(void) str_to_uint64(row.items[5], &archiving.archived);
	(void) snprintf(archiving.last_archived, WAL_NAME_SIZE, "%s", row.items[6]);
	archiving.archived_at = time_of_text(row.items[7]);
	(void) str_to_uint64(row.items[8], &archiving.failed);
	(void) snprintf(archiving.last_failed, WAL_NAME_SIZE, "%s", row.items[9]);
	archiving.failed_at = time_of_text(row.items[10]);
	*ret_archiving = archiving;
	return NULL;
}

Error *
server_waiting(Server *server, uint64_t *ret_count, TimeUs *ret_since)
{
	AUTO_STRLIST row = {0};

	TRY(server_row(server,
	               "SELECT count(*), " EPOCH_US(
					   "min(modification)") " FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'",
	               2, &row));
	*ret_count = 0;
	(void) str_to_uint64(row.items[0], ret_count);
	*ret_since = time_of_text(row.items[1]);
	return NULL;
}
