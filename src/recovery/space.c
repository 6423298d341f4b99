/* Does a restored backup fit on the file systems that it goes to? */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "steps.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

static uint64_t
size_of_set(const BackupRecord *record, const char *set)
{
	uint64_t size = 0;

	for (size_t i = 0; i < record->n_parts; i++)
		if (strcmp(record->parts[i].set, set) == 0)
			size += record->parts[i].raw_size;
	return size;
}

/* Of the file system on which the directory will be made: that of the nearest one above it that is there. */
static Error *
look_at_file_system(const char *path, dev_t *ret_device, uint64_t *ret_available)
{
	AUTO_STRLIST missing = {0};
	AUTO_FREE char *ancestor = NULL;
	struct stat status;
	struct statvfs space;

	directories_list_missing(path, &missing);
	ancestor = missing.count == 0 ? mem_strdup(path) : path_parent(missing.items[0]);
	if (lstat(ancestor, &status) == 0 && S_ISLNK(status.st_mode) && stat(ancestor, &status) != 0 &&
	    errno == ENOENT)
		return error_hint(error_new(ERR_USAGE, "\"%s\" is a symbolic link to what does not exist", ancestor),
		                  "Make the directory that it leads to, or remove the link.");
	if (stat(ancestor, &status) != 0 || statvfs(ancestor, &space) != 0)
		return error_errno("could not ask for the free space of \"%s\"", ancestor);
	*ret_device = status.st_dev;
	*ret_available = (uint64_t) space.f_bavail * space.f_frsize;
	return NULL;
}

Error *
space_look(Recovery *recovery)
{
	const BackupRecord *record = recovery->plan->backup;
	size_t count = recovery->n_tablespaces + 1;
	AUTO_FREE dev_t *devices = NEW_ARRAY(dev_t, count);
	AUTO_FREE uint64_t *sizes = NEW_ARRAY(uint64_t, count);

	/* Where nothing is restored, nothing needs to fit. */
	if (recovery->pgdata == NULL || recovery->config_only)
		return NULL;
	recovery->spaces = NEW_ARRAY(DiskSpace, count);
	recovery->n_spaces = count;
	for (size_t i = 0; i < count; i++)
	{
		DiskSpace *space = &recovery->spaces[i];
		char set[16] = "base";

		space->path = i == 0 ? recovery->pgdata : recovery->tablespaces[i - 1].path;
		if (i > 0)
			(void) snprintf(set, sizeof(set), "%" PRIu32, recovery->tablespaces[i - 1].oid);
		sizes[i] = size_of_set(record, set);
		if (i == 0 && recovery->plan->uses_backup_wal)
			sizes[i] += size_of_set(record, "wal");
		TRY(look_at_file_system(space->path, &devices[i], &space->available));
	}

	/* What is free counts once for all that goes to one file system.  A record may name a tablespace more than once. */
	for (size_t i = 0; i < count; i++)
	{
		uint64_t *needed = &recovery->spaces[i].needed;

		for (size_t j = 0; j < count; j++)
			if (devices[i] == devices[j])
				*needed = sizes[j] < UINT64_MAX - *needed ? *needed + sizes[j] : UINT64_MAX;
	}
	return NULL;
}

Error *
space_check(const Recovery *recovery)
{
	for (size_t i = 0; i < recovery->n_spaces; i++)
	{
		const DiskSpace *space = &recovery->spaces[i];
		char needed[SIZE_TEXT_SIZE];
		char available[SIZE_TEXT_SIZE];

		if (space->needed > space->available)
			return error_hint(error_new(ERR_SYSTEM,
			                            "not enough space for directory \"%s\": %s needed, %s free",
			                            space->path, size_format(space->needed, needed),
			                            size_format(space->available, available)),
			                  "Make room, or recover elsewhere with --pgdata and --tablespace-map.");
	}
	return NULL;
}
