/*
 * The order of a set: the trees are walked, and what is found is read ahead by a
 * pool; this thread takes the results in the order of the walk and writes tar
 * members and the list (files_members.c).  The record comes last.
 */
#include <stdio.h>
#include <string.h>

#include "files_before.h"
#include "files_members.h"
#include "files_read.h"
#include "files_walk.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

#define SET_FILES    "files"
#define BATCHES_MOST 16 /* read ahead: each holds FILES_BATCH times FILES_SMALL_MAX at most */
#define READ_STEP    (1024u * 1024)

/* Until the next second has begun. */
#define SAME_SECOND_MS    100
#define SAME_SECOND_TRIES 12

typedef struct FilesTake
{
	const FilesTakeOptions *options;
	int64_t began_ms;
	LeaseHold *lease;
	FilesBefore before;
	FilesRecord *record;
	BackupTarget target;
	PartList parts;
	PartWriter *writer;
	Spool *list;
	FilesMembers members;
	Workers *readers;
	Ordered *ahead;
	FilesBatch *filling; /* NULL: none */
	bool record_tried;
} FilesTake;

static void
take_release(FilesTake *take)
{
	files_batch_free(take->filling);
	ordered_free(take->ahead);
	workers_free(take->readers);
	part_writer_free(take->writer);
	part_list_release(&take->parts);
	spool_free(take->list);
	files_members_release(&take->members);
	free(take->target.prefix);
	files_before_close(&take->before);
	lease_hold_free(take->lease);
	files_record_free(take->record);
}

#define AUTO_TAKE __attribute__((cleanup(take_release))) FilesTake

static Error *
write_oldest(FilesTake *take)
{
	void *job;

	TRY(ordered_take(take->ahead, &job));

	FilesBatch *batch = job;
	Error *error = NULL;

	for (size_t i = 0; i < batch->count && error == NULL; i++)
	{
		error = files_members_add(&take->members, batch->reads[i]);
		files_read_free(batch->reads[i]);
		batch->reads[i] = NULL;
	}
	files_batch_free(batch);
	return error;
}

static Error *
submit_batch(FilesTake *take)
{
	if (take->filling == NULL)
		return NULL;
	if (ordered_is_full(take->ahead))
		TRY(write_oldest(take));
	ordered_submit(take->ahead, MOVE(take->filling));
	return NULL;
}

/* FilesWalk.entry */
static Error *
found_entry(void *context, WalkDirectory *directory, const char *path, const char *leaf)
{
	FilesTake *take = context;
	FilesRead *read = files_read_new(directory, path, leaf);

	if (take->filling == NULL)
		take->filling = NEW(FilesBatch);
	take->filling->reads[take->filling->count++] = read;
	TRY(files_before_find(&take->before, path, &read->before));
	return take->filling->count == FILES_BATCH ? submit_batch(take) : NULL;
}

/* FilesWalk.incomplete */
static void
found_incomplete(void *context, const char *path, const char *reason)
{
	files_members_add_incomplete(&((FilesTake *) context)->members, path, reason);
}

static Error *
walk_trees(FilesTake *take, const StrList *roots)
{
	static const OrderedOps ops = {.run = files_batch_run, .free = files_batch_free};
	const FilesTakeOptions *options = take->options;
	FilesWalk walk = {.roots = roots,
	                  .excludes = options->excludes,
	                  .one_file_system = options->one_file_system,
	                  .entry = found_entry,
	                  .incomplete = found_incomplete,
	                  .context = take};
	int depth = 2 * options->jobs;

	take->readers = workers_new(options->jobs);
	take->ahead = ordered_new(take->readers, depth < BATCHES_MOST ? depth : BATCHES_MOST, &ops);
	take->writer = part_writer_new(&take->target, SET_FILES, &take->parts);
	take->members = (FilesMembers){.options = options,
	                               .before = &take->before,
	                               .record = take->record,
	                               .writer = take->writer,
	                               .parts = &take->parts,
	                               .list = take->list};
	TRY(files_walk(&walk));
	TRY(submit_batch(take));
	while (!ordered_is_empty(take->ahead))
		TRY(write_oldest(take));
	return part_writer_finish(take->writer);
}

