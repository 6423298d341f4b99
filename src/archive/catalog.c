/* Reads what lies in the store: one listing of wal/, one of base/, the records and the history files. */
#include "walship/archive/catalog.h"

#include <inttypes.h>
#include <string.h>

#include "catalog_wal.h"
#include "walship/archive/layout.h"
#include "walship/archive/record_list.h"
#include "walship/base/mem.h"

static Error *
add_system(void *context, const StoreEntry *entry)
{
	StrList *systems = context;
	AUTO_FREE char *name = mem_strndup(entry->key, strlen(entry->key) - (entry->is_prefix ? 1 : 0));
	uint64_t system_identifier;

	if (entry->is_prefix && str_to_uint64(name, &system_identifier))
		strlist_add(systems, name);
	return NULL;
}

Error *
catalog_systems(Store *store, StrList *ret_systems)
{
	return store_list(store, "", LIST_LEVEL, NULL, add_system, ret_systems);
}

Error *
catalog_check_known_system(Store *store, uint64_t system_identifier)
{
	AUTO_STRLIST systems = {0};
	AUTO_FREE char *own = mem_printf("%" PRIu64, system_identifier);

	TRY(catalog_systems(store, &systems));
	if (systems.count == 0 || strlist_contains(&systems, own))
		return NULL;
	return error_hint(
		error_new(ERR_EXISTS,
	              "store \"%s\" holds %zu other database system%s, but nothing of %s, which this server is",
	              store_url(store), systems.count, systems.count == 1 ? "" : "s", own),
		"Is it the right server (PGHOST, PGPORT, \"conninfo\"), and the right store? After a pg_upgrade, or "
		"to let a second cluster share the store, say --new-system.");
}

/* A RecordRead. */
static Error *
read_record(const RecordPlace *place, const char *id, void **ret_record)
{
	BackupRecord *record = NULL;

	TRY(catalog_read_record(place->store, place->system_identifier, id, &record));
	*ret_record = record;
	return NULL;
}

static Error *
read_backups(Store *store, int threads, Catalog *catalog)
{
	RecordPlace place = {.store = store, .system_identifier = catalog->system_identifier};
	AUTO_FREE char *prefix = layout_base_prefix(catalog->system_identifier);
	AUTO_RECORD_LIST list = {0};
	Error *error = record_list_read(&place, prefix, threads, read_record, &list);

	catalog->backups = NEW_ARRAY(BackupRecord *, list.count);
	for (size_t i = 0; i < list.count; i++)
		catalog->backups[catalog->n_backups++] = list.records[i];
	if (catalog->n_backups > 0)
		catalog->segment_size = catalog->backups[0]->segment_size;
	record_list_tell(&list, &catalog->unfinished, &catalog->damaged);
	return error;
}

Error *
catalog_read(Store *store, uint64_t system_identifier, int threads, Catalog **ret_catalog)
{
	AUTO(Catalog) catalog = NEW(Catalog);

	catalog->system_identifier = system_identifier;
	TRY(read_backups(store, threads, catalog));
	TRY(catalog_read_wal(store, catalog));
	for (size_t i = 0; i < catalog->n_backups; i++)
		(void) catalog_add_timeline(catalog, catalog->backups[i]->timeline);
	*ret_catalog = MOVE(catalog);
	return NULL;
}

static void
release_timeline(CatalogTimeline *timeline)
{
	timeline_history_free(timeline->history);
	free(timeline->history_damage);
	for (size_t i = 0; i < timeline->n_runs; i++)
	{
		free(timeline->runs[i].sizes);
		free(timeline->runs[i].modified);
	}
	free(timeline->runs);
	for (size_t i = 0; i < timeline->n_partials; i++)
		free(timeline->partials[i].key);
	free(timeline->partials);
	for (size_t i = 0; i < timeline->n_backup_files; i++)
		free(timeline->backup_files[i].key);
	free(timeline->backup_files);
}

void
catalog_free(Catalog *catalog)
{
	if (catalog == NULL)
		return;
	for (size_t i = 0; i < catalog->n_backups; i++)
		backup_record_free(catalog->backups[i]);
	free(catalog->backups);
	for (size_t i = 0; i < catalog->n_timelines; i++)
		release_timeline(&catalog->timelines[i]);
	free(catalog->timelines);
	strlist_release(&catalog->unfinished);
	strlist_release(&catalog->damaged);
	free(catalog);
}

TimeLineID
catalog_resolve_timeline(const Catalog *catalog, TimeLineID timeline)
{
	if (timeline != TIMELINE_LATEST)
		return timeline;
	return catalog->n_timelines == 0 ? 0 : catalog->timelines[catalog->n_timelines - 1].timeline;
}

const CatalogTimeline *
catalog_timeline(const Catalog *catalog, TimeLineID timeline)
{
	for (size_t i = 0; i < catalog->n_timelines; i++)
		if (catalog->timelines[i].timeline == timeline)
			return &catalog->timelines[i];
	return NULL;
}

bool
catalog_has_segment(const Catalog *catalog, TimeLineID timeline, XLogSegNo segno)
{
	ListedSegment listed;

	return catalog_listed_segment(catalog, timeline, segno, &listed);
}

bool
catalog_listed_segment(const Catalog *catalog, TimeLineID timeline, XLogSegNo segno,
                       ListedSegment *ret_listed)
{
	const CatalogTimeline *found = catalog_timeline(catalog, timeline);

	for (size_t i = 0; found != NULL && i < found->n_runs; i++)
	{
		const SegmentRun *run = &found->runs[i];

		if (segno < run->first || segno > run->last)
			continue;
		*ret_listed = (ListedSegment){.stored_size = run->sizes[segno - run->first],
		                              .modified = run->modified == NULL ? TIME_NONE
		                                                                : run->modified[segno - run->first]};
		return true;
	}
	return false;
}
