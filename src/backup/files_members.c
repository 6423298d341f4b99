/* Entries as members of tar files and lines of the list; see files_members.h. */
#include "files_members.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "walship/base/cancel.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

#define READ_STEP        (1024u * 1024)
#define HEADER_MAX       (2 * TAR_EXTENSION_MAX)
#define EXTENTS_TEXT_MAX (64u * TAR_EXTENTS_MAX)
#define PROBLEMS_TOLD    50 /* the list has all of them */

struct KnownFile
{
	dev_t device;
	ino_t inode;
	char *path; /* NULL: a free place of the table */
};

void
files_members_release(FilesMembers *members)
{
	for (size_t i = 0; i < members->known_size; i++)
		free(members->known[i].path);
	free(members->known);
}

static KnownFile *
known_place(KnownFile *known, size_t size, dev_t device, ino_t inode)
{
	size_t at = (size_t) (((uint64_t) inode * UINT64_C(0x9E3779B97F4A7C15)) ^ ((uint64_t) device << 7));

	for (at = (at >> 20) & (size - 1);; at = (at + 1) & (size - 1))
		if (known[at].path == NULL || (known[at].device == device && known[at].inode == inode))
			return &known[at];
}

/* The path under which this file is in the set already; NULL: now it is, under this one. */
static const char *
known_file(FilesMembers *members, const FilesRead *read)
{
	if (members->n_known * 2 >= members->known_size)
	{
		size_t size = members->known_size == 0 ? 1024 : members->known_size * 2;
		KnownFile *known = NEW_ARRAY(KnownFile, size);

		for (size_t i = 0; i < members->known_size; i++)
			if (members->known[i].path != NULL)
				*known_place(known, size, members->known[i].device, members->known[i].inode) =
					members->known[i];
		free(members->known);
		members->known = known;
		members->known_size = size;
	}

	KnownFile *place =
		known_place(members->known, members->known_size, read->status.st_dev, read->status.st_ino);

	if (place->path != NULL)
		return place->path;
	*place = (KnownFile){read->status.st_dev, read->status.st_ino, mem_strdup(read->entry.path)};
	members->n_known++;
	return NULL;
}

static void
tell_problem(FilesMembers *members, const char *path, const char *problem)
{
	uint64_t number = members->record->changed + members->record->missing;

	if (number <= PROBLEMS_TOLD)
		notice(&members->options->notices, LOG_WARNING, NULL, "\"/%s\": %s", path, problem);
	else if (number == PROBLEMS_TOLD + 1)
		notice(&members->options->notices, LOG_WARNING,
		       "\"walship files --list\" with the set's id names all of them.", "there is more of the kind");
}

static Error *
list_entry(FilesMembers *members, const FilesRead *read)
{
	FilesRecord *record = members->record;
	const FilesEntry *entry = &read->entry;

	record->entries += entry->part != NULL;
	if (entry->type == TAR_FILE && entry->part != NULL)
	{
		record->files++;
		record->files_size += entry->size;
	}
	if (entry->problem != NULL)
	{
		if (read->outcome == FILES_MISSING || entry->type == TAR_DIRECTORY)
			record->missing++;
		else
			record->changed++;
		tell_problem(members, entry->path, entry->problem);
	}
	members->done += entry->size;
	if (members->options->progress != NULL)
		members->options->progress(members->options->context, members->done);
	return files_list_add(members->list, entry);
}

/* Its header; the part that it lies in is known from here on. */
static Error *
begin_member(FilesMembers *members, FilesRead *read, const Buf *map)
{
	FilesEntry *entry = &read->entry;
	AUTO_FREE TarEntry *member = NEW(TarEntry);
	AUTO_BUF(header, HEADER_MAX);
	uint64_t stored = entry->size;

	*member = (TarEntry){.type = entry->type,
	                     .mode = entry->mode,
	                     .uid = entry->uid,
	                     .gid = entry->gid,
	                     .mtime = entry->mtime,
	                     .mtime_ns = entry->mtime_ns,
	                     .device_major = major(read->device_number),
	                     .device_minor = minor(read->device_number),
	                     .sparse = map != NULL,
	                     .sparse_size = entry->size,
	                     .attributes = read->attributes,
	                     .n_attributes = read->n_attributes};
	(void) snprintf(member->name, sizeof(member->name), "%s", entry->path);
	if (entry->type == TAR_LINK || entry->type == TAR_SYMLINK)
		(void) snprintf(member->link_target, sizeof(member->link_target), "%s",
		                entry->type == TAR_LINK ? entry->target : read->link_target);
	if (map != NULL)
	{
		stored = map->size;
		for (size_t i = 0; i < read->extents.count; i++)
			stored += read->extents.items[i].size;
	}
	member->size = stored;

	Error *error = tar_entry_append(member, &header);

	/* Attributes of more than a megabyte, and then some: rather the file without them than not at all. */
	if (error != NULL)
	{
		free(entry->problem);
		entry->problem = mem_strdup("its attributes are too long, and are not in the set");
		error_free(error);
		member->n_attributes = 0;
		TRY(tar_entry_append(member, &header));
	}
	TRY(part_writer_begin_member(members->writer, member, (const uint8_t *) header.data));
	TRY(part_writer_write(members->writer, header.data + TAR_BLOCK_SIZE, header.size - TAR_BLOCK_SIZE));

	const StrList *names = &members->parts->names;

	entry->part = mem_printf("%s/%s", members->record->id, names->items[names->count - 1]);
	return NULL;
}

