/* A history file without a digest, against the WAL of the timeline that it tells of. */
#include <inttypes.h>
#include <string.h>

#include "walship/archive/history_file.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
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

/* A segment on its way: through the reader of records, and its beginning into a digest. */
typedef struct SegmentRead
{
	bool walks;
	WalWalker *walker; /* NULL before the page header came */
	WalIndex *index;   /* what the walker sees */
	Sha256 *sha;
	uint64_t left; /* bytes that still belong to the beginning */
} SegmentRead;

static Error *
take_bytes(void *context, const void *data, size_t size)
{
	SegmentRead *self = context;
	size_t part = size < self->left ? size : (size_t) self->left;
	WalPageHeader header;

	sha256_update(self->sha, data, part);
	self->left -= part;
	if (!self->walks)
		return NULL;
	if (self->walker == NULL)
	{
		TRY(wal_page_header_parse(data, size, &header));
		self->walker = wal_walker_new(&header, wal_index_add_event, self->index);
	}
	wal_walker_feed(self->walker, data, size);
	return NULL;
}

/* Which bytes a segment has up to the switch; false in *ret_known when that cannot be told here. */
static Error *
read_beginning(const HistoryCheck *check, const char *key, const WalName *name, SegmentRead *read,
               uint8_t ret_sha256[SHA256_SIZE], bool *ret_known)
{
	AUTO(Sha256) sha = sha256_new();
	CallbackSink into = callback_sink(take_bytes, read);
	Error *error;

	read->sha = sha;
	read->left = check->last->switch_lsn % check->segment_size;
	error = wal_object_get_key(check->archive, key, name, &into.sink, NULL);
	*ret_known = error == NULL;
	if (error == NULL)
		sha256_final(sha, ret_sha256);

	/* What is damaged, or encrypted for others, is for those to tell who need it. */
	if (!error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND) && !error_is(error, ERR_DENIED) &&
	    !error_is(error, ERR_UNTRUSTED))
		return error;
	error_free(error);
	return NULL;
}

static Error *
add_key(void *context, const StoreEntry *entry)
{
	strlist_add(context, entry->key);
	return NULL;
}

/* The segment of the timeline that was left, in which the switch lies, and what a promoted standby has stored of it. */
static Error *
parent_keys(const HistoryCheck *check, const WalName *parent, StrList *keys)
{
	AUTO_FREE char *whole = layout_wal_key(check->archive->system_identifier, parent, NULL);
	AUTO_FREE char *directory = layout_timeline_prefix(check->archive->system_identifier, parent->timeline);
	char text[WAL_NAME_SIZE];
	AUTO_FREE char *prefix = mem_printf("%s%s.partial-", directory, wal_name_format(parent, text));

	strlist_add(keys, whole);
	return store_list(check->archive->store, prefix, LIST_LEVEL, NULL, add_key, keys);
}

/*
 * A new timeline begins with a copy of the segment in which the old one was left
 * (PostgreSQL: xlog.c, XLogInitNewTimeline): up to the switch both are the same.  Of
 * several that call themselves the old one, one is enough.  Where both begin with
 * the segment, nothing is compared.
 */
static Error *
compare_with_parent(const HistoryCheck *check, const WalName *name, const uint8_t beginning[SHA256_SIZE])
{
	WalName parent = wal_name_of_segment(check->last->timeline, check->segno, check->segment_size);
	AUTO_STRLIST keys = {0};
	bool differs = false;
	char text[WAL_NAME_SIZE];
	char parent_text[WAL_NAME_SIZE];

	if (check->last->switch_lsn % check->segment_size == 0)
		return NULL;
	TRY(parent_keys(check, &parent, &keys));
	for (size_t i = 0; i < keys.count; i++)
	{
		SegmentRead read = {.walks = false};
		WalName object = parent;
		uint8_t sha256[SHA256_SIZE];
		bool known;

		object.kind = i == 0 ? WAL_SEGMENT : WAL_PARTIAL;
		TRY(read_beginning(check, keys.items[i], &object, &read, sha256, &known));
		if (known && memcmp(sha256, beginning, SHA256_SIZE) == 0)
			return NULL;
		differs = differs || known;
	}
	if (!differs)
		return NULL;

	AUTO_FREE char *why = mem_printf("segment %s does not begin with the bytes of %s up to there",
	                                 wal_name_format(name, text), wal_name_format(&parent, parent_text));

	return disagrees(check, why);
}

/*
 * The first indexes do not tell where a timeline begins, only that it does so somewhere in the segment: they are
 * completed by reading it.  Of one that is damaged, or encrypted where there is no key, it stays unknown.
 */
static Error *
read_first_segment(const HistoryCheck *check, const char *key, const WalName *name, WalIndex *index,
                   uint8_t ret_beginning[SHA256_SIZE], bool *ret_known)
{
	SegmentRead read = {.walks = index->walked && !index->tells_changes && index->timeline_switch,
	                    .index = index};
	bool can_be_read = index->recipients[0] == '\0' || check->archive->identities != NULL;
	Error *error = NULL;

	*ret_known = false;
	if (!read.walks && check->last->switch_lsn % check->segment_size == 0)
		return NULL;
	if (can_be_read)
		error = read_beginning(check, key, name, &read, ret_beginning, ret_known);
	if (read.walks && *ret_known)
		wal_walker_finish(read.walker, &index->walk);
	else if (read.walks)
		index->walked = false;
	wal_walker_free(read.walker);
	return error;
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

/*
 * A server writes the history of the timeline that it leaves word for word into that of the new one, so the way to
 * there must be the same in both.  What the older one says of its own end counts no more: the switch may lie before it.
 */
static Error *
check_parent_history(const HistoryCheck *check)
{
	const TimelineHistory *history = check->history;
	AUTO(TimelineHistory) parent = NULL;
	bool agrees;
	Error *error;

	if (history->n_ancestors < 2)
		return NULL;
	error = history_file_get(check->archive->store, check->archive->system_identifier, check->last->timeline,
	                         &parent);
	if (error_is(error, ERR_NOT_FOUND) || error_is(error, ERR_CORRUPT))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	agrees = parent->n_ancestors == history->n_ancestors - 1;
	for (size_t i = 0; agrees && i < parent->n_ancestors; i++)
	{
		XLogRecPtr end = parent->ancestors[i].switch_lsn;

		if (end > check->last->switch_lsn)
			end = check->last->switch_lsn;
		agrees = history->ancestors[i].timeline == parent->ancestors[i].timeline &&
		         history->ancestors[i].switch_lsn == end;
	}
	if (agrees)
		return NULL;

	AUTO_FREE char *why = mem_printf("%08" PRIX32 ".history tells of another way to timeline %" PRIu32,
	                                 check->last->timeline, check->last->timeline);

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
	uint8_t beginning[SHA256_SIZE];
	bool has_beginning = false;

	TRY(check_parent_history(&check));
	TRY(index_if_readable(&check, key, &index));
	if (index.segment_size != 0)
		TRY(read_first_segment(&check, key, &name, &index, beginning, &has_beginning));
	if (index.walked)
		TRY(check_record(&check, &name, &index));
	if (has_beginning)
		TRY(compare_with_parent(&check, &name, beginning));
	return check_lowest(&check);
}
