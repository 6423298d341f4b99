/* The directories of a recovery. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "steps.h"
#include "walship/base/file.h"
#include "walship/base/json_fields.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"

#define DIRECTORY_MODE 0700
#define OWNER_HINT     "It must belong to the user who runs this: install -d -o postgres -m 700 DIRECTORY."

/* Says: everything in here was written by a recovery that has not ended. */
#define MARKER     "walship_recover_unfinished"
#define MARKER_MAX (1024 * 1024)

/* The root of a file system of its own has one; it is not ours, and no one's data. */
#define LOST_AND_FOUND "lost+found"

/*
 * Naming pg_control is the last step of a recovery, so beside it the marker
 * means nothing: what is there is whole, and a server may have run in it since.
 */
static bool
has_marker(const Recovery *recovery)
{
	AUTO_FREE char *marker = path_join(recovery->pgdata, MARKER);
	AUTO_FREE char *control = path_join(recovery->pgdata, "global/pg_control");

	return file_exists(marker) && !file_exists(control);
}

/* The marker: {"tablespaces": [...]}, exact also where a path is not UTF-8. */
static const JsonField marker_fields[] = {
	{"tablespaces", &json_list, JSON_AT(StrList, items), .of = &json_paths,
     .count = offsetof(StrList, count)},
};
static const JsonTable marker_table = JSON_TABLE(StrList, marker_fields);

/* The tablespaces of an interrupted run are what its marker says: this run's can be others. */
static Error *
read_marker(const Recovery *recovery, StrList *tablespaces)
{
	AUTO_FREE char *path = path_join(recovery->pgdata, MARKER);
	AUTO(Json) marker = NULL;
	AUTO_BUF(text, MARKER_MAX);

	TRY(file_read_all(path, &text));
	TRY(json_parse(text.data, text.size, path, &marker));
	return error_context(json_take(marker, &marker_table, tablespaces), "\"%s\"", path);
}

static Error *
write_marker(const Recovery *recovery)
{
	AUTO_FREE char *path = path_join(recovery->pgdata, MARKER);
	AUTO(Json) marker = json_new_object();
	AUTO_BUF(text, MARKER_MAX);

	json_put(marker, &marker_table, &recovery->directories);
	json_print(marker, false, &text);
	return file_replace(path, text.data, text.size, 0600);
}

static Error *
check_free_or_movable(const Recovery *recovery, const char *path)
{
	bool empty;

	TRY(tablespace_directory_is_empty(path, &empty));
	if (empty || recovery->move_aside)
		return NULL;
	return error_hint(
		error_new(ERR_EXISTS, "directory \"%s\" is not empty", path),
		"Give an empty directory (--pgdata DIR, --tablespace-map OLD=NEW), or say --move-aside: the old one is renamed "
		"and kept.");
}

/*
 * Of a tablespace only the data directory that goes aside with it says whose it
 * is.  A stale copy of that says so, too, while the server runs elsewhere.
 */
static Error *
check_tablespace(const Recovery *recovery, const char *path)
{
	AUTO_FREE char *other = NULL;
	bool empty;
	bool linked;

	TRY(check_free_or_movable(recovery, path));
	TRY(tablespace_directory_is_empty(path, &empty));
	if (empty)
		return NULL;
	TRY(pgdata_has_tablespace(recovery->pgdata, path, &linked));
	if (linked)
		TRY(postmaster_find_by_tablespace(path, &other));
	if (linked && other == NULL)
		return NULL;
	return error_hint(
		other != NULL
			? error_new(ERR_EXISTS, "a server runs in \"%s\" and has a tablespace in \"%s\"", other, path)
			: error_new(
				  ERR_EXISTS,
				  "tablespace directory \"%s\" is not empty, and data directory \"%s\" has no link to it",
				  path, recovery->pgdata),
		"It may be another server's, and is not moved aside. Put the tablespace elsewhere: --tablespace-map OLD=NEW.");
}

static Error *
check_no_server(const Recovery *recovery)
{
	const char *pgdata = recovery->pgdata;
	PostmasterState state;

	TRY(postmaster_look(pgdata, &state));
	if (state == POSTMASTER_RUNNING)
		return error_hint(error_new(ERR_EXISTS, "a server is running in directory \"%s\"", pgdata),
		                  "Stop it first, or recover into another directory with --pgdata.");
	if (state == POSTMASTER_DEAD && !recovery->move_aside)
		return error_hint(
			error_new(ERR_EXISTS, "directory \"%s\" belongs to a server: it has a postmaster.pid", pgdata),
			"If that server is down for good, say --move-aside: the directory is renamed and kept.");
	return NULL;
}

