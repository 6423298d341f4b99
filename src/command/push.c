/*
 * walship push PATH: the archive_command.  Success means that the bytes are
 * durable under their own name; until then the server keeps the file and asks
 * again, so one honest attempt is enough.  When more segments wait, they are
 * taken along, for the server asks for one after the other.
 */
#include <string.h>

#include "commands.h"
#include "context.h"
#include "keys.h"
#include "push_ahead.h"
#include "push_segment.h"
#include "walship/archive/lineage.h"
#include "walship/archive/wal_object.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pg/pgdata.h"
#include "walship/ship/pushed.h"
#include "walship/ship/ready.h"

/* Nothing is begun besides the file in question when the push has lasted so long. */
#define AHEAD_STARTS_MS 3000

/* With more files waiting, the archive falls behind: then speed counts for more than size. */
#define WAITING_MANY 8

typedef struct Push
{
	const Settings *settings;
	const char *path;
	const char *state_dir;
	char *wal_directory;
	WalName name;
	AgeRecipients *recipients; /* NULL: nothing is encrypted */
	WalArchive archive;
	int64_t start_ms;
	int64_t deadline_ms;
} Push;

static Error *
open_archive(Push *push, Store **ret_store)
{
	AUTO_FREE char *data_directory = pgdata_of(push->path);
	Patience patience = {.retry_until_ms = push->deadline_ms};

	TRY(context_system(push->settings, data_directory, &push->archive.system_identifier));
	TRY(context_compression(push->settings, COMPRESS_WAL, &push->archive.compression));
	push->archive.spool_directory = push->state_dir;
	push->archive.refuse_damaged = strcmp(settings_text(push->settings, SETTING_wal_check), "strict") == 0;
	TRY(context_open_store_within(push->settings, &patience, ret_store));
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
	LineageReport report = {0};

	if (push->name.timeline == 1 ||
	    timeline_complete_is_noted(push->state_dir, &push->archive, push->name.timeline))
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
	error = timeline_complete_note(push->state_dir, &push->archive, push->name.timeline);
	if (error != NULL)
		log_of_error(LOG_WARNING, error);
	error_free(error);
	return NULL;
}

/* Was it stored by the push of an earlier segment?  Then nothing is left to do. */
static bool
was_pushed_ahead(const Push *push)
{
	if (push->name.kind != WAL_SEGMENT ||
	    !pushed_is_noted(push->state_dir, &push->archive, push->path, &push->name))
		return false;
	pushed_forget(push->state_dir, &push->archive, push->path, &push->name);
	log_debug("\"%s\" was pushed ahead and is in the store already", push->path);
	return true;
}

/* Where no archiver's files are to be seen, the segment is all there is to do. */
static void
look_for_others(Push *push, ReadyFiles *ready)
{
	size_t most = (size_t) settings_integer(push->settings, SETTING_push_ahead);
	AUTO(Error) error = ready_files_list(push->wal_directory, &push->name, most, ready);

	if (error != NULL)
		log_of_error(LOG_DEBUG, error);
}

/* The others have a store of their own, which gives up at the deadline, and without a word. */
static Error *
open_for_others(const Push *push, WalArchive *ret_archive, Store **ret_store)
{
	Patience patience = {.abort_at_ms = push->deadline_ms, .quiet = true};

	TRY(context_open_store_within(push->settings, &patience, ret_store));
	*ret_archive = push->archive;
	ret_archive->store = *ret_store;
	ret_archive->patience = patience;
	return NULL;
}

/* A segment has chunks for no more, and each costs memory. */
#define CPU_THREADS_MAX 4

static Error *
put_segments(Push *push)
{
	AUTO_READY ready = {0};
	AUTO_HISTORY_FILES histories = {0};
	AUTO(Store) store = NULL;
	AUTO(Workers) cpu = NULL;
	WalArchive archive_of_others = {0};
	PushAhead ahead = {.state_dir = push->state_dir,
	                   .wal_directory = push->wal_directory,
	                   .histories = &histories,
	                   .path = push->path,
	                   .name = push->name,
	                   .archive = &push->archive,
	                   .segments = &ready.follows,
	                   .archive_of_others = &archive_of_others,
	                   .last_start_ms = push->start_ms + AHEAD_STARTS_MS,
	                   .threads = (int) settings_integer(push->settings, SETTING_jobs)};

	wal_object_expect(&push->archive, &push->name);
	look_for_others(push, &ready);

	/* After the list of what is ready, each of which comes after the history file that ends it. */
	TRY(error_context(history_files_read(push->wal_directory, &histories), "could not archive \"%s\"",
	                  push->path));
	ahead.may_hurry =
		ready.waiting > WAITING_MANY && !settings_is_set(push->settings, SETTING_compression_level);
	if (ready.follows.count > 0)
		TRY(open_for_others(push, &archive_of_others, &store));
	else
		push->archive.compression.cpu = cpu = workers_new(workers_cpu_count(CPU_THREADS_MAX));
	return push_ahead(&ahead);
}

static Error *
put_partial(const Push *push)
{
	WalIndex index;

	return push_segment(&push->archive, NULL, push->path, push->name, NULL, NULL, &index);
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
	if (was_pushed_ahead(push))
		return NULL;
	TRY(keys_recipients(push->settings, &push->recipients));
	push->archive.recipients = push->recipients;
	TRY(make_lineage_whole(push));
	switch (push->name.kind)
	{
		case WAL_SEGMENT:
			return put_segments(push);
		case WAL_PARTIAL:
			return put_partial(push);
		default:
			return put_text(push);
	}
}

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	int64_t start_ms = clock_monotonic_ms();
	Push push = {.settings = settings,
	             .path = invocation_argument(invocation, 0),
	             .state_dir = settings_text(settings, SETTING_state_dir),
	             .start_ms = start_ms,
	             .deadline_ms = start_ms + settings_ms(settings, SETTING_push_deadline)};

	push.wal_directory = path_parent(push.path);

	Error *error = push_file(&push);

	age_recipients_free(push.recipients);
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

const Command command_push = {
	.name = "push",
	.summary = "stores one WAL file: archive_command = 'walship push %p'",
	.arguments = "PATH",
	.description =
		"Checks the WAL segment, partial, history or backup file at PATH, and stores it. Exit 0 means that it is\n"
		"durable in the store. Storing the same file again is success; other contents under the same name are\n"
		"refused with exit 3, and nothing is overwritten. Segments that wait behind it are stored along with it\n"
		"(setting push_ahead); the exit status is that of PATH alone.",
	.n_arguments = 1,
	.error_status = error_status,
	.run = run,
};