/*
 * The header has said how long it is, so what has become shorter meanwhile is filled up
 * with zeros.  So is what the disk does not give, but that file is none: nothing leads to it.
 */
static Error *
write_range(FilesMembers *members, FilesRead *read, uint64_t offset, uint64_t size)
{
	AUTO_FREE char *data = mem_alloc(READ_STEP);

	for (uint64_t done = 0; done < size;)
	{
		size_t step = size - done < READ_STEP ? (size_t) (size - done) : READ_STEP;
		size_t got = 0;
		AUTO(Error) error = NULL;

		if (read->outcome != FILES_MISSING)
			error = file_read_at(read->fd, read->entry.path, offset + done, data, step, &got);
		if (error != NULL)
		{
			read->outcome = FILES_MISSING;
			free(read->entry.problem);
			read->entry.problem = mem_strdup(error_message(error));
		}
		memset(data + got, 0, step - got);
		TRY(cancel_check());
		TRY(part_writer_write(members->writer, data, step));
		done += step;
	}
	return NULL;
}

static Error *
write_large(FilesMembers *members, FilesRead *read)
{
	static const char zeros[TAR_BLOCK_SIZE];
	AUTO_BUF(map, EXTENTS_TEXT_MAX);
	uint64_t stored = 0;

	(void) posix_fadvise(read->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (!read->sparse)
	{
		tar_extents_release(&read->extents);
		if (read->entry.size > 0)
			tar_extents_add(&read->extents, 0, read->entry.size);
	}
	else
		tar_extents_print(&read->extents, read->entry.size, &map);
	TRY(begin_member(members, read, read->sparse ? &map : NULL));
	TRY(part_writer_write(members->writer, map.data, map.size));
	for (size_t i = 0; i < read->extents.count; i++)
	{
		TRY(write_range(members, read, read->extents.items[i].offset, read->extents.items[i].size));
		stored += read->extents.items[i].size;
	}
	files_read_settle(read, read->fd);
	if (read->outcome == FILES_MISSING)
	{
		free(read->entry.part);
		read->entry.part = NULL;
	}
	return part_writer_write(members->writer, zeros, tar_padding(stored));
}

static Error *
write_file(FilesMembers *members, FilesRead *read)
{
	static const char zeros[TAR_BLOCK_SIZE];

	members->record->new_files++;
	members->record->new_size += read->entry.size;
	if (!read->is_small)
		return write_large(members, read);
	TRY(begin_member(members, read, NULL));
	TRY(part_writer_write(members->writer, read->contents.data, read->contents.size));
	return part_writer_write(members->writer, zeros, tar_padding(read->contents.size));
}

static Error *
write_member(FilesMembers *members, FilesRead *read)
{
	FilesEntry *entry = &read->entry;
	const char *known = entry->type == TAR_FILE && read->links > 1 ? known_file(members, read) : NULL;

	if (known != NULL)
	{
		entry->type = TAR_LINK;
		entry->target = mem_strdup(known);
		entry->size = 0;
		free(entry->part);
		entry->part = NULL;
	}
	else if (read->outcome == FILES_UNCHANGED)
	{
		files_before_use(members->before, entry->part);
		return NULL;
	}
	TRY(entry->type == TAR_FILE ? write_file(members, read) : begin_member(members, read, NULL));
	return part_writer_end_member(members->writer);
}

Error *
files_members_add(FilesMembers *members, FilesRead *read)
{
	if (read->outcome == FILES_READ || read->outcome == FILES_UNCHANGED)
		TRY(write_member(members, read));
	return read->outcome == FILES_SKIPPED ? NULL : list_entry(members, read);
}

void
files_members_add_incomplete(FilesMembers *members, const char *path, const char *reason)
{
	members->record->missing++;
	tell_problem(members, path, reason);
}
