/* Removes objects by the thousand, in the order of their keys. */
#include <string.h>

#include "expire_steps.h"
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

/* A page of a listing: what is to go of it, and where to go on. */
typedef struct Page
{
	Batch *batch;
	ExpireGoes goes;
	const void *context;
	char *next; /* the listing goes on behind this key; NULL: it is at its end */
} Page;

static Error *
add_listed(void *context, const StoreEntry *entry)
{
	Page *page = context;
	bool enough = false;
	bool goes = page->goes(page->context, entry, &enough);

	if (enough)
		return error_new(ERR_CANCELLED, ENOUGH);
	if (!goes)
		return NULL;
	batch_add(page->batch, entry->key, entry->size);
	if (page->batch->keys.count < BATCH)
		return NULL;
	page->next = mem_strdup(entry->key);
	return error_new(ERR_CANCELLED, ENOUGH);
}

Error *
expire_remove_listed(Expire *expire, const char *prefix, const char *start_after, ExpireGoes goes,
                     const void *context)
{
	Batch batch = {.expire = expire};
	Page page = {.batch = &batch, .goes = goes, .context = context};
	AUTO_FREE char *after = mem_strdup(start_after);

	for (;;)
	{
		Error *error = store_list(expire->store, prefix, LIST_ALL, after, add_listed, &page);

		if (error_is(error, ERR_CANCELLED) && strcmp(error_message(error), ENOUGH) == 0)
		{
			error_free(error);
			error = NULL;
		}
		if (error == NULL)
			error = batch_remove(&batch);
		if (error != NULL || page.next == NULL)
		{
			strlist_release(&batch.keys);
			free(page.next);
			return error;
		}
		free(after);
		after = MOVE(page.next);
	}
}

static bool
everything_goes(const void *context, const StoreEntry *entry, bool *ret_enough)
{
	(void) context;
	(void) entry;
	(void) ret_enough;
	return true;
}

Error *
expire_remove_without_record(Expire *expire, const char *prefix, const char *record_key)
{
	StoreEntry entry;
	Error *error = store_stat(expire->store, record_key, &entry);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return expire_remove_listed(expire, prefix, NULL, everything_goes, NULL);
}
