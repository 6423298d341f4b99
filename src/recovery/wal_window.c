/* See walship/recovery/wal_window.h. */
#include "walship/recovery/wal_window.h"

#include <stdatomic.h>
#include <string.h>

#include "steps.h"
#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/base/workers.h"
#include "walship/wal/label.h"

#define SEGMENTS_LEAST 2   /* one to be replayed, one to be fetched */
#define SEGMENTS_MOST  256 /* that are looked for at each advance */
#define STARVED_MS     60000

typedef struct WindowSegment
{
	const StagedWal *staged;
	WalName name;
	atomic_bool came; /* it is, or was, in the directory */
	bool gone;        /* the server has taken it, or does not want it any more */
} WindowSegment;

struct WalWindow
{
	StagedWal staged;
	char *directory;
	TablespaceMappings mappings;
	WindowSegment *segments; /* in the order in which the server asks for them */
	size_t count;
	XLogSegNo checkpoint; /* the backup's: the first of them */
	size_t first;         /* those before it are gone, */
	size_t next;          /* and from this one on they have not been asked for */
	size_t most;          /* at a time */
	uint64_t reserve;
	int64_t starved_since_ms; /* 0: there is room, or something to replay */
	Workers *workers;
};

uint64_t
wal_window_size(uint64_t wal_size, uint64_t room, uint64_t most, uint32_t segment_size)
{
	uint64_t size = most > 0 ? most : room / 4;

	if (most > 0 ? wal_size <= most : wal_size <= room / 2)
		return 0;
	if (size > (uint64_t) SEGMENTS_MOST * segment_size)
		size = (uint64_t) SEGMENTS_MOST * segment_size;
	return size < (uint64_t) SEGMENTS_LEAST * segment_size ? (uint64_t) SEGMENTS_LEAST * segment_size : size;
}

static void
add_segment(WalWindow *window, TimeLineID timeline, XLogSegNo segno)
{
	WindowSegment *segment = &window->segments[window->count];

	segment->staged = &window->staged;
	segment->name = wal_name_of_segment(timeline, segno, window->staged.catalog->segment_size);

	/* The one that was put to the front. */
	if (window->count == 0 || segno != window->checkpoint)
		window->count++;
}

/*
 * The server reads the record of the backup's checkpoint before it goes back to where its
 * replay begins, and that may be more than a window away.
 */
static Error *
list_segments(WalWindow *window)
{
	const RecoveryPlan *plan = window->staged.plan;
	BackupLabel label;

	TRY(settings_file_read_label(window->staged.pgdata, &label));
	window->checkpoint = lsn_segment(label.checkpoint_lsn, plan->segment_size);
	window->segments = NEW_ARRAY(WindowSegment, plan->segment_count + 1);
	for (size_t i = 0; i < plan->n_segments; i++)
		if (window->checkpoint >= plan->segments[i].first && window->checkpoint <= plan->segments[i].last)
			add_segment(window, plan->segments[i].timeline, window->checkpoint);
	for (size_t i = 0; i < plan->n_segments; i++)
		for (XLogSegNo segno = plan->segments[i].first; segno <= plan->segments[i].last; segno++)
			add_segment(window, plan->segments[i].timeline, segno);
	return NULL;
}

/* What the restore_command waits for. */
static Error *
write_list(const WalWindow *window)
{
	AUTO_FREE char *path = path_join(window->directory, STAGED_WAL_COMING);
	AUTO_BUF(text, (window->count + 1) * WAL_NAME_SIZE);
	char name[WAL_NAME_SIZE];

	for (size_t i = 0; i < window->count; i++)
		buf_printf(&text, "%s\n", wal_name_format(&window->segments[i].name, name));
	return file_replace(path, text.data == NULL ? "" : text.data, text.size, 0600);
}

