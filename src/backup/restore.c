/* Brings a base backup back; see walship/backup/restore.h. */
#include "walship/backup/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "map.h"
#include "restore_files.h"
#include "walship/archive/layout.h"
#include "walship/archive/readable.h"
#include "walship/base/cancel.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/stages.h"

#define SET_WAL "wal"

#define CPUS_MOST 16 /* threads that decode */

/* Of a part: its own thread, which reads, hashes and writes, keeps up with no more.  4 MiB each, and its stored bytes. */
#define PIECES_MOST 8

/* Stored bytes of a part.  The map is an object more to read, and decoding less takes no longer than that. */
#define MAP_PAYS_FROM ((uint64_t) 16 * 1024 * 1024)

typedef struct Restore
{
	const RestoreOptions *options;
	Codec codec;
	char *prefix; /* of the backup's keys */
	RestoreRoot *roots;
	size_t n_roots;
	RestoreShared shared;
	Workers *workers; /* a job for each part */
	Workers *cpu;     /* decodes pieces of all of them; NULL: each part for itself */
	int pieces_each;  /* that are in work or wait, of a part */
	ChunkList *lists; /* of each of the record's parts; empty: by the part itself, or one stream */
} Restore;

typedef struct PartJob
{
	Restore *restore;
	const BackupPart *part;
	const RestoreRoot *root;
} PartJob;

/* Stops a part that is under way when another one has failed: what it would write is of no use. */
static Error *
stop_with_the_others(void *workers, const void *data, size_t size)
{
	(void) data;
	(void) size;
	TRY(cancel_check());
	return workers_failed(workers) ? error_new(ERR_CANCELLED, "another part failed") : NULL;
}

static Error *
get_object(const Restore *restore, const char *name, Pipe *pipe)
{
	AUTO_FREE char *key = mem_printf("%s%s", restore->prefix, name);
	Error *error = store_get(restore->options->store, key, 0, STORE_TO_END, pipe_as_sink(pipe));

	if (error == NULL)
		error = pipe_finish(pipe);

	/* The record says that it is there: its absence is damage, not an answer. */
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = error_new(ERR_CORRUPT, "object is missing");
	}
	return error_context(error, "could not restore \"%s\" from store \"%s\"", key,
	                     store_url(restore->options->store));
}

/* Only a second store makes it worth while to read so much again. */
static bool
is_better_elsewhere(const Restore *restore, const char *name, const Error *error, int *reads)
{
	AUTO_FREE char *key = mem_printf("%s%s", restore->prefix, name);

	return error_is(error, ERR_CORRUPT) && (*reads)++ == 0 && store_distrust(restore->options->store, key);
}

static void
add_decoders(const Restore *restore, Pipe *pipe, ChunkedStream stream)
{
	stream.codec = restore->codec;
	if (restore->options->record->recipients[0] != '\0')
		pipe_add(pipe, age_decoder_new(restore->options->identities, stream.what));
	codec_add_parallel_decoder(pipe, &stream, restore->cpu, restore->pieces_each);
}

/* Into nothing, what is wrong with one object can be told instead: then it is no error.  Takes and returns ownership. */
static Error *
judge(const Restore *restore, const char *name, Error *error)
{
	const RestoreOptions *options = restore->options;

	if (options->on_fault == NULL || !error_is(error, ERR_CORRUPT))
		return error;
	options->on_fault(options->context, name, error);
	error_free(error);
	return NULL;
}

/* "list": see Restore. */
static Error *
restore_part_into(const PartJob *job, const ChunkList *list, RestoreFiles *files)
{
	const BackupPart *part = job->part;
	const Restore *restore = job->restore;
	Digest stored = {.size = part->stored_size};
	AUTO(Pipe) pipe = pipe_new();

	memcpy(stored.sha256, part->stored_sha256, SHA256_SIZE);
	pipe_add(pipe, callback_stage_new(stop_with_the_others, restore->workers));
	pipe_add(pipe, verify_stage_new(&stored, part->name));
	add_decoders(
		restore, pipe,
		(ChunkedStream){
			.list = list, .raw_size = part->raw_size, .size = part->stored_size, .what = part->name});
	pipe_add(pipe, tar_reader_new(&restore_files_handler, files, true, part->name));
	return get_object(restore, part->name, pipe);
}

