/* zstd: the only file that knows its library. */
#include <stdbool.h>
#include <zstd.h>

#include "codec_stages.h"
#include "walship/base/mem.h"

/*
 * What is written in pieces of such sizes becomes a frame each.  Encoded in one
 * go a piece is read where it is, whereas a stream is first copied into the
 * encoder's window: an eighth of the time, for 1 % of the size at 1 MiB
 * (measured on WAL, zstd 1.5.4).  The upper limit is that of the memory for it.
 */
#define FRAME_LEAST ((size_t) 1024 * 1024)
#define FRAME_MOST  (4 * FRAME_LEAST)

AUTO_DEFINE(ZSTD_CCtx, ZSTD_freeCCtx);

typedef struct ZstdEncoder
{
	Sink sink;
	ZSTD_CCtx *context;
	int level;
	bool in_stream; /* something else was written; from there on it is one frame to the end */
	void *frame;    /* owned; for the output of a whole frame */
	size_t frame_capacity;
	size_t used; /* of the buffer */
	char buffer[CODEC_BUFFER_SIZE];
} ZstdEncoder;

static Error *
context_set(ZSTD_CCtx *context, ZSTD_cParameter parameter, int value)
{
	size_t result = ZSTD_CCtx_setParameter(context, parameter, value);

	if (ZSTD_isError(result))
		return error_new(ERR_SYSTEM, "could not compress with zstd: parameter %d is refused: %s",
		                 (int) parameter, ZSTD_getErrorName(result));
	return NULL;
}

/*
 * Levels whose parameters are not the library's, but better ones for PostgreSQL's
 * files (measured: zstd 1.5.4).  0 is the level's own.
 *
 * 1: matches from six bytes on instead of seven: 1.4 % less of WAL, for 6 % more time.
 *
 * 2: rows and WAL records repeat short fields, which its fast strategy passes
 * over.  With matches from five bytes on and twice the table it is as small as
 * level 3 on WAL, and a quarter to a third faster.
 *
 * 3: text in tables gains by more room for long matches, and short ones are found
 * as well in a table that fits into a nearer cache: a little smaller and faster.
 */
typedef struct Tuning
{
	int level;
	int min_match;
	int hash_log;
	int chain_log;
} Tuning;

static const Tuning tunings[] = {
	{.level = 1, .min_match = 6},
	{.level = 2, .min_match = 5, .hash_log = 17},
	{.level = 3, .hash_log = 18, .chain_log = 14},
};

static Error *
context_new(int level, ZSTD_CCtx **ret_context)
{
	AUTO(ZSTD_CCtx) context = ZSTD_createCCtx();

	if (context == NULL)
		return error_new(ERR_SYSTEM, "could not compress with zstd: out of memory");
	TRY(context_set(context, ZSTD_c_compressionLevel, level));
	for (size_t i = 0; i < lengthof(tunings); i++)
	{
		if (tunings[i].level != level)
			continue;
		TRY(context_set(context, ZSTD_c_minMatch, tunings[i].min_match));
		TRY(context_set(context, ZSTD_c_hashLog, tunings[i].hash_log));
		TRY(context_set(context, ZSTD_c_chainLog, tunings[i].chain_log));
	}
	TRY(context_set(context, ZSTD_c_checksumFlag, 1));
	*ret_context = MOVE(context);
	return NULL;
}

static Error *
zstd_encoder_start(ZstdEncoder *self)
{
	return self->context == NULL ? context_new(self->level, &self->context) : NULL;
}

static Error *
zstd_encoder_flush(ZstdEncoder *self)
{
	size_t size = self->used;

	self->used = 0;
	return sink_write(self->sink.next, self->buffer, size);
}

/* Until the input is taken and, for the end, the frame is complete. */
static Error *
zstd_encode(ZstdEncoder *self, ZSTD_EndDirective directive, const void *data, size_t size)
{
	ZSTD_inBuffer in = {.src = data, .size = size};
	size_t held_back;

	TRY(zstd_encoder_start(self));
	do
	{
		ZSTD_outBuffer out = {.dst = self->buffer, .size = sizeof(self->buffer), .pos = self->used};

		held_back = ZSTD_compressStream2(self->context, &out, &in, directive);
		if (ZSTD_isError(held_back))
			return error_new(ERR_SYSTEM, "could not compress with zstd: %s", ZSTD_getErrorName(held_back));
		self->used = out.pos;
		if (out.pos == out.size)
			TRY(zstd_encoder_flush(self));
	} while (in.pos < in.size || (directive == ZSTD_e_end && held_back > 0));
	return NULL;
}