bool
path_is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 && (path[length] == '/' || str_ends_with(directory, "/"));
}

/* What holds another directory could not be cleared or moved aside without it. */
static Error *
check_distinct(const Recovery *recovery)
{
	const StrList *directories = &recovery->directories;

	for (size_t i = 0; i < recovery->n_tablespaces; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(recovery->tablespaces[i].path, recovery->tablespaces[j].path) == 0)
				return error_new(ERR_USAGE, "two tablespaces cannot go into one directory, \"%s\"",
				                 recovery->tablespaces[i].path);
	for (size_t i = 0; i < directories->count; i++)
	{
		const char *path = directories->items[i];
		const char *what = str_equal(path, recovery->waldir) ? "the WAL" : "a tablespace";

		if (strcmp(path, recovery->pgdata) == 0)
			return error_new(ERR_USAGE, "%s cannot go into the data directory itself, \"%s\"", what, path);
		if (path_is_below(recovery->pgdata, path))
			return error_new(ERR_USAGE, "%s cannot go into \"%s\", which holds the data directory", what,
			                 path);
		for (size_t j = 0; j < directories->count; j++)
			if (path_is_below(directories->items[j], path))
				return error_new(ERR_USAGE, "%s cannot go into \"%s\", which holds that of another", what,
				                 path);
	}
	return NULL;
}

static Error *
list_archive_status(const char *pgdata, const char *ending, StrList *ret_names)
{
	AUTO_FREE char *directory = path_join(pgdata, "pg_wal/archive_status");
	Error *error = dir_list_ending(directory, ending, ret_names);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return NULL;
}

/*
 * By the setting that no file outside the directory can overrule, else by what
 * the archiver left: on Debian postgresql.conf lies elsewhere.
 */
static Error *
was_archiving(const char *pgdata, bool *ret_was)
{
	AUTO_FREE char *mode = NULL;
	AUTO_STRLIST status = {0};

	TRY(settings_file_find(pgdata, "postgresql.auto.conf", "archive_mode", &mode));
	if (mode == NULL)
	{
		TRY(list_archive_status(pgdata, ".done", &status));
		TRY(list_archive_status(pgdata, ".ready", &status));
	}
	*ret_was = mode != NULL ? strcmp(mode, "on") == 0 || strcmp(mode, "always") == 0 : status.count > 0;
	return NULL;
}

/* Whoever forgot --rejoin would have a production server that is read-only at first, and then not archived. */
static Error *
check_not_production(const Recovery *recovery)
{
	bool archiving;

	if (recovery->request.purpose != PURPOSE_COPY || !recovery->move_aside || recovery->yes)
		return NULL;
	TRY(was_archiving(recovery->pgdata, &archiving));
	if (!archiving)
		return NULL;
	return error_hint(
		error_new(ERR_EXISTS,
	              "directory \"%s\" belongs to a server that archived, and a copy in its place would not",
	              recovery->pgdata),
		"To replace that server, say --rejoin. For a copy to look at, give another directory with --pgdata. If "
		"the copy is to lie there, say --yes, too.");
}

Error *
directories_check(const Recovery *recovery)
{
	AUTO_STRLIST leftovers = {0};

	TRY(check_distinct(recovery));
	TRY(check_no_server(recovery));
	TRY(check_not_production(recovery));

	/* What was interrupted may be cleared, but only that. */
	if (has_marker(recovery))
		TRY(read_marker(recovery, &leftovers));
	else
		TRY(check_free_or_movable(recovery, recovery->pgdata));
	for (size_t i = 0; i < recovery->directories.count; i++)
	{
		const char *path = recovery->directories.items[i];

		if (!strlist_contains(&leftovers, path))
			TRY(str_equal(path, recovery->waldir) ? wal_directory_check(recovery)
			                                      : check_tablespace(recovery, path));
	}
	return NULL;
}

/* All but the marker, which goes last, so that an interrupted clearing can go on.  Nothing to do in a missing one. */
static Error *
clear(const char *directory)
{
	AUTO_STRLIST names = {0};
	Error *error = dir_list(directory, &names);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = NULL;
	}
	TRY(error);
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
clear_leftovers(const Recovery *recovery)
{
	AUTO_FREE char *marker = path_join(recovery->pgdata, MARKER);
	AUTO_STRLIST tablespaces = {0};

	TRY(read_marker(recovery, &tablespaces));
	for (size_t i = 0; i < tablespaces.count; i++)
		TRY(clear(tablespaces.items[i]));
	TRY(clear(recovery->pgdata));
	return file_remove(marker);
}

