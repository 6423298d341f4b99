/* Does a restored backup fit on the file systems that it goes to? */
#include "walship/recovery/space.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

/* A directory to be made, and what goes into it. */
typedef struct Place
{
	const char *path;
	char *ancestor; /* the nearest one that is there: of the same file system */
	uint64_t size;
} Place;

static char *
existing_ancestor(const char *path)
{
	char *ancestor = mem_strdup(path);

	while (!file_exists(ancestor) && strcmp(ancestor, "/") != 0)
	{
		char *parent = path_parent(ancestor);

		free(ancestor);
		ancestor = parent;
	}
	return ancestor;
}

static uint64_t
size_of_set(const BackupRecord *record, const char *set)
{
	uint64_t size = 0;

	for (size_t i = 0; i < record->n_parts; i++)
		if (strcmp(record->parts[i].set, set) == 0)
			size += record->parts[i].raw_size;
	return size;
}

static bool
same_file_system(const char *a, const char *b)
{
	struct stat status_a;
	struct stat status_b;

	return stat(a, &status_a) == 0 && stat(b, &status_b) == 0 && status_a.st_dev == status_b.st_dev;
}

static Error *
look_at(const Place *places, size_t n_places, const Place *place, DiskSpace *ret_space)
{
	struct statvfs status;

	if (statvfs(place->ancestor, &status) != 0)
		return error_errno("could not ask for the free space of \"%s\"", place->ancestor);
	*ret_space = (DiskSpace){.path = place->path, .available = (uint64_t) status.f_bavail * status.f_frsize};
	for (size_t i = 0; i < n_places; i++)
		if (same_file_system(places[i].ancestor, place->ancestor))
			ret_space->needed += places[i].size;
	return NULL;
}

Error *
recover_space_look(const BackupRecord *record, const char *pgdata, bool with_wal,
                   const RestoreTablespace *tablespaces, size_t n_tablespaces, DiskSpace *ret_spaces)
{
	AUTO_FREE Place *places = NEW_ARRAY(Place, n_tablespaces + 1);
	Error *error = NULL;

	places[0] = (Place){pgdata, existing_ancestor(pgdata), size_of_set(record, "base")};
	if (with_wal)
		places[0].size += size_of_set(record, "wal");
	for (size_t i = 0; i < n_tablespaces; i++)
	{
		AUTO_FREE char *set = mem_printf("%" PRIu32, tablespaces[i].oid);
		const char *path = tablespaces[i].path;

		places[i + 1] = (Place){path, existing_ancestor(path), size_of_set(record, set)};
	}
	for (size_t i = 0; i <= n_tablespaces && error == NULL; i++)
		error = look_at(places, n_tablespaces + 1, &places[i], &ret_spaces[i]);
	for (size_t i = 0; i <= n_tablespaces; i++)
		free(places[i].ancestor);
	return error;
}

Error *
recover_space_check(const DiskSpace *spaces, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		char needed[SIZE_TEXT_SIZE];
		char available[SIZE_TEXT_SIZE];

		if (spaces[i].needed <= spaces[i].available)
			continue;
		return error_hint(error_new(ERR_SYSTEM, "not enough space for directory \"%s\": %s needed, %s free",
		                            spaces[i].path, size_format(spaces[i].needed, needed),
		                            size_format(spaces[i].available, available)),
		                  "Make room, or recover elsewhere with --pgdata and --tablespace-map.");
	}
	return NULL;
}
