/* See walship/recovery/staged_wal.h. */
#include "walship/recovery/staged_wal.h"

#include <sys/statvfs.h>

#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/base/buf.h"
#include "walship/base/cancel.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/base/strs.h"
#include "walship/base/workers.h"
#include "walship/pipe/stages.h"
#include "walship/plan/recovery_conf.h"

#define HISTORY_MAX (1024 * 1024)

typedef struct SegmentJob
{
	const StagedWal *staged;
	WalName name;
	char *path;
} SegmentJob;

static void
free_job(void *argument)
{
	SegmentJob *job = argument;

	free(job->path);
	free(job);
}

static Error *
fetch_segment(void *argument)
{
	const SegmentJob *job = argument;
	const StagedWal *staged = job->staged;
	WalArchive archive = {.store = staged->store,
	                      .system_identifier = staged->catalog->system_identifier,
	                      .identities = staged->identities};
	AUTO_FREE char *unprepared = mem_printf("%s.unprepared", job->path);
	TablespaceSegment segment = {
		.path = unprepared, .name = job->name, .data_directory = staged->pgdata, .archive = &archive};
	AUTO(Sink) file = NULL;
	AUTO(Pipe) pipe = pipe_new();

	TRY(cancel_check());
	TRY(file_sink_new(unprepared, 0600, &file));
	pipe_add(pipe, MOVE(file));
	TRY(wal_object_get(&archive, &job->name, pipe_as_sink(pipe), NULL));
	TRY(pipe_finish(pipe));
	TRY(tablespaces_prepare(&segment, &staged->tablespaces));
	TRY(file_rename_durably(unprepared, job->path));
	if (staged->on_bytes != NULL)
		staged->on_bytes(staged->on_bytes_context, staged->catalog->segment_size);
	return NULL;
}

static Error *
fetch_segments(const StagedWal *staged)
{
	AUTO(Workers) workers = workers_new(staged->jobs);
	uint32_t segment_size = staged->catalog->segment_size;
	char text[WAL_NAME_SIZE];

	for (size_t i = 0; i < staged->plan->n_segments; i++)
	{
		const PlanSegments *part = &staged->plan->segments[i];

		for (XLogSegNo segno = part->first; segno <= part->last; segno++)
		{
			WalName name = wal_name_of_segment(part->timeline, segno, segment_size);
			AUTO_FREE char *path = path_join(staged->directory, wal_name_format(&name, text));
			SegmentJob *job;

			if (file_exists(path))
				continue;
			job = NEW(SegmentJob);
			*job = (SegmentJob){.staged = staged, .name = name, .path = MOVE(path)};
			workers_submit(workers, fetch_segment, job, free_job);
		}
	}
	return workers_wait(workers);
}

static Error *
fetch_history(const StagedWal *staged, TimeLineID timeline)
{
	const CatalogTimeline *known = catalog_timeline(staged->catalog, timeline);
	WalName name = {.kind = WAL_HISTORY, .timeline = timeline};
	char text[WAL_NAME_SIZE];
	AUTO_FREE char *path = path_join(staged->directory, wal_name_format(&name, text));
	AUTO_FREE char *key = layout_wal_key(staged->catalog->system_identifier, &name, NULL);
	AUTO_BUF(contents, HISTORY_MAX);
	AUTO(Sink) sink = NULL;

	if (known == NULL || !known->has_history_file || file_exists(path))
		return NULL;
	sink = buf_sink_new(&contents);
	TRY(store_get(staged->store, key, 0, STORE_TO_END, sink));
	return file_replace(path, contents.data, contents.size, 0600);
}

uint64_t
staged_wal_size(const RecoveryPlan *plan)
{
	return plan->segment_count * plan->segment_size;
}

static Error *
check_space(const StagedWal *staged)
{
	struct statvfs space;
	uint64_t needed = 0;
	char needed_text[SIZE_TEXT_SIZE];
	char free_text[SIZE_TEXT_SIZE];
	char text[WAL_NAME_SIZE];

	for (size_t i = 0; i < staged->plan->n_segments; i++)
		for (XLogSegNo segno = staged->plan->segments[i].first; segno <= staged->plan->segments[i].last;
		     segno++)
		{
			AUTO_FREE char *path =
				path_join(staged->directory, wal_segment_name(staged->plan->segments[i].timeline, segno,
			                                                  staged->catalog->segment_size, text));

			needed += file_exists(path) ? 0 : staged->catalog->segment_size;
		}
	if (statvfs(staged->directory, &space) != 0)
		return error_errno("could not ask for the free space of \"%s\"", staged->directory);
	if (needed <= (uint64_t) space.f_bavail * space.f_frsize)
		return NULL;
	return error_hint(error_new(ERR_SYSTEM, "not enough space for the WAL in \"%s\": %s needed, %s free",
	                            staged->directory, size_format(needed, needed_text),
	                            size_format((uint64_t) space.f_bavail * space.f_frsize, free_text)),
	                  "Make room, or begin with a newer backup: less WAL follows it.");
}

Error *
staged_wal_fetch(const StagedWal *staged)
{
	const TimelineHistory *history = staged->plan->history;

	TRY(check_space(staged));
	for (size_t i = 0; i < history->n_ancestors; i++)
		TRY(fetch_history(staged, history->ancestors[i].timeline));
	TRY(fetch_history(staged, staged->plan->timeline));
	return fetch_segments(staged);
}

char *
staged_wal_command(const char *directory)
{
	AUTO_FREE char *quoted = str_shell_quote(directory);
	AUTO_BUF(command, RECOVERY_CONF_VALUE_MAX);

	buf_puts(&command, "cp ");
	for (const char *c = quoted; *c != '\0'; c++)
	{
		if (*c == '%')
			buf_putc(&command, '%');
		buf_putc(&command, *c);
	}
	buf_puts(&command, "/%f %p");
	return buf_steal(&command);
}
