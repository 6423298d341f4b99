/* Brings a base backup back; see walship/backup/restore.h. */
#include "walship/backup/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "restore_run.h"
#include "walship/archive/layout.h"
#include "walship/archive/readable.h"
#include "walship/base/cancel.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

static Error *
read_manifest_once(const Restore *restore, Manifest *manifest)
{
	const BackupRecord *record = restore->options->record;
	Digest stored = {.size = record->manifest_stored_size};
	AUTO(Pipe) pipe = pipe_new();

	memcpy(stored.sha256, record->manifest_sha256, SHA256_SIZE);
	pipe_add(pipe, verify_stage_new(&stored, record->manifest_name));
	restore_add_decoders(
		restore, pipe, (ChunkedStream){.raw_size = record->manifest_raw_size, .what = record->manifest_name});
	pipe_add(pipe, manifest_sink_new(manifest, record->files));
	return restore_get_object(restore, record->manifest_name, pipe);
}

static Error *
read_manifest(const Restore *restore, Manifest **ret_manifest)
{
	const BackupRecord *record = restore->options->record;
	AUTO(Manifest) manifest = manifest_new();
	Error *error = read_manifest_once(restore, manifest);
	int reads = 0;

	if (restore_is_better_elsewhere(restore, record->manifest_name, error, &reads))
	{
		error_free(error);
		manifest_free(manifest);
		manifest = manifest_new();
		error = read_manifest_once(restore, manifest);
	}
	TRY(error);

	/* By the record the user was told how much there is, and whether it fits on the disk. */
	if (manifest_count(manifest) != record->files || manifest_total_size(manifest) != record->files_size)
		return error_new(ERR_CORRUPT,
		                 "manifest of backup \"%s\" has %zu files with %" PRIu64
		                 " bytes, but its record says %" PRIu64 " with %" PRIu64,
		                 record->id, manifest_count(manifest), manifest_total_size(manifest), record->files,
		                 record->files_size);
	*ret_manifest = MOVE(manifest);
	return NULL;
}

static Error *
open_root(RestoreRoot *root, const char *set, const char *path, char *manifest_prefix)
{
	*root = (RestoreRoot){.set = set, .path = path, .fd = -1, .manifest_prefix = manifest_prefix};
	if (path == NULL)
		return NULL;
	root->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root->fd < 0)
		return error_errno("could not open directory \"%s\"", path);
	return NULL;
}

/* The set's name lives in the record's parts; a tablespace without parts has nothing to restore. */
static const char *
set_of_tablespace(const BackupRecord *record, uint32_t oid)
{
	char text[16];

	(void) snprintf(text, sizeof(text), "%" PRIu32, oid);
	for (size_t i = 0; i < record->n_parts; i++)
		if (strcmp(record->parts[i].set, text) == 0)
			return record->parts[i].set;
	return NULL;
}

static Error *
open_roots(Restore *restore, const char *wal_directory)
{
	const RestoreOptions *options = restore->options;

	restore->roots = NEW_ARRAY(RestoreRoot, options->n_tablespaces + 2);
	TRY(open_root(&restore->roots[restore->n_roots++], "base", options->pgdata, mem_strdup("")));
	TRY(open_root(&restore->roots[restore->n_roots++], RESTORE_SET_WAL, wal_directory, NULL));
	for (size_t i = 0; i < options->n_tablespaces; i++)
	{
		const RestoreTablespace *tablespace = &options->tablespaces[i];
		const char *set = set_of_tablespace(options->record, tablespace->oid);

		if (set != NULL)
			TRY(open_root(&restore->roots[restore->n_roots++], set, tablespace->path,
			              mem_printf("pg_tblspc/%" PRIu32 "/", tablespace->oid)));
	}
	return NULL;
}

static Error *
check_all_seen(const Restore *restore)
{
	const Manifest *manifest = restore->shared.manifest;
	size_t missing = 0;
	size_t first = 0;

	if (restore->options->wanted != NULL || atomic_load(&restore->shared.faulty))
		return NULL;
	for (size_t i = manifest_count(manifest); i-- > 0;)
	{
		if (atomic_load(&restore->shared.seen[i]))
			continue;
		missing++;
		first = i;
	}
	if (missing == 0)
		return NULL;
	return error_new(ERR_CORRUPT, "backup \"%s\" lacks %zu files of its manifest, among them \"%s\"",
	                 restore->options->record->id, missing, manifest_nth(manifest, first).path);
}