static Error *
restore_part(void *argument)
{
	const PartJob *job = argument;
	Restore *restore = job->restore;
	const ChunkList *list =
		restore->lists == NULL ? NULL : &restore->lists[job->part - restore->options->record->parts];

	for (int reads = 0;;)
	{
		RestoreFiles files;

		restore_files_init(&files, &restore->shared, job->root);

		/* The list of its chunks may be wrong where the part is not: so it has to fail as one stream. */
		Error *error = restore_part_into(job, list, &files);
		bool again = error_is(error, ERR_CORRUPT) && list != NULL && list->count > 0;

		list = NULL;
		if (!again)
			again = is_better_elsewhere(restore, job->part->name, error, &reads);

		if (again)
		{
			error_free(error);
			error = restore_files_undo(&files);
		}
		restore_files_release(&files);
		if (error != NULL)
			atomic_store(&restore->shared.faulty, true);
		if (error != NULL || !again)
			return judge(restore, job->part->name, error);
	}
}

static Error *
read_manifest_once(const Restore *restore, Manifest *manifest)
{
	const BackupRecord *record = restore->options->record;
	Digest stored = {.size = record->manifest_stored_size};
	AUTO(Pipe) pipe = pipe_new();

	memcpy(stored.sha256, record->manifest_sha256, SHA256_SIZE);
	pipe_add(pipe, verify_stage_new(&stored, record->manifest_name));
	add_decoders(restore, pipe,
	             (ChunkedStream){.raw_size = record->manifest_raw_size, .what = record->manifest_name});
	pipe_add(pipe, manifest_sink_new(manifest, record->files));
	return get_object(restore, record->manifest_name, pipe);
}

