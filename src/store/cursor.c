/* Listings by pages; see walship/store/cursor.h. */
#include "walship/store/cursor.h"

#include <stdlib.h>
#include <string.h>

#include "walship/base/mem.h"

struct StoreCursor
{
	Store *store;
	char *prefix;
	ListDepth depth;
	char *after; /* where the next page begins; NULL: at the beginning */
	StoreEntry *entries;
	size_t count;
	size_t capacity;
	size_t page; /* entries of the one that is read next, at most */
	size_t next; /* the first that was not given out */
	bool full;   /* there may be more behind this page */
	bool ended;
};

StoreCursor *
store_cursor_new(Store *store, const char *prefix, ListDepth depth, const char *start_after)
{
	StoreCursor *cursor = NEW(StoreCursor);

	cursor->store = store;
	cursor->prefix = mem_strdup(prefix);
	cursor->depth = depth;
	cursor->after = mem_strdup(start_after);
	cursor->page = STORE_CURSOR_PAGE_FIRST;
	return cursor;
}

static void
drop_page(StoreCursor *cursor)
{
	for (size_t i = 0; i < cursor->count; i++)
		free((void *) cursor->entries[i].key);
	cursor->count = cursor->next = 0;
}

/* A listing is ended by an error; this one says that the page is full. */
static Error *
add_entry(void *context, const StoreEntry *entry)
{
	StoreCursor *cursor = context;

	if (cursor->count == cursor->page)
	{
		cursor->full = true;
		return error_new(ERR_EXISTS, "the page is full");
	}
	GROW(cursor->entries, cursor->count, cursor->capacity);
	cursor->entries[cursor->count] = *entry;
	cursor->entries[cursor->count++].key = mem_strdup(entry->key);
	return NULL;
}

static Error *
read_page(StoreCursor *cursor)
{
	if (cursor->count > 0)
	{
		free(cursor->after);
		cursor->after = mem_strdup(cursor->entries[cursor->count - 1].key);
	}
	drop_page(cursor);
	cursor->full = false;

	Error *error = store_list(cursor->store, cursor->prefix, cursor->depth, cursor->after, add_entry, cursor);

	if (cursor->full && error_is(error, ERR_EXISTS))
	{
		error_free(error);
		error = NULL;
	}
	TRY(error);
	cursor->ended = !cursor->full;
	cursor->page = 2 * cursor->page < STORE_CURSOR_PAGE ? 2 * cursor->page : STORE_CURSOR_PAGE;
	return NULL;
}

/* The entry that is next, which stays so. */
static Error *
look(StoreCursor *cursor, const StoreEntry **ret_entry)
{
	while (cursor->next == cursor->count && !cursor->ended)
		TRY(read_page(cursor));
	*ret_entry = cursor->next == cursor->count ? NULL : &cursor->entries[cursor->next];
	return NULL;
}

Error *
store_cursor_next(StoreCursor *cursor, const StoreEntry **ret_entry)
{
	TRY(look(cursor, ret_entry));
	if (*ret_entry != NULL)
		cursor->next++;
	return NULL;
}

Error *
store_cursor_seek(StoreCursor *cursor, const char *key, const StoreEntry **ret_entry)
{
	for (;;)
	{
		TRY(look(cursor, ret_entry));

		int order = *ret_entry == NULL ? 1 : strcmp((*ret_entry)->key, key);

		if (order > 0)
			*ret_entry = NULL;
		if (order >= 0)
			return NULL;
		cursor->next++;
	}
}

void
store_cursor_free(StoreCursor *cursor)
{
	if (cursor == NULL)
		return;
	drop_page(cursor);
	free(cursor->entries);
	free(cursor->prefix);
	free(cursor->after);
	free(cursor);
}