static Error *
write_list(FilesTake *take)
{
	FilesRecord *record = take->record;
	const FilesTakeOptions *options = take->options;
	Slice list = spool_slice(take->list);
	AUTO_FREE char *data = mem_alloc(READ_STEP);
	AUTO(StoredObject) object = NULL;
	AUTO(Sha256) sha = sha256_new();
	Digest stored;
	size_t size;

	record->list.name = layout_files_list_name(options->compression.codec, options->recipients != NULL);
	strlist_add(&take->parts.names, record->list.name);
	TRY(backup_target_open(&take->target, record->list.name, &object));
	for (uint64_t at = 0; at < list.size; at += size)
	{
		TRY(slice_read(&list, at, data, READ_STEP, &size));
		if (size == 0)
			return error_new(ERR_SYSTEM, "the list of files was not kept as it was written");
		sha256_update(sha, data, size);
		TRY(stored_object_write(object, data, size));
	}
	TRY(stored_object_finish(object, &stored));
	sha256_final(sha, record->list.raw_sha256);
	record->list.raw_size = stored_object_raw_size(object);
	record->list.stored_size = stored.size;
	memcpy(record->list.stored_sha256, stored.sha256, sizeof(stored.sha256));
	return NULL;
}

static void
add_part(FilesRecord *record, const char *set, const char *name, uint64_t raw_size, uint64_t stored_size,
         const uint8_t *stored_sha256)
{
	FilesPart *part = &record->parts[record->n_parts++];

	*part = (FilesPart){
		.set = mem_strdup(set), .name = mem_strdup(name), .raw_size = raw_size, .stored_size = stored_size};
	memcpy(part->stored_sha256, stored_sha256, sizeof(part->stored_sha256));
}

/* Those of earlier sets that something of this one lies in, and its own. */
static void
list_parts(FilesTake *take)
{
	FilesRecord *record = take->record;
	const FilesRecord *before = take->before.record;

	record->parts = NEW_ARRAY(FilesPart, (before == NULL ? 0 : before->n_parts) + take->parts.count + 1);
	for (size_t i = 0; before != NULL && i < before->n_parts; i++)
	{
		const FilesPart *part = &before->parts[i];

		if (take->before.used[i])
			add_part(record, part->set, part->name, part->raw_size, part->stored_size, part->stored_sha256);
	}
	for (size_t i = 0; i < take->parts.count; i++)
	{
		const BackupPart *part = &take->parts.items[i];

		add_part(record, record->id, part->name, part->raw_size, part->stored_size, part->stored_sha256);
	}
}

static void
choose_id(FilesTake *take)
{
	FilesRecord *record = take->record;
	uint16_t random;

	random_bytes(&random, sizeof(random));
	free(record->id);
	record->start_time = clock_now();
	record->id = layout_backup_id(record->start_time, random);
}

/*
 * Ids are in the order of time, and so is everything that goes through a listing: a set
 * never builds on one whose id comes later.  In the same second there is the next one to
 * wait for.  Where the clock went back, times do not tell what has changed either.
 */
static Error *
come_after(FilesTake *take)
{
	const FilesTakeOptions *options = take->options;
	FilesRecord *record = take->record;

	if (take->before.record == NULL)
		return NULL;
	for (int tries = 0; strcmp(record->id, take->before.record->id) <= 0 && tries < SAME_SECOND_TRIES;
	     tries++)
	{
		TRY(cancel_sleep_ms(SAME_SECOND_MS));
		choose_id(take);
	}
	if (strcmp(record->id, take->before.record->id) > 0)
		return NULL;
	notice(&options->notices, LOG_WARNING,
	       "It stands for itself; the next one builds on it when the clock is right.",
	       "set \"%s\" of files \"%s\" is in the future by this machine's clock, so everything is stored",
	       take->before.record->id, record->name);
	files_before_close(&take->before);
	return NULL;
}

