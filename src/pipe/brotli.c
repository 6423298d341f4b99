/* brotli: the only file that knows its library. */
#include <brotli/decode.h>
#include <brotli/encode.h>

#include "codec_stages.h"
#include "walship/base/mem.h"

/* A window of 1 MiB: at low levels a larger one costs a quarter more time and gains nothing on WAL. */
#define BROTLI_WINDOW_BITS 20

/* Handed to the library, so that it never sees an allocation fail. */
static void *
library_alloc(void *opaque, size_t size)
{
	(void) opaque;
	return mem_alloc(size);
}

static void
library_free(void *opaque, void *pointer)
{
	(void) opaque;
	free(pointer);
}

AUTO_DEFINE(BrotliEncoderState, BrotliEncoderDestroyInstance);

typedef struct BrotliEncoder
{
	Sink sink;
	BrotliEncoderState *state;
	int level;
	size_t used; /* of the buffer */
	uint8_t buffer[CODEC_BUFFER_SIZE];
} BrotliEncoder;

static Error *
encoder_state_new(int level, BrotliEncoderState **ret_state)
{
	AUTO(BrotliEncoderState) state = BrotliEncoderCreateInstance(library_alloc, library_free, NULL);

	if (state == NULL || !BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, (uint32_t) level) ||
	    !BrotliEncoderSetParameter(state, BROTLI_PARAM_LGWIN, BROTLI_WINDOW_BITS))
		return error_new(ERR_SYSTEM, "could not compress: brotli refuses level %d", level);
	*ret_state = MOVE(state);
	return NULL;
}

static Error *
brotli_encoder_flush(BrotliEncoder *self)
{
	size_t size = self->used;

	self->used = 0;
	return sink_write(self->sink.next, self->buffer, size);
}

/* Until the input is taken and, for FINISH, all output is out. */
static Error *
brotli_encode(BrotliEncoder *self, BrotliEncoderOperation operation, const uint8_t *in, size_t in_left)
{
	if (self->state == NULL)
		TRY(encoder_state_new(self->level, &self->state));
	do
	{
		uint8_t *out = self->buffer + self->used;
		size_t out_left = sizeof(self->buffer) - self->used;

		if (!BrotliEncoderCompressStream(self->state, operation, &in_left, &in, &out_left, &out, NULL))
			return error_new(ERR_SYSTEM, "could not compress: brotli reports an internal error");
		self->used = sizeof(self->buffer) - out_left;
		if (out_left == 0)
			TRY(brotli_encoder_flush(self));
	} while (in_left > 0 || BrotliEncoderHasMoreOutput(self->state) ||
	         (operation == BROTLI_OPERATION_FINISH && !BrotliEncoderIsFinished(self->state)));
	return NULL;
}

static Error *
brotli_encoder_write(Sink *sink, const void *data, size_t size)
{
	return brotli_encode((BrotliEncoder *) sink, BROTLI_OPERATION_PROCESS, data, size);
}

static Error *
brotli_encoder_finish(Sink *sink)
{
	BrotliEncoder *self = (BrotliEncoder *) sink;

	TRY(brotli_encode(self, BROTLI_OPERATION_FINISH, NULL, 0));
	return brotli_encoder_flush(self);
}

static void
brotli_encoder_free(Sink *sink)
{
	BrotliEncoder *self = (BrotliEncoder *) sink;

	BrotliEncoderDestroyInstance(self->state);
	free(self);
}

static const SinkOps brotli_encoder_ops = {
	.write = brotli_encoder_write,
	.finish = brotli_encoder_finish,
	.free = brotli_encoder_free,
};

Sink *
brotli_encoder_new(int level)
{
	BrotliEncoder *self = NEW(BrotliEncoder);

	self->sink.ops = &brotli_encoder_ops;
	self->level = level;
	return &self->sink;
}

/*
 * An encoder that is told that bytes went before refers to nothing in front of
 * the chunk, and writes no stream header.  The library (1.0.9) takes offsets up
 * to 2^30 only, and counts in 32 bits; what matters is whether a window's worth
 * of bytes went before, so a smaller offset does as well for all later chunks.
 */
#define STREAM_OFFSET_MAX (1u << 30)

