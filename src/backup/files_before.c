/* See files_before.h. */
#include "files_before.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/read_again.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

#define COPY_STEP (256u * 1024)

Error *
files_check_readable(const FilesRecord *record, const AgeIdentities *identities)
{
	AUTO_FREE char *what = mem_printf("set \"%s\" of files \"%s\"", record->id, record->name);

	if (record->recipients[0] != '\0')
		return age_check_identities(identities, record->recipients, what);
	if (identities == NULL || age_identities_plain(identities).accept == AGE_PLAIN_ACCEPTED)
		return NULL;
	return error_hint(
		error_new(
			ERR_UNTRUSTED,
			"%s is not encrypted, but this host has keys: whoever can write to the store can have made it",
			what),
		"If it is not meant to be encrypted, say --accept-plain on. A set has no LSN, so \"before LSN\" is not about it.");
}

/* "<state_dir>/files-<system>-<NAME>.list": the list of the newest set that this host stored. */
static char *
kept_path(const FilesTakeOptions *options)
{
	AUTO_FREE char *leaf = mem_printf("files-%" PRIu64 "-%s.list", options->system_identifier, options->name);

	return options->state_dir == NULL ? NULL : path_join(options->state_dir, leaf);
}

static Error *
copy_slice(const Slice *slice, Pipe *pipe)
{
	AUTO_FREE char *data = mem_alloc(COPY_STEP);
	size_t size;

	for (uint64_t at = 0; at < slice->size; at += size)
	{
		TRY(slice_read(slice, at, data, COPY_STEP, &size));
		if (size == 0)
			return error_new(ERR_SYSTEM, "the list of files was not kept as it was written");
		TRY(pipe_write(pipe, data, size));
	}
	return pipe_finish(pipe);
}

static Error *
write_kept(const char *path, const Slice *list)
{
	AUTO_FREE char *directory = path_parent(path);
	AUTO(Pipe) pipe = pipe_new();
	Compression compression = compression_for(CODEC_ZSTD, COMPRESS_FILES);
	Sink *file = NULL;

	TRY(dir_make(directory, 0700));
	TRY(file_sink_new(path, 0600, &file));
	codec_add_encoder(pipe, &compression, NULL);
	pipe_add(pipe, file);
	return copy_slice(list, pipe);
}

void
files_before_keep(const FilesTakeOptions *options, const FilesRecord *record, const Slice *list)
{
	AUTO_FREE char *path = kept_path(options);

	if (path == NULL || record->recipients[0] == '\0')
		return;

	AUTO(Error) error = write_kept(path, list);

	if (error != NULL)
		notice(&options->notices, LOG_INFO, NULL,
		       "the next set will store everything again, for the list of this one could not be kept: %s",
		       error_message(error));
}

/* Into the spool, if it is the list of this very set. */
static Error *
read_kept(const FilesTakeOptions *options, const FilesRecord *record, Spool *into)
{
	AUTO_FREE char *path = kept_path(options);
	Digest raw = {.size = record->list.raw_size};
	AUTO(Pipe) pipe = pipe_new();
	AUTO_CLOSE int fd = -1;
	struct stat status;

	if (path == NULL)
		return error_new(ERR_NOT_FOUND, "no list is kept");
	memcpy(raw.sha256, record->list.raw_sha256, sizeof(raw.sha256));
	TRY(file_open_read(path, &fd, &status));
	codec_add_decoder(pipe, CODEC_ZSTD, record->list.raw_size, path);
	pipe_add(pipe, verify_stage_new(&raw, path));
	pipe_add(pipe, spool_sink_new(into));

	Slice file = {.fd = fd, .size = (uint64_t) status.st_size};

	return copy_slice(&file, pipe);
}

