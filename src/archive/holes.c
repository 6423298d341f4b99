/* End of the archive, or a hole in it? */
#include "walship/archive/holes.h"

#include <inttypes.h>
#include <string.h>

#include "walship/archive/history_file.h"
#include "walship/archive/layout.h"
#include "walship/base/mem.h"

typedef struct Search
{
	Store *store;
	uint64_t system_identifier;
	const WalName *name;
	XLogRecPtr segment_end;
	char *why; /* found */
} Search;

/* A listing is ended by an error; this one says that what was looked for is found. */
static Error *
found(Search *search, char *why)
{
	search->why = why;
	return error_new(ERR_EXISTS, "found");
}

static Error *
swallow_found(Search *search, Error *error)
{
	if (search->why == NULL || !error_is(error, ERR_EXISTS))
		return error;
	error_free(error);
	return NULL;
}

static Error *
look_at_wal_file(void *context, const StoreEntry *entry)
{
	Search *search = context;
	WalName name;

	if (!layout_parse_wal_key(entry->key, &name) || name.kind == WAL_HISTORY ||
	    name.log < search->name->log || (name.log == search->name->log && name.seg <= search->name->seg))
		return NULL;
	return found(search, mem_printf("\"%s\" of the same timeline is there", entry->key));
}

static Error *
look_at_history_file(void *context, const StoreEntry *entry)
{
	Search *search = context;
	AUTO(TimelineHistory) history = NULL;
	WalName name;
	XLogRecPtr end;

	if (entry->is_prefix || !layout_parse_wal_key(entry->key, &name) ||
	    name.timeline <= search->name->timeline)
		return NULL;
	TRY(history_file_get(search->store, search->system_identifier, name.timeline, &history));
	if (!timeline_history_end_of(history, search->name->timeline, &end) || end < search->segment_end)
		return NULL;
	return found(search, mem_printf("\"%s\" says that the timeline goes on beyond it", entry->key));
}

static Error *
look_at_anything(void *context, const StoreEntry *entry)
{
	bool *any = context;

	(void) entry;
	*any = true;
	return error_new(ERR_EXISTS, "found");
}

static Error *
look_for_anything(Search *search)
{
	AUTO_FREE char *prefix = layout_system_prefix(search->system_identifier);
	bool any = false;
	Error *error = store_list(search->store, prefix, LIST_LEVEL, NULL, look_at_anything, &any);

	if (any)
	{
		error_free(error);
		return NULL;
	}
	if (error == NULL)
		search->why =
			mem_printf("nothing of database system %" PRIu64 " is there", search->system_identifier);
	return error;
}

Error *
holes_explain(Store *store, uint64_t system_identifier, const WalName *name, uint32_t segment_size,
              char **ret_why)
{
	Search search = {.store = store, .system_identifier = system_identifier, .name = name};
	AUTO_FREE char *wal = layout_wal_prefix(system_identifier);
	AUTO_FREE char *timeline = layout_timeline_prefix(system_identifier, name->timeline);
	AUTO_FREE char *key = layout_wal_key(system_identifier, name, NULL);
	XLogSegNo segno;
	Error *error;

	if (!wal_name_segno(name, segment_size, &segno))
		return error_new(ERR_USAGE, "no segment of %u bytes has such a name", segment_size);
	search.segment_end = segment_start(segno + 1, segment_size);

	/* WAL of this timeline behind it; a timeline that leaves it later; nothing at all, as of a wrong "system". */
	error = swallow_found(&search, store_list(store, timeline, LIST_ALL, key, look_at_wal_file, &search));
	if (error == NULL && search.why == NULL)
		error =
			swallow_found(&search, store_list(store, wal, LIST_LEVEL, NULL, look_at_history_file, &search));
	if (error == NULL && search.why == NULL)
		error = look_for_anything(&search);
	if (error != NULL)
	{
		free(search.why);
		return error;
	}
	*ret_why = search.why;
	return NULL;
}
