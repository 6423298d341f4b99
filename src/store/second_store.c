/* A store and the copies of its objects; see walship/store/second_store.h. */
#include "walship/store/second_store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/store/cursor.h"

#define DISTRUSTED_MOST 256 /* keys, far more than are read at a time; beyond, the oldest is believed again */

typedef struct SecondStore
{
	Store store;
	Store *first;
	char *second_url;
	SecondStoreOpener opener;
	Notices notices;
	pthread_mutex_t mutex; /* over what follows */
	Store *second;         /* NULL until it could be opened */
	char *distrusted[DISTRUSTED_MOST];
	size_t next_distrusted;
} SecondStore;

static Error *
open_second(Store *base, Store **ret_second)
{
	SecondStore *self = (SecondStore *) base;
	Error *error = NULL;

	(void) pthread_mutex_lock(&self->mutex);
	if (self->second == NULL)
		error = self->opener.open(self->opener.context, &self->second);
	*ret_second = self->second;
	(void) pthread_mutex_unlock(&self->mutex);
	return error;
}

/* Of what the first has not: only the second's word makes it certain. */
static Error *
unknown_in_second(const SecondStore *self, Error *error)
{
	if (error == NULL)
		return NULL;
	return error_hint(error_context(error, "not in store \"%s\", and its second store is not to be asked",
	                                store_url(self->first)),
	                  "Only when both say that it is not there is that certain. Without the second store: "
	                  "--without-second-store.");
}

/* The first has none, and this came of asking the second.  Where that has none either, the first one's word is the answer. */
static Error *
both_say(const SecondStore *self, Error *absent, Error *of_second)
{
	if (error_is(of_second, ERR_NOT_FOUND))
	{
		error_free(of_second);
		return absent;
	}
	error_free(absent);
	return unknown_in_second(self, of_second);
}

static char **
find_distrusted(SecondStore *self, const char *key)
{
	for (size_t i = 0; i < DISTRUSTED_MOST; i++)
		if (str_equal(self->distrusted[i], key))
			return &self->distrusted[i];
	return NULL;
}

static bool
is_distrusted(SecondStore *self, const char *key)
{
	bool found;

	(void) pthread_mutex_lock(&self->mutex);
	found = find_distrusted(self, key) != NULL;
	(void) pthread_mutex_unlock(&self->mutex);
	return found;
}

/* The second one's may be damaged, too: so it changes with each time. */
static bool
distrust(Store *base, const char *key)
{
	SecondStore *self = (SecondStore *) base;
	char **slot;
	bool from_second;

	(void) pthread_mutex_lock(&self->mutex);
	slot = find_distrusted(self, key);
	from_second = slot == NULL;
	if (slot != NULL)
		free(MOVE(*slot));
	else
	{
		slot = &self->distrusted[self->next_distrusted++ % DISTRUSTED_MOST];
		free(*slot);
		*slot = mem_strdup(key);
	}
	(void) pthread_mutex_unlock(&self->mutex);
	notice(&self->notices, LOG_WARNING, NULL,
	       "\"%s\" from store \"%s\" fails its checks; it is read from store \"%s\"", key,
	       from_second ? store_url(self->first) : self->second_url,
	       from_second ? self->second_url : store_url(self->first));
	return true;
}

static Error *
get_from_second(SecondStore *self, const char *key, uint64_t offset, uint64_t size, Sink *into)
{
	Store *second;

	TRY(open_second(&self->store, &second));
	return store_get(second, key, offset, size, into);
}

static Error *
get(Store *base, const char *key, uint64_t offset, uint64_t size, Sink *into)
{
	SecondStore *self = (SecondStore *) base;
	bool distrusted = is_distrusted(self, key);
	Error *error = distrusted ? get_from_second(self, key, offset, size, into)
	                          : store_get(self->first, key, offset, size, into);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	if (distrusted)
	{
		error_free(error);
		return store_get(self->first, key, offset, size, into);
	}
	return both_say(self, error, get_from_second(self, key, offset, size, into));
}

static Error *
stat_in_second(SecondStore *self, const char *key, StoreEntry *ret_entry)
{
	Store *second;

	TRY(open_second(&self->store, &second));
	return store_stat(second, key, ret_entry);
}