Error *
brotli_encode_chunk(Chunk *chunk)
{
	/* FLUSH ends a chunk at a whole byte; only the last one ends the stream. */
	BrotliEncoderOperation operation = chunk->last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_FLUSH;
	uint32_t offset = chunk->position < STREAM_OFFSET_MAX ? (uint32_t) chunk->position : STREAM_OFFSET_MAX;
	AUTO(BrotliEncoderState) state = NULL;
	const uint8_t *in = chunk->in;
	size_t in_left = chunk->in_size;

	TRY(encoder_state_new(chunk->level, &state));
	if (offset > 0 && !BrotliEncoderSetParameter(state, BROTLI_PARAM_STREAM_OFFSET, offset))
		return error_new(ERR_SYSTEM, "could not compress: brotli refuses the offset %u", offset);

	chunk->out_size = 0;
	do
	{
		if (chunk->out_size == chunk->out_capacity)
			chunk_grow(chunk);

		uint8_t *out = chunk->out + chunk->out_size;
		size_t out_left = chunk->out_capacity - chunk->out_size;

		if (!BrotliEncoderCompressStream(state, operation, &in_left, &in, &out_left, &out, NULL))
			return error_new(ERR_SYSTEM, "could not compress: brotli reports an internal error");
		chunk->out_size = chunk->out_capacity - out_left;
	} while (in_left > 0 || BrotliEncoderHasMoreOutput(state));
	return NULL;
}

typedef struct BrotliDecoder
{
	Sink sink;
	BrotliDecoderState *state;
	BrotliDecoderResult result;
	uint64_t most;
	uint64_t total; /* decoded so far */
	char *what;
} BrotliDecoder;

/* From the library's own window, which is as good as a copy of it until it is called again. */
static Error *
pass_output_on(BrotliDecoder *self)
{
	while (BrotliDecoderHasMoreOutput(self->state))
	{
		size_t size = CODEC_BUFFER_SIZE;
		const uint8_t *output = BrotliDecoderTakeOutput(self->state, &size);

		if (size > self->most - self->total)
			return codec_error_too_long(self->what, self->most);
		self->total += size;
		TRY(sink_write(self->sink.next, output, size));
	}
	return NULL;
}

static Error *
brotli_decoder_write(Sink *sink, const void *data, size_t size)
{
	BrotliDecoder *self = (BrotliDecoder *) sink;
	const uint8_t *in = data;
	size_t in_left = size;

	if (self->state == NULL)
		self->state = BrotliDecoderCreateInstance(library_alloc, library_free, NULL);
	if (self->state == NULL)
		return error_new(ERR_SYSTEM, "could not decompress %s: brotli does not start", self->what);
	do
	{
		size_t no_room = 0;

		if (self->result == BROTLI_DECODER_RESULT_SUCCESS)
			return codec_error_trailing(self->what);
		self->result = BrotliDecoderDecompressStream(self->state, &in_left, &in, &no_room, NULL, NULL);
		if (self->result == BROTLI_DECODER_RESULT_ERROR)
			return error_new(ERR_CORRUPT, "could not decompress %s: brotli reports \"%s\"", self->what,
			                 BrotliDecoderErrorString(BrotliDecoderGetErrorCode(self->state)));
		TRY(pass_output_on(self));
	} while (in_left > 0 || self->result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
	return NULL;
}

static Error *
brotli_decoder_finish(Sink *sink)
{
	BrotliDecoder *self = (BrotliDecoder *) sink;

	return self->result == BROTLI_DECODER_RESULT_SUCCESS ? NULL : codec_error_truncated(self->what);
}

static void
brotli_decoder_free(Sink *sink)
{
	BrotliDecoder *self = (BrotliDecoder *) sink;

	BrotliDecoderDestroyInstance(self->state);
	free(self->what);
	free(self);
}

static const SinkOps brotli_decoder_ops = {
	.write = brotli_decoder_write,
	.finish = brotli_decoder_finish,
	.free = brotli_decoder_free,
};

Sink *
brotli_decoder_new(uint64_t most, const char *what)
{
	BrotliDecoder *self = NEW(BrotliDecoder);

	self->sink.ops = &brotli_decoder_ops;
	self->result = BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT;
	self->most = most;
	self->what = mem_strdup(what);
	return &self->sink;
}
