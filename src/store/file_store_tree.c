/* Ways through the directory store's tree: the root with its marker, and the directories below. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file_store_private.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define DIRECTORY_MODE  0750
#define UNSYNCED        S_ISVTX /* a directory whose entry may not be durable yet; see settle_in() */

char *
file_store_path(const FileStore *store, const char *key)
{
	return key == NULL ? mem_strdup(store->directory) : path_join(store->directory, key);
}

Error *
file_store_errno(const FileStore *store, const char *key, const char *action)
{
	int number = errno;
	AUTO_FREE char *path = file_store_path(store, key);

	errno = number;

	Error *error = error_errno("could not %s \"%s\"", action, path);

	/* What a file server that went away makes of a system call. */
	if (number == ESTALE || number == EHOSTDOWN || number == EHOSTUNREACH || number == ENETDOWN ||
	    number == ENETUNREACH || number == ETIMEDOUT || number == ENOTCONN || number == ECONNABORTED ||
	    number == ECONNRESET)
	{
		AUTO_FREE char *message = mem_strdup(error_message(error));

		error_free(error);
		return error_new(ERR_TRANSIENT, "%s", message);
	}
	if (number == ENOSPC || number == EDQUOT)
		return error_hint(error, "Free space in the file system of the store, or raise the quota.");
	if (number == EROFS)
		return error_hint(error, "The file system of the store is mounted read-only.");
	if (number == EACCES || number == EPERM)
		return error_hint(error, "The user that runs walship must be allowed to read and write \"%s\".",
		                  store->directory);
	return error;
}

static Error *
error_not_mounted(const FileStore *store, const char *reason)
{
	return error_hint(error_new(ERR_TRANSIENT, "store directory \"%s\" %s", store->directory, reason),
	                  "Is it mounted? A new store is made by \"walship check --create\".");
}

Error *
file_store_check_marker(const FileStore *store, int root)
{
	struct stat status;

	if (fstatat(root, FILE_STORE_MARKER, &status, AT_SYMLINK_NOFOLLOW) == 0)
		return NULL;
	if (errno == ENOENT)
		return error_not_mounted(store, "holds no " FILE_STORE_MARKER);
	return file_store_errno(store, FILE_STORE_MARKER, "look at");
}

Error *
file_store_open_root(const FileStore *store, int *ret_root)
{
	AUTO_CLOSE int root = open(store->directory, DIRECTORY_FLAGS);

	if (root < 0 && errno == ENOENT)
		return error_not_mounted(store, "does not exist");
	if (root < 0)
		return file_store_errno(store, NULL, "open directory");
	TRY(file_store_check_marker(store, root));
	*ret_root = root;
	root = -1;
	return NULL;
}

const char *
file_store_leaf(const char *key)
{
	const char *slash = strrchr(key, '/');

	return slash == NULL ? key : slash + 1;
}

Error *
file_store_sync_directory(const FileStore *store, int directory, const char *key)
{
	/* Some network file systems cannot (PostgreSQL: fd.c fsync_fname_ext). */
	if (fsync(directory) != 0 && errno != EINVAL && errno != EBADF)
		return file_store_errno(store, key, "fsync directory of");
	return NULL;
}

Error *
file_store_error_link(const FileStore *store, const char *key)
{
	return error_hint(error_new(ERR_SYSTEM, "\"%s/%s\" is a symbolic link", store->directory, key),
	                  "Only the directory of the store itself may be one.");
}

/*
 * The next directory on the way, "name" in "directory".  What is there in its
 * place decides what a failure means: below a file lies nothing, but what lies
 * behind a link that is not followed nobody knows.
 */
static Error *
directory_enter(const FileStore *store, int directory, const char *name, const char *so_far, int *ret_fd)
{
	struct stat status;
	int fd = openat(directory, name, DIRECTORY_FLAGS | O_NOFOLLOW);

	if (fd >= 0)
	{
		*ret_fd = fd;
		return NULL;
	}
	if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return file_store_errno(store, so_far, "open directory");
	if (errno != ENOENT && fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(status.st_mode))
		return file_store_error_link(store, so_far);
	return error_new(ERR_NOT_FOUND, "directory \"%s/%s\" does not exist", store->directory, so_far);
}

/* Its directories keep their group, which a change of the mode may cost them: these have no such bit, and are always synced. */
static bool
is_groups(const struct stat *status)
{
	return (status->st_mode & S_ISGID) != 0;
}

