/* Keeps timelines whole in the store, and knows the end of one; see walship/archive/lineage.h. */
#include "walship/archive/lineage.h"

#include <stdlib.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/timeline_note.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"

/* Then it is looked at anew: the store may have been emptied meanwhile, and history files are pushed only once. */
#define COMPLETE_VALID_MS (3600 * INT64_C(1000))

typedef struct Lineage
{
	const WalArchive *archive;
	const char *wal_directory;
	TimeLineID timeline;
	int64_t deadline_ms;
	LineageReport *report;
	uint32_t segment_size; /* 0: not known */
} Lineage;

void
lineage_report_release(LineageReport *report)
{
	strlist_release(&report->stored);
	strlist_release(&report->warnings);
}

/* Only what is wrong with this very file is set aside: the archiver must not stand still for it. */
static Error *
set_aside(Lineage *lineage, const char *name, Error *error)
{
	bool about_the_file = error_is(error, ERR_CORRUPT) || error_is(error, ERR_EXISTS) ||
	                      error_is(error, ERR_NOT_FOUND) || error_is(error, ERR_USAGE);

	if (!about_the_file)
		return error;

	AUTO_FREE char *text = mem_printf("%s: %s", name, error_message(error));

	strlist_add(&lineage->report->warnings, text);
	error_free(error);
	return NULL;
}

/*
 * Does the WAL say what the history file at "path" says?  The record that begins
 * its timeline lies where it was switched to, and names the timeline that was left.
 * False also when there is no such segment, or the switch lies a little before the
 * record (docs/format.md): what is not certain is not sealed.
 */
static Error *
wal_agrees(const Lineage *lineage, const char *path, TimeLineID timeline, bool *ret_agrees)
{
	const WalArchive *archive = lineage->archive;
	AUTO(TimelineHistory) history = NULL;
	const TimelineSwitch *last;
	WalIndex index;

	*ret_agrees = false;
	TRY(history_file_read(lineage->wal_directory, timeline, &history));
	if (history->n_ancestors == 0 || lineage->segment_size == 0)
		return NULL;
	last = &history->ancestors[history->n_ancestors - 1];

	WalName name = wal_name_of_segment(timeline, lsn_segment(last->switch_lsn, lineage->segment_size),
	                                   lineage->segment_size);
	char leaf[WAL_NAME_SIZE];
	AUTO_FREE char *segment = path_join(lineage->wal_directory, wal_name_format(&name, leaf));
	AUTO_FREE char *key = layout_wal_key(archive->system_identifier, &name, NULL);
	Error *error = wal_object_inspect(archive, segment, &name, &index);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = wal_object_index(archive->store, key, &index);
	}
	if (error_is(error, ERR_NOT_FOUND) || error_is(error, ERR_CORRUPT))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	if (index.switch_lsn == InvalidXLogRecPtr)
		return NULL;
	*ret_agrees = index.switch_lsn == last->switch_lsn && index.previous_timeline == last->timeline;
	if (index.switch_lsn < last->switch_lsn || index.previous_timeline != last->timeline)
		return error_new(ERR_CORRUPT, "\"%s\" says something else than the WAL in \"%s\"", path, leaf);
	return NULL;
}

/* Of a history file that was stored by a version without digests: from pg_wal's own copy, never from the store's. */
static Error *
ensure_history_digest(Lineage *lineage, const char *path, const WalName *name)
{
	const WalArchive *archive = lineage->archive;
	AUTO_FREE char *key = layout_history_digest_key(archive->system_identifier, name->timeline);
	StoreEntry entry;
	PutResult result;
	bool agrees;
	Error *error = store_stat(archive->store, key, &entry);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	error = wal_agrees(lineage, path, name->timeline, &agrees);
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	return agrees ? wal_text_put(archive, path, name, &result) : NULL;
}

