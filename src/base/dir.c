/* Directories and paths. */
#include "walship/base/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "walship/base/mem.h"

/* Deeper trees than PostgreSQL or walship make are refused, for recursion needs a bound. */
#define TREE_DEPTH_MAX 64

Error *
dir_sync(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno("could not open directory \"%s\"", path);

	/* Some network file systems cannot fsync a directory (PostgreSQL: fd.c fsync_fname_ext). */
	if (fsync(fd) != 0 && errno != EBADF && errno != EINVAL)
		return error_errno("could not fsync directory \"%s\"", path);
	return NULL;
}

Error *
dir_make(const char *path, mode_t mode)
{
	struct stat status;

	if (stat(path, &status) == 0)
	{
		if (S_ISDIR(status.st_mode))
			return NULL;
		return error_new(ERR_SYSTEM, "\"%s\" is not a directory", path);
	}
	if (errno != ENOENT)
		return error_errno("could not look at \"%s\"", path);

	AUTO_FREE char *parent = path_parent(path);

	TRY(dir_make(parent, mode));

	/* Another process may have made it meanwhile; a dangling link is there, too, and is no directory. */
	if (mkdir(path, mode) != 0 && (errno != EEXIST || stat(path, &status) != 0 || !S_ISDIR(status.st_mode)))
		return error_errno("could not create directory \"%s\"", path);
	return dir_sync(parent);
}

static void
close_dir(DIR **dir)
{
	if (*dir != NULL)
		(void) closedir(*dir);
}

#define AUTO_CLOSE_DIR __attribute__((cleanup(close_dir)))

Error *
dir_list_ending(const char *path, const char *suffix, StrList *ret_names)
{
	AUTO_CLOSE_DIR DIR *dir = opendir(path);

	if (dir == NULL && errno == ENOENT)
		return error_new(ERR_NOT_FOUND, "directory \"%s\" does not exist", path);
	if (dir == NULL)
		return error_errno("could not open directory \"%s\"", path);
	for (;;)
	{
		errno = 0;
		const struct dirent *entry = readdir(dir);

		if (entry == NULL && errno != 0)
			return error_errno("could not read directory \"%s\"", path);
		if (entry == NULL)
			return NULL;
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    str_ends_with(entry->d_name, suffix))
			strlist_add(ret_names, entry->d_name);
	}
}

Error *
dir_list(const char *path, StrList *ret_names)
{
	AUTO_STRLIST names = {0};

	TRY(dir_list_ending(path, "", &names));
	strlist_sort(&names);
	for (size_t i = 0; i < names.count; i++)
		strlist_add(ret_names, names.items[i]);
	return NULL;
}

static Error *
remove_below(const char *path, int depth)
{
	AUTO_STRLIST names = {0};

	if (depth == TREE_DEPTH_MAX)
		return error_new(ERR_SYSTEM, "directory \"%s\" is nested too deeply", path);
	TRY(dir_list(path, &names));
	for (size_t i = 0; i < names.count; i++)
	{
		AUTO_FREE char *child = path_join(path, names.items[i]);
		struct stat status;

		if (lstat(child, &status) != 0)
			return error_errno("could not look at \"%s\"", child);
		if (S_ISDIR(status.st_mode))
		{
			TRY(remove_below(child, depth + 1));
			if (rmdir(child) != 0)
				return error_errno("could not remove directory \"%s\"", child);
		}
		else if (unlink(child) != 0 && errno != ENOENT)
			return error_errno("could not remove file \"%s\"", child);
	}
	return NULL;
}

Error *
dir_remove_tree(const char *path, bool keep)
{
	struct stat status;

	if (!keep && lstat(path, &status) == 0 && S_ISLNK(status.st_mode))
		return error_new(ERR_SYSTEM, "\"%s\" is a symbolic link", path);
	TRY(remove_below(path, 0));
	if (!keep && rmdir(path) != 0)
		return error_errno("could not remove directory \"%s\"", path);
	return NULL;
}

Error *
dir_list_above(const char *path, StrList *ret_directories)
{
	AUTO_FREE char *named = path_absolute(path);
	AUTO_FREE char *real = NULL;

	while ((real = realpath(named, NULL)) == NULL)
	{
		char *parent = path_parent(named);

		if ((errno != ENOENT && errno != ENOTDIR) || strcmp(parent, named) == 0)
		{
			free(parent);
			return error_errno("could not look for directory \"%s\"", path);
		}
		free(named);
		named = parent;
	}
	for (;;)
	{
		char *parent = path_parent(real);
		bool is_root = strcmp(real, "/") == 0;

		strlist_add(ret_directories, real);
		free(real);
		real = parent;
		if (is_root)
			return NULL;
	}
}

Error *
dir_holds(const char *directory, const char *path, bool *ret_holds)
{
	AUTO_STRLIST above = {0};
	struct stat wanted;
	struct stat found;

	*ret_holds = false;
	if (stat(directory, &wanted) != 0)
		return NULL;
	TRY(dir_list_above(path, &above));
	for (size_t i = 0; i < above.count && !*ret_holds; i++)
		*ret_holds = stat(above.items[i], &found) == 0 && found.st_dev == wanted.st_dev &&
		             found.st_ino == wanted.st_ino;
	return NULL;
}

char *
path_join(const char *directory, const char *name)
{
	bool bare = directory[0] == '\0' || str_ends_with(directory, "/");

	return mem_printf("%s%s%s", directory, bare ? "" : "/", name);
}

char *
path_parent(const char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	while (length > 0 && path[length - 1] != '/')
		length--;
	while (length > 1 && path[length - 1] == '/')
		length--;
	return length == 0 ? mem_strdup(".") : mem_strndup(path, length);
}

const char *
path_leaf(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

char *
path_absolute(const char *path)
{
	if (path[0] == '/')
		return mem_strdup(path);

	AUTO_FREE char *directory = getcwd(NULL, 0);

	/* Without a working directory (it was removed) nothing relative can be opened either. */
	if (directory == NULL)
		return mem_strdup(path);
	return strcmp(path, ".") == 0 ? MOVE(directory) : path_join(directory, path);
}
