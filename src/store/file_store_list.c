/*
 * Listing a directory store in the byte order of whole keys.  In each directory
 * the names of subdirectories are sorted with their '/', for "a/b" comes after
 * "a.history" but "a" before it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_store_private.h"
#include "walship/base/buf.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

typedef struct Listing
{
	const FileStore *store;
	const char *prefix;
	ListDepth depth;
	const char *start_after; /* "" when there is none: every key is after it */
	bool leftovers;          /* list temporary files instead of objects */
	StoreListCallback callback;
	void *context;
} Listing;

static void
close_stream(DIR **stream)
{
	if (*stream != NULL)
		(void) closedir(*stream);
}

#define AUTO_CLOSE_STREAM __attribute__((cleanup(close_stream)))

/*
 * What the name is, when it matters to the listing: '/' a directory, 'f' a file,
 * '\0' nothing of ours.  A link under a name that could be a key is an error,
 * for leaving it out would show a hole where there may be none.
 */
static Error *
name_classify(const Listing *listing, int directory, const char *so_far, const struct dirent *entry,
              char *ret_class)
{
	const char *name = entry->d_name;
	bool temporary = str_starts_with(name, FILE_STORE_TEMPORARY);
	struct stat status;

	*ret_class = '\0';
	if (!temporary && !store_key_part_is_valid(name, strlen(name)))
		return NULL;
	if (so_far[0] == '\0' && strcmp(name, FILE_STORE_MARKER) == 0)
		return NULL;
	if (entry->d_type == DT_DIR || entry->d_type == DT_REG)
		status.st_mode = entry->d_type == DT_DIR ? S_IFDIR : S_IFREG;
	else if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? NULL : file_store_errno(listing->store, so_far, "look into");
	if (S_ISLNK(status.st_mode) && !temporary)
	{
		AUTO_FREE char *key = mem_printf("%s%s", so_far, name);

		return file_store_error_link(listing->store, key);
	}
	if (S_ISDIR(status.st_mode) && !temporary)
		*ret_class = '/';
	else if (S_ISREG(status.st_mode) && temporary == listing->leftovers)
		*ret_class = 'f';
	return NULL;
}

static Error *
stream_open(const Listing *listing, int directory, const char *so_far, DIR **ret_stream)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT)
		return file_store_errno(listing->store, so_far, "open directory");
	*ret_stream = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && *ret_stream == NULL)
	{
		(void) close(fd);
		return file_store_errno(listing->store, so_far, "open directory");
	}
	return NULL;
}

/* The names that matter, those of directories with a final '/', in byte order. */
static Error *
names_read(const Listing *listing, int directory, const char *so_far, StrList *names)
{
	AUTO_CLOSE_STREAM DIR *stream = NULL;
	char class;

	TRY(stream_open(listing, directory, so_far, &stream));
	while (stream != NULL)
	{
		errno = 0;
		const struct dirent *entry = readdir(stream);

		if (entry == NULL && errno != 0)
			return file_store_errno(listing->store, so_far, "read directory");
		if (entry == NULL)
			break;
		TRY(name_classify(listing, directory, so_far, entry, &class));
		if (class != '\0')
		{
			AUTO_FREE char *name = mem_printf("%s%s", entry->d_name, class == '/' ? "/" : "");

			strlist_add(names, name);
		}
	}
	strlist_sort(names);
	return NULL;
}