static Error *
fetch_once(Store *store, const char *key, const FilesRecord *record, const AgeIdentities *identities,
           Spool *into)
{
	Digest stored = {.size = record->list.stored_size};
	Digest raw = {.size = record->list.raw_size};
	AUTO(Pipe) pipe = pipe_new();
	Codec codec;

	(void) codec_from_name(record->codec, &codec);
	memcpy(stored.sha256, record->list.stored_sha256, sizeof(stored.sha256));
	memcpy(raw.sha256, record->list.raw_sha256, sizeof(raw.sha256));
	pipe_add(pipe, verify_stage_new(&stored, key));
	if (record->recipients[0] != '\0')
		pipe_add(pipe, age_decoder_new(identities, key));
	codec_add_decoder(pipe, codec, record->list.raw_size, key);
	pipe_add(pipe, verify_stage_new(&raw, key));
	pipe_add(pipe, spool_sink_new(into));

	Error *error = store_get(store, key, 0, STORE_TO_END, pipe_as_sink(pipe));

	return error != NULL ? error : pipe_finish(pipe);
}

Error *
files_list_fetch(Store *store, const FilesRecord *record, const AgeIdentities *identities, Spool *into)
{
	AUTO_FREE char *prefix = layout_files_set_prefix(record->system_identifier, record->name, record->id);
	AUTO_FREE char *key = mem_printf("%s%s", prefix, record->list.name);
	Error *error;
	int reads = 0;

	do
	{
		spool_clear(into);
		error = fetch_once(store, key, record, identities, into);
	} while (read_again(store, key, &error, &reads));

	/* The record says that it is there: its absence is damage, not an answer. */
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = error_new(ERR_CORRUPT, "object \"%s\" is missing", key);
	}
	return error_context(error, "could not read the list of files from store \"%s\"", store_url(store));
}

/* Built upon it, the sets would be more than may lie one upon the other, or in another form. */
static char *
why_not(const FilesTakeOptions *options, const FilesRecord *record)
{
	const char *recipients =
		options->recipients == NULL ? "" : age_recipients_fingerprints(options->recipients);

	if (record->chain + 1 > FILES_CHAIN_MAX)
		return mem_printf("%d sets lie one upon the other", FILES_CHAIN_MAX + 1);
	if (strcmp(record->codec, codec_name(options->compression.codec)) != 0)
		return mem_strdup("it has another codec");
	if (strcmp(record->recipients, recipients) != 0)
		return mem_strdup("it is encrypted for others, or not at all");
	return NULL;
}

typedef struct PartsThere
{
	FilesRecord *record;
	const char *set;
	size_t prefix_length;
	bool *there;
} PartsThere;

static Error *
see_part(void *context, const StoreEntry *entry)
{
	PartsThere *parts = context;

	for (size_t i = 0; i < parts->record->n_parts; i++)
	{
		const FilesPart *part = &parts->record->parts[i];

		if (strcmp(part->set, parts->set) == 0 && strcmp(part->name, entry->key + parts->prefix_length) == 0)
			parts->there[i] = part->stored_size == entry->size;
	}
	return NULL;
}

/* Nothing may be built upon a part that is gone: its size becomes 0, and files_before_find() passes it over. */
static Error *
look_at_parts(const FilesTakeOptions *options, FilesRecord *record)
{
	AUTO_FREE bool *there = NEW_ARRAY(bool, record->n_parts);
	size_t gone = 0;

	for (size_t i = 0; i < record->n_parts; i++)
	{
		const char *set = record->parts[i].set;
		AUTO_FREE char *prefix = layout_files_set_prefix(record->system_identifier, record->name, set);
		PartsThere parts = {record, set, strlen(prefix), there};

		if (i == 0 || strcmp(set, record->parts[i - 1].set) != 0)
			TRY(store_list(options->store, prefix, LIST_ALL, NULL, see_part, &parts));
	}
	for (size_t i = 0; i < record->n_parts; i++)
		if (!there[i])
		{
			record->parts[i].stored_size = 0;
			gone++;
		}
	if (gone > 0)
		notice(
			&options->notices, LOG_WARNING, NULL,
			"%zu parts that set \"%s\" needs are not in the store, or not in full: what they held is stored again",
			gone, record->id);
	return NULL;
}

static Error *
read_list(const FilesTakeOptions *options, FilesBefore *before)
{
	const FilesRecord *record = before->record;
	AUTO(Error) kept = read_kept(options, record, before->list);

	if (kept == NULL)
		return NULL;
	spool_clear(before->list);
	TRY(files_check_readable(record, options->identities));
	return files_list_fetch(options->store, record, options->identities, before->list);
}

