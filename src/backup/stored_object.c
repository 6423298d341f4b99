/* One object on its way into the store; see walship/backup/stored_object.h. */
#include "walship/backup/stored_object.h"

#include <stdlib.h>

#include "walship/base/mem.h"

struct StoredObject
{
	Pipe *pipe;
	uint64_t raw_size;
	Digest stored; /* set when the pipe is finished */
};

Error *
stored_object_open(Store *store, const char *key, const Compression *compression,
                   const AgeRecipients *recipients, StoredObject **ret_object)
{
	AUTO(StoredObject) object = NEW(StoredObject);
	Sink *writer = NULL;

	TRY(store_writer(store, key, &writer));
	object->pipe = pipe_new();
	codec_add_encoder(object->pipe, compression, NULL);
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

void
stored_object_free(StoredObject *object)
{
	if (object == NULL)
		return;
	pipe_free(object->pipe);
	free(object);
}
