/* Compression: ordinary brotli and zstd streams, which the stock programs read. */
#pragma once

#include "walship/base/error.h"
#include "walship/base/workers.h"
#include "walship/pipe/sink.h"

typedef enum Codec
{
	CODEC_NONE,
	CODEC_BROTLI,
	CODEC_ZSTD,
} Codec;

typedef struct Compression
{
	Codec codec;
	int level; /* within codec_level_range() */

	/*
	 * Compresses side by side, in chunks, what is longer than one of them; not
	 * owned.  NULL: the pipe's own thread does it, as it must in a job of a pool.
	 */
	Workers *cpu;
	size_t chunk_size; /* bytes, with "cpu" or with a list of chunks */
} Compression;

typedef enum CompressFor
{
	COMPRESS_WAL,
	COMPRESS_BACKLOG, /* of WAL: a third to two thirds of the time, a sixteenth to a fifth more bytes */
	COMPRESS_BASE,
	COMPRESS_FILES, /* dumps and trees of files */
} CompressFor;

const char *codec_name(Codec codec);   /* "none", "brotli", "zstd" */
const char *codec_suffix(Codec codec); /* "raw", "br", "zst": of members and parts */
bool codec_from_name(const char *name, Codec *ret_codec);
void codec_level_range(Codec codec, int *ret_lowest, int *ret_highest);

/* Walship's choice; without a pool. */
Compression compression_for(Codec codec, CompressFor purpose);

/* The same, where the codec is left to it, too. */
Compression compression_auto(CompressFor purpose);

/*
 * No codec makes more of so many bytes, with age's header and tags.  A stream can be
 * made that decodes to nothing and never ends: so what claims to be longer is refused.
 */
uint64_t codec_stored_most(uint64_t raw_size);

/* A place of a compressed stream where decoding can begin, and a check of what comes of it. */
typedef struct ChunkPlace
{
	uint64_t offset; /* in the compressed stream, before it is encrypted */
	uint32_t crc32c; /* of the raw bytes from here to the next place */
} ChunkPlace;

/*
 * Where a stream's chunks begin, the first at 0.  One of them may be several
 * that the encoder made: every n-th boundary.
 */
typedef struct ChunkList
{
	uint64_t chunk_size; /* raw bytes of each but the last, which may have fewer */
	ChunkPlace *places;  /* owned */
	size_t count;
	size_t capacity;
} ChunkList;

/*
 * Empty, for a stream of "raw_size" bytes so compressed, with "most" places or
 * fewer; 0: a place for each chunk of the encoder.  Without a pool and at a level
 * at which chunks cost too much it stays empty: one stream.
 */
ChunkList chunk_list_for(const Compression *compression, uint64_t raw_size, size_t most);
void chunk_list_release(ChunkList *list);
#define AUTO_CHUNK_LIST __attribute__((cleanup(chunk_list_release))) ChunkList

/*
 * For CODEC_NONE nothing is added.  "ret_list",
 * of chunk_list_for(), is filled as the chunks pass; it must outlive the pipe.
 * NULL: nobody wants to know, and a pipe without a pool makes no chunks.
 */
void codec_add_encoder(Pipe *pipe, const Compression *compression, ChunkList *ret_list);

/*
 * "what" names the object in errors.  A truncated stream, trailing bytes and
 * more than "most" decoded bytes are ERR_CORRUPT, before any beyond is handed on.
 */
void codec_add_decoder(Pipe *pipe, Codec codec, uint64_t most, const char *what);

/* A compressed stream whose chunks can be decoded each for itself. */
typedef struct ChunkedStream
{
	Codec codec;
	const ChunkList *list; /* not owned */
	uint64_t raw_size;
	uint64_t size;      /* compressed */
	uint8_t first_byte; /* of the compressed stream: it says brotli's window */
	const char *what;   /* names the object in errors */
} ChunkedStream;

/*
 * May decoding begin at these places?  False: the list does not fit the stream,
 * or breaks the rules under which chunks are independent (docs/format.md), or
 * the codec has none.  The stream is to be decoded from its beginning then.
 */
bool codec_has_chunks(const ChunkedStream *stream);

/*
 * Decodes "count" chunks from "first" on, of a stream for which codec_has_chunks().
 * "data": the stream from the first one's place to that of the chunk behind them,
 * or its end.  "raw" has room for what they hold.  ERR_CORRUPT: they hold
 * something else, in length or CRC; "raw" is of no use then.
 */
Error *codec_decode_chunks(const ChunkedStream *stream, size_t first, size_t count, const void *data,
                           size_t size, void *raw) MUST_CHECK;

/*
 * As codec_add_decoder() for "raw_size" bytes, but pieces of the stream are decoded side by side by the threads of
 * "cpu", at most "most_pieces" of them in memory, and passed on in order by the pipe's own thread; with a pool of NULL
 * as one stream.  Of a stream with a list its chunks are the pieces, where codec_has_chunks() and they have at most
 * 4 MiB.  Without one (NULL or empty) zstd's frames are, of a known size of at most 4 MiB: nobody has to tell where they
 * begin.  Else it is decoded as one, from there to the end.
 *
 * Of an encrypted stream "size" may be the encrypted one; "first_byte" is not looked at.  The list and the pool, which
 * is not the one that the pipe runs in, outlive the pipe.  ERR_CORRUPT may also be the list's fault: as one stream the
 * same bytes may be right.
 */
void codec_add_parallel_decoder(Pipe *pipe, const ChunkedStream *stream, Workers *cpu, int most_pieces);

/* Can a stream of this codec be decoded in pieces only with a list? */
bool codec_needs_list(Codec codec);

/* Is this worth so many threads?  Only for a caller that has nothing else for them to do. */
bool codec_chunks_pay(const ChunkedStream *stream, int threads);
