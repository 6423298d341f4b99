/* The directories of a recovery. */
#include "walship/recovery/directories.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walship/base/file.h"
#include "walship/base/json.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"

#define DIRECTORY_MODE 0700

/* Says: everything in here was written by a recovery that has not ended. */
#define MARKER     "walship_recover_unfinished"
#define MARKER_MAX (1024 * 1024)

/* The root of a file system of its own has one; it is not ours, and no one's data. */
#define LOST_AND_FOUND "lost+found"

static char *
marker_path(const RecoverDirectories *directories)
{
	return path_join(directories->pgdata, MARKER);
}

/*
 * Naming pg_control is the last step of a recovery, so beside it the marker
 * means nothing: what is there is whole, and a server may have run in it since.
 */
static bool
has_marker(const RecoverDirectories *directories)
{
	AUTO_FREE char *marker = marker_path(directories);
	AUTO_FREE char *control = path_join(directories->pgdata, "global/pg_control");

	return file_exists(marker) && !file_exists(control);
}

/* A missing directory is empty. */
static Error *
is_empty(const char *path, bool *ret_empty)
{
	AUTO_STRLIST names = {0};
	Error *error = dir_list(path, &names);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = NULL;
	}
	TRY(error);
	*ret_empty = names.count == 0 || (names.count == 1 && strcmp(names.items[0], LOST_AND_FOUND) == 0);
	return NULL;
}

static Error *
check_no_server(const RecoverDirectories *directories)
{
	PostmasterState state;

	TRY(postmaster_look(directories->pgdata, &state));
	if (state == POSTMASTER_RUNNING)
		return error_hint(
			error_new(ERR_EXISTS, "a server is running in directory \"%s\"", directories->pgdata),
			"Stop it first, or recover into another directory with --pgdata.");
	if (state == POSTMASTER_DEAD && !directories->move_aside)
		return error_hint(
			error_new(ERR_EXISTS, "directory \"%s\" belongs to a server: it has a postmaster.pid",
		              directories->pgdata),
			"If that server is down for good, say --move-aside: the directory is renamed and kept.");
	return NULL;
}

static Error *
check_free_or_movable(const RecoverDirectories *directories, const char *path)
{
	bool empty;

	TRY(is_empty(path, &empty));
	if (empty || directories->move_aside)
		return NULL;
	return error_hint(
		error_new(ERR_EXISTS, "directory \"%s\" is not empty", path),
		"Give an empty directory (--pgdata DIR, --tablespace-map OLD=NEW), or say --move-aside: the old one is renamed "
		"and kept.");
}

/* Textually, as everything here: links are the administrator's own affair. */
static bool
is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 && (path[length] == '/' || str_ends_with(directory, "/"));
}

/* What holds another directory could not be cleared or moved aside without it. */
static Error *
check_distinct(const RecoverDirectories *directories)
{
	for (size_t i = 0; i < directories->n_tablespaces; i++)
	{
		const char *path = directories->tablespaces[i];

		if (strcmp(path, directories->pgdata) == 0)
			return error_new(ERR_USAGE, "a tablespace cannot go into the data directory itself, \"%s\"",
			                 path);
		if (is_below(directories->pgdata, path))
			return error_new(ERR_USAGE, "a tablespace cannot go into \"%s\", which holds the data directory",
			                 path);
		for (size_t j = 0; j < directories->n_tablespaces; j++)
		{
			const char *other = directories->tablespaces[j];

			if (j < i && strcmp(path, other) == 0)
				return error_new(ERR_USAGE, "two tablespaces cannot go into one directory, \"%s\"", path);
			if (is_below(other, path))
				return error_new(ERR_USAGE, "a tablespace cannot go into \"%s\", which holds that of another",
				                 path);
		}
	}
	return NULL;
}

