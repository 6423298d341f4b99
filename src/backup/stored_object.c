/* One object on its way into the store; see walship/backup/stored_object.h. */
#include "walship/backup/stored_object.h"

#include <stdlib.h>

#include "walship/base/mem.h"

struct StoredObject
{
	Pipe *pipe;
	uint64_t raw_size;
	Digest stored; /* set when the pipe is finished */
	ChunkList chunks;
};

Error *
stored_object_open(Store *store, const char *key, const Compression *compression,
                   const AgeRecipients *recipients, StoredObject **ret_object)
{
	AUTO(StoredObject) object = NEW(StoredObject);
	Sink *writer = NULL;

	TRY(store_writer(store, key, &writer));
	object->pipe = pipe_new();
	object->chunks = chunk_list_for(compression, 0, 0);
	codec_add_encoder(object->pipe, compression, compression->cpu == NULL ? NULL : &object->chunks);
	age_add_encoder(object->pipe, recipients);
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

uint64_t
stored_object_raw_size(const StoredObject *object)
{
	return object->raw_size;
}

Error *
stored_object_finish(StoredObject *object, Digest *ret_stored)
{
	TRY(pipe_finish(object->pipe));
	*ret_stored = object->stored;
	return NULL;
}

ChunkList
stored_object_take_chunks(StoredObject *object)
{
	ChunkList chunks = object->chunks;

	object->chunks = (ChunkList){0};
	return chunks;
}

void
stored_object_free(StoredObject *object)
{
	if (object == NULL)
		return;
	pipe_free(object->pipe);
	chunk_list_release(&object->chunks);
	free(object);
}