static Error *
directory_create(const FileStore *store, int directory, const char *name, const char *so_far)
{
	struct stat status;

	if (fstat(directory, &status) != 0)
		return file_store_errno(store, so_far, "look at the directory of");
	if (mkdirat(directory, name, DIRECTORY_MODE | (is_groups(&status) ? 0 : UNSYNCED)) == 0)
		return NULL;
	if (errno == ENOENT)
		return error_new(ERR_NOT_FOUND, "the directory of \"%s/%s\" was removed", store->directory, so_far);
	if (errno != EEXIST)
		return file_store_errno(store, so_far, "create directory");
	if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(status.st_mode))
		return error_new(ERR_SYSTEM, "could not create directory \"%s/%s\": a file is in its place",
		                 store->directory, so_far);
	return NULL;
}

/*
 * A directory is made with the sticky bit, which goes once its entry in the directory above is durable.  So whoever
 * finds it without has nothing to sync: each sync of a directory makes the disk write its cache, and there are three
 * on the way to a segment.  Whoever finds it with the bit comes a moment after somebody made it, or that one was
 * killed, and syncs in its place.  Where a file system keeps no such bit, only the maker syncs.
 */
static Error *
settle_in(const FileStore *store, int outer, int directory, bool made, const char *so_far)
{
	struct stat status;

	if (fstat(directory, &status) != 0)
		return file_store_errno(store, so_far, "look at");
	if (!made && !is_groups(&status) && (status.st_mode & UNSYNCED) == 0)
		return NULL;
	TRY(file_store_sync_directory(store, outer, so_far));

	/* Another user's keeps it, and is synced again the next time. */
	if ((status.st_mode & UNSYNCED) != 0)
		(void) fchmod(directory, status.st_mode & 07777 & ~(mode_t) UNSYNCED);
	return NULL;
}

/* Like directory_enter(), but makes it, durably. */
static Error *
directory_make(const FileStore *store, int directory, const char *name, const char *so_far, int *ret_fd)
{
	AUTO_CLOSE int fd = -1;
	Error *error = directory_enter(store, directory, name, so_far, &fd);
	bool made = error_is(error, ERR_NOT_FOUND);

	if (made)
	{
		error_free(error);
		TRY(directory_create(store, directory, name, so_far));
		error = directory_enter(store, directory, name, so_far, &fd);
	}
	TRY(error);
	TRY(settle_in(store, directory, fd, made, so_far));
	*ret_fd = fd;
	fd = -1;
	return NULL;
}

typedef Error *(*DirectoryStep)(const FileStore *store, int directory, const char *name, const char *so_far,
                                int *ret_fd);

static Error *
walk_to_parent(const FileStore *store, int root, const char *key, DirectoryStep step, int *ret_directory)
{
	AUTO_CLOSE int directory = openat(root, ".", DIRECTORY_FLAGS);
	AUTO_FREE char *so_far = mem_strdup(key);
	char *name = so_far;

	if (directory < 0)
		return file_store_errno(store, NULL, "open directory");
	for (char *slash = strchr(name, '/'); slash != NULL; slash = strchr(name, '/'))
	{
		AUTO_CLOSE int outer = directory;

		directory = -1;
		*slash = '\0';
		TRY(step(store, outer, name, so_far, &directory));
		*slash = '/';
		name = slash + 1;
	}
	*ret_directory = directory;
	directory = -1;
	return NULL;
}

Error *
file_store_open_parent(const FileStore *store, int root, const char *key, int *ret_directory)
{
	Error *error = walk_to_parent(store, root, key, directory_enter, ret_directory);

	if (error_is(error, ERR_NOT_FOUND))
	{
		Error *unmounted = file_store_check_marker(store, root);

		if (unmounted != NULL)
		{
			error_free(error);
			return unmounted;
		}
	}
	return error;
}

/* How often a directory may be removed, being empty, between our making and our entering it. */
#define MAKE_TRIES 100

Error *
file_store_make_parent(const FileStore *store, int root, const char *key, int *ret_directory)
{
	Error *error = walk_to_parent(store, root, key, directory_make, ret_directory);

	for (int i = 1; i < MAKE_TRIES && error_is(error, ERR_NOT_FOUND); i++)
	{
		error_free(error);
		error = walk_to_parent(store, root, key, directory_make, ret_directory);
	}
	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return error_new(ERR_TRANSIENT,
	                 "could not create the directory of \"%s/%s\": it is removed again and again",
	                 store->directory, key);
}

StoreEntry
file_store_entry(const char *key, const struct stat *status)
{
	return (StoreEntry){
		.key = key,
		.size = (uint64_t) status->st_size,
		.modified = (TimeUs) status->st_mtim.tv_sec * 1000000 + status->st_mtim.tv_nsec / 1000,
	};
}
