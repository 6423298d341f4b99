/*
 * wal_events FILE [PIECE]: prints every record of a segment, its items before
 * it, and the result of the walk, one line each, for comparison with pg_waldump.  PIECE is how many
 * bytes are fed at a time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "walship/base/buf.h"
#include "walship/base/file.h"
#include "walship/wal/record.h"

static const char *const kinds[] = {
	[WAL_EVENT_COMMIT] = "commit",
	[WAL_EVENT_ABORT] = "abort",
	[WAL_EVENT_RESTORE_POINT] = "restore_point",
	[WAL_EVENT_CHECKPOINT] = "checkpoint",
	[WAL_EVENT_END_OF_RECOVERY] = "end_of_recovery",
	[WAL_EVENT_BACKUP_END] = "backup_end",
	[WAL_EVENT_PARAMETER_CHANGE] = "parameter_change",
	[WAL_EVENT_SWITCH] = "switch",
	[WAL_EVENT_FILE_CREATED] = "file_created",
	[WAL_EVENT_DATABASE_CREATED] = "database_created",
	[WAL_EVENT_DATABASE_DROPPED] = "database_dropped",
	[WAL_EVENT_TABLESPACE_CREATED] = "tablespace_created",
	[WAL_EVENT_TABLESPACE_DROPPED] = "tablespace_dropped",
	[WAL_EVENT_FULL_PAGE_WRITES] = "full_page_writes",
	[WAL_EVENT_OTHER] = "other",
	[WAL_EVENT_SUBXACT] = "subxact",
	[WAL_EVENT_DROPPED_FILE] = "dropped_file",
	[WAL_EVENT_DROPPED_STATS] = "dropped_stats",
	[WAL_EVENT_LOCK] = "lock",
};

static void
print_relation(const WalEvent *event)
{
	if (event->kind == WAL_EVENT_DROPPED_STATS)
		printf("%" PRIu32 "/", event->statistics_kind);
	else if (event->kind != WAL_EVENT_LOCK)
		printf("%" PRIu32 "/", event->relation.tablespace);
	printf("%" PRIu32 "/%" PRIu64, event->relation.database, event->relation.number);
}

/* What only this kind has. */
static void
print_more(const WalEvent *event)
{
	switch (event->kind)
	{
		case WAL_EVENT_COMMIT:
			printf("%" PRIu64, event->dropped_files);
			break;
		case WAL_EVENT_RESTORE_POINT:
			printf("%s", event->name == NULL ? "" : event->name);
			break;
		case WAL_EVENT_CHECKPOINT:
		case WAL_EVENT_END_OF_RECOVERY:
			printf("%" PRIu64 ":%" PRIu32 "%s", event->next_full_xid >> 32, (uint32_t) event->next_full_xid,
			       event->begins_timeline ? " begins_timeline" : "");
			break;
		case WAL_EVENT_PARAMETER_CHANGE:
			printf("%" PRId32 " %" PRId32, event->parameters.max_connections, event->wal_level);
			break;
		case WAL_EVENT_FULL_PAGE_WRITES:
			printf("%s", event->full_page_writes ? "true" : "false");
			break;
		case WAL_EVENT_DATABASE_CREATED:
			printf("%" PRIu32 "/%" PRIu32 " %" PRIu32, event->relation.tablespace, event->relation.database,
			       event->source_database);
			break;
		case WAL_EVENT_TABLESPACE_CREATED:
			printf("%" PRIu32 " %s", event->relation.tablespace, event->name == NULL ? "" : event->name);
			break;
		case WAL_EVENT_TABLESPACE_DROPPED:
			printf("%" PRIu32, event->relation.tablespace);
			break;
		case WAL_EVENT_DATABASE_DROPPED:
			printf("%" PRIu32, event->relation.database);
			break;
		case WAL_EVENT_FILE_CREATED:
		case WAL_EVENT_DROPPED_FILE:
		case WAL_EVENT_DROPPED_STATS:
		case WAL_EVENT_LOCK:
			print_relation(event);
			break;
		default:
			break;
	}
}

static void
print_event(void *context, const WalEvent *event)
{
	char lsn[LSN_TEXT_SIZE];
	char end[LSN_TEXT_SIZE];
	char time[TIME_TEXT_SIZE] = "-";

	(void) context;
	if (event->time != TIME_NONE)
		time_format_utc(event->time, time);
	printf("%s %s %s %" PRIu32 " %s ", lsn_format(event->lsn, lsn), lsn_format(event->end, end),
	       kinds[event->kind], event->xid, time);
	print_more(event);
	putchar('\n');
}

static void
print_result(const WalWalkResult *result)
{
	char first[LSN_TEXT_SIZE];
	char last[LSN_TEXT_SIZE];
	char end[LSN_TEXT_SIZE];
	char damaged[LSN_TEXT_SIZE];

	printf("records=%" PRIu64 " first=%s last=%s wal_end=%s continues=%d switched=%d damaged_at=%s\n",
	       result->records, lsn_format(result->first_record, first), lsn_format(result->last_record, last),
	       lsn_format(result->wal_end, end), result->continues, result->switched,
	       lsn_format(result->damaged_at, damaged));
}

static Error *
run(const char *path, size_t piece)
{
	AUTO_BUF(segment, WAL_SEGMENT_SIZE_MAX);
	WalPageHeader header;
	WalWalkResult result;

	TRY(file_read_all(path, &segment));
	TRY(wal_page_header_parse(segment.data, segment.size, &header));

	AUTO(WalWalker) walker = wal_walker_new(&header, print_event, NULL);

	for (size_t at = 0; at < segment.size; at += piece)
		wal_walker_feed(walker, segment.data + at, segment.size - at < piece ? segment.size - at : piece);
	wal_walker_finish(walker, &result);
	print_result(&result);
	return NULL;
}

int
main(int argc, char **argv)
{
	if (argc != 2 && argc != 3)
	{
		fprintf(stderr, "usage: wal_events FILE [PIECE]\n");
		return 2;
	}

	AUTO(Error) error = run(argv[1], argc == 3 ? strtoul(argv[2], NULL, 10) : 65536);

	if (error != NULL)
		fprintf(stderr, "wal_events: %s: %s\n", argv[1], error_message(error));
	return error == NULL ? 0 : 1;
}
