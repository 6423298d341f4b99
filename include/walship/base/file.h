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
#include "walship/base/dir.h"
#include "walship/base/error.h"

/* Opens for reading, close-on-exec.  A missing file is ERR_NOT_FOUND; what is no regular file is ERR_USAGE. */
Error *file_open_read(const char *path, int *ret_fd, struct stat *ret_stat) MUST_CHECK;

/* Fills the buffer from offset; *ret_size is smaller only at the end of the file. */
Error *file_read_at(int fd, const char *path, uint64_t offset, void *data, size_t size, size_t *ret_size)
	MUST_CHECK;

Error *file_write(int fd, const char *path, const void *data, size_t size) MUST_CHECK;
Error *file_sync(int fd, const char *path) MUST_CHECK;

/* Sends written bytes on their way to the disk, so that file_sync() has less to wait for.  No more than a hint. */
void file_begin_sync(int fd, uint64_t offset, uint64_t size);

Error *file_close(int *fd, const char *path) MUST_CHECK; /* sets *fd to -1 */

/* Whole file into buf, whose cap bounds it (longer is ERR_CORRUPT).  A missing file is ERR_NOT_FOUND. */
Error *file_read_all(const char *path, Buf *buf) MUST_CHECK;

/*
 * Opens for reading a regular file of this user that nobody else may write: in a directory that others may write to,
 * what is theirs says nothing.  Else ERR_DENIED.
 */
Error *file_open_trusted(const char *path, int *ret_fd) MUST_CHECK;
Error *file_read_trusted(const char *path, Buf *buf) MUST_CHECK; /* as file_read_all() */

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

/*
 * A file that appears whole and under its name, or not at all: opened beside it, as above, written through "fd", and
 * renamed.  Until then it is locked, so of two processes that write the same file one has ERR_TRANSIENT.
 */
typedef struct TemporaryFile
{
	char *path;      /* the name it gets */
	char *temporary; /* the name it has; NULL once it is renamed */
	int fd;          /* -1 once it is renamed */
} TemporaryFile;

#define TEMPORARY_FILE_SUFFIX ".walship-tmp"

Error *temporary_file_open(const char *path, mode_t mode, TemporaryFile *ret_file) MUST_CHECK;

/* "durably": the bytes are fsynced before, and the directory after it. */
Error *temporary_file_rename(TemporaryFile *file, bool durably) MUST_CHECK;

/* Removes it, unless it was renamed.  A zeroed one is nothing. */
void temporary_file_release(TemporaryFile *file);

#define AUTO_TEMPORARY_FILE __attribute__((cleanup(temporary_file_release))) TemporaryFile

/* rename(2) and fsync of the directory. */
Error *file_rename_durably(const char *from, const char *to) MUST_CHECK;

/* A missing file is success. */
Error *file_remove(const char *path) MUST_CHECK;

bool file_exists(const char *path); /* of any kind; false also when it cannot be looked at */