static void
name_set(FilesTake *take, const StrList *roots)
{
	const FilesTakeOptions *options = take->options;
	FilesRecord *record = take->record;

	choose_id(take);
	record->name = mem_strdup(options->name);
	record->system_identifier = options->system_identifier;
	record->codec = mem_strdup(codec_name(options->compression.codec));
	record->walship_version = mem_strdup(options->walship_version);
	if (options->recipients != NULL)
		(void) snprintf(record->recipients, sizeof(record->recipients), "%s",
		                age_recipients_fingerprints(options->recipients));
	else
	{
		/* Paths say much about a machine: in an encrypted set only the list has them. */
		record->directories = NEW_ARRAY(char *, roots->count + 1);
		for (size_t i = 0; i < roots->count; i++)
			record->directories[record->n_directories++] = mem_strdup(roots->items[i]);
	}
	take->target = (BackupTarget){.store = options->store,
	                              .compression = options->compression,
	                              .recipients = options->recipients,
	                              .part_size = options->part_size};
}

static Error *
run_take(FilesTake *take)
{
	const FilesTakeOptions *options = take->options;
	FilesRecord *record = take->record;
	AUTO_STRLIST roots = {0};
	AUTO_FREE char *leased = NULL;

	TRY(files_roots(options->directories, &roots));
	name_set(take, &roots);

	/* While it is there no expire removes anything of this name: neither what is written, nor what it builds upon. */
	leased = mem_printf("%s/%s", record->name, record->id);
	take->lease = lease_hold(options->store, options->system_identifier,
	                         &(LeaseOn){.kind = "files", .backup = leased}, &options->notices);
	TRY(files_before_open(options, &take->before));
	TRY(come_after(take));
	take->target.prefix = layout_files_set_prefix(options->system_identifier, options->name, record->id);
	if (take->before.record != NULL)
	{
		record->since = mem_strdup(take->before.record->id);
		record->chain = take->before.record->chain + 1;
	}
	take->list = spool_new(options->state_dir);
	TRY(files_list_begin(take->list, record->name, record->id));
	TRY(walk_trees(take, &roots));
	TRY(write_list(take));
	list_parts(take);
	record->stop_time = clock_now();
	record->duration_ms = clock_monotonic_ms() - take->began_ms;
	TRY(cancel_check());
	take->record_tried = true;
	return files_record_write(options->store, record);
}

/* As of a backup: the record first, should it be there after all. */
static void
remove_everything(FilesTake *take)
{
	const Notices *notices = &take->options->notices;

	if (take->target.prefix == NULL)
		return;
	if (take->record_tried)
	{
		AUTO_FREE char *key =
			layout_files_record_key(take->record->system_identifier, take->record->name, take->record->id);
		AUTO(Error) error = store_remove(take->options->store, key);

		if (error != NULL)
		{
			notice(notices, LOG_WARNING, NULL, "could not remove \"%s\": %s; its parts were left alone", key,
			       error_message(error));
			return;
		}
	}
	ordered_free(MOVE(take->ahead));
	part_writer_free(MOVE(take->writer));
	part_list_remove(&take->target, &take->parts, notices);
}

Error *
files_take(const FilesTakeOptions *options, FilesRecord **ret_record)
{
	AUTO_TAKE take = {.options = options, .began_ms = clock_monotonic_ms(), .record = files_record_new()};
	Error *error = run_take(&take);

	if (error != NULL)
	{
		remove_everything(&take);
		return error;
	}

	Slice list = spool_slice(take.list);

	files_before_keep(options, take.record, &list);
	*ret_record = MOVE(take.record);
	return NULL;
}