static Error *
stat_object(Store *base, const char *key, StoreEntry *ret_entry)
{
	SecondStore *self = (SecondStore *) base;
	Error *error = store_stat(self->first, key, ret_entry);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	return both_say(self, error, stat_in_second(self, key, ret_entry));
}

/*
 * Of what both have the larger size is told: an object that was cut off is smaller, and the
 * other one is then read.  Two writers may have compressed a segment differently: nothing relies on its size.
 */
static Error *
merge(StoreCursor *first, StoreCursor *second, StoreListCallback callback, void *context)
{
	const StoreEntry *ours;
	const StoreEntry *theirs;

	TRY(store_cursor_next(first, &ours));
	TRY(store_cursor_next(second, &theirs));
	while (ours != NULL || theirs != NULL)
	{
		int order = ours == NULL ? 1 : theirs == NULL ? -1 : strcmp(ours->key, theirs->key);
		StoreEntry entry = order <= 0 ? *ours : *theirs;

		if (order == 0 && theirs->size > entry.size)
			entry.size = theirs->size;
		TRY(callback(context, &entry));
		if (order <= 0)
			TRY(store_cursor_next(first, &ours));
		if (order >= 0)
			TRY(store_cursor_next(second, &theirs));
	}
	return NULL;
}

static Error *
list(Store *base, const char *prefix, ListDepth depth, const char *start_after, StoreListCallback callback,
     void *context)
{
	SecondStore *self = (SecondStore *) base;
	AUTO(StoreCursor) first = store_cursor_new(self->first, prefix, depth, start_after);
	AUTO(StoreCursor) second = NULL;
	Store *opened;

	TRY(unknown_in_second(self, open_second(&self->store, &opened)));
	second = store_cursor_new(opened, prefix, depth, start_after);
	return merge(first, second, callback, context);
}

static Error *
put(Store *base, const char *key, const Slice *slices, int n_slices, PutMode mode)
{
	return store_put(((SecondStore *) base)->first, key, slices, n_slices, mode);
}

static Error *
remove_object(Store *base, const char *key)
{
	return store_remove(((SecondStore *) base)->first, key);
}

static Error *
remove_many(Store *base, const char *const *keys, size_t count, StoreNotRemoved callback, void *context)
{
	return store_remove_many(((SecondStore *) base)->first, keys, count, callback, context);
}

static Error *
writer(Store *base, const char *key, Sink **ret_sink)
{
	return store_writer(((SecondStore *) base)->first, key, ret_sink);
}

static Error *
probe(Store *base, Buf *report)
{
	return store_probe(((SecondStore *) base)->first, report);
}

static Error *
tidy(Store *base, const char *prefix, TimeUs before, StoreTidied callback, void *context)
{
	return store_tidy_and_tell(((SecondStore *) base)->first, prefix, before, callback, context);
}

static void
expect_put(Store *base, const char *key)
{
	store_expect_put(((SecondStore *) base)->first, key);
}

static void
free_store(Store *base)
{
	SecondStore *self = (SecondStore *) base;

	store_free(self->first);
	store_free(self->second);
	free(self->second_url);
	if (self->opener.free != NULL)
		self->opener.free(self->opener.context);
	for (size_t i = 0; i < DISTRUSTED_MOST; i++)
		free(self->distrusted[i]);
	(void) pthread_mutex_destroy(&self->mutex);
	free(self);
}

Store *
second_store_new(Store *first, const char *url, const SecondStoreOpener *opener, const Notices *notices)
{
	static const StoreOps ops = {.put = put,
	                             .get = get,
	                             .stat = stat_object,
	                             .list = list,
	                             .remove = remove_object,
	                             .writer = writer,
	                             .free = free_store,
	                             .probe = probe,
	                             .tidy = tidy,
	                             .remove_many = remove_many,
	                             .expect_put = expect_put,
	                             .distrust = distrust,
	                             .second = open_second};
	SecondStore *self = NEW(SecondStore);

	self->store.ops = &ops;
	self->store.url = mem_printf("%s, second store %s", store_url(first), url);
	self->store.identity = mem_strdup(store_identity(first));
	self->first = first;
	self->second_url = mem_strdup(url);
	self->notices = *notices;
	self->opener = *opener;
	(void) pthread_mutex_init(&self->mutex, NULL);
	return &self->store;
}
