/* Goes through trees of directories, in the order of files_path_compare(); follows no link. */
#pragma once

#include <stdatomic.h>
#include <sys/stat.h>

#include "walship/base/error.h"
#include "walship/base/strs.h"

/* An open directory: shared by those who look into it, and closed by the last of them. */
typedef struct WalkDirectory
{
	int fd;
	atomic_int users;
} WalkDirectory;

WalkDirectory *walk_directory_share(WalkDirectory *directory);
void walk_directory_release(WalkDirectory *directory);

typedef struct FilesWalk
{
	const StrList *roots; /* absolute; see files_roots() */

	/*
	 * Patterns of fnmatch(3): with a '/' for the whole path, where '*' matches none, otherwise
	 * for the name.  What matches is left out, with all that is below it.
	 */
	const StrList *excludes;
	bool one_file_system; /* of a directory on another one than its root nothing but itself */

	/*
	 * An entry: "leaf" in "directory", or the directory itself with an empty leaf.
	 * The path has no first '/'.  A directory that cannot be opened comes as a leaf.
	 */
	Error *(*entry)(void *context, WalkDirectory *directory, const char *path, const char *leaf);

	/* Of a directory that was an entry already: something of its contents is missing, and why. */
	void (*incomplete)(void *context, const char *path, const char *reason);
	void *context;
} FilesWalk;

/*
 * Directories as they were named, as absolute paths in the order of the walk.  ERR_USAGE: one
 * lies in another, is too long, or is no directory; ERR_NOT_FOUND.
 */
Error *files_roots(const StrList *named, StrList *ret_roots) MUST_CHECK;

Error *files_walk(const FilesWalk *walk) MUST_CHECK;
