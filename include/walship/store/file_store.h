/*
 * A directory as a store.  It must hold the marker walship-store.json: an
 * unmounted disk must not look like an empty archive.  Only
 * file_store_create() makes the directory and the marker.
 */
#pragma once

#include "walship/store/store.h"

#define FILE_STORE_MARKER "walship-store.json"

/* "directory" is absolute.  No marker: ERR_TRANSIENT, with the remedy as hint. */
Error *file_store_open(const char *directory, Store **ret_store) MUST_CHECK;

/* Makes directory and marker durably; a marker that is there is success and left alone. */
Error *file_store_create(const char *directory) MUST_CHECK;

/*
 * Named leftovers of killed writers, on file systems without O_TMPFILE; with
 * the store's own lock held by no one.  Keys as they lie there.
 */
Error *file_store_list_leftovers(Store *store, StoreListCallback callback, void *context) MUST_CHECK;
