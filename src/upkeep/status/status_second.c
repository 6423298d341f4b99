/* Facts of a status: does the second store have what is newest in the first? */
#include "status_steps.h"
#include "walship/archive/layout.h"
#include "walship/base/mem.h"
#include "walship/store/listed_store.h"

typedef struct SegmentSearch
{
	char *last;   /* key of the last segment; NULL: there is none */
	TimeUs first; /* when the first one came */
} SegmentSearch;

static Error *
add_segment(void *context, const StoreEntry *entry)
{
	SegmentSearch *search = context;
	WalName name;

	if (!layout_parse_wal_key(entry->key, &name) || name.kind != WAL_SEGMENT)
		return NULL;
	if (search->last == NULL)
		search->first = entry->modified;
	free(search->last);
	search->last = mem_strdup(entry->key);
	return NULL;
}

/* What was expired here or there says nothing: it is the segments behind the other's last one that count. */
static Error *
find_segment_behind(StatusFacts *facts, Store *store, Store *second, TimeUs *ret_came)
{
	AUTO_FREE char *prefix = layout_timeline_prefix(facts->system_identifier, facts->wal.timeline);
	SegmentSearch there = {.first = TIME_NONE};
	SegmentSearch here = {.first = TIME_NONE};
	Error *error = store_list(second, prefix, LIST_ALL, NULL, add_segment, &there);

	if (error == NULL)
		error = store_list(store, prefix, LIST_ALL, there.last, add_segment, &here);
	free(there.last);
	free(here.last);
	*ret_came = here.first;
	return error;
}

static Error *
add_size(void *context, const StoreEntry *entry)
{
	StatusSecond *second = context;

	second->objects++;
	second->size += entry->size;
	return NULL;
}

static Error *
compare(StatusFacts *facts, Store *store, Store *listed, const char *prefix)
{
	StatusSecond *second = &facts->second;
	TimeUs came = TIME_NONE;

	TRY(store_list(listed, prefix, LIST_ALL, NULL, add_size, second));
	if (facts->wal.timeline != 0)
		TRY(find_segment_behind(facts, store, listed, &second->behind_since));
	if (facts->backups.id == NULL)
		return NULL;

	AUTO_FREE char *key = layout_backup_record_key(facts->system_identifier, facts->backups.id);

	TRY(status_find_modified(listed, key, &came));
	if (came == TIME_NONE &&
	    (second->behind_since == TIME_NONE || facts->backups.came < second->behind_since))
		second->behind_since = facts->backups.came;
	return NULL;
}

Error *
status_compare_second(StatusFacts *facts, Store *store, Store *second)
{
	AUTO_FREE char *prefix = layout_system_prefix(facts->system_identifier);
	AUTO(Store) listed = NULL;

	facts->second.behind_since = TIME_NONE;
	if (second == NULL)
		return NULL;
	TRY(status_take_second_error(facts, listed_store_new(second, prefix, &listed)));
	return listed == NULL ? NULL : compare(facts, store, listed, prefix);
}