static bool
is_locked(int directory, const char *name)
{
	AUTO_CLOSE int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

static Error *
list_file(const Listing *listing, int directory, const char *name, const char *key)
{
	struct stat status;

	if (!str_starts_with(key, listing->prefix) || strcmp(key, listing->start_after) <= 0)
		return NULL;
	if (listing->leftovers && is_locked(directory, name))
		return NULL;
	if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? NULL : file_store_errno(listing->store, key, "look at");

	StoreEntry entry = file_store_entry(key, &status);

	return listing->callback(listing->context, &entry);
}

static Error *list_directory(const Listing *listing, int directory, const char *so_far);

/* The directory "name" (with its '/') in "directory". */
static Error *
list_subdirectory(const Listing *listing, int directory, const char *name, const char *key)
{
	AUTO_FREE char *bare = mem_strndup(name, strlen(name) - 1);
	AUTO_CLOSE int fd = openat(directory, bare, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* Removed since we read the name: as if it had never been there. */
	if (fd < 0 && errno == ENOENT)
		return NULL;
	if (fd < 0)
		return file_store_errno(listing->store, key, "open directory");
	return list_directory(listing, fd, key);
}

static Error *
stop_at_first(void *context, const StoreEntry *entry)
{
	(void) entry;
	*(bool *) context = true;
	return error_new(ERR_EXISTS, "there is one");
}

/* A directory without objects does not exist for whoever thinks in keys. */
static Error *
list_common_prefix(const Listing *listing, int directory, const char *name, const char *key)
{
	bool found = false;
	Listing search = {
		.store = listing->store,
		.prefix = "",
		.depth = LIST_ALL,
		.start_after = "",
		.callback = stop_at_first,
		.context = &found,
	};
	StoreEntry entry = {.key = key, .modified = TIME_NONE, .is_prefix = true};
	Error *error;

	if (strcmp(key, listing->start_after) <= 0)
		return NULL;
	error = list_subdirectory(&search, directory, name, key);
	if (!found)
		return error;
	error_free(error);
	return listing->callback(listing->context, &entry);
}

/* Whether keys that begin with "key", which ends with '/', can be asked for. */
static bool
may_hold_matches(const Listing *listing, const char *key)
{
	return (str_starts_with(key, listing->prefix) || str_starts_with(listing->prefix, key)) &&
	       (strcmp(key, listing->start_after) > 0 || str_starts_with(listing->start_after, key));
}

static Error *
list_directory(const Listing *listing, int directory, const char *so_far)
{
	AUTO_STRLIST names = {0};

	TRY(names_read(listing, directory, so_far, &names));
	for (size_t i = 0; i < names.count; i++)
	{
		const char *name = names.items[i];
		AUTO_FREE char *key = mem_printf("%s%s", so_far, name);
		Error *error = NULL;

		if (strlen(key) > STORE_KEY_MAX)
			continue;
		if (!str_ends_with(key, "/"))
			error = list_file(listing, directory, name, key);
		else if (!may_hold_matches(listing, key))
			continue;
		else if (listing->depth == LIST_LEVEL && !str_starts_with(listing->prefix, key))
			error = list_common_prefix(listing, directory, name, key);
		else
			error = list_subdirectory(listing, directory, name, key);
		TRY(error);
	}
	return NULL;
}

/* Begins in the directory that the prefix names, so that the others are not even read. */
static Error *
list_from_prefix(const Listing *listing)
{
	size_t length = (size_t) (file_store_leaf(listing->prefix) - listing->prefix);
	AUTO_FREE char *so_far = mem_strndup(listing->prefix, length);
	AUTO_CLOSE int root = -1;
	AUTO_CLOSE int directory = -1;
	Error *error;

	TRY(file_store_open_root(listing->store, &root));
	error = file_store_open_parent(listing->store, root, listing->prefix, &directory);
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	TRY(list_directory(listing, directory, so_far));

	/* What was read is only the truth if the disk was there all the time. */
	return file_store_check_marker(listing->store, root);
}

Error *
file_store_list(Store *base, const char *prefix, ListDepth depth, const char *start_after,
                StoreListCallback callback, void *context)
{
	Listing listing = {
		.store = (const FileStore *) base,
		.prefix = prefix,
		.depth = depth,
		.start_after = start_after == NULL ? "" : start_after,
		.callback = callback,
		.context = context,
	};

	return list_from_prefix(&listing);
}

Error *
file_store_list_leftovers(Store *base, StoreListCallback callback, void *context)
{
	Listing listing = {
		.store = (const FileStore *) base,
		.prefix = "",
		.depth = LIST_ALL,
		.start_after = "",
		.leftovers = true,
		.callback = callback,
		.context = context,
	};

	return list_from_prefix(&listing);
}