static Error *
encode_at_once(ZSTD_CCtx *context, void *out, size_t capacity, const void *in, size_t size, size_t *ret_size)
{
	size_t result = ZSTD_compress2(context, out, capacity, in, size);

	if (ZSTD_isError(result))
		return error_new(ERR_SYSTEM, "could not compress with zstd: %s", ZSTD_getErrorName(result));
	*ret_size = result;
	return NULL;
}

static Error *
zstd_encode_frame(ZstdEncoder *self, const void *data, size_t size)
{
	size_t bound = ZSTD_compressBound(size);
	size_t frame_size = 0;

	TRY(zstd_encoder_start(self));
	if (self->frame_capacity < bound)
	{
		self->frame = mem_realloc(self->frame, bound);
		self->frame_capacity = bound;
	}
	TRY(encode_at_once(self->context, self->frame, self->frame_capacity, data, size, &frame_size));
	return sink_write(self->sink.next, self->frame, frame_size);
}

static Error *
zstd_encoder_write(Sink *sink, const void *data, size_t size)
{
	ZstdEncoder *self = (ZstdEncoder *) sink;

	if (!self->in_stream && size >= FRAME_LEAST && size <= FRAME_MOST)
		return zstd_encode_frame(self, data, size);
	self->in_stream = true;
	return zstd_encode(self, ZSTD_e_continue, data, size);
}

/* Nothing at all is a frame, too. */
static Error *
zstd_encoder_finish(Sink *sink)
{
	ZstdEncoder *self = (ZstdEncoder *) sink;

	if (self->frame != NULL && !self->in_stream)
		return NULL;
	TRY(zstd_encode(self, ZSTD_e_end, NULL, 0));
	return zstd_encoder_flush(self);
}

static void
zstd_encoder_free(Sink *sink)
{
	ZstdEncoder *self = (ZstdEncoder *) sink;

	(void) ZSTD_freeCCtx(self->context);
	free(self->frame);
	free(self);
}

static const SinkOps zstd_encoder_ops = {
	.write = zstd_encoder_write,
	.finish = zstd_encoder_finish,
	.free = zstd_encoder_free,
};

Sink *
zstd_encoder_new(int level)
{
	ZstdEncoder *self = NEW(ZstdEncoder);

	self->sink.ops = &zstd_encoder_ops;
	self->level = level;
	return &self->sink;
}

/* Frames follow one another in an ordinary stream, so every chunk is one. */
Error *
zstd_encode_chunk(Chunk *chunk)
{
	AUTO(ZSTD_CCtx) context = NULL;

	while (chunk->out_capacity < ZSTD_compressBound(chunk->in_size))
		chunk_grow(chunk);
	TRY(context_new(chunk->level, &context));
	return encode_at_once(context, chunk->out, chunk->out_capacity, chunk->in, chunk->in_size,
	                      &chunk->out_size);
}

typedef struct ZstdDecoder
{
	Sink sink;
	ZSTD_DCtx *context;
	bool between_frames; /* after at least one frame */
	uint64_t most;
	uint64_t total; /* decoded so far */
	char *what;
	char buffer[CODEC_BUFFER_SIZE];
} ZstdDecoder;

/*
 * Frames may follow each other, as in every zstd stream; so trailing bytes are
 * what does not make another whole frame.  The library's own limit stands: no
 * window above 128 MiB.
 */
static Error *
zstd_decoder_write(Sink *sink, const void *data, size_t size)
{
	ZstdDecoder *self = (ZstdDecoder *) sink;
	ZSTD_inBuffer in = {.src = data, .size = size};
	bool more_output;

	if (self->context == NULL)
		self->context = ZSTD_createDCtx();
	if (self->context == NULL)
		return error_new(ERR_SYSTEM, "could not decompress %s: out of memory", self->what);
	do
	{
		ZSTD_outBuffer out = {.dst = self->buffer, .size = sizeof(self->buffer)};
		bool after_frame = self->between_frames;
		size_t result = ZSTD_decompressStream(self->context, &out, &in);

		if (ZSTD_isError(result) && after_frame)
			return codec_error_trailing(self->what);
		if (ZSTD_isError(result))
			return error_new(ERR_CORRUPT, "could not decompress %s: zstd reports \"%s\"", self->what,
			                 ZSTD_getErrorName(result));
		self->between_frames = result == 0;
		more_output = result != 0 && out.pos == out.size;
		if (out.pos > self->most - self->total)
			return codec_error_too_long(self->what, self->most);
		self->total += out.pos;
		TRY(sink_write(sink->next, self->buffer, out.pos));
	} while (in.pos < in.size || more_output);
	return NULL;
}

