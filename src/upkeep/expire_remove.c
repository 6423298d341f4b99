/* Removes objects: records, then parts, then WAL, by the thousand, in the order of their keys. */
#include <string.h>

#include "expire_steps.h"
#include "walship/archive/layout.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"

#define BATCH 1000 /* keys: what S3 takes in one request */

/* Ends a listing that has gone far enough. */
#define ENOUGH "enough"

typedef struct Batch
{
	Expire *expire;
	StrList keys;
	uint64_t bytes;
	StrList *stuck_keys; /* NULL: nobody asks */
	uint64_t stuck;
} Batch;

static void
note_stuck(void *context, const char *key, const Error *error)
{
	Batch *batch = context;

	batch->stuck++;
	if (batch->stuck_keys != NULL)
		strlist_add(batch->stuck_keys, key);
	expire_add_stuck(batch->expire, key, error);
}

static Error *
batch_remove(Batch *batch)
{
	Expire *expire = batch->expire;

	if (batch->keys.count == 0)
		return NULL;
	batch->stuck = 0;
	TRY(cancel_check());
	TRY(store_remove_many(expire->store, (const char *const *) batch->keys.items, batch->keys.count,
	                      note_stuck, batch));
	expire->removed_objects += batch->keys.count - batch->stuck;
	if (expire->on_objects != NULL)
		expire->on_objects(expire->on_objects_context, batch->keys.count);
	if (batch->stuck == 0)
		expire->removed_bytes += batch->bytes;
	strlist_release(&batch->keys);
	batch->bytes = 0;
	return NULL;
}

static void
batch_add(Batch *batch, const char *key, uint64_t size)
{
	strlist_add(&batch->keys, key);
	batch->bytes += size;
}

Error *
expire_remove_records(Expire *expire, StrList *ret_stuck_backups)
{
	AUTO_STRLIST keys = {0};
	AUTO_STRLIST stuck_keys = {0};

	for (size_t i = 0; i < expire->plan->n_backups; i++)
	{
		AUTO_FREE char *key =
			layout_backup_record_key(expire->system_identifier, expire->plan->backups[i].backup->id);

		if (!expire->plan->backups[i].keep)
			strlist_add(&keys, key);
	}
	TRY(expire_remove_keys(expire, &keys, &stuck_keys));
	for (size_t i = 0; i < expire->plan->n_backups; i++)
	{
		const char *id = expire->plan->backups[i].backup->id;
		AUTO_FREE char *key = layout_backup_record_key(expire->system_identifier, id);

		if (strlist_contains(&stuck_keys, key))
			strlist_add(ret_stuck_backups, id);
	}
	return NULL;
}

/* A page of a listing: what is to go of it, and where to go on. */
typedef struct Page
{
	Batch *batch;
	const RetainPlan *plan; /* NULL: everything goes */
	const Catalog *catalog;
	XLogSegNo last; /* of the segments that go */
	TimeLineID timeline;
	char *next; /* the listing goes on behind this key; NULL: it is at its end */
} Page;

/* The plan's WAL is in the order of timelines and positions. */
static bool
wal_goes(const RetainPlan *plan, TimeLineID timeline, XLogSegNo segno)
{
	size_t low = 0;
	size_t high = plan->n_wal;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;
		const WalRange *range = &plan->wal[middle].range;

		if (range->timeline < timeline || (range->timeline == timeline && range->last < segno))
			low = middle + 1;
		else
			high = middle;
	}
	return low < plan->n_wal && plan->wal[low].range.timeline == timeline &&
	       plan->wal[low].range.first <= segno && !plan->wal[low].keep;
}

static bool
file_goes(const RetainPlan *plan, const char *key)
{
	for (size_t i = 0; i < plan->n_files; i++)
		if (strcmp(plan->files[i].file->key, key) == 0)
			return !plan->files[i].keep;
	return false;
}

/* Segments, and what belongs to one: a partial, a backup file.  History files stay, and so does what is none of ours. */
static Error *
add_wal_object(void *context, const StoreEntry *entry)
{
	Page *page = context;
	WalName name;
	XLogSegNo segno;

	if (entry->is_prefix || !layout_parse_wal_key(entry->key, &name) || name.kind == WAL_HISTORY ||
	    !wal_name_segno(&name, page->catalog->segment_size, &segno))
		return NULL;
	if (segno > page->last)
		return error_new(ERR_CANCELLED, ENOUGH);
	if (name.kind == WAL_SEGMENT ? !wal_goes(page->plan, name.timeline, segno)
	                             : !file_goes(page->plan, entry->key))
		return NULL;
	batch_add(page->batch, entry->key, entry->size);
	if (page->batch->keys.count < BATCH)
		return NULL;
	page->next = mem_strdup(entry->key);
	return error_new(ERR_CANCELLED, ENOUGH);
}

static Error *
add_part(void *context, const StoreEntry *entry)
{
	Page *page = context;

	batch_add(page->batch, entry->key, entry->size);
	if (page->batch->keys.count < BATCH)
		return NULL;
	page->next = mem_strdup(entry->key);
	return error_new(ERR_CANCELLED, ENOUGH);
}

