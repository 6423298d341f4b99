/* Does a segment arrive, and did the others? */
#include "check_archiver.h"

#include <inttypes.h>
#include <string.h>

#include "context.h"
#include "table.h"
#include "walship/archive/layout.h"
#include "walship/base/buf.h"
#include "walship/base/cancel.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"

#define SEGMENT_WAIT_MS 60000
#define SEGMENT_POLL_MS 250
#define SEGMENT_TELL_MS 2000
#define FAILURES_MAX    3 /* then the archiver pauses for a minute (PostgreSQL: pgarch.c, NUM_ARCHIVE_RETRIES) */
#define DETAIL_MAX      4096

/* A switch without a record since the last one is none, so there is one.  Of the record's end only the byte before is in the segment. */
static Error *
switch_wal(const CheckedServer *server, WalName *ret_name)
{
	AUTO_STRLIST row = {0};
	uint32_t segment_size;
	XLogRecPtr end;

	TRY(server_segment_size(server->replication, &segment_size));
	TRY(server_row(server->sql, "SELECT pg_logical_emit_message(false, 'walship', 'check')", 1, &row));
	TRY(server_row(server->sql, "SELECT pg_switch_wal()", 1, &row));
	if (!lsn_parse(row.items[1], &end) || end == InvalidXLogRecPtr)
		return error_new(ERR_TRANSIENT, "unexpected answer of the server to pg_switch_wal(): \"%s\"",
		                 row.items[1]);
	*ret_name = wal_name_of_segment(server->identity.timeline, (end - 1) / segment_size, segment_size);
	return NULL;
}

/* Nothing while it may still come. */
static Error *
why_it_will_not_come(const CheckedServer *server, const char *segment, const ServerArchiving *before,
                     int64_t waited_ms)
{
	ServerArchiving now;

	TRY(server_archiving(server->sql, &now));
	if (strcmp(now.last_archived, segment) >= 0 && strlen(now.last_archived) == strlen(segment))
		return error_hint(error_new(ERR_CORRUPT,
		                            "the server has archived segment %s, but it is not in this store",
		                            segment),
		                  "Does archive_command store elsewhere, by an option or an environment of its own?");
	if (now.failed >= before->failed + FAILURES_MAX)
		return error_hint(error_new(ERR_TRANSIENT,
		                            "archive_command failed %" PRIu64 " times while segment %s waited",
		                            now.failed - before->failed, segment),
		                  CHECK_LOG_HINT);
	if (waited_ms >= SEGMENT_WAIT_MS)
		return error_hint(error_new(ERR_TRANSIENT, "segment %s did not arrive within %d s", segment,
		                            SEGMENT_WAIT_MS / 1000),
		                  "Does the archiver run, and is it at work on a backlog? See pg_stat_archiver.");
	return NULL;
}

static Error *
wait_for_segment(const Settings *settings, const CheckedServer *server, const WalName *name,
                 const ServerArchiving *before)
{
	AUTO(Store) store = NULL;
	AUTO_FREE char *key = layout_wal_key(server->identity.system_identifier, name, NULL);
	int64_t began_ms = clock_monotonic_ms();
	Patience patience = {.retry_until_ms = began_ms + SEGMENT_WAIT_MS};
	char segment[WAL_NAME_SIZE];
	bool told = false;
	bool last = false;

	(void) wal_name_format(name, segment);
	TRY(context_open_store_within(settings, &patience, &store));
	for (;;)
	{
		StoreEntry entry;
		Error *error = store_stat(store, key, &entry);
		int64_t waited_ms = clock_monotonic_ms() - began_ms;

		if (!error_is(error, ERR_NOT_FOUND))
			return error;
		error_free(error);

		/* It may have come between the two questions: the reason is believed when it is still not there. */
		error = why_it_will_not_come(server, segment, before, waited_ms);
		if (error != NULL && last)
			return error;
		last = error != NULL;
		error_free(error);
		if (last)
			continue;
		if (!told && waited_ms >= SEGMENT_TELL_MS)
			log_line(LOG_INFO, NULL, "waiting up to %d s for segment %s", SEGMENT_WAIT_MS / 1000, segment);
		told = told || waited_ms >= SEGMENT_TELL_MS;
		TRY(cancel_sleep_ms(SEGMENT_POLL_MS));
	}
}

void
check_segment(const Settings *settings, const CheckedServer *server, CheckReport *report)
{
	int64_t began_ms = clock_monotonic_ms();
	char segment[WAL_NAME_SIZE];
	ServerArchiving before;
	WalName name;
	Error *error;

	/* Of a server that does not archive here there is nothing to wait for, and it is said already. */
	if (!server->archives || server->sql == NULL)
		return;
	if (server->in_recovery)
	{
		check_report_add(report, "segment", CHECK_OK,
		                 mem_strdup("not tried: WAL is switched on the primary, not on a standby"), NULL);
		return;
	}
	error = server_archiving(server->sql, &before);
	if (error == NULL)
		error = switch_wal(server, &name);
	if (error_is(error, ERR_DENIED))
	{
		check_report_unknown(
			report, "segment", error,
			"GRANT EXECUTE ON FUNCTION pg_switch_wal() to this role, in the database postgres; or "
			"--no-wait.");
		return;
	}
	if (error == NULL)
		error = wait_for_segment(settings, server, &name, &before);

	AUTO_FREE char *detail =
		error != NULL ? NULL
					  : mem_printf("%s was switched, archived and is in the store, after %" PRId64 " ms",
	                               wal_name_format(&name, segment), clock_monotonic_ms() - began_ms);

	check_report_error(report, "segment", error, detail);
}

void
check_archiver(Server *sql, CheckReport *report)
{
	AUTO_BUF(detail, DETAIL_MAX);
	ServerArchiving archiver;
	char age[AGE_TEXT_SIZE];
	Error *error = server_archiving(sql, &archiver);

	if (error != NULL)
	{
		check_report_unknown(report, "archiver", error, NULL);
		return;
	}

	bool failing = archiver.failed_at != TIME_NONE && archiver.failed_at > archiver.archived_at;

	if (failing)
		buf_printf(&detail, "failing: the last failure was %s, of %s; ",
		           age_format(archiver.failed_at, archiver.now, age), archiver.last_failed);
	buf_printf(&detail, "%" PRIu64 " archived", archiver.archived);
	if (archiver.archived_at != TIME_NONE)
		buf_printf(&detail, ", the last one %s (%s)", age_format(archiver.archived_at, archiver.now, age),
		           archiver.last_archived);
	buf_printf(&detail, "; %" PRIu64 " failure%s", archiver.failed, archiver.failed == 1 ? "" : "s");
	if (!failing && archiver.failed_at != TIME_NONE)
		buf_printf(&detail, ", the last one %s", age_format(archiver.failed_at, archiver.now, age));
	check_report_add(report, "archiver", failing ? CHECK_FAIL : CHECK_OK, buf_steal(&detail),
	                 failing ? mem_strdup(CHECK_LOG_HINT) : NULL);
}