static Error *
read_manifest(const Restore *restore, Manifest **ret_manifest)
{
	const BackupRecord *record = restore->options->record;
	AUTO(Manifest) manifest = manifest_new();
	Error *error = read_manifest_once(restore, manifest);
	int reads = 0;

	if (is_better_elsewhere(restore, record->manifest_name, error, &reads))
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
	TRY(open_root(&restore->roots[restore->n_roots++], SET_WAL, wal_directory, NULL));
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

static int
compare_larger_first(const void *a, const void *b)
{
	const PartJob *const *left = a;
	const PartJob *const *right = b;

	if ((*left)->part->stored_size == (*right)->part->stored_size)
		return 0;
	return (*left)->part->stored_size > (*right)->part->stored_size ? -1 : 1;
}

/*
 * Parts are restored side by side, each by one thread, which is enough as long as there are as many as processors.
 * Fewer count where one is larger than most others together, like that of a very large table: then pieces of one part
 * are decoded side by side, too, while its own thread reads, hashes and writes.  Not always: it takes more memory.
 */
static void
start_workers(Restore *restore, PartJob *const *jobs, size_t n_jobs)
{
	int cpus = workers_cpu_count(CPUS_MOST);
	int most = restore->options->jobs;
	uint64_t total = 0;
	uint64_t largest = 1;

	for (size_t i = 0; i < n_jobs; i++)
	{
		uint64_t size = jobs[i]->part->raw_size;

		total += size;
		largest = size > largest ? size : largest;
	}

	int at_a_time = total / largest < (uint64_t) most ? (int) (total / largest) : most;

	restore->workers = workers_new(most);
	if (at_a_time == 0 || at_a_time >= cpus)
		return;
	restore->cpu = workers_new(cpus);
	restore->pieces_each = (cpus + at_a_time - 1) / at_a_time + 1;
	if (restore->pieces_each > PIECES_MOST)
		restore->pieces_each = PIECES_MOST;
}

static void
release_lists(Restore *restore)
{
	for (size_t i = 0; restore->lists != NULL && i < restore->options->record->n_parts; i++)
		chunk_list_release(&restore->lists[i]);
	free(restore->lists);
	restore->lists = NULL;
}

/*
 * Where brotli's parts can be cut stands in the map, which is as good as none when anything is wrong with it: no restore
 * needs it, and what it says is checked, as is what comes of it.
 */
static Error *
read_lists(Restore *restore, PartJob *const *jobs, size_t n_jobs)
{
	const BackupRecord *record = restore->options->record;
	const BackupObject *map = &record->map;
	Digest stored = {.size = map->stored_size};
	AUTO(Pipe) pipe = pipe_new();
	bool pays = false;
	Error *error;

	for (size_t i = 0; i < n_jobs; i++)
		pays = pays || jobs[i]->part->stored_size >= MAP_PAYS_FROM;
	if (restore->cpu == NULL || !codec_needs_list(restore->codec) || !pays || map->name == NULL)
		return NULL;
	restore->lists = NEW_ARRAY(ChunkList, record->n_parts);
	memcpy(stored.sha256, map->stored_sha256, SHA256_SIZE);
	pipe_add(pipe, verify_stage_new(&stored, map->name));
	add_decoders(restore, pipe, (ChunkedStream){.raw_size = map->raw_size, .what = map->name});
	pipe_add(pipe, map_chunks_sink_new(record, restore->lists));
	error = get_object(restore, map->name, pipe);
	if (error == NULL || error_is(error, ERR_CANCELLED))
		return error;
	error_free(error);
	release_lists(restore);
	return NULL;
}

static Error *
submit_parts(Restore *restore)
{
	const BackupRecord *record = restore->options->record;
	AUTO_FREE PartJob **jobs = NEW_ARRAY(PartJob *, record->n_parts);
	size_t n_jobs = 0;
	Error *error = NULL;

	for (size_t i = 0; i < record->n_parts && error == NULL; i++)
	{
		const BackupPart *part = &record->parts[i];
		const RestoreRoot *root = NULL;

		if (strcmp(part->set, SET_WAL) == 0 && !restore->options->with_wal)
			continue;
		if (restore->options->wanted != NULL &&
		    !restore->options->wanted(restore->options->context, part->name))
			continue;
		for (size_t j = 0; j < restore->n_roots && root == NULL; j++)
			if (strcmp(restore->roots[j].set, part->set) == 0)
				root = &restore->roots[j];
		if (root == NULL)
		{
			error = error_new(ERR_CORRUPT, "part \"%s\" belongs to no tablespace of the record", part->name);
			break;
		}
		jobs[n_jobs] = NEW(PartJob);
		*jobs[n_jobs++] = (PartJob){restore, part, root};
	}

	start_workers(restore, jobs, n_jobs);
	if (error == NULL)
		error = read_lists(restore, jobs, n_jobs);

	/* The largest first, so that no long one is left over at the end. */
	if (n_jobs > 1)
		qsort(jobs, n_jobs, sizeof(*jobs), compare_larger_first);
	for (size_t i = 0; i < n_jobs; i++)
	{
		if (error == NULL)
			workers_submit(restore->workers, restore_part, jobs[i], free);
		else
			free(jobs[i]);
	}
	return error;
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
		return judge(restore, options->record->manifest_name, error);
	seen = NEW_ARRAY(atomic_bool, manifest_count(manifest));
	restore->shared = (RestoreShared){.manifest = manifest, .seen = seen, .options = options};

	if (wal_directory != NULL)
		TRY(dir_make(wal_directory, 0700));
	TRY(open_roots(restore, wal_directory));

	error = submit_parts(restore);
	if (error == NULL)
		error = workers_wait(restore->workers);
	workers_free(restore->workers);
	workers_free(restore->cpu);
	release_lists(restore);
	TRY(error);
	TRY(cancel_check());
	TRY(judge(restore, NULL, check_all_seen(restore)));
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
