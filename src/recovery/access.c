/* May the directories of a recovery be written?  Asked before the work begins, and by a plan. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "steps.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

static Error *
check_writable(const char *directory)
{
	if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0)
		return NULL;
	return error_hint(
		error_errno("could not write in directory \"%s\"", directory),
		"Make a directory for the user that will run the server: install -d -o postgres -m 700 DIR");
}

/* It is renamed, so its parent is written; what another file system is mounted on cannot be. */
static Error *
check_movable(const char *directory)
{
	AUTO_FREE char *parent = path_parent(directory);
	struct stat own;
	struct stat above;

	TRY(check_writable(parent));
	if (stat(directory, &own) != 0 || stat(parent, &above) != 0)
		return error_errno("could not look at directory \"%s\"", directory);
	if (own.st_dev == above.st_dev)
		return NULL;
	return error_hint(error_new(ERR_SYSTEM, "could not rename \"%s\": it is a mount point", directory),
	                  "Recover into a directory below it.");
}

/* The server wants it to be its user's, with nobody else let in. */
static Error *
check_kept(const char *directory)
{
	struct stat status;

	if (stat(directory, &status) != 0)
		return error_errno("could not look at directory \"%s\"", directory);
	if (status.st_uid != geteuid() && geteuid() != 0)
		return error_hint(error_new(ERR_DENIED, "directory \"%s\" belongs to another user", directory),
		                  "Give it to the user that will run the server: chown postgres DIR");
	return check_writable(directory);
}

static Error *
check_directory(const Recovery *recovery, const char *path)
{
	AUTO_STRLIST missing = {0};
	AUTO_STRLIST names = {0};

	directories_list_missing(path, &missing);
	if (missing.count > 0)
	{
		AUTO_FREE char *ancestor = path_parent(missing.items[0]);

		return check_writable(ancestor);
	}
	if (!recovery->move_aside)
		return check_kept(path);
	TRY(dir_list(path, &names));
	return names.count > 0 ? check_movable(path) : check_kept(path);
}

Error *
access_check(const Recovery *recovery)
{
	TRY(check_directory(recovery, recovery->pgdata));
	for (size_t i = 0; i < recovery->n_tablespaces && !recovery->config_only; i++)
		TRY(check_directory(recovery, recovery->tablespaces[i].path));
	return NULL;
}
