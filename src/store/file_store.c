/* A directory as a store: opening and making it, reading and removing objects. */
#include "walship/store/file_store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file_store_private.h"
#include "walship/base/cancel.h"
#include "walship/base/file.h"
#include "walship/base/json.h"
#include "walship/base/mem.h"

#define MARKER_FORMAT   1
#define MARKER_SIZE_MAX 4096

/* The marker is looked at again, for a server may have lost its disk since. */
static Error *
object_missing(const FileStore *store, int root, const char *key)
{
	TRY(file_store_check_marker(store, root));
	return error_new(ERR_NOT_FOUND, "file \"%s/%s\" does not exist", store->directory, key);
}

static Error *
object_open(const FileStore *store, const char *key, int *ret_fd, struct stat *ret_status)
{
	AUTO_CLOSE int root = -1;
	AUTO_CLOSE int directory = -1;
	AUTO_CLOSE int fd = -1;

	TRY(file_store_open_root(store, &root));
	TRY(file_store_open_parent(store, root, key, &directory));
	fd = openat(directory, file_store_leaf(key), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return object_missing(store, root, key);
	if (fd < 0 && errno == ELOOP)
		return file_store_error_link(store, key);
	if (fd < 0)
		return file_store_errno(store, key, "open file");
	if (fstat(fd, ret_status) != 0)
		return file_store_errno(store, key, "look at");

	/* A directory is only the beginning of other keys. */
	if (S_ISDIR(ret_status->st_mode))
		return object_missing(store, root, key);
	if (!S_ISREG(ret_status->st_mode))
		return error_new(ERR_SYSTEM, "\"%s/%s\" is not a regular file", store->directory, key);
	*ret_fd = fd;
	fd = -1;
	return NULL;
}

static Error *
read_piece(const FileStore *store, int fd, const char *key, uint64_t offset, void *data, size_t size)
{
	for (size_t done = 0; done < size;)
	{
		ssize_t got = pread(fd, (char *) data + done, size - done, (off_t) (offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return file_store_errno(store, key, "read file");
		if (got == 0)
			return error_new(ERR_CORRUPT, "file \"%s/%s\" became shorter while it was read", store->directory,
			                 key);
		done += (size_t) got;
	}
	return NULL;
}

static Error *
file_store_get(Store *base, const char *key, uint64_t offset, uint64_t size, Sink *into)
{
	const FileStore *store = (const FileStore *) base;
	AUTO_CLOSE int fd = -1;
	AUTO_FREE void *buffer = NULL;
	struct stat status;
	uint64_t left;

	TRY(object_open(store, key, &fd, &status));
	left = offset < (uint64_t) status.st_size ? (uint64_t) status.st_size - offset : 0;
	left = size < left ? size : left;
	(void) posix_fadvise(fd, (off_t) offset, (off_t) left, POSIX_FADV_SEQUENTIAL); /* advice */
	buffer = mem_alloc(FILE_STORE_COPY_SIZE);
	while (left > 0)
	{
		size_t piece = left < FILE_STORE_COPY_SIZE ? (size_t) left : FILE_STORE_COPY_SIZE;

		TRY(cancel_check());
		TRY(read_piece(store, fd, key, offset, buffer, piece));
		TRY(sink_write(into, buffer, piece));
		offset += piece;
		left -= piece;
	}
	return NULL;
}

static Error *
file_store_stat(Store *base, const char *key, StoreEntry *ret_entry)
{
	AUTO_CLOSE int fd = -1;
	struct stat status;

	TRY(object_open((const FileStore *) base, key, &fd, &status));
	*ret_entry = file_store_entry(key, &status);
	return NULL;
}

/*
 * Directories that held only this object.  A put that is about to use one finds
 * it gone and makes it again.
 */
static void
remove_empty_parents(const FileStore *store, int root, const char *key)
{
	AUTO_FREE char *path = mem_strdup(key);

	for (char *slash = strrchr(path, '/'); slash != NULL; slash = strrchr(path, '/'))
	{
		AUTO_CLOSE int directory = -1;
		AUTO(Error) error = NULL;

		*slash = '\0';
		error = file_store_open_parent(store, root, path, &directory);
		if (error != NULL || unlinkat(directory, file_store_leaf(path), AT_REMOVEDIR) != 0)
			return;
	}
}

static Error *
file_store_remove(Store *base, const char *key)
{
	const FileStore *store = (const FileStore *) base;
	AUTO_CLOSE int root = -1;
	AUTO_CLOSE int directory = -1;
	Error *error;

	if (strcmp(key, FILE_STORE_MARKER) == 0)
		return error_new(ERR_USAGE, "\"%s\" is not a valid object name: it marks the store", key);
	TRY(file_store_open_root(store, &root));
	error = file_store_open_parent(store, root, key, &directory);
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);

	if (unlinkat(directory, file_store_leaf(key), 0) != 0)
	{
		/* A directory is no object (Linux: EISDIR). */
		if (errno == ENOENT || errno == EISDIR)
			return file_store_check_marker(store, root);
		return file_store_errno(store, key, "remove file");
	}
	TRY(file_store_sync_directory(store, directory, key));
	remove_empty_parents(store, root, key);
	return NULL;
}

/* A look whether the key is taken needs no right to write: so the same is written over it. */
static Error *
file_store_probe(Store *base, Buf *report)
{
	Slice contents = slice_of_memory(STORE_PROBE_TEXT, sizeof(STORE_PROBE_TEXT) - 1);

	(void) report;
	return file_store_put(base, STORE_PROBE_KEY, &contents, 1, PUT_REPLACE);
}

static void
file_store_free(Store *base)
{
	FileStore *store = (FileStore *) base;

	free(store->directory);
	free(store);
}

static const StoreOps file_store_ops = {
	.put = file_store_put,
	.get = file_store_get,
	.stat = file_store_stat,
	.list = file_store_list,
	.remove = file_store_remove,
	.writer = file_store_writer,
	.free = file_store_free,
	.probe = file_store_probe,
};

static Error *
marker_read(FileStore *store, int root)
{
	AUTO_FREE char *path = file_store_path(store, FILE_STORE_MARKER);
	AUTO_CLOSE int fd = openat(root, FILE_STORE_MARKER, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO(Json) marker = NULL;
	char text[MARKER_SIZE_MAX];
	size_t size;
	int64_t format;
	struct stat status;

	if (fd < 0)
		return file_store_errno(store, FILE_STORE_MARKER, "open file");
	TRY(file_read_at(fd, path, 0, text, sizeof(text), &size));
	TRY(json_parse(text, size, path, &marker));
	TRY(error_context(json_get_int(marker, "format", &format), "%s", path));
	if (format != MARKER_FORMAT)
		return error_hint(error_new(ERR_CORRUPT, "store \"%s\" has format %" PRId64 " instead of %d",
		                            store->directory, format, MARKER_FORMAT),
		                  "It may have been made by a newer walship.");

	/* Of another disk under the same path the marker is another file. */
	if (fstat(fd, &status) != 0)
		return file_store_errno(store, FILE_STORE_MARKER, "look at");
	store->store.identity =
		mem_printf("%s %ju:%ju", store->store.url, (uintmax_t) status.st_dev, (uintmax_t) status.st_ino);
	return NULL;
}

Error *
file_store_open(const char *directory, Store **ret_store)
{
	FileStore *store = NEW(FileStore);
	AUTO(Store) owner = &store->store;
	AUTO_CLOSE int root = -1;

	store->store.ops = &file_store_ops;
	store->store.url = mem_printf("file://%s", directory);
	store->directory = mem_strdup(directory);
	store->try_unnamed = store->try_links = true;
	TRY(file_store_open_root(store, &root));
	TRY(marker_read(store, root));
	*ret_store = MOVE(owner);
	return NULL;
}

/* System identifiers; hidden files; an unfinished marker; and what mkfs puts into a new file system may lie there. */
static Error *
check_is_empty(const char *directory)
{
	AUTO_STRLIST names = {0};
	uint64_t system_identifier;

	TRY(dir_list(directory, &names));
	for (size_t i = 0; i < names.count; i++)
	{
		const char *name = names.items[i];

		if (!str_to_uint64(name, &system_identifier) && name[0] != '.' &&
		    !str_starts_with(name, FILE_STORE_MARKER) && strcmp(name, "lost+found") != 0)
			return error_hint(error_new(ERR_EXISTS,
			                            "directory \"%s\" is neither empty nor a store: it holds \"%s\"",
			                            directory, name),
			                  "Choose an empty directory, or one that does not exist yet.");
	}
	return NULL;
}

Error *
file_store_create(const char *directory)
{
	AUTO_FREE char *marker_path = path_join(directory, FILE_STORE_MARKER);
	AUTO_BUF(text, MARKER_SIZE_MAX);
	AUTO(Json) marker = json_new_object();

	TRY(dir_make(directory, 0750));
	if (file_exists(marker_path))
		return NULL;
	TRY(check_is_empty(directory));
	json_add_int(marker, "format", MARKER_FORMAT);
	json_add_string(marker, "created_by", "walship");
	json_print(marker, true, &text);
	return file_replace(marker_path, text.data, text.size, 0640);
}
