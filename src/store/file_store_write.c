/*
 * How an object comes into being in a directory: as a file without a name, or
 * under a temporary one, which is given the key's name once its bytes are
 * durable.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_store_private.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define TEMPORARY_RANDOM_SIZE 8

typedef struct NewFile
{
	const FileStore *store;
	char *key;
	PutMode mode;
	int directory;
	int fd;
	char temporary[sizeof(FILE_STORE_TEMPORARY) + 2 * TEMPORARY_RANDOM_SIZE]; /* "" while there is no name */
} NewFile;

static void
new_file_free(NewFile *file)
{
	if (file == NULL)
		return;
	if (file->temporary[0] != '\0')
		(void) unlinkat(file->directory, file->temporary, 0);
	if (file->fd >= 0)
		(void) close(file->fd); /* everything that matters was fsynced */
	if (file->directory >= 0)
		(void) close(file->directory);
	free(file->key);
	free(file);
}
AUTO_DEFINE(NewFile, new_file_free);

/* What linkat() needs to name it; the file system or a missing /proc may not allow it. */
static bool
unnamed_open(NewFile *file)
{
	char link[64];

	if (!file->store->try_unnamed || file->mode != PUT_IF_ABSENT)
		return false;
	file->fd = openat(file->directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
	if (file->fd < 0)
		return false;
	(void) snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
	if (access(link, F_OK) == 0)
		return true;
	(void) close(file->fd);
	file->fd = -1;
	return false;
}

static bool
named_open(NewFile *file)
{
	uint8_t bytes[TEMPORARY_RANDOM_SIZE];
	char digits[2 * TEMPORARY_RANDOM_SIZE + 1];
	char name[sizeof(file->temporary)];

	random_bytes(bytes, sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), digits);
	(void) snprintf(name, sizeof(name), FILE_STORE_TEMPORARY "%s", digits);
	file->fd = openat(file->directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (file->fd < 0)
		return false;
	memcpy(file->temporary, name, sizeof(name));

	/* Tells a file being written from a leftover; a file system without locks shows it as the latter. */
	(void) flock(file->fd, LOCK_EX | LOCK_NB);
	return true;
}

/* How often a directory may be removed, being empty, while we are about to put a file into it. */
#define DIRECTORY_TRIES 100

static Error *
new_file_enter_directory(NewFile *file)
{
	AUTO_CLOSE int root = -1;

	if (file->directory >= 0)
		(void) close(file->directory);
	file->directory = -1;
	TRY(file_store_open_root(file->store, &root));
	return file_store_make_parent(file->store, root, file->key, &file->directory);
}

/*
 * Whoever finds it there with the same contents relies on it, and its writer
 * may have died between giving it its name and this.
 */
static Error *
error_taken(const NewFile *file)
{
	TRY(file_store_sync_directory(file->store, file->directory, file->key));
	return error_new(ERR_EXISTS, "\"%s/%s\" exists already", file->store->directory, file->key);
}

static Error *
new_file_open(const FileStore *store, const char *key, PutMode mode, NewFile **ret_file)
{
	AUTO(NewFile) file = NEW(NewFile);
	struct stat status;

	file->store = store;
	file->key = mem_strdup(key);
	file->mode = mode;
	file->directory = file->fd = -1;
	if (strcmp(key, FILE_STORE_MARKER) == 0)
		return error_new(ERR_USAGE, "\"%s\" is not a valid object name: it marks the store", key);

	for (int i = 0; i < DIRECTORY_TRIES; i++)
	{
		TRY(new_file_enter_directory(file));

		/* link() decides in the end, but it would be a pity to write everything first. */
		if (mode == PUT_IF_ABSENT &&
		    fstatat(file->directory, file_store_leaf(key), &status, AT_SYMLINK_NOFOLLOW) == 0)
			return error_taken(file);
		if (unnamed_open(file) || named_open(file))
		{
			*ret_file = MOVE(file);
			return NULL;
		}
		if (errno != ENOENT)
			break;
	}
	return file_store_errno(store, key, "create file");
}

static bool
is_in_place(const NewFile *file)
{
	struct stat ours;
	struct stat there;

	return fstat(file->fd, &ours) == 0 &&
	       fstatat(file->directory, file_store_leaf(file->key), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Gives it its name, unless that is taken and must not be replaced.  Returns 0 or an errno. */
static int
name_file(NewFile *file)
{
	const char *leaf = file_store_leaf(file->key);
	unsigned int flags = file->mode == PUT_REPLACE ? 0 : RENAME_NOREPLACE;
	char link[64];

	if (file->temporary[0] == '\0')
	{
		(void) snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
		return linkat(AT_FDCWD, link, file->directory, leaf, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
	}
	if (file->mode != PUT_REPLACE && file->store->try_links)
	{
		if (linkat(file->directory, file->temporary, file->directory, leaf, 0) == 0)
			return 0;

		/* Where there are no links, or no more of them for this file, a rename that does not replace is as good. */
		if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK && errno != EINVAL)
			return errno;
	}
	if (renameat2(file->directory, file->temporary, file->directory, leaf, flags) != 0)
		return errno;
	file->temporary[0] = '\0';
	return 0;
}

/* Durable, and under its name; a directory that was removed under an unnamed file is made again. */
static Error *
new_file_publish(NewFile *file)
{
	int number = ENOENT;

	if (fsync(file->fd) != 0)
		return file_store_errno(file->store, file->key, "fsync file");
	for (int i = 0; i < DIRECTORY_TRIES && number == ENOENT; i++)
	{
		if (i > 0)
		{
			/* A named file keeps its directory from being removed: so this is no race. */
			if (file->temporary[0] != '\0')
				break;
			TRY(new_file_enter_directory(file));
		}
		number = name_file(file);
	}

	/* NFS may repeat a request that succeeded, its answer being lost, and report the repetition's EEXIST. */
	if (number == EEXIST && !is_in_place(file))
		return error_taken(file);
	if (number != 0 && number != EEXIST)
	{
		errno = number;
		return file_store_errno(file->store, file->key, "create file");
	}
	return file_store_sync_directory(file->store, file->directory, file->key);
}

Error *
file_store_write(const FileStore *store, int fd, const char *key, const void *data, size_t size)
{
	const char *next = data;

	while (size > 0)
	{
		ssize_t put = write(fd, next, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return file_store_errno(store, key, "write file");
		next += put;
		size -= (size_t) put;
	}
	return NULL;
}

Error *
file_store_put(Store *base, const char *key, const Slice *slices, int n_slices, PutMode mode)
{
	AUTO(NewFile) file = NULL;
	AUTO_FREE void *buffer = mem_alloc(FILE_STORE_COPY_SIZE);

	TRY(new_file_open((const FileStore *) base, key, mode, &file));
	for (int i = 0; i < n_slices; i++)
	{
		const Slice *slice = &slices[i];
		size_t got = 0;

		if (slice->data != NULL)
			TRY(file_store_write(file->store, file->fd, key, slice->data, (size_t) slice->size));
		for (uint64_t at = 0; slice->data == NULL && at < slice->size; at += got)
		{
			TRY(slice_read(slice, at, buffer, FILE_STORE_COPY_SIZE, &got));
			TRY(file_store_write(file->store, file->fd, key, buffer, got));
		}
	}
	return new_file_publish(file);
}

typedef struct FileWriter
{
	Sink sink;
	NewFile *file;
	off_t written;
	off_t flushed; /* so much of it is on its way to the disk */
} FileWriter;

/* The disk works while we compute, and the final fsync has little left to wait for. */
#define FLUSH_STEP (8 * 1024 * 1024)

static Error *
file_writer_write(Sink *sink, const void *data, size_t size)
{
	FileWriter *self = (FileWriter *) sink;
	NewFile *file = self->file;

	TRY(file_store_write(file->store, file->fd, file->key, data, size));
	self->written += (off_t) size;
	if (self->written - self->flushed >= FLUSH_STEP)
	{
		/* Only sooner than by itself: whether it succeeded is fsync's to say. */
		(void) sync_file_range(file->fd, self->flushed, self->written - self->flushed, SYNC_FILE_RANGE_WRITE);
		self->flushed = self->written;
	}
	return NULL;
}

static Error *
file_writer_finish(Sink *sink)
{
	return new_file_publish(((FileWriter *) sink)->file);
}

static void
file_writer_free(Sink *sink)
{
	new_file_free(((FileWriter *) sink)->file);
	free(sink);
}

static const SinkOps file_writer_ops = {
	.write = file_writer_write,
	.finish = file_writer_finish,
	.free = file_writer_free,
};

Error *
file_store_writer(Store *base, const char *key, Sink **ret_sink)
{
	AUTO(NewFile) file = NULL;
	FileWriter *self;

	TRY(new_file_open((const FileStore *) base, key, PUT_IF_ABSENT, &file));
	self = NEW(FileWriter);
	self->sink.ops = &file_writer_ops;
	self->file = MOVE(file);
	*ret_sink = &self->sink;
	return NULL;
}
