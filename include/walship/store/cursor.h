/*
 * A listing that is asked for one entry after the other, instead of calling back: so
 * two of them can be compared, however long they are.  It is read by pages, of which
 * one is in memory; what comes and goes meanwhile is seen or not.  The first pages are
 * small, for who looks at the beginning only.
 */
#pragma once

#include "walship/store/store.h"

#define STORE_CURSOR_PAGE_FIRST 1000  /* entries */
#define STORE_CURSOR_PAGE       65536 /* at most, of some 100 bytes each */

typedef struct StoreCursor StoreCursor;

/* As store_list(); copies the texts. */
StoreCursor *store_cursor_new(Store *store, const char *prefix, ListDepth depth, const char *start_after);

/* *ret_entry is NULL at the end; it is valid until the next call. */
Error *store_cursor_next(StoreCursor *cursor, const StoreEntry **ret_entry) MUST_CHECK;

/*
 * For two listings side by side: passes over what comes before "key".  *ret_entry is
 * the entry of this key, NULL: there is none.  The keys asked for ascend.
 */
Error *store_cursor_seek(StoreCursor *cursor, const char *key, const StoreEntry **ret_entry) MUST_CHECK;

void store_cursor_free(StoreCursor *cursor);
AUTO_DEFINE(StoreCursor, store_cursor_free);
