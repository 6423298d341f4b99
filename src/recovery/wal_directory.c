/* pg_wal elsewhere, on a disk of its own: a link in the data directory, as initdb --waldir makes it. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "steps.h"
#include "walship/base/dir.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/wal/name.h"

#define PG_WAL "pg_wal"

/* It is one of the recovery's directories from here on: made, marked, cleared and undone like those of tablespaces. */
Error *
wal_directory_add(Recovery *recovery)
{
	const char *path = recovery->waldir;

	if (path == NULL)
		return NULL;
	if (recovery->pgdata != NULL && path_is_below(path, recovery->pgdata))
		return error_new(ERR_USAGE, "the WAL directory \"%s\" lies in the data directory", path);
	if (strlist_contains(&recovery->directories, path))
		return error_new(ERR_USAGE, "the WAL cannot go into \"%s\", where a tablespace goes", path);
	strlist_add(&recovery->directories, path);
	return NULL;
}

static bool
is_link_to(const char *link, const char *path)
{
	struct stat itself;
	struct stat target;
	struct stat other;

	return lstat(link, &itself) == 0 && S_ISLNK(itself.st_mode) && stat(link, &target) == 0 &&
	       stat(path, &other) == 0 && target.st_dev == other.st_dev && target.st_ino == other.st_ino;
}

/* What is there may go aside only together with the data directory whose WAL it is. */
Error *
wal_directory_check(const Recovery *recovery)
{
	AUTO_FREE char *link = path_join(recovery->pgdata, PG_WAL);
	bool empty;

	TRY(tablespace_directory_is_empty(recovery->waldir, &empty));
	if (empty || (recovery->move_aside && is_link_to(link, recovery->waldir)))
		return NULL;
	return error_hint(
		error_new(ERR_EXISTS, "WAL directory \"%s\" is not empty", recovery->waldir),
		"It may be another server's. Give an empty one with --waldir; with --move-aside it may be that "
		"of the data directory that is moved aside.");
}

Error *
wal_directory_link(const Recovery *recovery)
{
	AUTO_FREE char *link = path_join(recovery->pgdata, PG_WAL);

	if (recovery->waldir != NULL && symlink(recovery->waldir, link) != 0)
		return error_errno("could not create link \"%s\"", link);
	return NULL;
}

static bool
is_servers(const char *name)
{
	static const char *const others[] = {"archive_status", "summaries", "RECOVERYXLOG", "RECOVERYHISTORY"};
	WalName wal;
	Error *error = wal_name_parse(name, &wal);
	bool known = error == NULL || str_starts_with(name, "xlogtemp.");

	error_free(error);
	for (size_t i = 0; i < lengthof(others) && !known; i++)
		known = strcmp(name, others[i]) == 0;
	return known;
}

Error *
wal_directory_clear(const char *pgdata)
{
	AUTO_FREE char *link = path_join(pgdata, PG_WAL);
	AUTO_STRLIST names = {0};
	struct stat status;

	if (lstat(link, &status) != 0 || !S_ISLNK(status.st_mode) || stat(link, &status) != 0)
		return NULL;
	TRY(dir_list(link, &names));
	for (size_t i = 0; i < names.count; i++)
	{
		AUTO_FREE char *path = path_join(link, names.items[i]);

		if (!is_servers(names.items[i]))
			continue;
		if (lstat(path, &status) != 0)
			return error_errno("could not look at \"%s\"", path);
		TRY(S_ISDIR(status.st_mode) ? dir_remove_tree(path, false) : file_remove(path));
	}
	return NULL;
}
