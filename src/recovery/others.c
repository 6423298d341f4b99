/* A recovery's directories lie in nothing that belongs to others: the store, and other data directories. */
#include <string.h>

#include "steps.h"
#include "walship/base/dir.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

/* What lies in the store would be part of it; with what holds the store it would be moved aside. */
static Error *
check_store(const Recovery *recovery, const char *path)
{
	const char *store = store_directory_path(recovery->store);
	bool within;
	bool around;

	if (store == NULL)
		return NULL;
	TRY(dir_holds(store, path, &within));
	TRY(dir_holds(path, store, &around));
	if (!within && !around)
		return NULL;
	return error_hint(error_new(ERR_USAGE, "directory \"%s\" %s the store, \"%s\"", path,
	                            within ? "lies in" : "holds", store),
	                  "Recover into a directory outside of it.");
}

/* The server there would copy, back up and remove what it finds in its directory. */
static Error *
check_data_directories(const Recovery *recovery, const char *path)
{
	AUTO_FREE char *parent = path_parent(path);
	AUTO_STRLIST above = {0};

	TRY(dir_list_above(parent, &above));
	for (size_t i = 0; i < above.count; i++)
	{
		AUTO_FREE char *control = path_join(above.items[i], "global/pg_control");
		bool own;

		TRY(dir_holds(recovery->pgdata, above.items[i], &own));
		if (own || !file_exists(control))
			continue;
		return error_hint(
			error_new(ERR_USAGE, "directory \"%s\" lies in the data directory \"%s\"", path, above.items[i]),
			"The server there takes for its own what lies in it. Recover into a directory beside it.");
	}
	return NULL;
}

/* What cannot be looked at can hardly be written either: access_check() says why. */
static Error *
check(const Recovery *recovery, const char *path)
{
	Error *error = check_store(recovery, path);

	if (error == NULL)
		error = check_data_directories(recovery, path);
	if (error_is(error, ERR_USAGE))
		return error;
	error_free(error);
	return NULL;
}

Error *
others_check(const Recovery *recovery)
{
	TRY(check(recovery, recovery->pgdata));
	for (size_t i = 0; i < recovery->directories.count; i++)
		TRY(check(recovery, recovery->directories.items[i]));
	return NULL;
}
