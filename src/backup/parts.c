/* Objects and parts of a backup. */
#include "parts.h"

#include <string.h>

#include "walship/archive/layout.h"
#include "walship/base/mem.h"
#include "walship/base/ordered.h"
#include "walship/pipe/tar.h"

struct StoredObject
{
	Pipe *pipe;
	uint64_t raw_size;
	Digest stored; /* set when the pipe is finished */
};

struct PartWriter
{
	const BackupTarget *target;
	PartList *parts;
	char *set;
	int number;           /* of the open part, or of the last one */
	char *name;           /* of the open part */
	StoredObject *object; /* NULL between parts */
	Workers *finisher;    /* one thread, for the part before */
	Ordered *finishing;
};

/* A part whose bytes are all there: the last of them are compressed, sent and made durable while the next one fills. */
typedef struct PartEnd
{
	StoredObject *object;
	BackupPart part;
} PartEnd;

Error *
stored_object_open(const BackupTarget *target, const char *name, StoredObject **ret_object)
{
	AUTO(StoredObject) object = NEW(StoredObject);
	AUTO_FREE char *key = mem_printf("%s%s", target->prefix, name);
	Sink *writer = NULL;

	TRY(store_writer(target->store, key, &writer));
	object->pipe = pipe_new();
	codec_add_encoder(object->pipe, &target->compression);
	age_add_encoder(object->pipe, target->recipients);
	pipe_add(object->pipe, digest_stage_new(&object->stored));
	pipe_add(object->pipe, writer);
	*ret_object = MOVE(object);
	return NULL;
}

Error *
stored_object_write(StoredObject *object, const void *data, size_t size)
{
	object->raw_size += size;
	return pipe_write(object->pipe, data, size);
}

Error *
stored_object_finish(StoredObject *object, uint64_t *ret_raw_size, Digest *ret_stored)
{
	TRY(pipe_finish(object->pipe));
	*ret_raw_size = object->raw_size;
	*ret_stored = object->stored;
	return NULL;
}

void
stored_object_free(StoredObject *object)
{
	if (object == NULL)
		return;
	pipe_free(object->pipe);
	free(object);
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
		part_release(&parts->items[i]);
	free(parts->items);
	strlist_release(&parts->names);
	*parts = (PartList){0};
}

static void
warn_of_leftover(void *context, const char *key, const Error *error)
{
	AUTO_FREE char *warning = mem_printf("could not remove leftover \"%s\": %s", key, error_message(error));

	strlist_add(context, warning);
}

void
part_list_remove(const BackupTarget *target, PartList *parts, StrList *warnings)
{
	AUTO_STRLIST keys = {0};

	for (size_t i = 0; i < parts->names.count; i++)
	{
		AUTO_FREE char *key = mem_printf("%s%s", target->prefix, parts->names.items[i]);

		strlist_add(&keys, key);
	}

	/* If it gave up, it has said so of every key. */
	error_free(store_remove_many(target->store, (const char *const *) keys.items, keys.count,
	                             warn_of_leftover, warnings));
}

static void
part_end_free(void *argument)
{
	PartEnd *end = argument;

	stored_object_free(end->object);
	part_release(&end->part);
	free(end);
}

/* An OrderedRun.  The object's pipe is this thread's from here on. */
static Error *
finish_part(void *argument, const atomic_bool *stop)
{
	PartEnd *end = argument;
	Digest stored = {0};

	(void) stop;
	TRY(stored_object_finish(end->object, &end->part.raw_size, &stored));
	end->part.stored_size = stored.size;
	memcpy(end->part.stored_sha256, stored.sha256, sizeof(end->part.stored_sha256));
	return NULL;
}

PartWriter *
part_writer_new(const BackupTarget *target, const char *set, PartList *parts)
{
	static const OrderedOps ops = {.run = finish_part, .free = part_end_free};
	PartWriter *writer = NEW(PartWriter);

	writer->finisher = workers_new(1);
	writer->finishing = ordered_new(writer->finisher, 1, &ops);

	writer->target = target;
	writer->parts = parts;
	writer->set = mem_strdup(set);
	return writer;
}

static Error *
open_part(PartWriter *writer)
{
	free(writer->name);
	writer->name = layout_part_name(writer->set, ++writer->number, writer->target->compression.codec,
	                                writer->target->recipients != NULL);
	strlist_add(&writer->parts->names, writer->name);
	return stored_object_open(writer->target, writer->name, &writer->object);
}

Error *
part_writer_write(PartWriter *writer, const void *data, size_t size)
{
	if (writer->object == NULL)
		TRY(open_part(writer));
	return stored_object_write(writer->object, data, size);
}

/* Waits for the part that is being finished, if there is one. */
static Error *
settle_part(PartWriter *writer)
{
	PartList *parts = writer->parts;
	void *taken = NULL;

	if (ordered_is_empty(writer->finishing))
		return NULL;
	TRY(ordered_take(writer->finishing, &taken));

	PartEnd *end = taken;

	GROW(parts->items, parts->count, parts->capacity);
	parts->items[parts->count++] = end->part;
	end->part = (BackupPart){0};
	part_end_free(end);
	return NULL;
}

static Error *
close_part(PartWriter *writer)
{
	static const uint8_t blocks_of_end[TAR_END_SIZE];
	PartEnd *end;

	TRY(part_writer_write(writer, blocks_of_end, sizeof(blocks_of_end)));
	TRY(settle_part(writer));
	end = NEW(PartEnd);
	end->object = MOVE(writer->object);
	end->part.name = MOVE(writer->name);
	end->part.set = mem_strdup(writer->set);
	ordered_submit(writer->finishing, end);
	return NULL;
}

Error *
part_writer_end_member(PartWriter *writer)
{
	if (writer->object != NULL && writer->object->raw_size >= writer->target->part_size)
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
	ordered_free(writer->finishing);
	workers_free(writer->finisher);
	stored_object_free(writer->object);
	free(writer->name);
	free(writer->set);
	free(writer);
}