static Error *
ensure_history_file(Lineage *lineage, TimeLineID timeline)
{
	const WalArchive *archive = lineage->archive;
	WalName name = {.kind = WAL_HISTORY, .timeline = timeline};
	char text[WAL_NAME_SIZE];
	AUTO_FREE char *path = path_join(lineage->wal_directory, wal_name_format(&name, text));
	AUTO_FREE char *key = layout_wal_key(archive->system_identifier, &name, NULL);
	StoreEntry entry;
	PutResult result;
	Error *error = store_stat(archive->store, key, &entry);

	if (error == NULL)
		return set_aside(lineage, text, ensure_history_digest(lineage, path, &name));
	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	error = wal_text_put(archive, path, &name, &result);

	/* The new timeline's own comes here first and was not missing; those before it were. */
	if (error == NULL && timeline != lineage->timeline)
		strlist_add(&lineage->report->stored, text);
	return set_aside(lineage, text, error);
}

/* A file that ends early, or is not WAL at all, must not take the place of the whole segment. */
static Error *
put_whole_segment(Lineage *lineage, const char *path, const WalName *name)
{
	WalIndex index;
	PutResult result;

	TRY(wal_object_inspect(lineage->archive, path, name, &index));
	if ((index.walk.wal_end < index.end_lsn && !index.walk.switched) ||
	    index.walk.damaged_at != InvalidXLogRecPtr)
		return error_new(ERR_CORRUPT, "its WAL is not whole");
	return wal_object_put(lineage->archive, path, name, &result, NULL);
}

static Error *
ensure_segment(Lineage *lineage, const char *file_name, const WalName *name)
{
	AUTO_FREE char *path = path_join(lineage->wal_directory, file_name);

	TRY(cancel_check());
	if (clock_monotonic_ms() >= lineage->deadline_ms)
		return error_new(ERR_TRANSIENT, "WAL of timeline %u is not yet wholly in the store", name->timeline);

	Error *error = put_whole_segment(lineage, path, name);

	if (error == NULL)
		strlist_add(&lineage->report->stored, file_name);
	return set_aside(lineage, file_name, error);
}

static bool
is_segment(const char *file_name, WalName *ret_name)
{
	AUTO(Error) error = wal_name_parse(file_name, ret_name);

	return error == NULL && ret_name->kind == WAL_SEGMENT;
}

/* Segments of "timeline" in pg_wal that end at or before "end", its switch to the next one; in byte order. */
static void
list_segments_before(const StrList *names, uint32_t segment_size, TimeLineID timeline, XLogRecPtr end,
                     StrList *segments)
{
	for (size_t i = 0; i < names->count; i++)
	{
		WalName name;
		XLogSegNo segno;

		if (is_segment(names->items[i], &name) && name.timeline == timeline &&
		    wal_name_segno(&name, segment_size, &segno) && segment_start(segno + 1, segment_size) <= end)
			strlist_add(segments, names->items[i]);
	}
}

