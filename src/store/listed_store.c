/* See walship/store/listed_store.h. */
#include "walship/store/listed_store.h"

#include <stdlib.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"

typedef struct ListedObject
{
	char *key;
	uint64_t size;
	TimeUs modified;
} ListedObject;

typedef struct ListedStore
{
	Store store;
	Store *other;
	char *prefix;
	ListedObject *objects; /* ascending by key */
	size_t count;
	size_t capacity;
} ListedStore;

static Store *
other_of(Store *store)
{
	return ((ListedStore *) store)->other;
}

static Error *
listed_put(Store *store, const char *key, const Slice *slices, int n_slices, PutMode mode)
{
	return store_put(other_of(store), key, slices, n_slices, mode);
}

static Error *
listed_get(Store *store, const char *key, uint64_t offset, uint64_t size, Sink *into)
{
	return store_get(other_of(store), key, offset, size, into);
}

static Error *
listed_stat(Store *store, const char *key, StoreEntry *ret_entry)
{
	return store_stat(other_of(store), key, ret_entry);
}

static Error *
listed_remove(Store *store, const char *key)
{
	return store_remove(other_of(store), key);
}

static Error *
listed_writer(Store *store, const char *key, Sink **ret_sink)
{
	return store_writer(other_of(store), key, ret_sink);
}

static Error *
listed_probe(Store *store, Buf *report)
{
	return store_probe(other_of(store), report);
}

/* The first object whose key is not before this one. */
static size_t
position_of(const ListedStore *listed, const char *key)
{
	size_t low = 0;
	size_t high = listed->count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (strcmp(listed->objects[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static Error *
list_from_memory(const ListedStore *listed, const char *prefix, ListDepth depth, const char *start_after,
                 StoreListCallback callback, void *context)
{
	AUTO_FREE char *common = NULL; /* that was told last */

	for (size_t i = position_of(listed, prefix);
	     i < listed->count && str_starts_with(listed->objects[i].key, prefix); i++)
	{
		const ListedObject *object = &listed->objects[i];
		const char *slash = depth == LIST_LEVEL ? strchr(object->key + strlen(prefix), '/') : NULL;
		StoreEntry entry = {.key = object->key, .size = object->size, .modified = object->modified};

		if (slash != NULL)
		{
			if (common != NULL && str_starts_with(object->key, common))
				continue;
			free(common);
			common = mem_strndup(object->key, (size_t) (slash - object->key) + 1);
			entry = (StoreEntry){.key = common, .modified = TIME_NONE, .is_prefix = true};
		}
		if (start_after == NULL || strcmp(entry.key, start_after) > 0)
			TRY(callback(context, &entry));
	}
	return NULL;
}

static Error *
listed_list(Store *store, const char *prefix, ListDepth depth, const char *start_after,
            StoreListCallback callback, void *context)
{
	ListedStore *listed = (ListedStore *) store;

	if (!str_starts_with(prefix, listed->prefix))
		return store_list(listed->other, prefix, depth, start_after, callback, context);
	return list_from_memory(listed, prefix, depth, start_after, callback, context);
}

static void
listed_access(Store *store, StoreAccess *access)
{
	store_access(other_of(store), access);
}

static void
listed_free(Store *store)
{
	ListedStore *listed = (ListedStore *) store;

	for (size_t i = 0; i < listed->count; i++)
		free(listed->objects[i].key);
	free(listed->objects);
	free(listed->prefix);
	free(listed);
}

static Error *
keep_object(void *context, const StoreEntry *entry)
{
	ListedStore *listed = context;

	GROW(listed->objects, listed->count, listed->capacity);
	listed->objects[listed->count++] =
		(ListedObject){.key = mem_strdup(entry->key), .size = entry->size, .modified = entry->modified};
	return NULL;
}

Error *
listed_store_new(Store *store, const char *prefix, Store **ret_store)
{
	static const StoreOps ops = {.put = listed_put,
	                             .get = listed_get,
	                             .stat = listed_stat,
	                             .list = listed_list,
	                             .remove = listed_remove,
	                             .writer = listed_writer,
	                             .free = listed_free,
	                             .probe = listed_probe,
	                             .access = listed_access};
	ListedStore *listed = NEW(ListedStore);
	AUTO(Store) made = &listed->store;

	listed->store = (Store){
		.ops = &ops, .url = mem_strdup(store_url(store)), .identity = mem_strdup(store_identity(store))};
	listed->other = store;
	listed->prefix = mem_strdup(prefix);
	TRY(store_list(store, prefix, LIST_ALL, NULL, keep_object, listed));
	*ret_store = MOVE(made);
	return NULL;
}
