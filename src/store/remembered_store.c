/* See walship/store/remembered_store.h. */
#include "walship/store/remembered_store.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walship/base/crc32c.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/pipe/stages.h"

#define FIRST_LINE "walship remembered 1\n"
#define OBJECT_MAX (256u * 1024)
#define FILE_MAX   (32u * 1024 * 1024)

typedef struct Remembered
{
	char *key;
	uint64_t size;
	TimeUs modified;
	uint32_t crc;
	const char *bytes; /* in the file's text, or */
	char *owned;       /* read from the store */
	bool given;        /* in this process */
} Remembered;

typedef struct RememberedStore
{
	Store store;
	Store *other;
	StoreRemembers remembers;
	char *path;
	char *head;
	Buf text; /* of the file, as it was */

	pthread_mutex_t mutex; /* guards what follows */
	Remembered *items;     /* those of the file first */
	size_t count;
	size_t capacity;
	size_t n_sorted; /* of the file, ascending by key */
	bool is_new;     /* something was read that the file lacks */
} RememberedStore;

static Store *
other_of(Store *store)
{
	return ((RememberedStore *) store)->other;
}

/* ---- the file ---- */

/* The next entry; false at the end, and where it goes on with something else. */
static bool
parse_entry(char **cursor, const char *end, Remembered *ret_item)
{
	char *line_end = memchr(*cursor, '\n', (size_t) (end - *cursor));
	int key = 0;

	if (line_end == NULL)
		return false;
	*line_end = '\0';
	if (sscanf(*cursor, "%20" SCNu64 " %20" SCNd64 " %8" SCNx32 " %n", &ret_item->size, &ret_item->modified,
	           &ret_item->crc, &key) != 3 ||
	    key == 0 || ret_item->size > OBJECT_MAX || ret_item->size >= (uint64_t) (end - line_end - 1) ||
	    line_end[1 + ret_item->size] != '\n')
		return false;
	ret_item->key = mem_strdup(*cursor + key);
	ret_item->bytes = line_end + 1;
	*cursor = line_end + 1 + ret_item->size + 1;
	return true;
}

static void
read_file(RememberedStore *self)
{
	AUTO(Error) error = file_read_trusted(self->path, &self->text);
	size_t head_size = strlen(self->head);

	if (error != NULL || self->text.size < head_size || memcmp(self->text.data, self->head, head_size) != 0)
		return;

	char *cursor = self->text.data + head_size;
	const char *end = self->text.data + self->text.size;
	Remembered item = {0};

	while (parse_entry(&cursor, end, &item))
	{
		bool ascends = self->count == 0 || strcmp(self->items[self->count - 1].key, item.key) < 0;

		if (!ascends)
		{
			free(item.key);
			break;
		}
		GROW(self->items, self->count, self->capacity);
		self->items[self->count++] = item;
		item = (Remembered){0};
	}
	self->n_sorted = self->count;
}

static Error *
keep_entry(void *entry, const StoreEntry *found)
{
	*(StoreEntry *) entry = *found;
	return NULL;
}

/* As the listing shows it; what is not there has a size that nothing here has. */
static Error *
look_up(RememberedStore *self, const char *key, StoreEntry *ret_entry)
{
	*ret_entry = (StoreEntry){.size = UINT64_MAX};
	return store_list(self->other, key, LIST_LEVEL, NULL, keep_entry, ret_entry);
}

static int
by_key(const void *left, const void *right)
{
	return strcmp(((const Remembered *) left)->key, ((const Remembered *) right)->key);
}

static void
put_item(const Remembered *item, Buf *into)
{
	buf_printf(into, "%" PRIu64 " %" PRId64 " %08" PRIx32 " %s\n", item->size, item->modified, item->crc,
	           item->key);
	buf_append(into, item->owned != NULL ? item->owned : item->bytes, item->size);
	buf_putc(into, '\n');
}

static bool
was_read(const RememberedStore *self, const char *key)
{
	for (size_t i = self->n_sorted; i < self->count; i++)
		if (strcmp(self->items[i].key, key) == 0)
			return true;
	return false;
}

/* What the store has lost or replaced goes, and so does what was read anew. */
static bool
is_kept(RememberedStore *self, size_t i)
{
	const Remembered *item = &self->items[i];
	StoreEntry entry;
	AUTO(Error) error = look_up(self, item->key, &entry);

	return error == NULL && entry.size == item->size && entry.modified == item->modified &&
	       (i >= self->n_sorted || !was_read(self, item->key));
}

static void
put_all(RememberedStore *self, Buf *into)
{
	AUTO_FREE Remembered *items = NEW_ARRAY(Remembered, self->count);
	size_t count = 0;

	for (size_t i = 0; i < self->count; i++)
		if (is_kept(self, i))
			items[count++] = self->items[i];
	qsort(items, count, sizeof(items[0]), by_key);
	buf_puts(into, self->head);
	for (size_t i = 0; i < count && into->size + items[i].size + STORE_KEY_MAX + 64 < FILE_MAX; i++)
		put_item(&items[i], into);
}

void
remembered_store_keep(Store *store)
{
	RememberedStore *self = (RememberedStore *) store;
	AUTO_BUF(text, FILE_MAX);

	if (!self->is_new)
		return;
	put_all(self, &text);
	if (!text.overflowed)
		error_free(file_replace_unsynced(self->path, text.data, text.size, 0600));
}

