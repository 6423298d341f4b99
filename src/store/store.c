/* The verbs in front of every store: what holds for all of them is checked here. */
#include "walship/store/store.h"

#include <stdlib.h>
#include <string.h>

#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

bool
store_key_part_is_valid(const char *part, size_t length)
{
	if (length == 0 || length > STORE_KEY_PART_MAX || part[0] == '.')
		return false;
	for (size_t i = 0; i < length; i++)
	{
		char c = part[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
		      c == '_' || c == '-'))
			return false;
	}
	return true;
}

/* "open": the last component may be missing, as in the prefix "wal/". */
static bool
key_is_valid(const char *key, bool open)
{
	if (strlen(key) > STORE_KEY_MAX)
		return false;
	for (;;)
	{
		size_t length = strcspn(key, "/");

		if (open && key[0] == '\0')
			return true;
		if (!store_key_part_is_valid(key, length))
			return false;
		if (key[length] == '\0')
			return true;
		key += length + 1;
	}
}

Error *
store_check_key(const char *key)
{
	if (!key_is_valid(key, false))
		return error_new(ERR_USAGE, "\"%s\" is not a valid object name", key);
	return NULL;
}

void
store_expect_put(Store *store, const char *key)
{
	if (store->ops->expect_put != NULL && key_is_valid(key, false))
		store->ops->expect_put(store, key);
}

Error *
store_put(Store *store, const char *key, const Slice *slices, int n_slices, PutMode mode)
{
	TRY(store_check_key(key));
	return store->ops->put(store, key, slices, n_slices, mode);
}

Error *
store_get(Store *store, const char *key, uint64_t offset, uint64_t size, Sink *into)
{
	TRY(store_check_key(key));
	return store->ops->get(store, key, offset, size, into);
}

Error *
store_stat(Store *store, const char *key, StoreEntry *ret_entry)
{
	TRY(store_check_key(key));
	return store->ops->stat(store, key, ret_entry);
}

Error *
store_list(Store *store, const char *prefix, ListDepth depth, const char *start_after,
           StoreListCallback callback, void *context)
{
	if (!key_is_valid(prefix, true))
		return error_new(ERR_USAGE, "\"%s\" is not the beginning of a valid object name", prefix);
	return store->ops->list(store, prefix, depth, start_after, callback, context);
}

typedef struct KeySearch
{
	const char *suffix;
	StrList *keys;
} KeySearch;

static Error *
add_key(void *context, const StoreEntry *entry)
{
	const KeySearch *search = context;

	if (!entry->is_prefix && str_ends_with(entry->key, search->suffix))
		strlist_add(search->keys, entry->key);
	return NULL;
}

Error *
store_list_keys(Store *store, const char *prefix, const char *suffix, StrList *ret_keys)
{
	KeySearch search = {suffix, ret_keys};

	return store_list(store, prefix, LIST_LEVEL, NULL, add_key, &search);
}

Error *
store_remove(Store *store, const char *key)
{
	TRY(store_check_key(key));
	return store->ops->remove(store, key);
}

static Error *
give_up_removing(const char *const *keys, size_t count, StoreNotRemoved callback, void *context, Error *error)
{
	for (size_t i = 0; i < count; i++)
		callback(context, keys[i], error);
	return error;
}

Error *
store_remove_many(Store *store, const char *const *keys, size_t count, StoreNotRemoved callback,
                  void *context)
{
	bool cleanup = cancel_requested();

	for (size_t i = 0; i < count; i++)
	{
		Error *error = store_check_key(keys[i]);

		if (error != NULL)
			return give_up_removing(keys, count, callback, context, error);
	}
	if (store->ops->remove_many != NULL)
		return store->ops->remove_many(store, keys, count, callback, context);

	/* One by one.  What is cancelled already is tidied up after; what is cancelled meanwhile ends. */
	for (size_t i = 0; i < count; i++)
	{
		AUTO(Error) error = cleanup ? NULL : cancel_check();

		if (error == NULL)
			error = store->ops->remove(store, keys[i]);
		if (error_is(error, ERR_CANCELLED) || error_is(error, ERR_TRANSIENT))
			return give_up_removing(keys + i, count - i, callback, context, MOVE(error));
		if (error != NULL)
			callback(context, keys[i], error);
	}
	return NULL;
}

Error *
store_writer(Store *store, const char *key, Sink **ret_sink)
{
	TRY(store_check_key(key));
	return store->ops->writer(store, key, ret_sink);
}

Error *
store_probe(Store *store, Buf *report)
{
	return store->ops->probe(store, report);
}

Error *
store_tidy_and_tell(Store *store, const char *prefix, TimeUs before, StoreTidied callback, void *context)
{
	if (!key_is_valid(prefix, true))
		return error_new(ERR_USAGE, "\"%s\" is not the beginning of a valid object name", prefix);
	return store->ops->tidy == NULL ? NULL : store->ops->tidy(store, prefix, before, callback, context);
}

Error *
store_tidy(Store *store, const char *prefix, TimeUs before)
{
	return store_tidy_and_tell(store, prefix, before, NULL, NULL);
}

Error *
store_said_there(Error *error, const char *key)
{
	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return error_new(ERR_TRANSIENT,
	                 "the store says of object \"%s\" that it exists already, and then that it does not",
	                 key);
}

bool
store_distrust(Store *store, const char *key)
{
	return store_has_copies(store) && key_is_valid(key, false) && store->ops->distrust(store, key);
}

bool
store_has_copies(const Store *store)
{
	return store->ops->distrust != NULL;
}

Error *
store_second(Store *store, Store **ret_second)
{
	*ret_second = NULL;
	return store->ops->second == NULL ? NULL : store->ops->second(store, ret_second);
}

void
store_access(Store *store, StoreAccess *ret_access)
{
	*ret_access = (StoreAccess){.ends = TIME_NONE};
	if (store->ops->access != NULL)
		store->ops->access(store, ret_access);
}

void
store_access_release(StoreAccess *access)
{
	free(access->certificate);
	*access = (StoreAccess){.ends = TIME_NONE};
}

const char *
store_url(const Store *store)
{
	return store->url;
}

const char *
store_directory_path(const Store *store)
{
	static const char scheme[] = "file://";

	return str_starts_with(store->url, scheme) ? store->url + strlen(scheme) : NULL;
}

const char *
store_identity(const Store *store)
{
	return store->identity;
}

void
store_free(Store *store)
{
	if (store == NULL)
		return;
	free(store->url);
	free(store->identity);
	store->ops->free(store);
}
