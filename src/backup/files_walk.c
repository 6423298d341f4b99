/* See files_walk.h. */
#include "files_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "files_list.h"
#include "walship/base/cancel.h"
#include "walship/base/dir.h"
#include "walship/base/mem.h"

WalkDirectory *
walk_directory_share(WalkDirectory *directory)
{
	atomic_fetch_add(&directory->users, 1);
	return directory;
}

void
walk_directory_release(WalkDirectory *directory)
{
	if (directory == NULL || atomic_fetch_sub(&directory->users, 1) > 1)
		return;
	(void) close(directory->fd);
	free(directory);
}

/* "/srv//www/./a/" as "/srv/www/a", in place. */
static void
tidy_path(char *path)
{
	char *to = path;

	for (const char *from = path; *from != '\0';)
	{
		size_t length = strcspn(from + 1, "/");

		if (length > 0 && !(length == 1 && from[1] == '.'))
		{
			memmove(to, from, length + 1);
			to += length + 1;
		}
		from += length + 1;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

/* The name that it was given stays, also where it is a link to a directory; but ".." means what the system makes of it. */
static Error *
read_root(const char *named, char **ret_path)
{
	AUTO_FREE char *path = path_absolute(named);
	AUTO_FREE char *resolved = NULL;
	struct stat status;

	if (stat(path, &status) != 0)
		return errno == ENOENT ? error_new(ERR_NOT_FOUND, "directory \"%s\" does not exist", named)
		                       : error_errno("could not look at directory \"%s\"", named);
	if (!S_ISDIR(status.st_mode))
		return error_hint(error_new(ERR_USAGE, "\"%s\" is no directory", named),
		                  "Name the directory that it is in, and leave out the rest with --exclude.");
	if (strstr(path, "/../") != NULL || str_ends_with(path, "/.."))
	{
		resolved = realpath(path, NULL);
		if (resolved == NULL)
			return error_errno("could not look at directory \"%s\"", named);
		free(path);
		path = MOVE(resolved);
	}
	tidy_path(path);
	if (strlen(path) > TAR_NAME_MAX)
		return error_new(ERR_USAGE, "path \"%s\" is too long", named);
	*ret_path = MOVE(path);
	return NULL;
}

static int
compare_roots(const void *a, const void *b)
{
	return files_path_compare(*(char *const *) a, *(char *const *) b);
}

Error *
files_roots(const StrList *named, StrList *ret_roots)
{
	for (size_t i = 0; i < named->count; i++)
	{
		AUTO_FREE char *path = NULL;

		TRY(read_root(named->items[i], &path));
		strlist_add(ret_roots, path);
	}
	if (ret_roots->count > 1)
		qsort(ret_roots->items, ret_roots->count, sizeof(*ret_roots->items), compare_roots);
	for (size_t i = 1; i < ret_roots->count; i++)
	{
		const char *above = ret_roots->items[i - 1];
		const char *below = ret_roots->items[i];
		size_t length = strcmp(above, "/") == 0 ? 0 : strlen(above);

		if (strncmp(above, below, length) == 0 && (below[length] == '/' || below[length] == '\0'))
			return error_new(ERR_USAGE, "directory \"%s\" is in directory \"%s\", which is named, too", below,
			                 above);
	}
	return NULL;
}

static bool
is_excluded(const FilesWalk *walk, const char *path, const char *leaf)
{
	char absolute[TAR_NAME_MAX + 2];

	(void) snprintf(absolute, sizeof(absolute), "/%s", path);
	for (size_t i = 0; i < walk->excludes->count; i++)
	{
		const char *pattern = walk->excludes->items[i];
		bool whole = strchr(pattern, '/') != NULL;

		if (fnmatch(pattern, whole ? absolute : leaf, whole ? FNM_PATHNAME : 0) == 0)
			return true;
	}
	return false;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Its own descriptor: where a directory stream stands in one must not matter to others. */
static Error *
read_names(const WalkDirectory *directory, StrList *ret_names)
{
	int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (stream == NULL)
	{
		Error *error = error_errno("could not be read");

		if (fd >= 0)
			(void) close(fd);
		return error;
	}
	for (errno = 0; (entry = readdir(stream)) != NULL; errno = 0)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			strlist_add(ret_names, entry->d_name);

	Error *error = errno != 0 ? error_errno("could not be read") : NULL;

	(void) closedir(stream);
	if (ret_names->count > 1)
		qsort(ret_names->items, ret_names->count, sizeof(*ret_names->items), compare_names);
	return error;
}

static Error *walk_into(const FilesWalk *walk, dev_t device, WalkDirectory *directory, const char *path);

/* The directory itself, and all below it.  "parent" NULL: it is a root. */
static Error *
walk_directory(const FilesWalk *walk, dev_t device, WalkDirectory *parent, const char *path, const char *leaf)
{
	/* A root may be a link. */
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (parent == NULL ? 0 : O_NOFOLLOW);
	int fd = openat(parent == NULL ? AT_FDCWD : parent->fd, leaf, flags);
	struct stat status;
	WalkDirectory *directory;

	if (fd < 0 && parent == NULL)
		return error_errno("could not open directory \"%s\"", leaf);
	if (fd < 0)
		return walk->entry(walk->context, parent, path, leaf);
	if (fstat(fd, &status) != 0)
	{
		Error *failed = error_errno("could not look at directory \"/%s\"", path);

		(void) close(fd);
		return failed;
	}
	directory = NEW(WalkDirectory);
	directory->fd = fd;
	atomic_init(&directory->users, 1);

	/* Of the root of the file system there is no entry: it has no name. */
	Error *error = path[0] == '\0' ? NULL : walk->entry(walk->context, directory, path, "");

	if (error == NULL && (parent == NULL || !walk->one_file_system || status.st_dev == device))
		error = walk_into(walk, parent == NULL ? status.st_dev : device, directory, path);
	walk_directory_release(directory);
	return error;
}

static Error *
walk_name(const FilesWalk *walk, dev_t device, WalkDirectory *directory, const char *path, const char *leaf)
{
	AUTO_FREE char *below = path_join(path, leaf);
	struct stat status;

	if (strlen(below) > TAR_NAME_MAX)
	{
		walk->incomplete(walk->context, path, "a path in it is too long");
		return NULL;
	}
	if (is_excluded(walk, below, leaf))
		return NULL;
	TRY(cancel_check());
	if (fstatat(directory->fd, leaf, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode))
		return walk_directory(walk, device, directory, below, leaf);
	return walk->entry(walk->context, directory, below, leaf);
}

static Error *
walk_into(const FilesWalk *walk, dev_t device, WalkDirectory *directory, const char *path)
{
	AUTO_STRLIST names = {0};
	AUTO(Error) incomplete = read_names(directory, &names);

	for (size_t i = 0; i < names.count; i++)
		TRY(walk_name(walk, device, directory, path, names.items[i]));
	if (incomplete != NULL)
		walk->incomplete(walk->context, path, error_message(incomplete));
	return NULL;
}

Error *
files_walk(const FilesWalk *walk)
{
	for (size_t i = 0; i < walk->roots->count; i++)
		TRY(walk_directory(walk, 0, NULL, walk->roots->items[i] + 1, walk->roots->items[i]));
	return NULL;
}