/* Is what was locked still what the path names? */
static bool
lock_fits(const Recovery *recovery)
{
	struct stat opened;
	struct stat named;

	return fstat(recovery->lock, &opened) == 0 && stat(recovery->pgdata, &named) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

void
directories_unlock(Recovery *recovery)
{
	if (recovery->locked)
		(void) close(recovery->lock);
	recovery->locked = false;
}

static Error *
lock_data_directory(Recovery *recovery)
{
	const char *pgdata = recovery->pgdata;

	if (recovery->locked)
		return NULL;
	recovery->lock = open(pgdata, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (recovery->lock < 0)
		return error_errno("could not open directory \"%s\"", pgdata);

	bool locked = flock(recovery->lock, LOCK_EX | LOCK_NB) == 0;

	if (locked && lock_fits(recovery))
	{
		recovery->locked = true;
		return NULL;
	}

	Error *error = locked || errno == EWOULDBLOCK
	                   ? error_new(ERR_EXISTS, "another recovery is running in directory \"%s\"", pgdata)
	                   : error_errno("could not lock directory \"%s\"", pgdata);

	(void) close(recovery->lock);
	return error;
}

static Error *
move_aside(Recovery *recovery, const char *path)
{
	AUTO_FREE char *aside = mem_printf("%s%s", path, recovery->suffix);
	bool empty;

	TRY(tablespace_directory_is_empty(path, &empty));
	if (empty)
		return NULL;
	TRY(error_hint(file_rename_durably(path, aside),
	               "A mount point cannot be renamed: recover into a directory below it."));
	strlist_add(&recovery->moved, path);
	return NULL;
}

void
directories_list_missing(const char *path, StrList *missing)
{
	if (file_exists(path))
		return;

	AUTO_FREE char *parent = path_parent(path);

	directories_list_missing(parent, missing);
	strlist_add(missing, path);
}

static Error *
make_directory(Recovery *recovery, const char *path)
{
	directories_list_missing(path, &recovery->made);
	TRY(error_hint(dir_make(path, DIRECTORY_MODE), OWNER_HINT));

	/* It may have been there, empty; the server refuses a data directory that others can read. */
	if (chmod(path, DIRECTORY_MODE) != 0)
		return error_hint(error_errno("could not set the permissions of directory \"%s\"", path), OWNER_HINT);
	return NULL;
}

Error *
directories_prepare(Recovery *recovery)
{
	TRY(directories_check(recovery));

	/*
	 * Once more under the lock: the run that held it until a moment ago may
	 * have named pg_control since, and then been killed.  Its marker is still
	 * there, but the directory is complete, and nobody's to clear.
	 */
	if (file_exists(recovery->pgdata))
	{
		TRY(lock_data_directory(recovery));
		TRY(directories_check(recovery));
		if (has_marker(recovery))
			TRY(clear_leftovers(recovery));
	}
	if (recovery->move_aside)
	{
		TRY(move_aside(recovery, recovery->pgdata));
		for (size_t i = 0; i < recovery->directories.count; i++)
			TRY(move_aside(recovery, recovery->directories.items[i]));
	}

	/* What was moved took its lock along. */
	if (recovery->locked && !lock_fits(recovery))
		directories_unlock(recovery);
	TRY(make_directory(recovery, recovery->pgdata));
	TRY(lock_data_directory(recovery));
	TRY(write_marker(recovery));
	for (size_t i = 0; i < recovery->directories.count; i++)
		TRY(make_directory(recovery, recovery->directories.items[i]));
	for (size_t i = 0; i < recovery->n_tablespaces; i++)
		if (recovery->tablespaces[i].in_place)
			TRY(dir_make(recovery->tablespaces[i].path, DIRECTORY_MODE));
	return NULL;
}

Error *
directories_undo(Recovery *recovery)
{
	StrList *made = &recovery->made;
	StrList *moved = &recovery->moved;

	/* Without the lock the marker is another run's. */
	if (recovery->locked && has_marker(recovery))
		TRY(clear_leftovers(recovery));

	/* Children before parents; somebody else's files may have come into one, which then stays. */
	for (; made->count > 0; free(made->items[--made->count]))
	{
		const char *path = made->items[made->count - 1];

		if (rmdir(path) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
			return error_errno("could not remove directory \"%s\"", path);
	}
	for (; moved->count > 0; free(moved->items[--moved->count]))
	{
		const char *path = moved->items[moved->count - 1];
		AUTO_FREE char *aside = mem_printf("%s%s", path, recovery->suffix);

		TRY(file_rename_durably(aside, path));
	}
	return NULL;
}

void
directories_finish(const Recovery *recovery)
{
	AUTO_FREE char *marker = path_join(recovery->pgdata, MARKER);

	error_free(file_remove(marker));
}