/* The tablespaces of an interrupted run, by the marker that it left. */
static Error *
read_marker(const RecoverDirectories *directories, StrList *tablespaces)
{
	AUTO_FREE char *path = marker_path(directories);
	AUTO(Json) marker = NULL;
	AUTO_BUF(text, MARKER_MAX);

	TRY(file_read_all(path, &text));
	TRY(json_parse(text.data, text.size, path, &marker));
	for (const Json *item = json_first(json_get(marker, "tablespaces")); item != NULL; item = json_next(item))
		if (json_string_value(item) != NULL)
			strlist_add(tablespaces, json_string_value(item));
	return NULL;
}

/* What was interrupted may be cleared, but only that: this run's tablespaces can be others. */
Error *
recover_directories_check(const RecoverDirectories *directories)
{
	AUTO_STRLIST leftovers = {0};

	TRY(check_distinct(directories));
	TRY(check_no_server(directories));
	if (has_marker(directories))
		TRY(read_marker(directories, &leftovers));
	else
		TRY(check_free_or_movable(directories, directories->pgdata));
	for (size_t i = 0; i < directories->n_tablespaces; i++)
		if (!strlist_contains(&leftovers, directories->tablespaces[i]))
			TRY(check_free_or_movable(directories, directories->tablespaces[i]));
	return NULL;
}

static Error *
write_marker(const RecoverDirectories *directories)
{
	AUTO_FREE char *path = marker_path(directories);
	AUTO(Json) marker = json_new_object();
	Json *tablespaces = json_add_array(marker, "tablespaces");
	AUTO_BUF(text, MARKER_MAX);

	for (size_t i = 0; i < directories->n_tablespaces; i++)
		json_append_string(tablespaces, directories->tablespaces[i]);
	json_print(marker, false, &text);
	return file_replace(path, text.data, text.size, 0600);
}

/* All but the marker, which goes last, so that an interrupted clearing can go on. */
static Error *
clear(const char *directory)
{
	AUTO_STRLIST names = {0};

	TRY(dir_list(directory, &names));
	for (size_t i = 0; i < names.count; i++)
	{
		AUTO_FREE char *path = path_join(directory, names.items[i]);
		struct stat status;

		if (strcmp(names.items[i], MARKER) == 0 || strcmp(names.items[i], LOST_AND_FOUND) == 0)
			continue;
		if (lstat(path, &status) != 0)
			return error_errno("could not look at \"%s\"", path);
		TRY(S_ISDIR(status.st_mode) ? dir_remove_tree(path, false) : file_remove(path));
	}
	return NULL;
}

static Error *
clear_if_there(const char *directory)
{
	Error *error = clear(directory);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return NULL;
}

static Error *
clear_leftovers(const RecoverDirectories *directories)
{
	AUTO_STRLIST tablespaces = {0};

	TRY(read_marker(directories, &tablespaces));
	for (size_t i = 0; i < tablespaces.count; i++)
		TRY(clear_if_there(tablespaces.items[i]));
	TRY(clear(directories->pgdata));

	AUTO_FREE char *marker = marker_path(directories);

	return file_remove(marker);
}

static Error *
move_aside(RecoverDirectories *directories, const char *path)
{
	AUTO_FREE char *aside = mem_printf("%s%s", path, directories->suffix);
	bool empty;

	TRY(is_empty(path, &empty));
	if (empty)
		return NULL;
	TRY(error_hint(file_rename_durably(path, aside),
	               "A mount point cannot be renamed: recover into a directory below it."));
	strlist_add(&directories->moved, path);
	return NULL;
}

static void
note_missing(const char *path, StrList *missing)
{
	if (file_exists(path))
		return;

	AUTO_FREE char *parent = path_parent(path);

	note_missing(parent, missing);
	strlist_add(missing, path);
}

