/*
 * A set back into a directory.  The list says which part holds what; parts are read
 * side by side, only those that are needed.  What a part holds and the list does not
 * ask for is passed over: an older version of a file, or what nobody wanted.
 * Then come the hard links, and at last the directories' own modes and times.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files_before.h"
#include "files_place.h"
#include "files_wanted.h"
#include "walship/archive/layout.h"
#include "walship/archive/read_again.h"
#include "walship/base/cancel.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pipe/stages.h"

#define LEFT_OUT_TOLD   20
#define WRITE_BACK_STEP (8u * 1024 * 1024)

typedef struct FilesRestore
{
	const FilesRestoreOptions *options;
	const FilesRecord *record;
	Codec codec;
	FilesPlace place;
	char *prefix; /* of the name's keys */
	FilesWanted wanted;
	Workers *workers;
	atomic_uint_fast64_t left_out;
} FilesRestore;

/* One part on its way. */
typedef struct PartRestore
{
	FilesRestore *restore;
	size_t part;
	size_t next;     /* in of_part */
	Wanted *current; /* NULL: the member is passed over */
	FilesParent parent;
	const char *leaf;
	int fd;
	uint64_t written;
	uint64_t written_back;
	FilesFacts *facts;
	bool sparse;
	TarSparseReader sparse_reader;
} PartRestore;

static void
restore_release(FilesRestore *restore)
{
	files_wanted_release(&restore->wanted);
	free(restore->prefix);
	if (restore->place.fd >= 0)
		(void) close(restore->place.fd);
}

#define AUTO_RESTORE __attribute__((cleanup(restore_release))) FilesRestore

static void
tell_left_out(FilesRestore *restore, const char *path, const char *what)
{
	uint64_t number = atomic_fetch_add(&restore->left_out, 1);

	if (number < LEFT_OUT_TOLD)
		notice(&restore->options->notices, LOG_WARNING, NULL, "\"%s\": %s", path, what);
	else if (number == LEFT_OUT_TOLD)
		notice(&restore->options->notices, LOG_WARNING, NULL, "there is more of the kind");
}

