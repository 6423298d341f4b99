/* Timelines, segments and partials, from one listing of wal/. */
#include "catalog_wal.h"

#include <string.h>

#include "walship/archive/history_file.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/base/mem.h"

/* So many damaged objects are passed over in search of one that tells the segment size. */
#define SIZE_PROBES 8

typedef struct FoundFile
{
	WalName name;
	uint64_t stored_size;
	XLogSegNo segno; /* once the segment size is known */
	TimeUs modified;
	char *key; /* of a partial or .backup file; else NULL */
} FoundFile;

typedef struct FoundList
{
	FoundFile *files; /* in the order of the keys */
	size_t count;
	size_t capacity;
} FoundList;

typedef struct Listing
{
	FoundList segments;
	FoundList partials;
	FoundList backup_files;
	FoundList histories;
} Listing;

static void
found_list_release(FoundList *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->files[i].key);
	free(list->files);
}

static void
listing_release(Listing *listing)
{
	found_list_release(&listing->segments);
	found_list_release(&listing->partials);
	found_list_release(&listing->backup_files);
	found_list_release(&listing->histories);
}

#define AUTO_LISTING __attribute__((cleanup(listing_release))) Listing

static void
found_list_add(FoundList *list, FoundFile file)
{
	GROW(list->files, list->count, list->capacity);
	list->files[list->count++] = file;
}

/* Objects that are none of ours are passed over. */
static Error *
add_wal_file(void *context, const StoreEntry *entry)
{
	Listing *listing = context;
	FoundFile file = {.stored_size = entry->size, .modified = entry->modified};

	if (entry->is_prefix || !layout_parse_wal_key(entry->key, &file.name))
		return NULL;
	switch (file.name.kind)
	{
		case WAL_SEGMENT:
			found_list_add(&listing->segments, file);
			break;
		case WAL_PARTIAL:
			file.key = mem_strdup(entry->key);
			found_list_add(&listing->partials, file);
			break;
		case WAL_HISTORY:
			found_list_add(&listing->histories, file);
			break;
		case WAL_BACKUP:
			file.key = mem_strdup(entry->key);
			found_list_add(&listing->backup_files, file);
			break;
	}
	return NULL;
}

/* From the index of the first object that can be read. */
static Error *
probe_segment_size(Store *store, Catalog *catalog, const FoundList *list)
{
	for (size_t i = 0; i < list->count; i++)
	{
		const FoundFile *file = &list->files[i];
		AUTO_FREE char *key = file->key != NULL
		                          ? mem_strdup(file->key)
		                          : layout_wal_key(catalog->system_identifier, &file->name, NULL);
		WalIndex index;
		Error *error = wal_object_index(store, key, &index);

		if (error == NULL)
		{
			catalog->segment_size = index.segment_size;
			return NULL;
		}
		if (!error_is(error, ERR_CORRUPT) || i + 1 == SIZE_PROBES || i + 1 == list->count)
			return error_context(error, "could not find out the WAL segment size");
		error_free(error);
	}
	return NULL;
}

/* Sets every file's segment number; names that no segment of this size can have are dropped. */
static void
number_segments(FoundList *list, uint32_t segment_size)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++)
	{
		FoundFile file = list->files[i];

		if (wal_name_segno(&file.name, segment_size, &file.segno))
			list->files[kept++] = file;
		else
			free(file.key);
	}
	list->count = kept;
}

CatalogTimeline *
catalog_add_timeline(Catalog *catalog, TimeLineID timeline)
{
	CatalogTimeline *found;
	size_t position = 0;

	while (position < catalog->n_timelines && catalog->timelines[position].timeline < timeline)
		position++;
	if (position < catalog->n_timelines && catalog->timelines[position].timeline == timeline)
		return &catalog->timelines[position];
	catalog->timelines =
		mem_realloc(catalog->timelines, (catalog->n_timelines + 1) * sizeof(CatalogTimeline));
	found = &catalog->timelines[position];
	memmove(found + 1, found, (catalog->n_timelines - position) * sizeof(*found));
	*found = (CatalogTimeline){.timeline = timeline, .history = timeline_history_root(timeline)};
	catalog->n_timelines++;
	return found;
}

static void
note_modified(CatalogTimeline *timeline, const FoundFile *file)
{
	if (file->modified > timeline->last_modified)
		timeline->last_modified = file->modified;
}