/*
 * The server gives what it makes itself the mode of its data directory
 * (PostgreSQL: miscinit.c, checkDataDir).  The directories themselves, and WAL, have
 * no entry of their own in a part, or one of ours.
 */
static Error *
grant_group_access(const Restore *restore)
{
	for (size_t i = 0; i < restore->n_roots && atomic_load(&restore->shared.group_access); i++)
	{
		const RestoreRoot *root = &restore->roots[i];
		AUTO_STRLIST names = {0};
		uint32_t timeline;

		if (root->fd < 0)
			continue;
		if (fchmod(root->fd, 0750) != 0)
			return error_errno("could not set the permissions of directory \"%s\"", root->path);
		if (root->manifest_prefix == NULL)
			TRY(dir_list(root->path, &names));
		for (size_t j = 0; j < names.count; j++)
			if (str_hex_field(names.items[j], 8, &timeline) &&
			    fchmodat(root->fd, names.items[j], 0640, 0) != 0)
				return error_errno("could not set the permissions of file \"%s/%s\"", root->path,
				                   names.items[j]);
	}
	return NULL;
}

static Error *
restore_everything(Restore *restore)
{
	const RestoreOptions *options = restore->options;
	AUTO_FREE char *wal_directory = options->pgdata == NULL ? NULL : path_join(options->pgdata, "pg_wal");
	AUTO_FREE atomic_bool *seen = NULL;
	AUTO(Manifest) manifest = NULL;

	if (!codec_from_name(options->record->codec, &restore->codec))
		return error_hint(error_new(ERR_CORRUPT, "codec \"%s\" of backup \"%s\" is not known",
		                            options->record->codec, options->record->id),
		                  "A newer walship may have written it.");
	TRY(restore_check_keys(options->store, options->record, options->identities));

	Error *error = read_manifest(restore, &manifest);

	if (error != NULL)
		return restore_judge(restore, options->record->manifest_name, error);
	seen = NEW_ARRAY(atomic_bool, manifest_count(manifest));
	restore->shared = (RestoreShared){.manifest = manifest, .seen = seen, .options = options};

	if (wal_directory != NULL)
		TRY(dir_make(wal_directory, 0700));
	TRY(open_roots(restore, wal_directory));

	TRY(restore_parts(restore));
	TRY(cancel_check());
	TRY(restore_judge(restore, NULL, check_all_seen(restore)));
	TRY(grant_group_access(restore));

	/* One sync for each file system: far cheaper than one for each of many files, and as safe. */
	for (size_t i = 0; i < restore->n_roots; i++)
		if (restore->roots[i].fd >= 0 && syncfs(restore->roots[i].fd) != 0)
			return error_errno("could not sync the file system of \"%s\"", restore->roots[i].path);
	return NULL;
}

Error *
restore_check_keys(Store *store, const BackupRecord *record, const AgeIdentities *identities)
{
	AUTO_FREE char *what = mem_printf("backup \"%s\"", record->id);

	return readable_check(store, record->system_identifier, identities,
	                      &(ReadableClaim){.what = what,
	                                       .recipients = record->recipients,
	                                       .timeline = record->timeline,
	                                       .start_lsn = record->start_lsn,
	                                       .segment_size = record->segment_size});
}

Error *
restore_backup(const RestoreOptions *options)
{
	Restore restore = {.options = options};

	restore.prefix = layout_backup_prefix(options->record->system_identifier, options->record->id);

	Error *error = restore_everything(&restore);

	for (size_t i = 0; i < restore.n_roots; i++)
	{
		if (restore.roots[i].fd >= 0)
			(void) close(restore.roots[i].fd);
		free(restore.roots[i].manifest_prefix);
	}
	free(restore.roots);
	free(restore.prefix);
	return error;
}

Error *
restore_complete(const char *pgdata)
{
	AUTO_FREE char *waiting = path_join(pgdata, RESTORE_CONTROL_WAITING);
	AUTO_FREE char *control = path_join(pgdata, "global/pg_control");

	return file_rename_durably(waiting, control);
}
