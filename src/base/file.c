/* Reading and durably writing local files. */
#include "walship/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "walship/base/mem.h"

Error *
file_open_read(const char *path, int *ret_fd, struct stat *ret_stat)
{
	/* O_NONBLOCK: opening a FIFO must not wait for a writer that never comes. */
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;

	if (fd < 0 && errno == ENOENT)
		return error_new(ERR_NOT_FOUND, "file \"%s\" does not exist", path);
	if (fd < 0)
		return error_errno("could not open file \"%s\"", path);
	if (fstat(fd, &status) != 0)
		return error_errno("could not stat file \"%s\"", path);
	if (!S_ISREG(status.st_mode))
		return error_new(ERR_USAGE, "\"%s\" is not a regular file", path);
	*ret_fd = fd;
	if (ret_stat != NULL)
		*ret_stat = status;
	fd = -1;
	return NULL;
}

Error *
file_read_at(int fd, const char *path, uint64_t offset, void *data, size_t size, size_t *ret_size)
{
	size_t done = 0;

	while (done < size)
	{
		ssize_t got = pread(fd, (char *) data + done, size - done, (off_t) (offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno("could not read file \"%s\"", path);
		if (got == 0)
			break;
		done += (size_t) got;
	}
	*ret_size = done;
	return NULL;
}

Error *
file_write(int fd, const char *path, const void *data, size_t size)
{
	const char *next = data;

	while (size > 0)
	{
		ssize_t put = write(fd, next, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_errno("could not write file \"%s\"", path);
		next += put;
		size -= (size_t) put;
	}
	return NULL;
}

/* Without SYNC_FILE_RANGE_WAIT_*: it waits for nothing, and makes nothing durable. */
void
file_begin_sync(int fd, uint64_t offset, uint64_t size)
{
	(void) sync_file_range(fd, (off_t) offset, (off_t) size, SYNC_FILE_RANGE_WRITE);
}

Error *
file_sync(int fd, const char *path)
{
	if (fsync(fd) != 0)
		return error_errno("could not fsync file \"%s\"", path);
	return NULL;
}

Error *
file_close(int *fd, const char *path)
{
	int result = close(*fd);

	*fd = -1;
	if (result != 0 && errno != EINTR)
		return error_errno("could not close file \"%s\"", path);
	return NULL;
}

static Error *
read_to_end(int fd, const char *path, Buf *buf)
{
	char piece[16 * 1024];
	size_t got = sizeof(piece);

	for (uint64_t offset = 0; got == sizeof(piece); offset += got)
	{
		TRY(file_read_at(fd, path, offset, piece, sizeof(piece), &got));
		buf_append(buf, piece, got);
		if (buf->overflowed)
			return error_new(ERR_CORRUPT, "file \"%s\" is longer than %zu bytes", path, buf->cap);
	}
	return NULL;
}

Error *
file_read_all(const char *path, Buf *buf)
{
	AUTO_CLOSE int fd = -1;

	TRY(file_open_read(path, &fd, NULL));
	return read_to_end(fd, path, buf);
}

Error *
file_open_trusted(const char *path, int *ret_fd)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) != 0)
		return error_errno("could not open file \"%s\"", path);
	if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return error_new(ERR_DENIED, "file \"%s\" may be another user's work", path);
	*ret_fd = fd;
	fd = -1;
	return NULL;
}

Error *
file_read_trusted(const char *path, Buf *buf)
{
	AUTO_CLOSE int fd = -1;

	TRY(file_open_trusted(path, &fd));
	return read_to_end(fd, path, buf);
}

static bool
is_same_file(int fd, const char *path)
{
	struct stat by_fd;
	struct stat by_path;

	return fstat(fd, &by_fd) == 0 && lstat(path, &by_path) == 0 && by_fd.st_dev == by_path.st_dev &&
	       by_fd.st_ino == by_path.st_ino;
}

/* How often another process may finish or give up between our open and our lock. */
#define TAKE_OVER_TRIES 100

Error *
file_open_temporary(const char *temporary, mode_t mode, int *ret_fd)
{
	for (int i = 0; i < TAKE_OVER_TRIES; i++)
	{
		AUTO_CLOSE int fd = open(temporary, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		struct stat status;

		if (fd < 0)
			return error_errno("could not create file \"%s\"", temporary);
		if (fstat(fd, &status) != 0)
			return error_errno("could not look at \"%s\"", temporary);
		if (!S_ISREG(status.st_mode))
			return error_new(ERR_USAGE, "\"%s\" exists and is not a regular file", temporary);
		if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
			return error_new(ERR_TRANSIENT, "file \"%s\" is being written by another process", temporary);

		/* Its owner may have renamed or removed it before we had the lock. */
		if (!is_same_file(fd, temporary))
			continue;
		if (ftruncate(fd, 0) != 0 || fchmod(fd, mode) != 0)
			return error_errno("could not prepare file \"%s\"", temporary);
		*ret_fd = fd;
		fd = -1;
		return NULL;
	}
	return error_new(ERR_TRANSIENT, "file \"%s\" is being written by other processes", temporary);
}

Error *
temporary_file_open(const char *path, mode_t mode, TemporaryFile *ret_file)
{
	AUTO_FREE char *temporary = mem_printf("%s" TEMPORARY_FILE_SUFFIX, path);

	TRY(file_open_temporary(temporary, mode, &ret_file->fd));
	ret_file->path = mem_strdup(path);
	ret_file->temporary = MOVE(temporary);
	return NULL;
}

Error *
temporary_file_rename(TemporaryFile *file, bool durably)
{
	AUTO_FREE char *directory = path_parent(file->path);

	if (durably)
		TRY(file_sync(file->fd, file->temporary));
	if (rename(file->temporary, file->path) != 0)
		return error_errno("could not rename \"%s\" to \"%s\"", file->temporary, file->path);
	free(MOVE(file->temporary));
	TRY(file_close(&file->fd, file->path));
	return durably ? dir_sync(directory) : NULL;
}

/* Removes before it closes: with the lock gone the name may be another process's. */
void
temporary_file_release(TemporaryFile *file)
{
	if (file->temporary != NULL)
		(void) unlink(file->temporary);
	if (file->path != NULL && file->fd >= 0)
		(void) close(file->fd);
	free(file->temporary);
	free(file->path);
	*file = (TemporaryFile){0};
}

static Error *
replace(const char *path, const void *data, size_t size, mode_t mode, bool durably)
{
	AUTO_TEMPORARY_FILE file = {0};

	TRY(temporary_file_open(path, mode, &file));
	TRY(file_write(file.fd, file.temporary, data, size));
	return temporary_file_rename(&file, durably);
}

Error *
file_replace(const char *path, const void *data, size_t size, mode_t mode)
{
	return replace(path, data, size, mode, true);
}

Error *
file_replace_unsynced(const char *path, const void *data, size_t size, mode_t mode)
{
	return replace(path, data, size, mode, false);
}

Error *
file_rename_durably(const char *from, const char *to)
{
	AUTO_FREE char *directory = path_parent(to);

	if (rename(from, to) != 0)
		return error_errno("could not rename \"%s\" to \"%s\"", from, to);
	return dir_sync(directory);
}

Error *
file_remove(const char *path)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return error_errno("could not remove file \"%s\"", path);
	return NULL;
}

bool
file_exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}
