/* What each compression library offers to codec.c.  Levels are within codec_level_range(). */
#pragma once

#include <stdbool.h>

#include "walship/pipe/codec.h"
#include "walship/pipe/sink.h"

Sink *brotli_encoder_new(int level);
Sink *brotli_decoder_new(uint64_t most, const char *what);

Sink *zstd_encoder_new(int level);
Sink *zstd_decoder_new(uint64_t most, const char *what);

/*
 * A piece of a stream that is encoded without looking at the others; the
 * outputs, one after the other, are one ordinary stream.
 */
typedef struct Chunk
{
	int level;
	uint64_t position; /* of its first byte in the stream */
	bool last;
	uint8_t *in;
	size_t in_size;
	uint8_t *out; /* owned, as is "in"; NULL before the first encoding */
	size_t out_size;
	size_t out_capacity;
} Chunk;

typedef Error *(*ChunkEncoder)(Chunk *chunk);

void chunk_grow(Chunk *chunk); /* its output */

Error *brotli_encode_chunk(Chunk *chunk) MUST_CHECK;
Error *zstd_encode_chunk(Chunk *chunk) MUST_CHECK;

/* Collects chunks, and has them encoded, in the pool if there is one, in order.  "ret_list" may be NULL. */
Sink *chunked_encoder_new(ChunkEncoder encode, const Compression *compression, ChunkList *ret_list);

/* A chunk, or consecutive ones, whose length is known, to be decoded for itself. */
typedef struct ChunkInput
{
	uint8_t first_byte; /* of the stream */
	bool first;         /* at the stream's beginning */
	bool last;          /* to its end */
	const void *data;
	size_t size;
} ChunkInput;

/*
 * Fills "raw" exactly.  ERR_CORRUPT: they are longer or shorter, or no chunks.  *kept is a decoder
 * that has decoded other chunks of the same stream, in any order, but not its last one: it has brotli's
 * window and its memory already.  NULL, as for the stream's first chunk: one is made.  After an error it
 * is only to be freed; the caller does that.
 */
typedef Error *(*ChunkDecoder)(const ChunkInput *input, void *raw, size_t raw_size, const char *what,
                               void **kept);

Error *brotli_decode_chunks(const ChunkInput *input, void *raw, size_t raw_size, const char *what,
                            void **kept) MUST_CHECK;
void brotli_chunk_decoder_free(void *kept);
Error *zstd_decode_chunks(const ChunkInput *input, void *raw, size_t raw_size, const char *what, void **kept)
	MUST_CHECK;
void zstd_chunk_decoder_free(void *kept);

/* codec_decode_chunks() with a decoder that is kept. */
Error *codec_decode_chunks_with(const ChunkedStream *stream, size_t first, size_t count, const void *data,
                                size_t size, void *raw, void **kept) MUST_CHECK;
void codec_chunk_decoder_free(Codec codec, void *kept);

/*
 * What a stream begins with: a piece of it that is decoded without looking at the others, and says how long it is.
 */
typedef enum FrameKind
{
	FRAME_WHOLE,
	FRAME_CUT,   /* there may be one, if more bytes come */
	FRAME_OTHER, /* longer than FRAME_RAW_MOST, of unknown length, damaged, or no frame */
} FrameKind;

/* Walship's own frames of base backups are as long; the memory for them is bounded by it. */
#define FRAME_RAW_MOST ((size_t) 4 * 1024 * 1024)

typedef struct Frame
{
	size_t stored_size;
	size_t raw_size;
} Frame;

FrameKind zstd_find_frame(const void *data, size_t size, Frame *ret_frame);
Error *zstd_decode_frame(const Frame *frame, const void *data, void *raw, const char *what) MUST_CHECK;

/* A decoder for what follows so many frames, which gave "total" bytes. */
Sink *zstd_decoder_behind_frames(uint64_t frames, uint64_t total, uint64_t most, const char *what);

/* "rest" makes the decoder for what follows the last frame. */
typedef struct FrameDecoder
{
	FrameKind (*find)(const void *data, size_t size, Frame *ret_frame);
	Error *(*decode)(const Frame *frame, const void *data, void *raw, const char *what);
	Sink *(*rest)(uint64_t frames, uint64_t total, uint64_t most, const char *what);
} FrameDecoder;

Sink *frames_decoder_new(const FrameDecoder *decoder, uint64_t most, const char *what, Workers *cpu,
                         int most_frames);

/* Are chunks of this size independent of each other, in a stream that begins so? */
bool brotli_chunks_are_independent(uint8_t first_byte, uint64_t chunk_size);

/* By the pool, or by "decoder", as one stream; see codec_add_chunk_decoder(). */
Sink *chunked_decoder_new(const ChunkedStream *stream, Sink *(*decoder)(uint64_t most, const char *what),
                          Workers *cpu);

/* Size of the buffer in which an encoder or decoder collects its output. */
#define CODEC_BUFFER_SIZE (128u * 1024)

/* Of any decoder: the kind is always ERR_CORRUPT. */
Error *codec_error_truncated(const char *what) MUST_CHECK;
Error *codec_error_trailing(const char *what) MUST_CHECK;
Error *codec_error_too_long(const char *what, uint64_t most) MUST_CHECK;
Error *codec_error_chunk(const char *what) MUST_CHECK;
