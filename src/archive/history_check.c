/* A history file without a digest, against the WAL of the timeline that it tells of. */
#include <inttypes.h>

#include "walship/archive/history_file.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/base/mem.h"
#include "walship/wal/index.h"
#include "walship/wal/record.h"

/*
 * The record that begins a timeline comes where the file says, or behind it by no
 * more than a page header each, and records of a continuation that was overwritten
 * and of full_page_writes (PostgreSQL: xlog.c, StartupXLOG).
 */
#define SWITCH_RECORD_MAX 256

typedef struct HistoryCheck
{
	const WalArchive *archive;
	const TimelineHistory *history;
	const TimelineSwitch *last;
	uint32_t segment_size;
	XLogSegNo segno; /* of the switch */
	bool has_lowest; /* the lowest of the timeline that is in the store was found */
	XLogSegNo lowest;
} HistoryCheck;

static Error *
disagrees(const HistoryCheck *check, const char *why)
{
	char lsn[LSN_TEXT_SIZE];

	return error_hint(
		error_new(ERR_CORRUPT,
	              "%08" PRIX32 ".history in store \"%s\" says that timeline %" PRIu32
	              " left timeline %" PRIu32 " at %s, but %s",
	              check->history->timeline, store_url(check->archive->store), check->history->timeline,
	              check->last->timeline, lsn_format(check->last->switch_lsn, lsn), why),
		"It was damaged or changed in the store. If a server has the file in its pg_wal, remove the one in the "
		"store and push that file again.");
}

/* A segment on its way through the reader of records, which begins with the page header. */
typedef struct SwitchWalk
{
	WalWalker *walker;
	WalIndex *index;
} SwitchWalk;

static Error *
walk(void *context, const void *data, size_t size)
{
	SwitchWalk *self = context;
	WalPageHeader header;

	if (self->walker == NULL)
	{
		TRY(wal_page_header_parse(data, size, &header));
		self->walker = wal_walker_new(&header, wal_index_add_event, self->index);
	}
	wal_walker_feed(self->walker, data, size);
	return NULL;
}

/*
 * What the first indexes do not tell: they only say that a timeline begins somewhere in the segment.  Of one that
 * is damaged, or encrypted where there is no key, it stays unknown.
 */
static Error *
find_switch(const HistoryCheck *check, const WalName *name, WalIndex *index)
{
	SwitchWalk self = {.index = index};
	CallbackSink into = callback_sink(walk, &self);
	bool can_be_read = index->recipients[0] == '\0' || check->archive->identities != NULL;
	Error *error = can_be_read ? wal_object_get(check->archive, name, &into.sink, NULL) : NULL;

	if (error == NULL && self.walker != NULL)
		wal_walker_finish(self.walker, &index->walk);
	else
		index->walked = false;
	wal_walker_free(self.walker);
	if (!error_is(error, ERR_CORRUPT))
		return error;
	error_free(error);
	return NULL;
}

static Error *
check_record(const HistoryCheck *check, const WalName *name, const WalIndex *index)
{
	XLogRecPtr begin = check->last->switch_lsn;
	char lsn[LSN_TEXT_SIZE];
	char text[WAL_NAME_SIZE];

	if (index->switch_lsn == InvalidXLogRecPtr)
	{
		AUTO_FREE char *why = mem_printf("no timeline begins in segment %s", wal_name_format(name, text));

		/* It may lie behind what was read, or have found no room here. */
		if (index->walk.damaged_at != InvalidXLogRecPtr || index->walk.wal_end < begin + SWITCH_RECORD_MAX)
			return NULL;
		return disagrees(check, why);
	}
	if (index->switch_lsn < begin || index->switch_lsn - begin > SWITCH_RECORD_MAX)
	{
		AUTO_FREE char *why = mem_printf("in the WAL it begins at %s", lsn_format(index->switch_lsn, lsn));

		return disagrees(check, why);
	}
	if (index->previous_timeline != 0 && index->previous_timeline != check->last->timeline)
	{
		AUTO_FREE char *why =
			mem_printf("the WAL says that it left timeline %" PRIu32, index->previous_timeline);

		return disagrees(check, why);
	}
	return NULL;
}

/* Damage of a segment is for those to tell who need it. */
static Error *
index_if_readable(const HistoryCheck *check, const char *key, WalIndex *ret_index)
{
	Error *error = wal_object_index(check->archive->store, key, ret_index);

	if (!error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	*ret_index = (WalIndex){.walked = false};
	return NULL;
}

/* They come in order: the first segment ends the search. */
static Error *
look_at_lowest(void *context, const StoreEntry *entry)
{
	HistoryCheck *check = context;
	WalName name;

	if (!layout_parse_wal_key(entry->key, &name) || name.kind != WAL_SEGMENT ||
	    !wal_name_segno(&name, check->segment_size, &check->lowest))
		return NULL;
	check->has_lowest = true;
	return error_new(ERR_EXISTS, "found");
}

/* Above the switch the lowest segment may be, for what is no longer needed may have been removed; then no timeline begins in it. */
static Error *
check_lowest(HistoryCheck *check)
{
	AUTO_FREE char *prefix =
		layout_timeline_prefix(check->archive->system_identifier, check->history->timeline);
	AUTO_FREE char *why = NULL;
	char name[WAL_NAME_SIZE];
	Error *error = store_list(check->archive->store, prefix, LIST_LEVEL, NULL, look_at_lowest, check);

	if (!check->has_lowest)
		return error;
	error_free(error);
	if (check->lowest == check->segno)
		return NULL;
	(void) wal_segment_name(check->history->timeline, check->lowest, check->segment_size, name);
	if (check->lowest > check->segno)
	{
		WalName lowest = wal_name_of_segment(check->history->timeline, check->lowest, check->segment_size);
		AUTO_FREE char *key = layout_wal_key(check->archive->system_identifier, &lowest, NULL);
		WalIndex index = {0};

		TRY(index_if_readable(check, key, &index));
		if (!index.walked || !index.timeline_switch)
			return NULL;
	}
	why = mem_printf("%s segment %s of its WAL",
	                 check->lowest > check->segno ? "it begins in" : "before that lies", name);
	return disagrees(check, why);
}

Error *
history_check_wal(const WalArchive *archive, const TimelineHistory *history, uint32_t segment_size)
{
	HistoryCheck check = {archive, history, .segment_size = segment_size};

	if (history->n_ancestors == 0 || segment_size == 0)
		return NULL;
	check.last = &history->ancestors[history->n_ancestors - 1];
	check.segno = lsn_segment(check.last->switch_lsn, segment_size);

	WalName name = wal_name_of_segment(history->timeline, check.segno, segment_size);
	AUTO_FREE char *key = layout_wal_key(archive->system_identifier, &name, NULL);
	WalIndex index = {0};

	TRY(index_if_readable(&check, key, &index));
	if (index.walked && !index.tells_changes && index.timeline_switch)
		TRY(find_switch(&check, &name, &index));
	if (index.walked)
		TRY(check_record(&check, &name, &index));
	return check_lowest(&check);
}
