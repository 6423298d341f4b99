/* One WAL file into the archive; see walship/ship/push.h. */
#include "walship/ship/push.h"

#include "push_private.h"
#include "walship/archive/lineage.h"
#include "walship/archive/time_run.h"
#include "walship/archive/timeline_note.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pg/pgdata.h"
#include "walship/ship/backlog_rate.h"
#include "walship/ship/pushed.h"
#include "walship/ship/ready.h"

/* With more files waiting, the archive falls behind: then speed counts for more than size. */
#define WAITING_MANY 8

/* A segment has chunks for no more, and each costs memory. */
#define CPU_THREADS_MAX 4

bool
push_is_safe(const PushOptions *options)
{
	if (options->name.kind != WAL_SEGMENT ||
	    !pushed_is_noted(options->state_dir, &options->archive, options->path, &options->name))
		return false;
	pushed_forget(options->state_dir, &options->archive, options->path, &options->name);
	notice(&options->notices, LOG_DEBUG, NULL, "\"%s\" was pushed ahead and is in the store already",
	       options->path);
	return true;
}

/* Before the first file of a new timeline: what leads to it, so that timelines are whole in the store. */
static Error *
make_lineage_whole(const PushOptions *options, const char *wal_directory)
{
	TimeLineID timeline = options->name.timeline;
	LineageReport report = {0};

	if (timeline == 1 || timeline_complete_is_noted(options->state_dir, &options->archive, timeline))
		return NULL;

	Error *error = lineage_ensure(&options->archive, wal_directory, timeline, options->deadline_ms, &report);
	bool complete = report.complete;

	for (size_t i = 0; i < report.stored.count; i++)
		notice(&options->notices, LOG_INFO, NULL,
		       "\"%s\" was missing in store \"%s\" and is stored now: timeline %u descends from it",
		       report.stored.items[i], store_url(options->archive.store), timeline);
	for (size_t i = 0; i < report.warnings.count; i++)
		notice(&options->notices, LOG_WARNING,
		       "Recovery along this timeline may not be possible across it. Take a new base backup.",
		       "could not store a file of an earlier timeline: %s", report.warnings.items[i]);
	lineage_report_release(&report);
	TRY(error);
	if (!complete)
		return NULL;

	/* Without the note the next push looks again: slower, and just as safe. */
	error = timeline_complete_note(options->state_dir, &options->archive, timeline);
	notice_of_error(&options->notices, LOG_WARNING, error);
	error_free(error);
	return NULL;
}

/* The note of a run or a rate can be done without: the next segment begins anew, slower and just as right. */
static void
tell_unnoted(const PushOptions *options, Error *error)
{
	notice_of_error(&options->notices, LOG_DEBUG, error);
	error_free(error);
}

/* A segment that nothing waits behind is compressed by all cores. */
static Error *
push_segment(const PushOptions *options, const HistoryFiles *histories, bool hurry)
{
	AUTO(Workers) cpu = workers_new(workers_cpu_count(CPU_THREADS_MAX));
	AUTO(Spool) spool = spool_new(options->state_dir);
	TimeLineID timeline = options->name.timeline;
	WalArchive archive = options->archive;
	WalName name = options->name;
	BacklogRate rate = {0};
	WalIndex index;
	PutResult result;

	if (hurry)
		rate = backlog_rate_noted(options->state_dir, &options->archive, timeline);

	bool hurries = hurry && backlog_rate_hurries(&rate);

	if (hurries)
		archive.compression = options->hurried;
	archive.compression.cpu = cpu;

	TRY(push_choose_name(options, &archive, histories, options->path, &name));

	int64_t begun_ms = clock_monotonic_ms();

	TRY(wal_object_encode(&archive, options->path, &name, spool, &index));

	int64_t made_ms = clock_monotonic_ms();
	TimeRun before = time_run_noted(options->state_dir, &archive, timeline);

	time_run_join(&before, &index);
	TRY(wal_object_store(&archive, options->path, &name, spool, &index, &result));

	int64_t stored_ms = clock_monotonic_ms();

	push_tell(options, options->path, &index, result);
	push_tell_rate(options, options->path, &archive.compression, made_ms - begun_ms, stored_ms - made_ms);
	if (index.walked)
	{
		TimeRun after = time_run_after(&index);

		tell_unnoted(options, time_run_note(options->state_dir, &archive, timeline, &after));
	}
	if (hurry)
	{
		backlog_rate_add(&rate, hurries, made_ms - begun_ms, stored_ms - made_ms);
		tell_unnoted(options, backlog_rate_note(options->state_dir, &options->archive, timeline, &rate));
	}
	return NULL;
}

static Error *
push_partial(const PushOptions *options)
{
	AUTO(Spool) spool = spool_new(options->state_dir);
	WalIndex index;
	PutResult result;

	TRY(wal_object_encode(&options->archive, options->path, &options->name, spool, &index));
	TRY(wal_object_store(&options->archive, options->path, &options->name, spool, &index, &result));
	push_tell(options, options->path, &index, result);
	return NULL;
}

static bool
can_hurry(const PushOptions *options)
{
	const Compression *usual = &options->archive.compression;

	return options->hurried.codec != usual->codec || options->hurried.level != usual->level;
}

Error *
push(const PushOptions *options)
{
	AUTO_FREE char *wal_directory = path_parent(options->path);
	AUTO_READY ready = {0};
	AUTO_HISTORY_FILES histories = {0};
	AUTO(Error) unreadable = NULL;
	PutResult result;
	bool hurry;

	TRY(make_lineage_whole(options, wal_directory));
	if (options->name.kind == WAL_PARTIAL)
		return push_partial(options);
	if (options->name.kind != WAL_SEGMENT)
		return wal_text_put(&options->archive, options->path, &options->name, &result);

	/* The connection is made while the segment is compressed. */
	wal_object_expect(&options->archive, &options->name);

	/* Where no archiver's files are to be seen, the segment is all there is to do. */
	unreadable = ready_files_list(wal_directory, &options->name, (size_t) options->ahead, &ready);
	notice_of_error(&options->notices, LOG_DEBUG, unreadable);

	/* After the list of what is ready, each of which comes after the history file that ends it. */
	TRY(error_context(history_files_read(wal_directory, &histories), "could not archive \"%s\"",
	                  options->path));
	hurry = ready.waiting > WAITING_MANY && can_hurry(options);
	if (ready.follows.count > 0)
		return push_batch(options, wal_directory, &histories, &ready.follows, hurry);
	return push_segment(options, &histories, hurry);
}
