/*
 * Members of a part become files.  Nothing but what the manifest lists is
 * written, with its size and checksum, and nothing outside the directory: a
 * part comes from a store that may be anybody's.
 */
#include "restore_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walship/base/crc32c.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/wal/name.h"

#define FILE_MODE      0600
#define DIRECTORY_MODE 0700

/* What of the mode in a part counts: the group may read, of a cluster made with "initdb -g" (PostgreSQL: file_perm.h). */
#define GROUP_MODE 0050

#define CONTROL_FILE "global/pg_control"

#define HISTORY_MAX (1024u * 1024) /* bytes */

void
restore_files_init(RestoreFiles *files, RestoreShared *shared, const RestoreRoot *root)
{
	*files = (RestoreFiles){.shared = shared, .root = root, .fd = -1};
}

void
restore_files_release(RestoreFiles *files)
{
	if (files->fd >= 0)
		(void) close(files->fd);
	free(files->path);
	strlist_release(&files->made);
	free(files->numbers);
}

Error *
restore_files_undo(RestoreFiles *files)
{
	const RestoreRoot *root = files->root;

	for (size_t i = 0; i < files->made.count; i++)
		if (unlinkat(root->fd, files->made.items[i], 0) != 0 && errno != ENOENT)
			return error_errno("could not remove file \"%s/%s\"", root->path, files->made.items[i]);
	for (size_t i = 0; i < files->n_numbers; i++)
		atomic_store(&files->shared->seen[files->numbers[i]], false);
	return NULL;
}

/* Exactly this one, whatever the umask. */
static Error *
make_directory(const RestoreRoot *root, const char *name, mode_t mode)
{
	if ((mkdirat(root->fd, name, mode) != 0 && errno != EEXIST) || fchmodat(root->fd, name, mode, 0) != 0)
		return error_errno("could not create directory \"%s/%s\"", root->path, name);
	return NULL;
}

/* Makes the directories above "name"; their own entries, which say their mode, come later. */
static Error *
make_parents(const RestoreRoot *root, const char *name)
{
	AUTO_FREE char *path = mem_strdup(name);

	for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
	{
		*slash = '\0';
		if (path[0] != '\0' && mkdirat(root->fd, path, DIRECTORY_MODE) != 0 && errno != EEXIST)
			return error_errno("could not create directory \"%s/%s\"", root->path, path);
		*slash = '/';
	}
	return NULL;
}

/* Parts are restored in parallel, so a file may come before its directory's own entry. */
static Error *
create_file(RestoreFiles *files, const char *name, mode_t mode)
{
	const RestoreRoot *root = files->root;
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	if (root->path == NULL)
		return NULL;

	int fd = openat(root->fd, name, flags, FILE_MODE);

	if (fd < 0 && errno == ENOENT)
	{
		TRY(make_parents(root, name));
		fd = openat(root->fd, name, flags, FILE_MODE);
	}
	if (fd < 0)
		return error_errno("could not create file \"%s/%s\"", root->path, name);
	files->fd = fd;
	strlist_add(&files->made, name);
	if (mode != FILE_MODE && fchmod(fd, mode) != 0)
		return error_errno("could not set the permissions of file \"%s/%s\"", root->path, name);
	return NULL;
}

/* Only files of WAL belong into pg_wal. */
static Error *
begin_wal_file(RestoreFiles *files, const char *name, uint64_t size, mode_t mode)
{
	WalName parsed;
	AUTO(Error) error = wal_name_parse(name, &parsed);
	uint32_t segment_size = files->shared->options->record->segment_size;

	if (error != NULL || (parsed.kind != WAL_SEGMENT && parsed.kind != WAL_HISTORY))
		return error_new(ERR_CORRUPT, "\"%s\" is no WAL file", name);
	if (parsed.kind == WAL_SEGMENT ? size != segment_size : size > HISTORY_MAX)
		return error_new(ERR_CORRUPT, "WAL file \"%s\" cannot have %" PRIu64 " bytes", name, size);
	files->path = mem_strdup(name);
	files->number = SIZE_MAX;
	return create_file(files, name, mode);
}