/* Removes while it lists, a page at a time: the memory does not grow with the archive. */
static Error *
remove_listed(Page *page, const char *prefix, const char *start_after, StoreListCallback callback)
{
	AUTO_FREE char *after = mem_strdup(start_after);

	for (;;)
	{
		Error *error = store_list(page->batch->expire->store, prefix, LIST_ALL, after, callback, page);

		if (error_is(error, ERR_CANCELLED) && strcmp(error_message(error), ENOUGH) == 0)
		{
			error_free(error);
			error = NULL;
		}
		if (error == NULL)
			error = batch_remove(page->batch);
		if (error != NULL || page->next == NULL)
		{
			strlist_release(&page->batch->keys);
			free(page->next);
			return error;
		}
		free(after);
		after = MOVE(page->next);
	}
}

Error *
expire_remove_keys(Expire *expire, const StrList *keys, StrList *ret_stuck_keys)
{
	Batch batch = {.expire = expire, .stuck_keys = ret_stuck_keys};
	Error *error = NULL;

	for (size_t i = 0; i < keys->count && error == NULL; i++)
	{
		batch_add(&batch, keys->items[i], 0);
		if (batch.keys.count == BATCH)
			error = batch_remove(&batch);
	}
	if (error == NULL)
		error = batch_remove(&batch);
	strlist_release(&batch.keys);
	return error;
}

Error *
expire_remove_without_record(Expire *expire, const char *prefix, const char *record_key)
{
	Batch batch = {.expire = expire};
	Page page = {.batch = &batch};
	StoreEntry entry;
	Error *error = store_stat(expire->store, record_key, &entry);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return remove_listed(&page, prefix, NULL, add_part);
}

static Error *
remove_backup_without_record(Expire *expire, const char *id)
{
	AUTO_FREE char *key = layout_backup_record_key(expire->system_identifier, id);
	AUTO_FREE char *prefix = layout_backup_prefix(expire->system_identifier, id);

	return expire_remove_without_record(expire, prefix, key);
}

static void
note_upload(void *context, const char *key, TimeUs began)
{
	Expire *expire = context;

	(void) began;
	strlist_add(&expire->removed_uploads, key);
}

Error *
expire_remove_parts(Expire *expire)
{
	AUTO_FREE char *prefix = layout_system_prefix(expire->system_identifier);
	bool backup_runs = false;

	for (size_t i = 0; i < expire->plan->n_backups; i++)
		if (!expire->plan->backups[i].keep)
			TRY(remove_backup_without_record(expire, expire->plan->backups[i].backup->id));
	for (size_t i = 0; i < expire->plan->n_leftovers; i++)
		if (!expire->plan->leftovers[i].keep)
			TRY(remove_backup_without_record(expire, expire->plan->leftovers[i].unfinished->id));
	for (size_t i = 0; i < expire->leases.count; i++)
	{
		const Lease *lease = &expire->leases.items[i];

		if (lease->until > expire->now &&
		    (str_equal(lease->kind, "backup") || str_equal(lease->kind, "files")))
			backup_runs = true;
	}
	return backup_runs ? NULL
	                   : store_tidy_and_tell(expire->store, prefix, expire->now - RETAIN_GRACE_US,
	                                         note_upload, expire);
}

/* From the first that goes to the last: nothing behind the cut is listed. */
static Error *
remove_timeline_wal(Expire *expire, TimeLineID timeline)
{
	const RetainPlan *plan = expire->plan;
	AUTO_FREE char *prefix = layout_timeline_prefix(expire->system_identifier, timeline);
	char name[WAL_NAME_SIZE];
	Batch batch = {.expire = expire};
	Page page = {.batch = &batch, .plan = plan, .catalog = expire->catalog, .timeline = timeline};
	XLogSegNo first = UINT64_MAX;

	for (size_t i = 0; i < plan->n_wal; i++)
	{
		const WalRange *range = &plan->wal[i].range;

		if (plan->wal[i].keep || range->timeline != timeline)
			continue;
		first = range->first < first ? range->first : first;
		page.last = range->last > page.last ? range->last : page.last;
	}
	for (size_t i = 0; i < plan->n_files; i++)
	{
		XLogSegNo segno = plan->files[i].file->segno;

		if (plan->files[i].keep || plan->files[i].timeline != timeline)
			continue;
		first = segno < first ? segno : first;
		page.last = segno > page.last ? segno : page.last;
	}
	if (first == UINT64_MAX)
		return NULL;

	/* A name without its ending comes before all keys of its segment. */
	AUTO_FREE char *before =
		mem_printf("%s%s", prefix, wal_segment_name(timeline, first, expire->catalog->segment_size, name));

	return remove_listed(&page, prefix, before, add_wal_object);
}

Error *
expire_remove_wal(Expire *expire)
{
	for (size_t i = 0; i < expire->catalog->n_timelines; i++)
		TRY(remove_timeline_wal(expire, expire->catalog->timelines[i].timeline));
	return NULL;
}
