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
#include "walship/archive/layout.h"
#include "walship/base/cancel.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pipe/stages.h"

#define LEFT_OUT_TOLD   20
#define WRITE_BACK_STEP (8u * 1024 * 1024)

/* An entry that is to be restored. */
typedef struct Wanted
{
	char *path;        /* in the set */
	char *as;          /* where it goes, when that is another path; else NULL */
	char *target;      /* of a hard link, whose bytes lie under another path */
	FilesFacts *facts; /* of a directory: for the end */
	uint64_t size;
	uint32_t part; /* its number in the record */
	TarType type;
	bool linked; /* a link's own member is not needed: it is made from the file */
	atomic_bool seen;
} Wanted;

typedef struct FilesRestore
{
	const FilesRestoreOptions *options;
	const FilesRecord *record;
	Codec codec;
	FilesPlace place;
	char *prefix;   /* of the name's keys */
	Wanted *wanted; /* in the order of the list */
	size_t n_wanted;
	size_t capacity;
	size_t **of_part; /* numbers of wanted ones, ascending, for each part */
	size_t *n_of_part;
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
	for (size_t i = 0; i < restore->n_wanted; i++)
	{
		free(restore->wanted[i].path);
		free(restore->wanted[i].as);
		free(restore->wanted[i].target);
		files_facts_free(restore->wanted[i].facts);
	}
	free(restore->wanted);
	for (size_t i = 0; restore->of_part != NULL && i < restore->record->n_parts; i++)
		free(restore->of_part[i]);
	free(restore->of_part);
	free(restore->n_of_part);
	free(restore->prefix);
	if (restore->place.fd >= 0)
		(void) close(restore->place.fd);
}

#define AUTO_RESTORE __attribute__((cleanup(restore_release))) FilesRestore

static const char *
destination(const Wanted *wanted)
{
	return wanted->as != NULL ? wanted->as : wanted->path;
}

static void
tell_left_out(FilesRestore *restore, const char *path, const char *what)
{
	uint64_t number = atomic_fetch_add(&restore->left_out, 1);

	if (number < LEFT_OUT_TOLD)
		notice(&restore->options->notices, LOG_WARNING, NULL, "\"%s\": %s", path, what);
	else if (number == LEFT_OUT_TOLD)
		notice(&restore->options->notices, LOG_WARNING, NULL, "there is more of the kind");
}

/* Is it one of the paths, or below one?  "only" has no '/' at its begin and end. */
static bool
is_asked_for(const StrList *only, const char *path, size_t *ret_which)
{
	for (size_t i = 0; i < only->count; i++)
	{
		size_t length = strlen(only->items[i]);

		if (length == 0 ||
		    (strncmp(path, only->items[i], length) == 0 && (path[length] == '/' || path[length] == '\0')))
		{
			*ret_which = i;
			return true;
		}
	}
	return false;
}

static Error *
number_of_part(const FilesRecord *record, const char *part, uint32_t *number)
{
	for (size_t tried = 0; tried < record->n_parts; tried++)
	{
		/* Neighbours mostly lie in the same part. */
		size_t i = (*number + tried) % record->n_parts;
		size_t length = strlen(record->parts[i].set);

		if (strncmp(part, record->parts[i].set, length) == 0 && part[length] == '/' &&
		    strcmp(part + length + 1, record->parts[i].name) == 0)
		{
			*number = (uint32_t) i;
			return NULL;
		}
	}
	return error_new(ERR_CORRUPT, "part \"%s\" of its list is not in its record", part);
}

static Error *
want(FilesRestore *restore, FilesEntry *entry, uint32_t *part)
{
	TRY(number_of_part(restore->record, entry->part, part));
	GROW(restore->wanted, restore->n_wanted, restore->capacity);

	Wanted *wanted = &restore->wanted[restore->n_wanted++];

	*wanted = (Wanted){.path = MOVE(entry->path),
	                   .target = entry->type == TAR_LINK ? MOVE(entry->target) : NULL,
	                   .size = entry->size,
	                   .part = *part,
	                   .type = entry->type};
	atomic_init(&wanted->seen, false);
	return NULL;
}

typedef Error *(*EntryCallback)(FilesRestore *restore, FilesEntry *entry, void *context);

