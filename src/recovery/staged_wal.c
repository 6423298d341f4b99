/* See walship/recovery/staged_wal.h. */
#include "walship/recovery/staged_wal.h"

#include <string.h>
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

#define TAKE "take"

/*
 * The restore_command of a server that is thrown away.  A segment that comes while it is
 * replayed is waited for; one that was taken before lies in pg_wal.  Whatever ends the server
 * ends this as well: they are of one group of processes.
 */
static const char take_script[] =
	"# restore_command of a server of walship: sh take NAME PATH\n"
	"here=${0%/*}\n"
	"case $1 in\n"
	"*.history) exec cp \"$here/$1\" \"$2\" 2>/dev/null ;;\n"
	"esac\n"
	"until [ -e \"$here/$1\" ]; do\n"
	"	[ ! -e \"pg_wal/$1\" ] && grep -qxF \"$1\" \"$here/" STAGED_WAL_COMING "\" 2>/dev/null || exit 1\n"
	"	sleep 0.05 2>/dev/null || sleep 1\n"
	"done\n"
	"exec mv \"$here/$1\" \"$2\"\n";

typedef struct SegmentJob
{
	const StagedWal *staged;
	WalName name;
} SegmentJob;

static char *
path_of(const StagedWal *staged, const WalName *name)
{
	char text[WAL_NAME_SIZE];

	return path_join(staged->directory, wal_name_format(name, text));
}

Error *
staged_wal_fetch_segment(const StagedWal *staged, const WalName *name)
{
	WalArchive archive = {.store = staged->store,
	                      .system_identifier = staged->catalog->system_identifier,
	                      .identities = staged->identities};
	AUTO_FREE char *path = path_of(staged, name);
	AUTO_FREE char *unprepared = mem_printf("%s.unprepared", path);
	TablespaceSegment segment = {
		.path = unprepared, .name = *name, .data_directory = staged->pgdata, .archive = &archive};
	AUTO(Sink) file = NULL;
	AUTO(Pipe) pipe = pipe_new();

	TRY(cancel_check());
	TRY(file_sink_new(unprepared, 0600, &file));
	pipe_add(pipe, MOVE(file));
	TRY(wal_object_get(&archive, name, pipe_as_sink(pipe), NULL));
	TRY(pipe_finish(pipe));
	TRY(tablespaces_prepare(&segment, &staged->tablespaces));
	TRY(file_rename_durably(unprepared, path));
	if (staged->on_bytes != NULL)
		staged->on_bytes(staged->on_bytes_context, staged->catalog->segment_size);
	return NULL;
}

static Error *
fetch_segment(void *argument)
{
	const SegmentJob *job = argument;

	return staged_wal_fetch_segment(job->staged, &job->name);
}

static Error *
fetch_segments(const StagedWal *staged)
{
	AUTO(Workers) workers = workers_new(staged->jobs);
	uint32_t segment_size = staged->catalog->segment_size;

	for (size_t i = 0; i < staged->plan->n_segments; i++)
	{
		const PlanSegments *part = &staged->plan->segments[i];

		for (XLogSegNo segno = part->first; segno <= part->last; segno++)
		{
			WalName name = wal_name_of_segment(part->timeline, segno, segment_size);
			AUTO_FREE char *path = path_of(staged, &name);
			SegmentJob *job;

			if (file_exists(path))
				continue;
			job = NEW(SegmentJob);
			*job = (SegmentJob){.staged = staged, .name = name};
			workers_submit(workers, fetch_segment, job, free);
		}
	}
	return workers_wait(workers);
}

static Error *
fetch_history(const StagedWal *staged, TimeLineID timeline)
{
	const CatalogTimeline *known = catalog_timeline(staged->catalog, timeline);
	WalName name = {.kind = WAL_HISTORY, .timeline = timeline};
	AUTO_FREE char *path = path_of(staged, &name);
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

Error *
staged_wal_room(const char *directory, uint64_t *ret_bytes)
{
	struct statvfs space;

	if (statvfs(directory, &space) != 0)
		return error_errno("could not ask for the free space of \"%s\"", directory);
	*ret_bytes = (uint64_t) space.f_bavail * space.f_frsize;
	return NULL;
}

static Error *
check_space(const StagedWal *staged)
{
	uint64_t room = 0;
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
	TRY(staged_wal_room(staged->directory, &room));
	if (needed <= room)
		return NULL;
	return error_hint(error_new(ERR_SYSTEM, "not enough space for the WAL in \"%s\": %s needed, %s free",
	                            staged->directory, size_format(needed, needed_text),
	                            size_format(room, free_text)),
	                  "Make room, or begin with a newer backup: less WAL follows it.");
}

Error *
staged_wal_prepare(const StagedWal *staged)
{
	const TimelineHistory *history = staged->plan->history;
	AUTO_FREE char *script = path_join(staged->directory, TAKE);

	if (staged->taken)
		TRY(file_replace(script, take_script, strlen(take_script), 0600));
	for (size_t i = 0; i < history->n_ancestors; i++)
		TRY(fetch_history(staged, history->ancestors[i].timeline));
	return fetch_history(staged, staged->plan->timeline);
}

Error *
staged_wal_fetch(const StagedWal *staged)
{
	TRY(check_space(staged));
	TRY(staged_wal_prepare(staged));
	return fetch_segments(staged);
}

char *
staged_wal_command(const char *directory, bool taken)
{
	AUTO_FREE char *quoted = str_shell_quote(directory);
	AUTO_BUF(command, RECOVERY_CONF_VALUE_MAX);

	buf_puts(&command, taken ? "sh " : "cp ");
	for (const char *c = quoted; *c != '\0'; c++)
	{
		if (*c == '%')
			buf_putc(&command, '%');
		buf_putc(&command, *c);
	}
	buf_puts(&command, taken ? "/" TAKE " %f %p" : "/%f %p");
	return buf_steal(&command);
}
