/* Objects and parts of a backup. */
#include "parts.h"

#include <string.h>

#include "walship/archive/layout.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pipe/tar.h"

/* A part whose bytes are all there: the last of them are compressed, sent and made durable while the next one fills. */
typedef struct PartEnd
{
	StoredObject *object;
	BackupPart part;
	PartMap map;
} PartEnd;

struct PartWriter
{
	const BackupTarget *target;
	PartList *parts;
	char *set;
	int number;           /* of the open part, or of the last one */
	char *name;           /* of the open part */
	StoredObject *object; /* NULL between parts */
	PartMap map;          /* of the open part */
	Workers *finisher;    /* one thread, for the part before */
	PartEnd *finishing;   /* that part; NULL: there is none */
};

Error *
backup_target_open(const BackupTarget *target, const char *name, StoredObject **ret_object)
{
	AUTO_FREE char *key = mem_printf("%s%s", target->prefix, name);

	return stored_object_open(target->store, key, &target->compression, target->recipients, ret_object);
}

static void
part_release(BackupPart *part)
{
	free(part->name);
	free(part->set);
}

void
part_list_release(PartList *parts)
{
	for (size_t i = 0; i < parts->count; i++)
	{
		part_release(&parts->items[i]);
		chunk_list_release(&parts->maps[i].chunks);
	}
	free(parts->items);
	free(parts->maps);
	member_list_release(&parts->members);
	strlist_release(&parts->names);
	*parts = (PartList){0};
}

static void
warn_of_leftover(void *context, const char *key, const Error *error)
{
	notice(context, LOG_WARNING, NULL, "could not remove leftover \"%s\": %s", key, error_message(error));
}

void
part_list_remove(const BackupTarget *target, const PartList *parts, const Notices *notices)
{
	AUTO_STRLIST keys = {0};
	Notices told = *notices;

	for (size_t i = 0; i < parts->names.count; i++)
	{
		AUTO_FREE char *key = mem_printf("%s%s", target->prefix, parts->names.items[i]);

		strlist_add(&keys, key);
	}

	/* If it gave up, it has said so of every key. */
	error_free(store_remove_many(target->store, (const char *const *) keys.items, keys.count,
	                             warn_of_leftover, &told));
}

static void
part_end_free(PartEnd *end)
{
	if (end == NULL)
		return;
	stored_object_free(end->object);
	part_release(&end->part);
	chunk_list_release(&end->map.chunks);
	free(end);
}

/* A WorkersJob.  The object's pipe is this thread's from here on. */
static Error *
finish_part(void *argument)
{
	PartEnd *end = argument;
	Digest stored = {0};

	TRY(stored_object_finish(end->object, &stored));
	end->part.raw_size = stored_object_raw_size(end->object);
	end->part.stored_size = stored.size;
	memcpy(end->part.stored_sha256, stored.sha256, sizeof(end->part.stored_sha256));
	end->map.chunks = stored_object_take_chunks(end->object);
	return NULL;
}

PartWriter *
part_writer_new(const BackupTarget *target, const char *set, PartList *parts)
{
	PartWriter *writer = NEW(PartWriter);

	writer->finisher = workers_new(1);
	writer->target = target;
	writer->parts = parts;
	writer->set = mem_strdup(set);
	return writer;
}

static Error *
open_part(PartWriter *writer)
{
	const BackupTarget *target = writer->target;

	free(writer->name);
	writer->name = layout_part_name(writer->set, ++writer->number, target->compression.codec,
	                                target->recipients != NULL);
	writer->map = (PartMap){.members_begin = member_list_end(&writer->parts->members)};
	strlist_add(&writer->parts->names, writer->name);
	return backup_target_open(target, writer->name, &writer->object);
}

Error *
part_writer_begin_member(PartWriter *writer, const TarEntry *entry, const uint8_t header[TAR_BLOCK_SIZE])
{
	if (writer->object == NULL)
		TRY(open_part(writer));
	member_list_add(&writer->parts->members, writer->target->spool_directory, writer->set, entry);
	return part_writer_write(writer, header, TAR_BLOCK_SIZE);
}

Error *
part_writer_write(PartWriter *writer, const void *data, size_t size)
{
	return stored_object_write(writer->object, data, size);
}

/* Waits for the part that is being finished, if there is one. */
static Error *
settle_part(PartWriter *writer)
{
	PartList *parts = writer->parts;

	if (writer->finishing == NULL)
		return NULL;
	TRY(workers_wait(writer->finisher));
	GROW(parts->maps, parts->count, parts->maps_capacity);
	GROW(parts->items, parts->count, parts->capacity);
	parts->maps[parts->count] = writer->finishing->map;
	parts->items[parts->count++] = writer->finishing->part;
	writer->finishing->part = (BackupPart){0};
	writer->finishing->map = (PartMap){0};
	part_end_free(MOVE(writer->finishing));
	return NULL;
}

static Error *
close_part(PartWriter *writer)
{
	static const uint8_t blocks_of_end[TAR_END_SIZE];

	TRY(part_writer_write(writer, blocks_of_end, sizeof(blocks_of_end)));
	TRY(settle_part(writer));
	writer->finishing = NEW(PartEnd);
	writer->finishing->object = MOVE(writer->object);
	writer->finishing->part.name = MOVE(writer->name);
	writer->finishing->part.set = mem_strdup(writer->set);
	writer->finishing->map = writer->map;
	writer->finishing->map.members_end = member_list_end(&writer->parts->members);
	workers_submit(writer->finisher, finish_part, writer->finishing, NULL);
	return NULL;
}

Error *
part_writer_end_member(PartWriter *writer)
{
	if (writer->object != NULL && stored_object_raw_size(writer->object) >= writer->target->part_size)
		return close_part(writer);
	return NULL;
}

Error *
part_writer_finish(PartWriter *writer)
{
	if (writer->object != NULL)
		TRY(close_part(writer));
	return settle_part(writer);
}

void
part_writer_free(PartWriter *writer)
{
	if (writer == NULL)
		return;
	workers_free(writer->finisher);
	part_end_free(writer->finishing);
	stored_object_free(writer->object);
	free(writer->name);
	free(writer->set);
	free(writer);
}