/* ---- reading ---- */

/* What may be given, once; NULL: nothing. */
static const char *
find(RememberedStore *self, const char *key, const StoreEntry *entry)
{
	const Remembered wanted = {.key = (char *) (uintptr_t) key};
	Remembered *item =
		self->n_sorted == 0 ? NULL : bsearch(&wanted, self->items, self->n_sorted, sizeof(wanted), by_key);

	if (item == NULL || item->given || item->size != entry->size || item->modified != entry->modified ||
	    crc32c(0, item->bytes, item->size) != item->crc)
		return NULL;
	item->given = true;
	return item->bytes;
}

static void
remember(RememberedStore *self, const char *key, const StoreEntry *entry, const Buf *bytes)
{
	if (bytes->size != entry->size)
		return; /* it is not what was listed */
	(void) pthread_mutex_lock(&self->mutex);

	/* The third reading of what is damaged says no more than the second. */
	if (!was_read(self, key))
	{
		char *copy = mem_alloc(bytes->size);

		(void) memcpy(copy, bytes->data, bytes->size);
		GROW(self->items, self->count, self->capacity);
		self->items[self->count++] = (Remembered){.key = mem_strdup(key),
		                                          .size = entry->size,
		                                          .modified = entry->modified,
		                                          .crc = crc32c(0, copy, bytes->size),
		                                          .owned = copy};
		self->is_new = true;
	}
	(void) pthread_mutex_unlock(&self->mutex);
}

static Error *
remembered_get(Store *store, const char *key, uint64_t offset, uint64_t size, Sink *into)
{
	RememberedStore *self = (RememberedStore *) store;
	AUTO_BUF(bytes, OBJECT_MAX);
	AUTO(Sink) sink = NULL;
	const char *known;
	StoreEntry entry;

	if (offset != 0 || size != STORE_TO_END || !self->remembers(key))
		return store_get(self->other, key, offset, size, into);
	TRY(look_up(self, key, &entry));
	if (entry.size == 0 || entry.size > OBJECT_MAX)
		return store_get(self->other, key, offset, size, into);
	(void) pthread_mutex_lock(&self->mutex);
	known = find(self, key, &entry);
	(void) pthread_mutex_unlock(&self->mutex);
	if (known != NULL)
		return sink_write(into, known, entry.size);
	sink = buf_sink_new(&bytes);
	TRY(store_get(self->other, key, 0, STORE_TO_END, sink));
	remember(self, key, &entry, &bytes);
	return sink_write(into, bytes.data, bytes.size);
}

/* ---- all else is the other's ---- */

static Error *
remembered_put(Store *store, const char *key, const Slice *slices, int n_slices, PutMode mode)
{
	return store_put(other_of(store), key, slices, n_slices, mode);
}

static Error *
remembered_stat(Store *store, const char *key, StoreEntry *ret_entry)
{
	return store_stat(other_of(store), key, ret_entry);
}

static Error *
remembered_list(Store *store, const char *prefix, ListDepth depth, const char *start_after,
                StoreListCallback callback, void *context)
{
	return store_list(other_of(store), prefix, depth, start_after, callback, context);
}

static Error *
remembered_remove(Store *store, const char *key)
{
	return store_remove(other_of(store), key);
}

static Error *
remembered_writer(Store *store, const char *key, Sink **ret_sink)
{
	return store_writer(other_of(store), key, ret_sink);
}

static Error *
remembered_probe(Store *store, Buf *report)
{
	return store_probe(other_of(store), report);
}

static void
remembered_access(Store *store, StoreAccess *access)
{
	store_access(other_of(store), access);
}

static void
remembered_free(Store *store)
{
	RememberedStore *self = (RememberedStore *) store;

	for (size_t i = 0; i < self->count; i++)
	{
		free(self->items[i].key);
		free(self->items[i].owned);
	}
	free(self->items);
	buf_release(&self->text);
	free(self->path);
	free(self->head);
	(void) pthread_mutex_destroy(&self->mutex);
	free(self);
}

Store *
remembered_store_new(Store *listed, const char *directory, const char *prefix, StoreRemembers remembers)
{
	static const StoreOps ops = {.put = remembered_put,
	                             .get = remembered_get,
	                             .stat = remembered_stat,
	                             .list = remembered_list,
	                             .remove = remembered_remove,
	                             .writer = remembered_writer,
	                             .free = remembered_free,
	                             .probe = remembered_probe,
	                             .access = remembered_access};
	RememberedStore *self = NEW(RememberedStore);

	self->store = (Store){
		.ops = &ops, .url = mem_strdup(store_url(listed)), .identity = mem_strdup(store_identity(listed))};
	self->other = listed;
	self->remembers = remembers;
	self->head = mem_printf(FIRST_LINE "%s %s\n", store_identity(listed), prefix);
	self->path = mem_printf("%s/records-%08" PRIx32, directory, crc32c(0, self->head, strlen(self->head)));
	self->text.cap = FILE_MAX;
	(void) pthread_mutex_init(&self->mutex, NULL);
	read_file(self);
	return &self->store;
}