static Error *
make_directory(RecoverDirectories *directories, const char *path)
{
	note_missing(path, &directories->made);
	TRY(dir_make(path, DIRECTORY_MODE));

	/* It may have been there, empty; the server refuses a data directory that others can read. */
	if (chmod(path, DIRECTORY_MODE) != 0)
		return error_errno("could not set the permissions of directory \"%s\"", path);
	return NULL;
}

/* Is what was opened still what the path names? */
static bool
is_same_directory(int fd, const char *path)
{
	struct stat opened;
	struct stat named;

	return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_dev == named.st_dev &&
	       opened.st_ino == named.st_ino;
}

static void
unlock_data_directory(RecoverDirectories *directories)
{
	if (directories->lock >= 0)
		(void) close(directories->lock);
	directories->lock = -1;
}

static Error *
lock_data_directory(RecoverDirectories *directories)
{
	const char *pgdata = directories->pgdata;

	if (directories->lock >= 0)
		return NULL;
	directories->lock = open(pgdata, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directories->lock < 0)
		return error_errno("could not open directory \"%s\"", pgdata);

	bool locked = flock(directories->lock, LOCK_EX | LOCK_NB) == 0;

	if (locked && is_same_directory(directories->lock, pgdata))
		return NULL;

	Error *error = locked || errno == EWOULDBLOCK
	                   ? error_new(ERR_EXISTS, "another recovery is running in directory \"%s\"", pgdata)
	                   : error_errno("could not lock directory \"%s\"", pgdata);

	unlock_data_directory(directories);
	return error;
}

Error *
recover_directories_prepare(RecoverDirectories *directories)
{
	TRY(recover_directories_check(directories));

	/*
	 * Once more under the lock: the run that held it until a moment ago may
	 * have named pg_control since, and then been killed.  Its marker is still
	 * there, but the directory is complete, and nobody's to clear.
	 */
	if (file_exists(directories->pgdata))
	{
		TRY(lock_data_directory(directories));
		TRY(recover_directories_check(directories));
		if (has_marker(directories))
			TRY(clear_leftovers(directories));
	}
	if (directories->move_aside)
	{
		TRY(move_aside(directories, directories->pgdata));
		for (size_t i = 0; i < directories->n_tablespaces; i++)
			TRY(move_aside(directories, directories->tablespaces[i]));
	}

	/* What was moved took its lock along. */
	if (directories->lock >= 0 && !is_same_directory(directories->lock, directories->pgdata))
		unlock_data_directory(directories);
	TRY(make_directory(directories, directories->pgdata));
	TRY(lock_data_directory(directories));
	TRY(write_marker(directories));
	for (size_t i = 0; i < directories->n_tablespaces; i++)
		TRY(make_directory(directories, directories->tablespaces[i]));
	return NULL;
}

static Error *
remove_last(StrList *made)
{
	char *path = made->items[--made->count];
	Error *error = NULL;

	/* Somebody else's files may have come into it. */
	if (rmdir(path) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
		error = error_errno("could not remove directory \"%s\"", path);
	free(path);
	return error;
}

Error *
recover_directories_undo(RecoverDirectories *directories)
{
	/* Without the lock the marker is another run's. */
	if (directories->lock >= 0 && has_marker(directories))
		TRY(clear_leftovers(directories));
	while (directories->made.count > 0)
		TRY(remove_last(&directories->made));
	while (directories->moved.count > 0)
	{
		const char *path = directories->moved.items[directories->moved.count - 1];
		AUTO_FREE char *aside = mem_printf("%s%s", path, directories->suffix);

		TRY(file_rename_durably(aside, path));
		free(directories->moved.items[--directories->moved.count]);
	}
	return NULL;
}

void
recover_directories_finish(const RecoverDirectories *directories)
{
	AUTO_FREE char *marker = marker_path(directories);

	error_free(file_remove(marker));
}

void
recover_directories_release(RecoverDirectories *directories)
{
	if (directories->lock >= 0)
		(void) close(directories->lock);
	strlist_release(&directories->moved);
	strlist_release(&directories->made);
}