static Error *
zstd_decoder_finish(Sink *sink)
{
	ZstdDecoder *self = (ZstdDecoder *) sink;

	return self->between_frames ? NULL : codec_error_truncated(self->what);
}

static void
zstd_decoder_free(Sink *sink)
{
	ZstdDecoder *self = (ZstdDecoder *) sink;

	(void) ZSTD_freeDCtx(self->context);
	free(self->what);
	free(self);
}

static const SinkOps zstd_decoder_ops = {
	.write = zstd_decoder_write,
	.finish = zstd_decoder_finish,
	.free = zstd_decoder_free,
};

void
zstd_chunk_decoder_free(void *kept)
{
	(void) ZSTD_freeDCtx(kept);
}

/* Every chunk is a frame, or several. */
Error *
zstd_decode_chunks(const ChunkInput *input, void *raw, size_t raw_size, const char *what, void **kept)
{
	size_t result;

	if (*kept == NULL)
		*kept = ZSTD_createDCtx();
	if (*kept == NULL)
		return error_new(ERR_SYSTEM, "could not decompress %s: out of memory", what);
	result = ZSTD_decompressDCtx(*kept, raw, raw_size, input->data, input->size);
	if (ZSTD_isError(result))
		return error_new(ERR_CORRUPT, "could not decompress %s: zstd reports \"%s\"", what,
		                 ZSTD_getErrorName(result));
	return result == raw_size ? NULL : codec_error_chunk(what);
}

Sink *
zstd_decoder_new(uint64_t most, const char *what)
{
	ZstdDecoder *self = NEW(ZstdDecoder);

	self->sink.ops = &zstd_decoder_ops;
	self->most = most;
	self->what = mem_strdup(what);
	return &self->sink;
}

void
zstd_decoder_skip(Sink *decoder, uint64_t frames, uint64_t total)
{
	ZstdDecoder *self = (ZstdDecoder *) decoder;

	self->between_frames = frames > 0;
	self->total = total;
}

/* RFC 8878, section 3.1.1: the longest header of a frame. */
#define FRAME_HEADER_MOST 18

/* Less is not worth a job: a stream of a million frames of nothing took a hundred times as long as in one piece. */
#define FRAME_RAW_LEAST ((size_t) 64 * 1024)

/* The same frames are refused as in a stream (RFC 8878, 3.1.1.1: byte 4 says whether byte 5 is that of the window). */
#define SINGLE_SEGMENT         0x20
#define STREAM_WINDOW_LOG_MOST 27 /* ZSTD_d_windowLogMax: the library's default */

static bool
has_large_window(const uint8_t *header)
{
	return (header[4] & SINGLE_SEGMENT) == 0 && 10 + (header[5] >> 3) > STREAM_WINDOW_LOG_MOST;
}

/* The library walks from block to block; it says the same of what is cut off and of what is damaged. */
PieceKind
zstd_find_frame(const void *data, size_t size, Piece *ret_frame)
{
	unsigned long long raw_size = ZSTD_getFrameContentSize(data, size);
	size_t stored_size;

	if (raw_size == ZSTD_CONTENTSIZE_ERROR)
		return size < FRAME_HEADER_MOST ? PIECE_CUT : PIECE_OTHER;
	if (raw_size == ZSTD_CONTENTSIZE_UNKNOWN || raw_size > PIECE_RAW_MOST || raw_size < FRAME_RAW_LEAST ||
	    has_large_window(data))
		return PIECE_OTHER;
	stored_size = ZSTD_findFrameCompressedSize(data, size);
	if (ZSTD_isError(stored_size))
		return size < ZSTD_compressBound((size_t) raw_size) ? PIECE_CUT : PIECE_OTHER;
	*ret_frame = (Piece){.stored_size = stored_size, .raw_size = (size_t) raw_size};
	return PIECE_WHOLE;
}