static Error *
write_at(void *context, uint64_t offset, const void *data, size_t size)
{
	PartRestore *part = context;
	const FilesRestoreOptions *options = part->restore->options;
	const char *bytes = data;

	if (options->on_bytes != NULL)
		options->on_bytes(options->context, size);
	for (size_t done = 0; part->fd >= 0 && done < size;)
	{
		ssize_t written = pwrite(part->fd, bytes + done, size - done, (off_t) (offset + done));

		if (written < 0 && errno != EINTR)
			return error_errno("could not write file \"%s/%s\"", options->into,
			                   files_wanted_destination(part->current));
		done += written > 0 ? (size_t) written : 0;
	}
	part->written += size;
	if (part->fd >= 0 && part->written - part->written_back >= WRITE_BACK_STEP)
	{
		/* The disk works while the rest is decoded. */
		(void) sync_file_range(part->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		part->written_back = part->written;
	}
	return NULL;
}

static Error *
make_node(PartRestore *part, const TarEntry *entry)
{
	static const mode_t types[] = {
		[TAR_FIFO] = S_IFIFO, [TAR_CHARACTER_DEVICE] = S_IFCHR, [TAR_BLOCK_DEVICE] = S_IFBLK};
	const char *path = files_wanted_destination(part->current);
	dev_t device = entry->type == TAR_FIFO ? 0 : makedev(entry->device_major, entry->device_minor);

	if (mknodat(part->parent.fd, part->leaf, types[entry->type] | 0600, device) == 0)
		return files_facts_apply_at(part->facts, false, part->parent.fd, part->leaf, path);
	if (errno == EPERM || errno == EACCES)
	{
		tell_left_out(part->restore, path, "a device, which only root can make");
		return NULL;
	}
	return error_errno("could not create \"%s/%s\"", part->restore->place.path, path);
}

/* What is there already was there before, or is there twice. */
static Error *
could_not_create(const PartRestore *part)
{
	const char *path = files_wanted_destination(part->current);

	if (errno == EEXIST)
		return error_new(ERR_CORRUPT, "path \"%s\" is there twice", path);
	return error_errno("could not create \"%s/%s\"", part->restore->place.path, path);
}

static Error *
create(PartRestore *part, const TarEntry *entry)
{
	const char *path = files_wanted_destination(part->current);

	TRY(files_parent_find(&part->restore->place, &part->parent, path, &part->leaf));
	switch (entry->type)
	{
		case TAR_FILE:
			part->fd = openat(part->parent.fd, part->leaf,
			                  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
			if (part->fd < 0)
				return could_not_create(part);
			if (entry->sparse && ftruncate(part->fd, (off_t) entry->sparse_size) != 0)
				return error_errno("could not write file \"%s/%s\"", part->restore->place.path, path);
			return NULL;
		case TAR_SYMLINK:
			if (symlinkat(entry->link_target, part->parent.fd, part->leaf) != 0)
				return could_not_create(part);
			return files_facts_apply_at(part->facts, true, part->parent.fd, part->leaf, path);
		case TAR_DIRECTORY:
			if (mkdirat(part->parent.fd, part->leaf, 0700) != 0 && errno != EEXIST)
				return could_not_create(part);
			return NULL;
		default:
			return make_node(part, entry);
	}
}

/* TarHandler.begin.  Both the list and the part are in the order of the walk. */
static Error *
part_begin(void *context, const TarEntry *entry)
{
	PartRestore *part = context;
	FilesRestore *restore = part->restore;
	const size_t *numbers = restore->wanted.of_part[part->part];
	size_t count = restore->wanted.n_of_part[part->part];
	int order = -1;

	part->current = NULL;
	part->sparse = false;
	while (part->next < count &&
	       (order = files_path_compare(restore->wanted.items[numbers[part->next]].path, entry->name)) < 0)
		part->next++;
	if (part->next == count || order != 0)
		return NULL;

	Wanted *wanted = &restore->wanted.items[numbers[part->next++]];
	uint64_t size = entry->type != TAR_FILE ? 0 : entry->sparse ? entry->sparse_size : entry->size;

	if (wanted->type != entry->type || wanted->size != size)
		return error_new(ERR_CORRUPT, "\"%s\" is not what the list of the set says", entry->name);
	if (atomic_exchange(&wanted->seen, true))
		return error_new(ERR_CORRUPT, "path \"%s\" is there twice", entry->name);
	part->current = wanted;
	part->written = part->written_back = 0;
	part->sparse = entry->sparse;
	if (part->sparse)
		tar_sparse_begin(&part->sparse_reader, entry->sparse_size);
	if (restore->place.fd < 0)
		return NULL;
	files_facts_free(part->facts);
	part->facts = files_facts_new(entry);
	TRY(create(part, entry));
	if (entry->type == TAR_DIRECTORY)
		wanted->facts = MOVE(part->facts);
	return NULL;
}

/* TarHandler.data */
static Error *
part_data(void *context, const void *data, size_t size)
{
	PartRestore *part = context;

	if (part->current == NULL)
		return NULL;
	if (part->sparse)
		return tar_sparse_take(&part->sparse_reader, data, size, write_at, part);
	return write_at(part, part->written, data, size);
}

/* TarHandler.end */
static Error *
part_end(void *context)
{
	PartRestore *part = context;
	char *left_out = NULL;

	if (part->current == NULL)
		return NULL;
	if (part->sparse)
	{
		Error *error = tar_sparse_end(&part->sparse_reader);

		tar_sparse_release(&part->sparse_reader);
		TRY(error);
	}
	if (part->fd < 0)
		return NULL;

	Error *error =
		files_facts_apply(part->facts, part->fd, files_wanted_destination(part->current), &left_out);

	if (left_out != NULL)
		tell_left_out(part->restore, files_wanted_destination(part->current), left_out);
	free(left_out);
	TRY(error);
	return file_close(&part->fd, files_wanted_destination(part->current));
}

/* Stops a part that is under way when another one has failed. */
static Error *
stop_with_the_others(void *workers, const void *data, size_t size)
{
	(void) data;
	(void) size;
	TRY(cancel_check());
	return workers_failed(workers) ? error_new(ERR_CANCELLED, "another part failed") : NULL;
}

static Error *
read_part(PartRestore *part, const char *key)
{
	static const TarHandler handler = {
		.begin = part_begin, .data = part_data, .end = part_end, .everything = true};
	FilesRestore *restore = part->restore;
	const FilesPart *object = &restore->record->parts[part->part];
	Digest stored = {.size = object->stored_size};
	AUTO(Pipe) pipe = pipe_new();

	memcpy(stored.sha256, object->stored_sha256, sizeof(stored.sha256));
	pipe_add(pipe, callback_stage_new(stop_with_the_others, restore->workers));
	pipe_add(pipe, verify_stage_new(&stored, object->name));
	if (restore->record->recipients[0] != '\0')
		pipe_add(pipe, age_decoder_new(restore->options->identities, object->name));
	codec_add_decoder(pipe, restore->codec, object->raw_size, object->name);
	pipe_add(pipe, tar_reader_new(&handler, part, true, object->name));

	Error *error = store_get(restore->options->store, key, 0, STORE_TO_END, pipe_as_sink(pipe));

	return error != NULL ? error : pipe_finish(pipe);
}

/* What a read that failed has made goes again, but the directories: others may have put something into them. */
static Error *
undo_part(PartRestore *part)
{
	FilesRestore *restore = part->restore;
	const size_t *numbers = restore->wanted.of_part[part->part];

	if (part->fd >= 0)
		(void) close(part->fd);
	part->fd = -1;
	tar_sparse_release(&part->sparse_reader);
	for (size_t i = 0; i < part->next; i++)
	{
		Wanted *wanted = &restore->wanted.items[numbers[i]];
		const char *path = files_wanted_destination(wanted);

		if (!atomic_exchange(&wanted->seen, false) || restore->place.fd < 0)
			continue;
		files_facts_free(MOVE(wanted->facts));
		if (wanted->type == TAR_DIRECTORY)
			continue;
		TRY(files_parent_find(&restore->place, &part->parent, path, &part->leaf));
		/* In a forged part a member's place can be a directory that another member's path has made. */
		if (unlinkat(part->parent.fd, part->leaf, 0) != 0 && errno != ENOENT && errno != EISDIR)
			return error_errno("could not remove \"%s/%s\"", restore->place.path, path);
	}
	part->next = 0;
	part->current = NULL;
	return NULL;
}

/* The network may have done it, or there is a second store. */
static Error *
read_part_well(PartRestore *part, const char *key)
{
	Error *error = read_part(part, key);
	int reads = 0;

	while (read_again(part->restore->options->store, key, &error, &reads))
	{
		error = undo_part(part);
		if (error == NULL)
			error = read_part(part, key);
	}
	return error;
}

/* A WorkersJob. */
static Error *
restore_part(void *argument)
{
	PartRestore *part = argument;
	FilesRestore *restore = part->restore;
	const FilesPart *object = &restore->record->parts[part->part];
	AUTO_FREE char *key = mem_printf("%s%s/%s", restore->prefix, object->set, object->name);
	Error *error = read_part_well(part, key);

	/* The record says that it is there: its absence is damage, not an answer. */
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = error_new(ERR_CORRUPT, "object is missing");
	}
	return error_context(error, "could not restore \"%s\" from store \"%s\"", key,
	                     store_url(restore->options->store));
}

static void
part_restore_free(void *argument)
{
	PartRestore *part = argument;

	if (part->fd >= 0)
		(void) close(part->fd);
	files_parent_close(&part->parent);
	files_facts_free(part->facts);
	tar_sparse_release(&part->sparse_reader);
	free(part);
}

static Error *
restore_parts(FilesRestore *restore, uint64_t *ret_parts)
{
	restore->workers = workers_new(restore->options->jobs);
	for (size_t i = 0; i < restore->record->n_parts; i++)
	{
		if (restore->wanted.n_of_part[i] == 0)
			continue;

		PartRestore *part = NEW(PartRestore);

		*part = (PartRestore){.restore = restore, .part = i, .parent = {.fd = -1}, .fd = -1};
		workers_submit(restore->workers, restore_part, part, part_restore_free);
		++*ret_parts;
	}

	Error *error = workers_wait(restore->workers);

	workers_free(restore->workers);
	TRY(error);
	TRY(cancel_check());
	for (size_t i = 0; i < restore->wanted.count; i++)
		if (restore->wanted.items[i].type != TAR_LINK && !atomic_load(&restore->wanted.items[i].seen))
			return error_new(ERR_CORRUPT, "\"%s\" is not in the part that the list of set \"%s\" names",
			                 restore->wanted.items[i].path, restore->record->id);
	return NULL;
}

static Error *
make_links(FilesRestore *restore)
{
	FilesParent from = {.fd = -1};
	FilesParent to = {.fd = -1};
	Error *error = NULL;

	for (size_t i = 0; i < restore->wanted.count && error == NULL; i++)
	{
		const Wanted *wanted = &restore->wanted.items[i];
		const char *from_leaf;
		const char *to_leaf;

		if (wanted->type != TAR_LINK)
			continue;
		error = files_parent_find(&restore->place, &from, wanted->target, &from_leaf);
		if (error == NULL)
			error = files_parent_find(&restore->place, &to, wanted->path, &to_leaf);
		if (error == NULL && linkat(from.fd, from_leaf, to.fd, to_leaf, 0) != 0)
			error = errno == ENOENT || errno == EEXIST
			            ? error_new(ERR_CORRUPT, "hard link \"%s\" to \"%s\" cannot be made: %s",
			                        wanted->path, wanted->target, strerrordesc_np(errno))
			            : error_errno("could not link \"%s/%s\"", restore->place.path, wanted->path);
	}
	files_parent_close(&from);
	files_parent_close(&to);
	return error;
}

/* The deepest first: then nothing changes in a directory any more that has its time. */
static Error *
settle_directories(FilesRestore *restore)
{
	FilesParent parent = {.fd = -1};
	Error *error = NULL;

	for (size_t i = restore->wanted.count; i-- > 0 && error == NULL;)
	{
		const Wanted *wanted = &restore->wanted.items[i];
		AUTO_FREE char *left_out = NULL;
		AUTO_CLOSE int fd = -1;
		const char *leaf;

		if (wanted->facts == NULL)
			continue;
		error = files_parent_find(&restore->place, &parent, wanted->path, &leaf);
		if (error != NULL)
			break;
		fd = openat(parent.fd, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		error = fd < 0 ? error_errno("could not open directory \"%s/%s\"", restore->place.path, wanted->path)
		               : files_facts_apply(wanted->facts, fd, wanted->path, &left_out);
		if (left_out != NULL)
			tell_left_out(restore, wanted->path, left_out);
	}
	files_parent_close(&parent);
	return error;
}

static void
sum_up(const FilesRestore *restore, FilesRestored *restored)
{
	restored->entries = restore->wanted.count;
	for (size_t i = 0; i < restore->wanted.count; i++)
		if (restore->wanted.items[i].type == TAR_FILE)
		{
			restored->files++;
			restored->size += restore->wanted.items[i].size;
		}
}

static Error *
run_restore(FilesRestore *restore, FilesRestored *restored)
{
	const FilesRestoreOptions *options = restore->options;
	AUTO(Spool) list = spool_new(options->spool_directory);

	TRY(files_check_readable(restore->record, options->identities));
	TRY(files_list_fetch(options->store, restore->record, options->identities, list));

	Slice slice = spool_slice(list);

	TRY(files_wanted_choose(&restore->wanted, restore->record, &slice, restore->options->only));
	sum_up(restore, restored);
	if (options->on_total != NULL)
		options->on_total(options->context, restored->size);
	if (options->into != NULL)
		TRY(files_place_open(options->into, &restore->place.fd));
	TRY(restore_parts(restore, &restored->parts));
	if (restore->place.fd < 0)
		return NULL;
	TRY(make_links(restore));
	TRY(settle_directories(restore));
	return syncfs(restore->place.fd) != 0
	           ? error_errno("could not sync the file system of \"%s\"", options->into)
	           : NULL;
}

Error *
files_restore(const FilesRestoreOptions *options, FilesRestored *ret_restored)
{
	const FilesRecord *record = options->record;
	AUTO_RESTORE restore = {.options = options,
	                        .record = record,
	                        .place = {.path = options->into, .fd = -1},
	                        .prefix = layout_files_name_prefix(record->system_identifier, record->name)};

	*ret_restored = (FilesRestored){.owners_left = options->into != NULL && geteuid() != 0};
	(void) codec_from_name(record->codec, &restore.codec);
	TRY(run_restore(&restore, ret_restored));
	ret_restored->incomplete = atomic_load(&restore.left_out);
	return NULL;
}

Error *
files_choose(Store *store, uint64_t system_identifier, const char *name, const char *id,
             const Notices *notices, LeaseHold **ret_lease, FilesRecord **ret_record)
{
	AUTO_FREE char *leased = mem_printf("%s/%s", name, id == NULL ? "newest" : id);
	AUTO(FilesRecord) record = NULL;

	*ret_lease = lease_hold(store, system_identifier, &(LeaseOn){.kind = "files", .backup = leased}, notices);
	if (id != NULL)
		TRY(error_context(files_record_read(store, system_identifier, name, id, &record),
		                  "set \"%s\" of files \"%s\"", id, name));
	else
		TRY(files_record_newest(store, system_identifier, name, &record));
	if (record == NULL)
		return error_hint(error_new(ERR_NOT_FOUND, "there is no set of files \"%s\"", name),
		                  "\"walship files --list\" shows what there is.");
	*ret_record = MOVE(record);
	return NULL;
}

Error *
files_list_entries(const FilesRestoreOptions *options, FilesEntryCallback callback, void *context)
{
	const FilesRecord *record = options->record;
	AUTO(Spool) list = spool_new(options->spool_directory);
	FilesEntry entry = {0};
	FilesListReader reader;

	TRY(files_check_readable(record, options->identities));
	TRY(files_list_fetch(options->store, record, options->identities, list));

	Slice slice = spool_slice(list);
	Error *error = files_list_open(&reader, &slice, "list", record->name, record->id);

	do
	{
		files_entry_release(&entry);
		if (error == NULL)
			error = files_list_next(&reader, &entry);
		if (error == NULL && entry.path != NULL)
			error = callback(context, &entry);
	} while (error == NULL && entry.path != NULL);
	files_entry_release(&entry);
	files_list_close(&reader);
	return error;
}