/* The files from "first" on that follow each other without a gap; returns how many they are. */
static size_t
add_run(Catalog *catalog, const FoundList *list, size_t first)
{
	const FoundFile *files = &list->files[first];
	CatalogTimeline *timeline = catalog_add_timeline(catalog, files[0].name.timeline);
	SegmentRun run = {.first = files[0].segno};
	size_t count = 1;

	while (first + count < list->count && files[count].name.timeline == files[0].name.timeline &&
	       files[count].segno == files[0].segno + count)
		count++;
	run.last = files[count - 1].segno;
	run.sizes = NEW_ARRAY(uint32_t, count);
	run.modified = NEW_ARRAY(TimeUs, count);
	for (size_t i = 0; i < count; i++)
	{
		run.sizes[i] = files[i].stored_size > UINT32_MAX ? UINT32_MAX : (uint32_t) files[i].stored_size;
		run.modified[i] = files[i].modified;
		run.stored_size += files[i].stored_size;
		note_modified(timeline, &files[i]);
	}
	timeline->runs = mem_realloc(timeline->runs, (timeline->n_runs + 1) * sizeof(SegmentRun));
	timeline->runs[timeline->n_runs++] = run;
	return count;
}

static void
add_file(CatalogFile **files, size_t *n_files, FoundFile *file)
{
	*files = mem_realloc(*files, (*n_files + 1) * sizeof(CatalogFile));
	(*files)[(*n_files)++] =
		(CatalogFile){.segno = file->segno, .key = MOVE(file->key), .stored_size = file->stored_size};
}

/* Without a segment size nobody knows which segments they are named after; nor is there anything to recover. */
static void
add_files(Catalog *catalog, Listing *listing)
{
	for (size_t i = 0; catalog->segment_size != 0 && i < listing->partials.count; i++)
	{
		FoundFile *file = &listing->partials.files[i];
		CatalogTimeline *timeline = catalog_add_timeline(catalog, file->name.timeline);

		note_modified(timeline, file);
		add_file(&timeline->partials, &timeline->n_partials, file);
	}
	for (size_t i = 0; catalog->segment_size != 0 && i < listing->backup_files.count; i++)
	{
		FoundFile *file = &listing->backup_files.files[i];
		CatalogTimeline *timeline = catalog_add_timeline(catalog, file->name.timeline);

		add_file(&timeline->backup_files, &timeline->n_backup_files, file);
	}
}

/* By its digest; one of an older version, which has none, by the WAL. */
static Error *
get_history(Store *store, const Catalog *catalog, TimeLineID timeline, TimelineHistory **ret_history)
{
	WalArchive archive = {.store = store, .system_identifier = catalog->system_identifier};
	AUTO_BUF(text, 0);
	bool has_digest;

	TRY(history_text_get(store, catalog->system_identifier, timeline, &text, ret_history, &has_digest));
	return has_digest ? NULL : history_check_wal(&archive, *ret_history, catalog->segment_size);
}

static Error *
read_history(Store *store, Catalog *catalog, const WalName *name)
{
	AUTO(TimelineHistory) history = NULL;
	Error *error = get_history(store, catalog, name->timeline, &history);
	CatalogTimeline *timeline = catalog_add_timeline(catalog, name->timeline);

	if (error_is(error, ERR_CORRUPT))
	{
		char text[WAL_NAME_SIZE];
		AUTO_FREE char *why = mem_printf("%s: %s", wal_name_format(name, text), error_message(error));

		timeline->history_damage = mem_strdup(error_message(error));
		error_free(error);
		strlist_add(&catalog->damaged, why);
		return NULL;
	}
	TRY(error);
	timeline_history_free(timeline->history);
	timeline->history = MOVE(history);
	timeline->has_history_file = true;
	return NULL;
}

Error *
catalog_read_wal(Store *store, Catalog *catalog)
{
	AUTO_FREE char *prefix = layout_wal_prefix(catalog->system_identifier);
	AUTO_LISTING listing = {0};

	TRY(store_list(store, prefix, LIST_ALL, NULL, add_wal_file, &listing));
	if (catalog->segment_size == 0)
		TRY(probe_segment_size(store, catalog, &listing.segments));
	if (catalog->segment_size == 0)
		TRY(probe_segment_size(store, catalog, &listing.partials));
	if (catalog->segment_size != 0)
	{
		number_segments(&listing.segments, catalog->segment_size);
		number_segments(&listing.partials, catalog->segment_size);
		number_segments(&listing.backup_files, catalog->segment_size);
	}
	for (size_t i = 0; i < listing.segments.count;)
		i += add_run(catalog, &listing.segments, i);
	add_files(catalog, &listing);
	for (size_t i = 0; i < listing.histories.count; i++)
		TRY(read_history(store, catalog, &listing.histories.files[i].name));
	return NULL;
}
