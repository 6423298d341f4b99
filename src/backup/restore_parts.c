/* The parts of a base backup, restored side by side; see restore_run.h. */
#include <stdlib.h>
#include <string.h>

#include "map.h"
#include "restore_run.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

#define CPUS_MOST 16 /* threads that decode */

/* Of a part: its own thread, which reads, hashes and writes, keeps up with no more.  4 MiB each, and its stored bytes. */
#define PIECES_MOST 8

/* Stored bytes of a part.  The map is an object more to read, and decoding less takes no longer than that. */
#define MAP_PAYS_FROM ((uint64_t) 16 * 1024 * 1024)

typedef struct PartJob
{
	Restore *restore;
	const BackupPart *part;
	const RestoreRoot *root;
} PartJob;

Error *
restore_get_object(const Restore *restore, const char *name, Pipe *pipe)
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

bool
restore_is_better_elsewhere(const Restore *restore, const char *name, const Error *error, int *reads)
{
	AUTO_FREE char *key = mem_printf("%s%s", restore->prefix, name);

	return error_is(error, ERR_CORRUPT) && (*reads)++ == 0 && store_distrust(restore->options->store, key);
}

void
restore_add_decoders(const Restore *restore, Pipe *pipe, ChunkedStream stream)
{
	stream.codec = restore->codec;
	if (restore->options->record->recipients[0] != '\0')
		pipe_add(pipe, age_decoder_new(restore->options->identities, stream.what));
	codec_add_parallel_decoder(pipe, &stream, restore->cpu, restore->pieces_each);
}

Error *
restore_judge(const Restore *restore, const char *name, Error *error)
{
	const RestoreOptions *options = restore->options;

	if (options->on_fault == NULL || !error_is(error, ERR_CORRUPT))
		return error;
	options->on_fault(options->context, name, error);
	error_free(error);
	return NULL;
}

/* Stops a part that is under way when another one has failed: what it would write is of no use. */
static Error *
stop_with_the_others(void *workers, const void *data, size_t size)
{
	(void) data;
	(void) size;
	TRY(cancel_check());
	return workers_failed(workers) ? error_new(ERR_CANCELLED, "another part failed") : NULL;
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
	restore_add_decoders(
		restore, pipe,
		(ChunkedStream){
			.list = list, .raw_size = part->raw_size, .size = part->stored_size, .what = part->name});
	pipe_add(pipe, tar_reader_new(&restore_files_handler, files, true, part->name));
	return restore_get_object(restore, part->name, pipe);
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
			again = restore_is_better_elsewhere(restore, job->part->name, error, &reads);

		if (again)
		{
			error_free(error);
			error = restore_files_undo(&files);
		}
		restore_files_release(&files);
		if (error != NULL)
			atomic_store(&restore->shared.faulty, true);
		if (error != NULL || !again)
			return restore_judge(restore, job->part->name, error);
	}
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
	restore_add_decoders(restore, pipe, (ChunkedStream){.raw_size = map->raw_size, .what = map->name});
	pipe_add(pipe, map_chunks_sink_new(record, restore->lists));
	error = restore_get_object(restore, map->name, pipe);
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

		if (strcmp(part->set, RESTORE_SET_WAL) == 0 && !restore->options->with_wal)
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

Error *
restore_parts(Restore *restore)
{
	Error *error = submit_parts(restore);

	if (error == NULL)
		error = workers_wait(restore->workers);
	workers_free(restore->workers);
	workers_free(restore->cpu);
	release_lists(restore);
	return error;
}
