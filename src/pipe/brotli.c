/* brotli: the only file that knows its library. */
#include <assert.h>
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

	assert(chunk->position == 0 || chunk->position >= UINT64_C(1) << BROTLI_WINDOW_BITS);
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

/* The beginning of a stream: RFC 7932, 9.1, WBITS; 0: none that every decoder reads. */
static uint32_t
window_bits_of(uint8_t first_byte)
{
	uint32_t high = first_byte >> 1 & 7;
	uint32_t low = first_byte >> 4 & 7;

	if ((first_byte & 1) == 0)
		return 16;
	if (high != 0)
		return 17 + high;
	if (low == 0)
		return 17;
	return low == 1 ? 0 : 8 + low;
}

/*
 * A distance that reaches back beyond all that was decoded means a word of the
 * static dictionary, and how far back is "beyond" depends on how much was decoded,
 * up to the window.  So a decoder that begins with a chunk needs a whole window in
 * front of it, and the chunk must have been encoded behind one.  Larger windows
 * than ours were seen to give wrong bytes without an error (libbrotli 1.0.9, 1.1.0)
 * where a chunk began earlier; those are not tried at all.
 */
bool
brotli_chunks_are_independent(uint8_t first_byte, uint64_t chunk_size)
{
	uint32_t window_bits = window_bits_of(first_byte);

	return window_bits != 0 && window_bits <= BROTLI_WINDOW_BITS && chunk_size >= UINT64_C(1) << window_bits;
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

/* Of zeros, at a time: of the stack. */
#define WINDOW_PIECE ((size_t) 16 * 1024)

/* Nothing is kept of what comes out. */
static Error *
decode_to_nothing(BrotliDecoderState *state, const void *data, size_t size, size_t *left, const char *what)
{
	const uint8_t *in = data;
	BrotliDecoderResult result;

	do
	{
		size_t no_room = 0;
		size_t taken = 0;

		result = BrotliDecoderDecompressStream(state, &size, &in, &no_room, NULL, NULL);
		(void) BrotliDecoderTakeOutput(state, &taken);
		if (taken > *left)
			return codec_error_chunk(what);
		*left -= taken;
	} while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
	return result == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT ? NULL : codec_error_chunk(what);
}

/*
 * A window of zeros, to which no chunk refers: the stream's own first bits, which say how large it is, then
 * meta-blocks that are not compressed (RFC 7932, 9.2: ISLAST 0, MNIBBLES 4, MLEN - 1, ISUNCOMPRESSED 1).  To
 * have the library encode a run of zeros takes four milliseconds, and it decodes them byte by byte.
 */
static Error *
decode_window(BrotliDecoderState *state, uint8_t first_byte, const char *what)
{
	const uint8_t zeros[WINDOW_PIECE] = {0};
	size_t left = (size_t) 1 << window_bits_of(first_byte);
	size_t piece = left < WINDOW_PIECE ? left : WINDOW_PIECE;
	uint32_t n_bits = (first_byte & 1) == 0 ? 1 : (first_byte >> 1 & 7) != 0 ? 4 : 7;
	uint32_t bits = first_byte & ((1u << n_bits) - 1);

	for (size_t begun = 0, size = left; begun < size; begun += piece, n_bits = bits = 0)
	{
		uint8_t head[4];

		bits |= ((uint32_t) (piece - 1) << 3 | 1u << 19) << n_bits;
		n_bits += 20;
		for (size_t i = 0; i < sizeof(head); i++)
			head[i] = (uint8_t) (bits >> 8 * i);
		TRY(decode_to_nothing(state, head, (n_bits + 7) / 8, &left, what));
		TRY(decode_to_nothing(state, zeros, piece, &left, what));
	}
	return left == 0 ? NULL : codec_error_chunk(what);
}

/* A decoder that has decoded a chunk has a window's worth behind it, as every chunk but the first wants it. */
static Error *
chunk_decoder_begin(const ChunkInput *input, const char *what, void **kept)
{
	if (*kept != NULL)
		return NULL;
	*kept = BrotliDecoderCreateInstance(library_alloc, library_free, NULL);
	if (*kept == NULL)
		return error_new(ERR_SYSTEM, "could not decompress %s: brotli does not start", what);
	return input->first ? NULL : decode_window(*kept, input->first_byte, what);
}

void
brotli_chunk_decoder_free(void *kept)
{
	BrotliDecoderDestroyInstance(kept);
}

Error *
brotli_decode_chunks(const ChunkInput *input, void *raw, size_t raw_size, const char *what, void **kept)
{
	BrotliDecoderResult expected =
		input->last ? BROTLI_DECODER_RESULT_SUCCESS : BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT;
	const uint8_t *in = input->data;
	uint8_t *out = raw;
	size_t in_left = input->size;
	size_t room = raw_size;

	TRY(chunk_decoder_begin(input, what, kept));
	if (BrotliDecoderDecompressStream(*kept, &in_left, &in, &room, &out, NULL) != expected || in_left > 0 ||
	    room > 0)
		return codec_error_chunk(what);
	return NULL;
}

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
