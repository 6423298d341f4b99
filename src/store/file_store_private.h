/*
 * The directory store's own parts.
 *
 * Every operation opens the root anew and looks for the marker; from there on it
 * goes by directory descriptors, never following a symbolic link.  So what is
 * written goes to the file system that held the marker, even when it is
 * unmounted in between.
 */
#pragma once

#include <sys/stat.h>

#include "walship/store/file_store.h"

typedef struct FileStore
{
	Store store;
	char *directory;

	/* What the file system may be asked for; tests take it away to reach the ways around it. */
	bool try_unnamed; /* O_TMPFILE */
	bool try_links;   /* link(2) */
} FileStore;

/* Names of files that are being written, or that a killed writer left. */
#define FILE_STORE_TEMPORARY ".walship-tmp-"

#define FILE_STORE_COPY_SIZE (256u * 1024)

/* From errno, with the kind that it has for a store and with the path of "key" (NULL: the root). */
Error *file_store_errno(const FileStore *store, const char *key, const char *action) MUST_CHECK;

/* Links below the root are not followed; what lies behind them is not known. */
Error *file_store_error_link(const FileStore *store, const char *key) MUST_CHECK;

/* The file or directory that holds "key", for messages; the caller frees. */
char *file_store_path(const FileStore *store, const char *key);

/* ERR_TRANSIENT when the root or its marker is not there. */
Error *file_store_open_root(const FileStore *store, int *ret_root) MUST_CHECK;
Error *file_store_check_marker(const FileStore *store, int root) MUST_CHECK;

/*
 * Opens the directory that holds the last component of "key".  A missing one is
 * ERR_NOT_FOUND, once the marker was seen again.
 */
Error *file_store_open_parent(const FileStore *store, int root, const char *key, int *ret_directory)
	MUST_CHECK;

/* Likewise, but makes what is missing.  All of it is durable when this returns. */
Error *file_store_make_parent(const FileStore *store, int root, const char *key, int *ret_directory)
	MUST_CHECK;

/* What follows the last '/'. */
const char *file_store_leaf(const char *key);

/* fsync of a directory, where the file system knows it. */
Error *file_store_sync_directory(const FileStore *store, int directory, const char *key) MUST_CHECK;

/* write(2) of everything, to the file that is to become "key". */
Error *file_store_write(const FileStore *store, int fd, const char *key, const void *data, size_t size)
	MUST_CHECK;

/* The "put" and "writer" of StoreOps. */
Error *file_store_put(Store *base, const char *key, const Slice *slices, int n_slices, PutMode mode)
	MUST_CHECK;
Error *file_store_writer(Store *base, const char *key, Sink **ret_sink) MUST_CHECK;

/* The "list" of StoreOps. */
Error *file_store_list(Store *base, const char *prefix, ListDepth depth, const char *start_after,
                       StoreListCallback callback, void *context) MUST_CHECK;

/* Size and time of a file, as an entry with this key. */
StoreEntry file_store_entry(const char *key, const struct stat *status);