static Error *
each_entry(FilesRestore *restore, const Slice *list, EntryCallback callback, void *context)
{
	AUTO_FREE char *what = mem_printf("list of set \"%s\"", restore->record->id);
	FilesListReader reader;
	Error *error = files_list_open(&reader, list, what, restore->record->name, restore->record->id);

	for (bool ended = false; error == NULL && !ended;)
	{
		AUTO_FILES_ENTRY entry = {0};

		error = files_list_next(&reader, &entry);
		ended = error == NULL && entry.path == NULL;
		if (error == NULL && !ended)
			error = callback(restore, &entry, context);
	}
	files_list_close(&reader);
	return error;
}

typedef struct Selection
{
	const StrList *only;
	bool *found; /* for each of "only" */
	uint32_t part;
} Selection;

/* EntryCallback */
static Error *
select_entry(FilesRestore *restore, FilesEntry *entry, void *context)
{
	Selection *selection = context;
	size_t which = 0;

	if (selection->only->count > 0 && !is_asked_for(selection->only, entry->path, &which))
		return NULL;
	if (selection->only->count > 0)
		selection->found[which] = true;
	return entry->part == NULL ? NULL : want(restore, entry, &selection->part);
}

static int
compare_wanted(const void *a, const void *b)
{
	return files_path_compare(((const Wanted *) a)->path, ((const Wanted *) b)->path);
}

static Wanted *
find_wanted(FilesRestore *restore, const char *path)
{
	Wanted key = {.path = (char *) path};

	return restore->n_wanted == 0
	           ? NULL
	           : bsearch(&key, restore->wanted, restore->n_wanted, sizeof(key), compare_wanted);
}

/* A hard link that was asked for, to a file that was not. */
typedef struct LooseLink
{
	size_t number;      /* of the wanted one */
	const char *target; /* its own */
} LooseLink;

typedef struct LooseLinks
{
	LooseLink *items; /* in the order of the walk, by their targets */
	size_t count;
	size_t next;
	uint32_t part;
} LooseLinks;

static int
compare_loose(const void *a, const void *b)
{
	const LooseLink *left = a;
	const LooseLink *right = b;
	int order = files_path_compare(left->target, right->target);

	return order != 0 ? order : left->number < right->number ? -1 : 1;
}

/* EntryCallback: the first of a file's links becomes the file, the others links to that. */
static Error *
select_target(FilesRestore *restore, FilesEntry *entry, void *context)
{
	LooseLinks *links = context;
	char *first = NULL;

	while (links->next < links->count &&
	       files_path_compare(links->items[links->next].target, entry->path) < 0)
		links->next++;
	for (; links->next < links->count && strcmp(links->items[links->next].target, entry->path) == 0;
	     links->next++)
	{
		Wanted *link = &restore->wanted[links->items[links->next].number];

		if (entry->part == NULL || entry->type != TAR_FILE)
			return error_new(ERR_CORRUPT, "the file that \"%s\" is a hard link to is not in the set",
			                 link->path);
		if (first == NULL)
		{
			TRY(number_of_part(restore->record, entry->part, &links->part));
			first = link->path;
			link->as = first;
			link->path = mem_strdup(entry->path);
			link->type = TAR_FILE;
			link->part = links->part;
			link->size = entry->size;
		}
		else
		{
			free(link->target);
			link->target = mem_strdup(first);
		}
	}
	return NULL;
}

/* What was a link goes by the file's path then, so the order is made anew. */
static Error *
find_targets(FilesRestore *restore, const Slice *list)
{
	LooseLinks links = {.items = NEW_ARRAY(LooseLink, restore->n_wanted + 1)};
	Error *error = NULL;

	for (size_t i = 0; i < restore->n_wanted; i++)
		if (restore->wanted[i].type == TAR_LINK && find_wanted(restore, restore->wanted[i].target) == NULL)
			links.items[links.count++] = (LooseLink){i, restore->wanted[i].target};
	if (links.count > 0)
	{
		qsort(links.items, links.count, sizeof(*links.items), compare_loose);
		error = each_entry(restore, list, select_target, &links);
		qsort(restore->wanted, restore->n_wanted, sizeof(*restore->wanted), compare_wanted);
	}
	free(links.items);
	return error;
}

