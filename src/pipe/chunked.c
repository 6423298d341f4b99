/*
 * Compression in chunks, by all threads of a pool: the stream is cut into chunks
 * that are encoded side by side and passed on in order.  What fits into one chunk
 * is encoded by the pipe's own thread: small data does not pay for threads.
 * Without a pool it encodes all of them.
 *
 * Memory: a chunk and the output of it, for each thread and two more; without a
 * pool one.
 */
#include <string.h>

#include "codec_stages.h"
#include "walship/base/cancel.h"
#include "walship/base/crc32c.h"
#include "walship/base/mem.h"
#include "walship/base/ordered.h"

/* Besides those that the threads work at: one to begin with next, while the oldest is passed on. */
#define CHUNKS_WAITING 1

/* Even an empty chunk ends with some bytes. */
#define OUT_LEAST ((size_t) 64 * 1024)

typedef struct ChunkJob
{
	Chunk chunk;
	ChunkEncoder encode;
} ChunkJob;

typedef struct ChunkedEncoder
{
	Sink sink;
	ChunkEncoder encode;
	Compression compression;
	Ordered *ring;     /* NULL while everything fits into one chunk, and without a pool */
	ChunkJob *filling; /* NULL before the first byte */
	ChunkJob *spare;   /* without a pool: one whose memory serves again */
	uint64_t position;
	ChunkList *list; /* the caller's, or NULL */
	uint64_t written;
} ChunkedEncoder;

void
chunk_grow(Chunk *chunk)
{
	chunk->out_capacity += chunk->in_size / 2 + OUT_LEAST;
	chunk->out = mem_realloc(chunk->out, chunk->out_capacity);
}

static void
chunk_job_free(void *argument)
{
	ChunkJob *job = argument;

	if (job == NULL)
		return;
	free(job->chunk.in);
	free(job->chunk.out);
	free(job);
}

static Error *
encode_job(void *argument, const atomic_bool *stop)
{
	ChunkJob *job = argument;

	(void) stop; /* a chunk takes some milliseconds */
	return job->encode(&job->chunk);
}

static void
note_place(ChunkedEncoder *self, const Chunk *chunk)
{
	ChunkList *list = self->list;

	if (list == NULL)
		return;
	if (chunk->position % list->chunk_size == 0)
	{
		GROW(list->places, list->count, list->capacity);
		list->places[list->count++] = (ChunkPlace){.offset = self->written};
	}
	list->places[list->count - 1].crc32c =
		crc32c(list->places[list->count - 1].crc32c, chunk->in, chunk->in_size);
}

static Error *
pass_on(ChunkedEncoder *self, const Chunk *chunk)
{
	note_place(self, chunk);
	self->written += chunk->out_size;
	return sink_write(self->sink.next, chunk->out, chunk->out_size);
}

/* Passes the oldest chunk on; its memory serves again. */
static Error *
emit_oldest(ChunkedEncoder *self, ChunkJob **ret_job)
{
	void *taken = NULL;

	TRY(ordered_take(self->ring, &taken));

	ChunkJob *job = taken;
	Error *error = pass_on(self, &job->chunk);

	*ret_job = job;
	return error;
}

/* The chunk that is being filled, by the pipe's own thread. */
static Error *
encode_here(ChunkedEncoder *self)
{
	TRY(self->encode(&self->filling->chunk));
	TRY(pass_on(self, &self->filling->chunk));
	self->position += self->filling->chunk.in_size;
	self->spare = MOVE(self->filling);
	return NULL;
}

/* The chunk that is being filled, to the pool. */
static Error *
hand_over(ChunkedEncoder *self)
{
	static const OrderedOps ops = {.run = encode_job, .free = chunk_job_free};

	TRY(cancel_check());
	if (self->compression.cpu == NULL)
		return encode_here(self);
	if (self->ring == NULL)
		self->ring =
			ordered_new(self->compression.cpu, workers_size(self->compression.cpu) + CHUNKS_WAITING, &ops);
	self->position += self->filling->chunk.in_size;
	ordered_submit(self->ring, MOVE(self->filling));
	return NULL;
}

/* An empty chunk behind those that were handed over. */
static Error *
begin_chunk(ChunkedEncoder *self)
{
	if (self->ring != NULL && ordered_is_full(self->ring))
		TRY(emit_oldest(self, &self->filling));
	else if (self->spare != NULL)
		self->filling = MOVE(self->spare);
	else
	{
		self->filling = NEW(ChunkJob);
		self->filling->encode = self->encode;
		self->filling->chunk.level = self->compression.level;
		self->filling->chunk.in = mem_alloc(self->compression.chunk_size);
	}
	self->filling->chunk.position = self->position;
	self->filling->chunk.in_size = 0;
	self->filling->chunk.last = false;
	return NULL;
}

static Error *
chunked_encoder_write(Sink *sink, const void *data, size_t size)
{
	ChunkedEncoder *self = (ChunkedEncoder *) sink;
	const uint8_t *next = data;

	while (size > 0)
	{
		/* Only when there is more: the last chunk must be known as such. */
		if (self->filling != NULL && self->filling->chunk.in_size == self->compression.chunk_size)
			TRY(hand_over(self));
		if (self->filling == NULL)
			TRY(begin_chunk(self));

		Chunk *chunk = &self->filling->chunk;
		size_t room = self->compression.chunk_size - chunk->in_size;
		size_t piece = size < room ? size : room;

		memcpy(chunk->in + chunk->in_size, next, piece);
		chunk->in_size += piece;
		next += piece;
		size -= piece;
	}
	return NULL;
}

static Error *
chunked_encoder_finish(Sink *sink)
{
	ChunkedEncoder *self = (ChunkedEncoder *) sink;

	if (self->filling == NULL)
		TRY(begin_chunk(self));
	self->filling->chunk.last = true;
	if (self->ring == NULL)
		return encode_here(self);
	TRY(hand_over(self));
	while (!ordered_is_empty(self->ring))
	{
		ChunkJob *job = NULL;
		Error *error = emit_oldest(self, &job);

		chunk_job_free(job);
		TRY(error);
	}
	return NULL;
}

static void
chunked_encoder_free(Sink *sink)
{
	ChunkedEncoder *self = (ChunkedEncoder *) sink;

	ordered_free(self->ring);
	chunk_job_free(self->filling);
	chunk_job_free(self->spare);
	free(self);
}

Sink *
chunked_encoder_new(ChunkEncoder encode, const Compression *compression, ChunkList *ret_list)
{
	static const SinkOps ops = {
		.write = chunked_encoder_write,
		.finish = chunked_encoder_finish,
		.free = chunked_encoder_free,
	};
	ChunkedEncoder *self = NEW(ChunkedEncoder);

	self->sink.ops = &ops;
	self->encode = encode;
	self->compression = *compression;
	self->list = ret_list;
	return &self->sink;
}