static Error *
no_room(const WalWindow *window, uint64_t room, const char *when)
{
	char text[SIZE_TEXT_SIZE];

	return error_hint(error_new(ERR_SYSTEM, "not enough space for the WAL in \"%s\"%s: %s free",
	                            window->directory, when, size_format(room, text)),
	                  "Make room, or begin with a newer backup: less WAL follows it.");
}

Error *
wal_window_open(const StagedWal *staged, TablespaceMappings *mappings, uint64_t size, WalWindow **ret_window)
{
	AUTO(WalWindow) window = NEW(WalWindow);
	uint64_t room;

	window->staged = *staged;
	window->mappings = *mappings;
	*mappings = (TablespaceMappings){0};
	window->staged.tablespaces.mappings = &window->mappings;
	window->directory = mem_strdup(staged->directory);
	window->staged.directory = window->directory;
	window->most = size / staged->catalog->segment_size;
	window->workers = workers_new(staged->jobs);
	TRY(staged_wal_room(window->directory, &room));
	window->reserve = room / 8;
	if (room < window->reserve + (uint64_t) SEGMENTS_LEAST * staged->catalog->segment_size)
		return no_room(window, room, "");
	TRY(staged_wal_prepare(&window->staged));
	TRY(list_segments(window));
	TRY(write_list(window));
	*ret_window = MOVE(window);
	return NULL;
}

uint64_t
wal_window_bytes(const WalWindow *window)
{
	return window->most * window->staged.catalog->segment_size;
}

static Error *
fetch(void *argument)
{
	WindowSegment *segment = argument;

	TRY(staged_wal_fetch_segment(segment->staged, &segment->name));
	atomic_store(&segment->came, true);
	return NULL;
}

static char *
path_of(const WalWindow *window, size_t index)
{
	char name[WAL_NAME_SIZE];

	return path_join(window->directory, wal_name_format(&window->segments[index].name, name));
}

/*
 * A server reads its WAL in one direction.  What lies before a segment that it has taken,
 * of the timeline that it has left, is in its way no more.
 */
static Error *
look_what_was_taken(WalWindow *window)
{
	bool taken = false;

	for (size_t i = window->next; i-- > window->first;)
	{
		WindowSegment *segment = &window->segments[i];
		AUTO_FREE char *path = path_of(window, i);

		if (segment->gone || !atomic_load(&segment->came))
			continue;
		if (taken)
			TRY(file_remove(path));
		segment->gone = taken || !file_exists(path);

		/* The first one may be the checkpoint's, from which the server goes back. */
		taken = taken || (segment->gone && i > 0);
	}
	while (window->first < window->next && window->segments[window->first].gone)
		window->first++;
	return NULL;
}

Error *
wal_window_advance(WalWindow *window)
{
	uint64_t segment_size = window->staged.catalog->segment_size;
	uint64_t room;

	if (workers_failed(window->workers))
		return workers_wait(window->workers);
	TRY(look_what_was_taken(window));
	TRY(staged_wal_room(window->directory, &room));

	size_t coming = 0;

	for (size_t i = window->first; i < window->next; i++)
		coming += !atomic_load(&window->segments[i].came);
	while (window->next < window->count && window->next - window->first < window->most &&
	       room >= window->reserve + (coming + 1) * segment_size)
	{
		workers_submit(window->workers, fetch, &window->segments[window->next++], NULL);
		coming++;
	}

	/* The server may be about to end a restartpoint, which gives room. */
	if (window->first < window->next || window->next == window->count)
		window->starved_since_ms = 0;
	else if (window->starved_since_ms == 0)
		window->starved_since_ms = clock_monotonic_ms();
	else if (clock_monotonic_ms() - window->starved_since_ms > STARVED_MS)
		return no_room(window, room, " while it is replayed");
	return NULL;
}

void
wal_window_free(WalWindow *window)
{
	if (window == NULL)
		return;
	workers_free(window->workers);
	tablespace_mappings_release(&window->mappings);
	free(window->segments);
	free(window->directory);
	free(window);
}