/* Before a byte is written: what the manifest does not allow shall not fill the disk first. */
static Error *
begin_data_file(RestoreFiles *files, const char *name, uint64_t size, mode_t mode)
{
	const RestoreOptions *options = files->shared->options;

	files->path = mem_printf("%s%s", files->root->manifest_prefix, name);
	files->number = manifest_index_of(files->shared->manifest, files->path);
	if (files->number == SIZE_MAX)
		return error_new(ERR_CORRUPT, "file \"%s\" is not in the manifest", files->path);

	/* As a plain file below pg_tblspc it would pass for the one that is missing behind the link there. */
	for (size_t i = 0; i < options->n_tablespaces; i++)
	{
		char prefix[32];

		(void) snprintf(prefix, sizeof(prefix), "pg_tblspc/%" PRIu32 "/", options->tablespaces[i].oid);
		if (str_starts_with(name, prefix))
			return error_new(ERR_CORRUPT, "file \"%s\" belongs into a tablespace", name);
	}
	if (atomic_exchange(&files->shared->seen[files->number], true))
		return error_new(ERR_CORRUPT, "file \"%s\" is there twice", files->path);
	GROW(files->numbers, files->n_numbers, files->numbers_capacity);
	files->numbers[files->n_numbers++] = files->number;

	ManifestFile expected = manifest_nth(files->shared->manifest, files->number);

	if (size != expected.size)
		return error_new(ERR_CORRUPT, "file \"%s\" has %" PRIu64 " bytes instead of %" PRIu64, files->path,
		                 size, expected.size);

	bool control = strcmp(files->path, CONTROL_FILE) == 0;

	if (control && mode != FILE_MODE)
		atomic_store(&files->shared->group_access, true);
	return create_file(files, control ? RESTORE_CONTROL_WAITING : name, mode);
}

static Error *
files_begin(void *context, const TarEntry *entry)
{
	RestoreFiles *files = context;
	const char *name = entry->name;
	mode_t group = entry->mode & GROUP_MODE;
	mode_t mode = FILE_MODE | (group & ~(mode_t) 0111);

	free(files->path);
	files->path = NULL;
	if (entry->type == TAR_SYMLINK)
		return error_new(ERR_CORRUPT, "symbolic link \"%s\" has no place in a backup", name);
	if (entry->type == TAR_DIRECTORY)
	{
		if (files->root->path == NULL)
			return NULL;
		TRY(make_parents(files->root, name));
		return make_directory(files->root, name, DIRECTORY_MODE | group);
	}

	files->crc32c = 0;
	files->size = files->written_back = 0;
	return files->root->manifest_prefix == NULL ? begin_wal_file(files, name, entry->size, mode)
	                                            : begin_data_file(files, name, entry->size, mode);
}

/* The disk works while the rest is decoded, and the sync at the end has little left to wait for. */
#define WRITE_BACK_STEP (8u * 1024 * 1024)

static Error *
files_data(void *context, const void *data, size_t size)
{
	RestoreFiles *files = context;

	files->crc32c = crc32c(files->crc32c, data, size);
	files->size += size;
	if (files->shared->options->on_bytes != NULL)
		files->shared->options->on_bytes(files->shared->options->on_bytes_context, size);
	if (files->fd < 0)
		return NULL;
	TRY(file_write(files->fd, files->path, data, size));

	/* Only sooner than by itself: whether it succeeds is the sync's to say. */
	uint64_t waiting = files->size - files->written_back;

	if (waiting >= WRITE_BACK_STEP)
	{
		(void) sync_file_range(files->fd, (off_t) files->written_back, (off_t) waiting,
		                       SYNC_FILE_RANGE_WRITE);
		files->written_back = files->size;
	}
	return NULL;
}

static Error *
files_end(void *context)
{
	RestoreFiles *files = context;

	if (files->path == NULL)
		return NULL;
	if (files->number != SIZE_MAX)
	{
		ManifestFile expected = manifest_nth(files->shared->manifest, files->number);

		if (files->crc32c != expected.crc32c)
			return error_new(ERR_CORRUPT, "file \"%s\" fails its checksum", files->path);
	}
	return files->fd < 0 ? NULL : file_close(&files->fd, files->path);
}

const TarHandler restore_files_handler = {.begin = files_begin, .data = files_data, .end = files_end};
