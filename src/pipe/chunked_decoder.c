/*
 * Decompression of a stream whose chunks are known, by all threads of a pool: chunks are decoded side by side and passed
 * on in order.
 *
 * The processor time must not grow with it, so nothing is made twice that can serve again: for 16 MiB of new memory the
 * kernel takes 8 ms, half of what decoding costs.  There are as many chunks in memory as the pool has threads, and one
 * that fills up meanwhile; as many decoders as threads, for each brotli decoder wants a window in front of its first chunk.
 *
 * A list comes out of the store: where its chunks do not stand for themselves, or would need much memory, it is set
 * aside, and the stream is decoded as one.
 */
#include <pthread.h>
#include <string.h>

#include "codec_stages.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/base/ordered.h"

#define CHUNK_MOST ((uint64_t) 4 * 1024 * 1024) /* raw */

typedef struct ChunkedDecoder
{
	Sink sink;
	ChunkedStream stream;
	char *what;
	Workers *cpu;
	Sink *(*decoder)(uint64_t most, const char *what);
	bool begun;
	Sink *whole; /* decodes it as one stream; NULL: in chunks, by the ring */
	Ordered *ring;
	size_t next;              /* chunk that the next bytes belong to */
	struct ChunkJob *filling; /* that chunk; NULL: none of its bytes was there */
	struct ChunkJob *spare;

	pthread_mutex_t mutex;
	void **idle; /* decoders that decoded a chunk, and decode none now */
	size_t n_idle;
} ChunkedDecoder;

typedef struct ChunkJob
{
	ChunkedDecoder *owner;
	size_t number;
	uint8_t *data;
	size_t size;
	size_t capacity;
	uint8_t *raw;
} ChunkJob;

static void
chunk_job_free(void *argument)
{
	ChunkJob *job = argument;

	if (job == NULL)
		return;
	free(job->data);
	free(job->raw);
	free(job);
}

/* NULL: there is none yet for this thread. */
static void *
take_idle(ChunkedDecoder *self)
{
	(void) pthread_mutex_lock(&self->mutex);
	void *decoder = self->n_idle > 0 ? self->idle[--self->n_idle] : NULL;
	(void) pthread_mutex_unlock(&self->mutex);
	return decoder;
}

static void
put_idle(ChunkedDecoder *self, void *decoder)
{
	(void) pthread_mutex_lock(&self->mutex);
	self->idle[self->n_idle++] = decoder;
	(void) pthread_mutex_unlock(&self->mutex);
}

static Error *
decode_job(void *argument, const atomic_bool *stop)
{
	ChunkJob *job = argument;
	ChunkedDecoder *self = job->owner;
	bool last = job->number + 1 == self->stream.list->count;
	void *decoder = NULL;
	Error *error;

	(void) stop; /* a chunk takes some milliseconds */
	if (job->raw == NULL)
		job->raw = mem_alloc(self->stream.list->chunk_size);

	/* The stream's first bytes want a decoder that has seen none, its last ones leave one that takes no more: and jobs may overtake each other. */
	if (job->number > 0)
		decoder = take_idle(self);
	error = codec_decode_chunks_with(&self->stream, job->number, 1, job->data, job->size, job->raw, &decoder);
	if (error == NULL && !last)
		put_idle(self, decoder);
	else
		codec_chunk_decoder_free(self->stream.codec, decoder);
	return error;
}

/* Of the last one it may be less: what is encrypted is a little longer. */
static size_t
stored_size(const ChunkedDecoder *self, size_t number)
{
	const ChunkList *list = self->stream.list;
	uint64_t end = number + 1 < list->count ? list->places[number + 1].offset : self->stream.size;

	return end - list->places[number].offset;
}

static size_t
raw_size(const ChunkedDecoder *self, size_t number)
{
	uint64_t left = self->stream.raw_size - number * self->stream.list->chunk_size;

	return left < self->stream.list->chunk_size ? left : self->stream.list->chunk_size;
}

static bool
can_be_in_chunks(const ChunkedDecoder *self)
{
	const ChunkList *list = self->stream.list;

	if (list->chunk_size > CHUNK_MOST || !codec_has_chunks(&self->stream))
		return false;
	for (size_t i = 0; i < list->count; i++)
		if (stored_size(self, i) > codec_stored_most(list->chunk_size))
			return false;
	return true;
}