static Error *
open_list(const FilesTakeOptions *options, FilesBefore *before)
{
	before->list = spool_new(options->state_dir);
	TRY(read_list(options, before));
	before->slice = spool_slice(before->list);
	TRY(files_list_open(&before->reader, &before->slice, "list of the set before", before->record->name,
	                    before->record->id));
	TRY(files_list_next(&before->reader, &before->next));
	before->used = NEW_ARRAY(bool, before->record->n_parts);
	return look_at_parts(options, before->record);
}

static Error *
choose(const FilesTakeOptions *options, FilesRecord **ret_record)
{
	if (options->since != NULL)
		return error_context(files_record_read(options->store, options->system_identifier, options->name,
		                                       options->since, ret_record),
		                     "set \"%s\" of files \"%s\"", options->since, options->name);
	return files_record_newest(options->store, options->system_identifier, options->name, ret_record);
}

Error *
files_before_open(const FilesTakeOptions *options, FilesBefore *ret_before)
{
	AUTO_FREE char *reason = NULL;
	Error *error = NULL;

	*ret_before = (FilesBefore){0};
	if (options->full)
		return NULL;
	error = choose(options, &ret_before->record);
	if (error == NULL && ret_before->record == NULL)
		return NULL;
	if (error == NULL)
		reason = why_not(options, ret_before->record);
	if (error == NULL && reason == NULL)
		error = open_list(options, ret_before);
	if (error == NULL && reason == NULL)
		return NULL;
	if (error == NULL && options->since != NULL)
		return error_hint(
			error_new(ERR_USAGE, "nothing can be built upon set \"%s\": %s", options->since, reason),
			"Leave out --since, or say --full.");

	/* What was asked for by name is an error; what would only have saved work is not. */
	bool is_reason =
		error_is(error, ERR_DENIED) || error_is(error, ERR_CORRUPT) || error_is(error, ERR_UNTRUSTED);

	if (options->since != NULL || (error != NULL && !is_reason))
		return error;
	notice(&options->notices, error_is(error, ERR_CORRUPT) ? LOG_WARNING : LOG_INFO, NULL,
	       "everything is stored, not only what changed: %s", error == NULL ? reason : error_message(error));
	error_free(error);
	files_before_close(ret_before);
	return NULL;
}

/* The number of "<ID>/<name>" in the record's parts; SIZE_MAX: it is none of them, or is gone. */
static size_t
number_of_part(const FilesRecord *record, const char *part)
{
	for (size_t i = 0; i < record->n_parts; i++)
	{
		const FilesPart *item = &record->parts[i];
		size_t length = strlen(item->set);

		if (strncmp(part, item->set, length) == 0 && part[length] == '/' &&
		    strcmp(part + length + 1, item->name) == 0)
			return item->stored_size == 0 ? SIZE_MAX : i;
	}
	return SIZE_MAX;
}

Error *
files_before_find(FilesBefore *before, const char *path, FilesEntry *ret_entry)
{
	if (before->record == NULL)
		return NULL;
	while (before->next.path != NULL && files_path_compare(before->next.path, path) < 0)
	{
		files_entry_release(&before->next);
		TRY(files_list_next(&before->reader, &before->next));
	}
	if (before->next.path == NULL || strcmp(before->next.path, path) != 0)
		return NULL;
	*ret_entry = before->next;
	before->next = (FilesEntry){0};
	if (ret_entry->part != NULL && number_of_part(before->record, ret_entry->part) == SIZE_MAX)
		files_entry_release(ret_entry);
	return files_list_next(&before->reader, &before->next);
}

void
files_before_use(FilesBefore *before, const char *part)
{
	size_t number = number_of_part(before->record, part);

	if (number != SIZE_MAX)
		before->used[number] = true;
}

void
files_before_close(FilesBefore *before)
{
	files_list_close(&before->reader);
	files_entry_release(&before->next);
	spool_free(before->list);
	files_record_free(before->record);
	free(before->used);
	*before = (FilesBefore){0};
}