/* Numbers of the wanted, part by part.  Hard links are not read: the list says what they are. */
static void
sort_by_part(FilesRestore *restore)
{
	size_t n_parts = restore->record->n_parts;

	restore->of_part = NEW_ARRAY(size_t *, n_parts + 1);
	restore->n_of_part = NEW_ARRAY(size_t, n_parts + 1);
	for (size_t i = 0; i < restore->n_wanted; i++)
		if (restore->wanted[i].type != TAR_LINK)
			restore->n_of_part[restore->wanted[i].part]++;
	for (size_t i = 0; i < n_parts; i++)
	{
		restore->of_part[i] = NEW_ARRAY(size_t, restore->n_of_part[i] + 1);
		restore->n_of_part[i] = 0;
	}
	for (size_t i = 0; i < restore->n_wanted; i++)
	{
		const Wanted *wanted = &restore->wanted[i];

		if (wanted->type != TAR_LINK)
			restore->of_part[wanted->part][restore->n_of_part[wanted->part]++] = i;
	}
}

static Error *
choose(FilesRestore *restore, const Slice *list)
{
	const FilesRestoreOptions *options = restore->options;
	AUTO_STRLIST only = {0};
	AUTO_FREE bool *found = NEW_ARRAY(bool, options->only->count + 1);
	Selection selection = {.only = &only, .found = found};

	for (size_t i = 0; i < options->only->count; i++)
	{
		const char *path = options->only->items[i] + strspn(options->only->items[i], "/");
		size_t length = strlen(path);

		while (length > 0 && path[length - 1] == '/')
			length--;

		AUTO_FREE char *trimmed = mem_strndup(path, length);

		strlist_add(&only, trimmed);
	}
	TRY(each_entry(restore, list, select_entry, &selection));
	for (size_t i = 0; i < only.count; i++)
		if (!found[i])
			return error_hint(error_new(ERR_NOT_FOUND, "path \"%s\" is not in set \"%s\" of files \"%s\"",
			                            options->only->items[i], restore->record->id, restore->record->name),
			                  "\"walship files --list %s %s\" shows what is.", restore->record->name,
			                  restore->record->id);
	TRY(find_targets(restore, list));
	sort_by_part(restore);
	return NULL;
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
			return error_errno("could not write file \"%s/%s\"", options->into, destination(part->current));
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
	const char *path = destination(part->current);
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
	const char *path = destination(part->current);

	if (errno == EEXIST)
		return error_new(ERR_CORRUPT, "path \"%s\" is there twice", path);
	return error_errno("could not create \"%s/%s\"", part->restore->place.path, path);
}

static Error *
create(PartRestore *part, const TarEntry *entry)
{
	const char *path = destination(part->current);

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
	const size_t *numbers = restore->of_part[part->part];
	size_t count = restore->n_of_part[part->part];
	int order = -1;

	part->current = NULL;
	part->sparse = false;
	while (part->next < count &&
	       (order = files_path_compare(restore->wanted[numbers[part->next]].path, entry->name)) < 0)
		part->next++;
	if (part->next == count || order != 0)
		return NULL;

	Wanted *wanted = &restore->wanted[numbers[part->next++]];
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

	Error *error = files_facts_apply(part->facts, part->fd, destination(part->current), &left_out);

	if (left_out != NULL)
		tell_left_out(part->restore, destination(part->current), left_out);
	free(left_out);
	TRY(error);
	return file_close(&part->fd, destination(part->current));
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

/* A WorkersJob. */
static Error *
restore_part(void *argument)
{
	PartRestore *part = argument;
	FilesRestore *restore = part->restore;
	const FilesPart *object = &restore->record->parts[part->part];
	AUTO_FREE char *key = mem_printf("%s%s/%s", restore->prefix, object->set, object->name);
	Error *error = read_part(part, key);

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
		if (restore->n_of_part[i] == 0)
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
	for (size_t i = 0; i < restore->n_wanted; i++)
		if (restore->wanted[i].type != TAR_LINK && !atomic_load(&restore->wanted[i].seen))
			return error_new(ERR_CORRUPT, "\"%s\" is not in the part that the list of set \"%s\" names",
			                 restore->wanted[i].path, restore->record->id);
	return NULL;
}

static Error *
make_links(FilesRestore *restore)
{
	FilesParent from = {.fd = -1};
	FilesParent to = {.fd = -1};
	Error *error = NULL;

	for (size_t i = 0; i < restore->n_wanted && error == NULL; i++)
	{
		const Wanted *wanted = &restore->wanted[i];
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

	for (size_t i = restore->n_wanted; i-- > 0 && error == NULL;)
	{
		const Wanted *wanted = &restore->wanted[i];
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
	restored->entries = restore->n_wanted;
	for (size_t i = 0; i < restore->n_wanted; i++)
		if (restore->wanted[i].type == TAR_FILE)
		{
			restored->files++;
			restored->size += restore->wanted[i].size;
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

	TRY(choose(restore, &slice));
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
