/*
 * walship push PATH: the archive_command.  Success means that the bytes are
 * durable under their own name; until then the server keeps the file and asks
 * again, so one honest attempt is enough.
 */
#include <string.h>

#include "command.h"
#include "context.h"
#include "walship/archive/lineage.h"
#include "walship/archive/time_run.h"
#include "walship/archive/wal_object.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"

typedef struct Push
{
	const Settings *settings;
	const char *path;
	char *wal_directory;
	WalName name;
	WalArchive archive;
	int64_t deadline_ms;
} Push;

static Error *
open_archive(Push *push, Store **ret_store)
{
	AUTO_FREE char *data_directory = context_data_directory(push->path);
	StoreLimits limits = {.deadline_ms = push->deadline_ms};

	TRY(context_system(push->settings, data_directory, &push->archive.system_identifier));
	TRY(context_compression(push->settings, &push->archive.compression));
	push->archive.spool_directory = settings_text(push->settings, SETTING_state_dir);
	push->archive.refuse_damaged = strcmp(settings_text(push->settings, SETTING_wal_check), "strict") == 0;
	TRY(context_open_store_within(push->settings, &limits, ret_store));
	push->archive.store = *ret_store;
	return NULL;
}

static void
report_lineage(const Push *push, const LineageReport *report)
{
	for (size_t i = 0; i < report->stored.count; i++)
		log_info("\"%s\" was missing in store \"%s\" and is stored now: timeline %u descends from it",
		         report->stored.items[i], store_url(push->archive.store), push->name.timeline);
	for (size_t i = 0; i < report->warnings.count; i++)
		log_line(LOG_WARNING,
		         "Recovery along this timeline may not be possible across it. Take a new base backup.",
		         "could not store a file of an earlier timeline: %s", report->warnings.items[i]);
}

/* Before the first file of a new timeline: what leads to it (design: timelines stay whole). */
static Error *
make_lineage_whole(const Push *push)
{
	const char *state_dir = settings_text(push->settings, SETTING_state_dir);
	LineageReport report = {0};

	if (push->name.timeline == 1 || lineage_is_noted(state_dir, &push->archive, push->name.timeline))
		return NULL;

	Error *error =
		lineage_ensure(&push->archive, push->wal_directory, push->name.timeline, push->deadline_ms, &report);

	bool complete = report.complete;

	report_lineage(push, &report);
	lineage_report_release(&report);
	TRY(error);
	if (!complete)
		return NULL;

	/* Without the note the next push looks again: slower, and just as safe. */
	error = lineage_note(state_dir, &push->archive, push->name.timeline);
	if (error != NULL)
		log_of_error(LOG_WARNING, error);
	error_free(error);
	return NULL;
}

/* Without the note the next segment begins a run of its own: slower to search, and just as right. */
static void
note_run(const Push *push, const WalIndex *index)
{
	const char *state_dir = settings_text(push->settings, SETTING_state_dir);
	TimeRun run = time_run_after(index);
	AUTO(Error) error = time_run_note(state_dir, &push->archive, index->timeline, &run);

	if (error != NULL)
		log_of_error(LOG_DEBUG, error);
}

static Error *
store_object(const Push *push, const WalName *name, WalIndex *index, PutResult *ret_result)
{
	const char *state_dir = settings_text(push->settings, SETTING_state_dir);
	AUTO(Spool) spool = spool_new(state_dir);

	TRY(wal_object_encode(&push->archive, push->path, name, spool, index));
	if (index->walked)
	{
		TimeRun run = time_run_noted(state_dir, &push->archive, name->timeline);

		time_run_join(&run, index);
	}
	TRY(wal_object_store(&push->archive, push->path, name, spool, index, ret_result));
	if (index->walked)
		note_run(push, index);
	return NULL;
}

static Error *
put_segment(const Push *push)
{
	WalName name = push->name;
	PutResult result;
	WalIndex index;
	char text[LSN_TEXT_SIZE];

	if (name.kind == WAL_SEGMENT)
	{
		bool stub;

		TRY(error_context(lineage_is_stub(&push->archive, push->wal_directory, push->path, &name, &stub),
		                  "could not archive \"%s\"", push->path));
		if (stub)
		{
			name.kind = WAL_PARTIAL;
			log_info("\"%s\" ends where its timeline was left and is stored as a partial segment",
			         push->path);
		}
	}
	TRY(store_object(push, &name, &index, &result));
	if (result == PUT_WAS_THERE)
		log_debug("\"%s\" is in the store already, with the same contents", push->path);
	if (index.walked && index.walk.damaged_at != InvalidXLogRecPtr)
		log_line(LOG_WARNING,
		         "Recovery cannot go beyond it. Look for disk or memory faults and take a new base backup.",
		         "\"%s\" holds a damaged WAL record at %s; it was archived as it is", push->path,
		         lsn_format(index.walk.damaged_at, text));
	return NULL;
}

static Error *
put_text(const Push *push)
{
	PutResult result;

	return wal_text_put(&push->archive, push->path, &push->name, &result);
}

static Error *
push_file(Push *push)
{
	AUTO(Store) store = NULL;

	TRY(wal_name_parse(path_leaf(push->path), &push->name));
	TRY(open_archive(push, &store));
	TRY(make_lineage_whole(push));
	if (push->name.kind == WAL_SEGMENT || push->name.kind == WAL_PARTIAL)
		return put_segment(push);
	return put_text(push);
}

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	Push push = {.settings = settings,
	             .path = invocation_argument(invocation, 0),
	             .deadline_ms = clock_monotonic_ms() + settings_ms(settings, SETTING_push_deadline)};

	push.wal_directory = path_parent(push.path);

	Error *error = push_file(&push);

	free(push.wal_directory);
	return error;
}

/* The archiver takes a death by signal for its own end: it would not come back for ten seconds. */
static int
error_status(const Invocation *invocation, const Error *error)
{
	(void) invocation;
	return error_is(error, ERR_CANCELLED) ? 4 : -1;
}

extern const Command command_push;
const Command command_push = {
	.name = "push",
	.summary = "stores one WAL file: archive_command = 'walship push %p'",
	.arguments = "PATH",
	.description =
		"Checks the WAL segment, partial, history or backup file at PATH, and stores it. Exit 0 means that it is\n"
		"durable in the store. Storing the same file again is success; other contents under the same name are\n"
		"refused with exit 3, and nothing is overwritten.",
	.n_arguments = 1,
	.error_status = error_status,
	.run = run,
};
