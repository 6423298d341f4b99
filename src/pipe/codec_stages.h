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

/* Of chunks that were decoded: their CRCs. */
Error *codec_check_chunks(const ChunkedStream *stream, size_t first, size_t count, const void *raw)
	MUST_CHECK;

/*
 * What a stream begins with: a piece of it that is decoded without looking at the others.
 */
typedef enum PieceKind
{
	PIECE_WHOLE,
	PIECE_CUT,   /* there may be one, if more bytes come */
	PIECE_OTHER, /* longer than PIECE_RAW_MOST, of unknown length, damaged, or none at all */
} PieceKind;

/* Walship's own chunks of base backups are as long; the memory for them is bounded by it. */
#define PIECE_RAW_MOST ((size_t) 4 * 1024 * 1024)

typedef struct Piece
{
	size_t stored_size;
	size_t raw_size;
} Piece;

PieceKind zstd_find_frame(const void *data, size_t size, Piece *ret_frame);

/* What zstd_decoder_new() made gets the stream behind so many frames, which gave "total" bytes. */
void zstd_decoder_skip(Sink *decoder, uint64_t frames, uint64_t total);

/* How the streams of a codec are decoded in pieces: chunks that a list tells, frames that say how long they are. */
typedef struct PieceDecoder
{
	ChunkDecoder decode; /* NULL: they are not */
	void (*free)(void *kept);
	PieceKind (*find)(const void *data, size_t size, Piece *ret_frame); /* NULL: there are no frames */
	void (*skip)(Sink *decoder, uint64_t frames, uint64_t total);
} PieceDecoder;

const PieceDecoder *codec_piece_decoder(Codec codec);

/*
 * By this pool, at most "most_pieces" at a time; what is no piece by "whole", which becomes the stage's: see
 * codec_add_parallel_decoder().
 */
Sink *parallel_decoder_new(const PieceDecoder *pieces, const ChunkedStream *stream, Sink *whole, Workers *cpu,
                           int most_pieces);

/* Are chunks of this size independent of each other, in a stream that begins so? */
bool brotli_chunks_are_independent(uint8_t first_byte, uint64_t chunk_size);

/* Size of the buffer in which an encoder or decoder collects its output. */
#define CODEC_BUFFER_SIZE (128u * 1024)

/* Of any decoder: the kind is always ERR_CORRUPT. */
Error *codec_error_truncated(const char *what) MUST_CHECK;
Error *codec_error_trailing(const char *what) MUST_CHECK;
Error *codec_error_too_long(const char *what, uint64_t most) MUST_CHECK;
Error *codec_error_chunk(const char *what) MUST_CHECK;