static Error *
add_stored(void *context, const StoreEntry *entry)
{
	StrList *stored = context;
	char text[WAL_NAME_SIZE];
	WalName name;

	if (layout_parse_wal_key(entry->key, &name) && name.kind == WAL_SEGMENT)
		strlist_add(stored, wal_name_format(&name, text));
	return NULL;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static Error *
ensure_segments_before(Lineage *lineage, const StrList *names, uint32_t segment_size, TimeLineID timeline,
                       XLogRecPtr end)
{
	AUTO_STRLIST segments = {0};
	AUTO_STRLIST stored = {0};
	AUTO_FREE char *prefix = NULL;
	AUTO_FREE char *before_first = NULL;

	list_segments_before(names, segment_size, timeline, end, &segments);
	if (segments.count == 0)
		return NULL;

	/*
	 * By a listing: pg_wal may hold thousands, and a request for each would outlast
	 * the deadline, at every attempt anew.
	 */
	prefix = layout_timeline_prefix(lineage->archive->system_identifier, timeline);
	before_first = mem_printf("%s%s", prefix, segments.items[0]);
	TRY(store_list(lineage->archive->store, prefix, LIST_ALL, before_first, add_stored, &stored));
	for (size_t i = 0; i < segments.count; i++)
	{
		WalName name;

		if (stored.count > 0 &&
		    bsearch(&segments.items[i], stored.items, stored.count, sizeof(stored.items[0]), compare_names))
			continue;
		TRY(wal_name_parse(segments.items[i], &name));
		TRY(ensure_segment(lineage, segments.items[i], &name));
	}
	return NULL;
}

Error *
lineage_ensure(const WalArchive *archive, const char *wal_directory, TimeLineID timeline, int64_t deadline_ms,
               LineageReport *report)
{
	Lineage lineage = {archive, wal_directory, timeline, deadline_ms, report, 0};
	AUTO(TimelineHistory) history = NULL;
	AUTO_STRLIST names = {0};
	char own_name[WAL_NAME_SIZE];
	WalName name = {.kind = WAL_HISTORY, .timeline = timeline};
	Error *error = history_file_read(wal_directory, timeline, &history);

	/* The server may have removed it from pg_wal already. */
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = history_file_get(archive->store, archive->system_identifier, timeline, &history);
	}
	if (error != NULL)
		return set_aside(&lineage, wal_name_format(&name, own_name), error);
	TRY(dir_list(wal_directory, &names));
	lineage.segment_size = wal_directory_segment_size(wal_directory, &names);

	/* The oldest first, so that what is in the store is never without its beginning. */
	for (size_t i = 0; i < history->n_ancestors; i++)
	{
		const TimelineSwitch *ancestor = &history->ancestors[i];

		if (ancestor->timeline > 1)
			TRY(ensure_history_file(&lineage, ancestor->timeline));
		if (lineage.segment_size != 0)
			TRY(ensure_segments_before(&lineage, &names, lineage.segment_size, ancestor->timeline,
			                           ancestor->switch_lsn));
	}
	TRY(ensure_history_file(&lineage, timeline));
	report->complete = true;
	return NULL;
}

/* Does any history file leave "timeline" after "from" and not after "to"? */
static bool
is_left_within(const HistoryFiles *histories, TimeLineID timeline, XLogRecPtr from, XLogRecPtr to)
{
	XLogRecPtr end;

	for (size_t i = 0; i < histories->count; i++)
		if (timeline_history_end_of(histories->items[i], timeline, &end) && end > from && end <= to)
			return true;
	return false;
}

Error *
lineage_is_stub(const WalArchive *archive, const HistoryFiles *histories, const char *path,
                const WalName *name, bool *ret_stub)
{
	uint32_t segment_size;
	XLogSegNo segno;
	XLogRecPtr start;
	WalIndex index;
	XLogRecPtr last_byte;

	*ret_stub = false;
	TRY(wal_file_segment_size(path, &segment_size));
	if (!wal_name_segno(name, segment_size, &segno))
		return NULL;
	start = segment_start(segno, segment_size);
	if (!is_left_within(histories, name->timeline, start, start + segment_size - 1))
		return NULL;

	/* Rare, so a second reading of the file is no matter. */
	TRY(wal_object_inspect(archive, path, name, &index));
	last_byte = index.walk.wal_end - 1;

	/* Of a PostgreSQL that is not known only the last page is known.  Its segment's last one may be that of any segment. */
	if (!index.walked && index.walk.wal_end < index.end_lsn)
		last_byte = index.walk.wal_end - XLOG_BLCKSZ;
	*ret_stub = is_left_within(histories, name->timeline, last_byte, index.walk.wal_end);
	return NULL;
}

static StateNote
complete_note(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
{
	StateNote note = timeline_note(state_dir, "complete", archive, timeline);

	note.valid_ms = COMPLETE_VALID_MS;
	return note;
}

bool
timeline_complete_is_noted(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
{
	AUTO_STATE_NOTE note = complete_note(state_dir, archive, timeline);
	AUTO_BUF(nothing, STATE_NOTE_SIZE_MAX);

	return state_note_read(&note, &nothing);
}

Error *
timeline_complete_note(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
{
	AUTO_STATE_NOTE note = complete_note(state_dir, archive, timeline);

	return state_note_write(&note, "");
}
