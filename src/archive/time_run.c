/* Runs of time_high, and the note that carries one from push to push. */
#include "walship/archive/time_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/archive/seal.h"
#include "walship/archive/timeline_note.h"
#include "walship/base/file.h"
#include "walship/base/json.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define NOTE_FORMAT   1
#define NOTE_SIZE_MAX 16384

static const TimeRun no_run = {.high = TIME_NONE};

static TimeUs
later(TimeUs a, TimeUs b)
{
	if (a == TIME_NONE || b == TIME_NONE)
		return a == TIME_NONE ? b : a;
	return a > b ? a : b;
}

static void
take_time(void *high, const WalEvent *event)
{
	if (event->kind == WAL_EVENT_COMMIT || event->kind == WAL_EVENT_ABORT)
		*(TimeUs *) high = later(*(TimeUs *) high, event->time);
}

void
time_run_join(const TimeRun *run, WalIndex *index)
{
	bool joins = run->end == index->start_lsn && run->end != InvalidXLogRecPtr &&
	             run->timeline == index->timeline && run->segment_size == index->segment_size;

	if (!index->walked)
		return;
	index->time_high = index->max_time;
	index->time_high_since = index->start_lsn;
	if (!joins)
		return;
	index->time_high = later(run->high, index->max_time);
	index->time_high_since = run->since;
	(void) wal_edge_join(&run->tail, &index->walk.head, index->major, InvalidXLogRecPtr, index->start_lsn,
	                     take_time, &index->time_high);
}

TimeRun
time_run_after(const WalIndex *index)
{
	const WalWalkResult *walk = &index->walk;

	if (!index->walked || index->time_high_since == InvalidXLogRecPtr ||
	    walk->damaged_at != InvalidXLogRecPtr || walk->wal_end < index->end_lsn || index->parameter_change)
		return no_run;
	return (TimeRun){.timeline = index->timeline,
	                 .segment_size = index->segment_size,
	                 .end = index->end_lsn,
	                 .since = index->time_high_since,
	                 .high = index->time_high,
	                 .tail = walk->tail};
}

static void
print_lsn(Json *object, const char *name, XLogRecPtr lsn)
{
	char text[LSN_TEXT_SIZE];

	json_add_string(object, name, lsn_format(lsn, text));
}

static void
print_note(const WalArchive *archive, const TimeRun *run, Buf *text)
{
	AUTO(Json) root = json_new_object();
	char system[32];
	char tail[2 * WAL_EDGE_MAX + 1] = "";

	(void) snprintf(system, sizeof system, "%" PRIu64, archive->system_identifier);
	hex_encode(run->tail.bytes, run->tail.size, tail);
	json_add_int(root, "format", NOTE_FORMAT);
	json_add_string(root, "store", store_identity(archive->store));
	json_add_string(root, "system_id", system);
	json_add_int(root, "timeline", run->timeline);
	json_add_int(root, "segment_size", run->segment_size);
	print_lsn(root, "end", run->end);
	print_lsn(root, "since", run->since);
	json_add_time(root, "high", run->high);
	json_add_string(root, "tail", tail);
	json_print(root, true, text);
	seal_append(text);
}

static Error *
invalid(const char *name)
{
	return error_new(ERR_CORRUPT, "member \"%s\" has an invalid value", name);
}

static Error *
get_uint32(const Json *root, const char *name, uint32_t *ret_value)
{
	uint64_t value;

	TRY(json_get_uint(root, name, &value));
	*ret_value = (uint32_t) value;
	return value > UINT32_MAX ? invalid(name) : NULL;
}

static Error *
get_lsn(const Json *root, const char *name, uint32_t segment_size, XLogRecPtr *ret_lsn)
{
	const char *text;

	TRY(json_get_string(root, name, &text));
	return lsn_parse(text, ret_lsn) && *ret_lsn % segment_size == 0 && *ret_lsn != InvalidXLogRecPtr
	           ? NULL
	           : invalid(name);
}

static Error *
check_binding(const Json *root, const WalArchive *archive, TimeLineID timeline)
{
	uint32_t format;
	uint32_t noted_timeline;
	uint64_t system;
	const char *text;

	TRY(get_uint32(root, "format", &format));
	if (format != NOTE_FORMAT)
		return invalid("format");
	TRY(json_get_string(root, "store", &text));
	if (strcmp(text, store_identity(archive->store)) != 0)
		return invalid("store");
	TRY(json_get_string(root, "system_id", &text));
	if (!str_to_uint64(text, &system) || system != archive->system_identifier)
		return invalid("system_id");
	TRY(get_uint32(root, "timeline", &noted_timeline));
	return noted_timeline == timeline ? NULL : invalid("timeline");
}

static Error *
parse_run(const Json *root, TimeRun *run)
{
	const char *tail;

	TRY(get_uint32(root, "segment_size", &run->segment_size));
	if (!wal_segment_size_is_valid(run->segment_size))
		return invalid("segment_size");
	TRY(get_lsn(root, "end", run->segment_size, &run->end));
	TRY(get_lsn(root, "since", run->segment_size, &run->since));
	if (run->since >= run->end)
		return invalid("since");
	TRY(json_get_time(root, "high", &run->high));
	TRY(json_get_string(root, "tail", &tail));
	if (strlen(tail) > 2 * WAL_EDGE_MAX || !hex_decode(tail, run->tail.bytes, strlen(tail) / 2))
		return invalid("tail");
	run->tail.size = (uint32_t) (strlen(tail) / 2);
	run->tail.length = run->tail.size;
	return NULL;
}

static Error *
read_note(const char *path, const WalArchive *archive, TimeLineID timeline, TimeRun *ret_run)
{
	AUTO_BUF(text, NOTE_SIZE_MAX);
	AUTO(Json) root = NULL;
	TimeRun run = {.timeline = timeline};

	TRY(file_read_all(path, &text));
	TRY(seal_check(text.data, text.size, path));
	TRY(json_parse(text.data, text.size, path, &root));
	TRY(check_binding(root, archive, timeline));
	TRY(parse_run(root, &run));
	*ret_run = run;
	return NULL;
}

TimeRun
time_run_noted(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
{
	AUTO_FREE char *path = timeline_note_path(state_dir, "times", archive, timeline);
	AUTO(Error) error = NULL;
	TimeRun run = no_run;

	error = read_note(path, archive, timeline, &run);
	return run;
}

Error *
time_run_note(const char *state_dir, const WalArchive *archive, TimeLineID timeline, const TimeRun *run)
{
	AUTO_FREE char *path = timeline_note_path(state_dir, "times", archive, timeline);
	AUTO_BUF(text, NOTE_SIZE_MAX);

	if (run->end == InvalidXLogRecPtr)
		return file_remove(path);
	print_note(archive, run, &text);

	/* For the server's user alone: the tail may be bytes of a row. */
	return file_replace_unsynced(path, text.data, text.size, 0600);
}