static void
begin(ChunkedDecoder *self, uint8_t first_byte)
{
	static const OrderedOps ops = {.run = decode_job, .free = chunk_job_free};

	self->begun = true;
	self->stream.first_byte = first_byte;
	if (can_be_in_chunks(self))
	{
		self->ring = ordered_new(self->cpu, workers_size(self->cpu) + 1, &ops);
		return;
	}
	self->whole = self->decoder(self->stream.raw_size, self->what);
	self->whole->next = self->sink.next;
}

static Error *
pass_oldest_on(ChunkedDecoder *self)
{
	void *taken = NULL;

	TRY(cancel_check());
	TRY(ordered_take(self->ring, &taken));

	ChunkJob *job = taken;
	Error *error = sink_write(self->sink.next, job->raw, raw_size(self, job->number));

	chunk_job_free(self->spare);
	self->spare = job;
	return error;
}

static Error *
begin_chunk(ChunkedDecoder *self)
{
	ChunkJob *job;

	if (ordered_is_full(self->ring))
		TRY(pass_oldest_on(self));
	job = self->spare != NULL ? MOVE(self->spare) : NEW(ChunkJob);
	self->filling = job;
	job->owner = self;
	job->number = self->next;
	job->size = 0;
	if (job->capacity >= stored_size(self, self->next))
		return NULL;

	/* The others have about as many bytes: some more, so that it does for them, too. */
	free(job->data);
	job->capacity = stored_size(self, self->next) + stored_size(self, self->next) / 8;
	job->data = mem_alloc(job->capacity);
	return NULL;
}

static void
hand_over(ChunkedDecoder *self)
{
	self->next++;
	ordered_submit(self->ring, MOVE(self->filling));
}

static Error *
chunked_decoder_write(Sink *sink, const void *data, size_t size)
{
	ChunkedDecoder *self = (ChunkedDecoder *) sink;
	const uint8_t *next = data;

	if (!self->begun && size > 0)
		begin(self, *next);
	if (self->whole != NULL)
		return sink_write(self->whole, data, size);
	while (size > 0)
	{
		if (self->next == self->stream.list->count)
			return codec_error_trailing(self->what);
		if (self->filling == NULL)
			TRY(begin_chunk(self));

		ChunkJob *job = self->filling;
		size_t room = stored_size(self, job->number) - job->size;
		size_t piece = size < room ? size : room;

		memcpy(job->data + job->size, next, piece);
		job->size += piece;
		next += piece;
		size -= piece;
		if (piece == room)
			hand_over(self);
	}
	return NULL;
}

static Error *
chunked_decoder_finish(Sink *sink)
{
	ChunkedDecoder *self = (ChunkedDecoder *) sink;

	if (self->whole != NULL)
		return self->whole->ops->finish(self->whole);
	if (self->filling != NULL && self->next + 1 == self->stream.list->count)
		hand_over(self);
	if (!self->begun || self->next < self->stream.list->count)
		return codec_error_truncated(self->what);
	while (!ordered_is_empty(self->ring))
		TRY(pass_oldest_on(self));
	return NULL;
}

static void
chunked_decoder_free(Sink *sink)
{
	ChunkedDecoder *self = (ChunkedDecoder *) sink;

	ordered_free(self->ring);
	for (size_t i = 0; i < self->n_idle; i++)
		codec_chunk_decoder_free(self->stream.codec, self->idle[i]);
	(void) pthread_mutex_destroy(&self->mutex);
	free(self->idle);
	chunk_job_free(self->filling);
	chunk_job_free(self->spare);
	sink_free(self->whole);
	free(self->what);
	free(self);
}

Sink *
chunked_decoder_new(const ChunkedStream *stream, Sink *(*decoder)(uint64_t most, const char *what),
                    Workers *cpu)
{
	static const SinkOps ops = {
		.write = chunked_decoder_write,
		.finish = chunked_decoder_finish,
		.free = chunked_decoder_free,
	};
	ChunkedDecoder *self = NEW(ChunkedDecoder);

	self->sink.ops = &ops;
	self->stream = *stream;
	self->what = mem_strdup(stream->what);
	self->stream.what = self->what;
	self->decoder = decoder;
	self->cpu = cpu;
	self->idle = NEW_ARRAY(void *, (size_t) workers_size(cpu) + 1);
	(void) pthread_mutex_init(&self->mutex, NULL);
	return &self->sink;
}
