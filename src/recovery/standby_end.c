/*
 * Where a recovery to the end of a standby's backup stops.
 *
 * A primary ends its backup with a record and a switch to the next segment.  A
 * standby writes no WAL: the last record before the end may be anything, and
 * nothing may ever follow it.  "immediate" is looked at only after a commit or
 * before a further record, an LSN after every record (PostgreSQL: xlogrecovery.c,
 * recoveryStopsBefore, recoveryStopsAfter); and stop_lsn itself is no record's
 * start.  So the server is told the start of the last record that ends by stop_lsn:
 * there it always pauses, with no further WAL.
 */
#include <unistd.h>

#include "steps.h"
#include "walship/archive/wal_object.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/wal/page.h"
#include "walship/wal/record.h"

#define READ_SIZE (1024 * 1024)

typedef struct EndSearch
{
	const Recovery *recovery;
	WalWalker *walker;
	XLogRecPtr found; /* the last record so far that ends by stop_lsn */
} EndSearch;

static void
look_at_event(void *context, const WalEvent *event)
{
	EndSearch *search = context;

	if (!wal_event_is_item(event->kind) && event->end != InvalidXLogRecPtr &&
	    event->end <= search->recovery->plan->backup->stop_lsn)
		search->found = event->lsn;
}

/* A SinkCallback; the first piece of the first segment holds its page header. */
static Error *
walk(void *context, const void *data, size_t size)
{
	EndSearch *search = context;

	if (search->walker == NULL)
	{
		WalPageHeader header;

		TRY(wal_page_header_parse(data, size, &header));
		if (header.major == 0)
			return error_new(ERR_CORRUPT, "WAL is of a PostgreSQL that is not known");
		search->walker = wal_walker_new(&header, look_at_event, search);
	}
	wal_walker_feed(search->walker, data, size);
	return NULL;
}

static Error *
walk_file(EndSearch *search, int fd, const char *path)
{
	AUTO_FREE char *data = mem_alloc(READ_SIZE);
	size_t size = READ_SIZE;

	for (uint64_t offset = 0; size == READ_SIZE; offset += size)
	{
		TRY(file_read_at(fd, path, offset, data, READ_SIZE, &size));
		if (size > 0)
			TRY(walk(search, data, size));
	}
	return NULL;
}

/* The one that the backup brought along, or the archive's. */
static Error *
walk_segment(EndSearch *search, const WalName *name)
{
	const Recovery *recovery = search->recovery;
	WalArchive archive = {.store = recovery->store,
	                      .system_identifier = recovery->catalog->system_identifier,
	                      .identities = recovery->identities};
	CallbackSink sink = callback_sink(walk, search);
	char text[WAL_NAME_SIZE];
	AUTO_FREE char *path = mem_printf("%s/pg_wal/%s", recovery->pgdata, wal_name_format(name, text));
	struct stat status;
	int fd;
	Error *error = file_open_read(path, &fd, &status);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return wal_object_get(&archive, name, &sink.sink, NULL);
	}
	TRY(error);
	error = walk_file(search, fd, path);
	(void) close(fd);
	return error;
}

/* Records that start in "first" or after it, up to the end of "last". */
static Error *
walk_segments(EndSearch *search, XLogSegNo first, XLogSegNo last)
{
	const RecoveryPlan *plan = search->recovery->plan;
	Error *error = NULL;
	WalWalkResult result;

	for (XLogSegNo segno = first; segno <= last && error == NULL; segno++)
	{
		TimeLineID timeline =
			timeline_history_at(plan->history, segment_start(segno + 1, plan->segment_size) - 1);
		WalName name = wal_name_of_segment(
			timeline < plan->backup->timeline ? plan->backup->timeline : timeline, segno, plan->segment_size);

		if (segno > first)
			wal_walker_enter_next(search->walker);
		error = walk_segment(search, &name);
	}
	if (error == NULL)
		wal_walker_finish(search->walker, &result);
	wal_walker_free(MOVE(search->walker));
	return error;
}

static bool
is_wanted(const RecoveryPlan *plan)
{
	return plan->backup->from_standby &&
	       (plan->target.kind == TARGET_IMMEDIATE || plan->target.kind == TARGET_BACKUP_ONLY);
}

Error *
standby_end_find(Recovery *recovery)
{
	RecoveryPlan *plan = recovery->plan;
	EndSearch search = {.recovery = recovery};
	XLogSegNo last = lsn_segment_before(plan->backup->stop_lsn, plan->segment_size);
	XLogSegNo lowest = lsn_segment(plan->backup->start_lsn, plan->segment_size);

	if (!is_wanted(plan))
		return NULL;

	/* A long record may fill the last segment up to the end. */
	for (XLogSegNo first = last + 1; first-- > lowest && search.found == InvalidXLogRecPtr;)
		TRY(walk_segments(&search, first, last));
	plan->end_record = search.found;
	return settings_file_print(recovery);
}
