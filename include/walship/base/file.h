/*
 * Local files.  Every durable write here is: temporary name, fsync, rename,
 * fsync of the directory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"
#include "walship/base/strs.h"

/* Opens for reading, close-on-exec.  A missing file is ERR_NOT_FOUND; what is no regular file is ERR_USAGE. */
Error *file_open_read(const char *path, int *ret_fd, struct stat *ret_stat) MUST_CHECK;

/* Fills the buffer from offset; *ret_size is smaller only at the end of the file. */
Error *file_read_at(int fd, const char *path, uint64_t offset, void *data, size_t size, size_t *ret_size)
	MUST_CHECK;

Error *file_write(int fd, const char *path, const void *data, size_t size) MUST_CHECK;
Error *file_sync(int fd, const char *path) MUST_CHECK;
Error *file_close(int *fd, const char *path) MUST_CHECK; /* sets *fd to -1 */

/* Whole file into buf, whose cap bounds it (longer is ERR_CORRUPT).  A missing file is ERR_NOT_FOUND. */
Error *file_read_all(const char *path, Buf *buf) MUST_CHECK;

/* Asks the kernel to read the file from the disk the next time.  No more than a hint. */
void file_forget_cached(const char *path);

/* Replaces or makes "path" durably with these contents and exactly this mode. */
Error *file_replace(const char *path, const void *data, size_t size, mode_t mode) MUST_CHECK;

/*
 * The same for what can be done without: no process sees it half-written, but after a crash of the machine it may be
 * the old one, empty or cut, so it must carry a checksum.
 */
Error *file_replace_unsynced(const char *path, const void *data, size_t size, mode_t mode) MUST_CHECK;

/*
 * Opens the file that will be renamed into place, empty and with exactly this mode, for writing.  It is locked as
 * long as it is open: a leftover of a dead process is taken over, another process's is ERR_TRANSIENT.
 */
Error *file_open_temporary(const char *temporary, mode_t mode, int *ret_fd) MUST_CHECK;

/* rename(2) and fsync of the directory. */
Error *file_rename_durably(const char *from, const char *to) MUST_CHECK;

/* A missing file is success. */
Error *file_remove(const char *path) MUST_CHECK;

bool file_exists(const char *path); /* of any kind; false also when it cannot be looked at */

/* Makes the directory and its missing parents, each made durable in its own parent. */
Error *dir_make(const char *path, mode_t mode) MUST_CHECK;
Error *dir_sync(const char *path) MUST_CHECK;

/* Names in the directory without "." and "..", in byte order.  A missing directory is ERR_NOT_FOUND. */
Error *dir_list(const char *path, StrList *ret_names) MUST_CHECK;

/*
 * Removes everything below the directory, and the directory itself unless "keep".  Follows no link below it;
 * "path" itself may be a link to a directory only with "keep".
 */
Error *dir_remove_tree(const char *path, bool keep) MUST_CHECK;

char *path_join(const char *directory, const char *name); /* in "" it is the name alone; the caller frees */
char *path_parent(const char *path);     /* textual: "a/b" → "a", "a" → "."; the caller frees */
const char *path_leaf(const char *path); /* what follows the last '/' */
char *path_absolute(const char *path);   /* against the working directory; resolves no link */
