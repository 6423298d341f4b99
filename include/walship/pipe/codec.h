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
	size_t chunk_size; /* bytes, with "cpu" */
} Compression;

typedef enum CompressFor
{
	COMPRESS_WAL,
	COMPRESS_BACKLOG, /* of WAL: a third to two thirds of the time, a twelfth to a fifth more bytes */
	COMPRESS_BASE,
} CompressFor;

const char *codec_name(Codec codec);   /* "none", "brotli", "zstd" */
const char *codec_suffix(Codec codec); /* "raw", "br", "zst": of members and parts */
bool codec_from_name(const char *name, Codec *ret_codec);
void codec_level_range(Codec codec, int *ret_lowest, int *ret_highest);

/* Walship's choice; without a pool. */
Compression compression_for(Codec codec, CompressFor purpose);

/* For CODEC_NONE nothing is added. */
void codec_add_encoder(Pipe *pipe, const Compression *compression);

/*
 * "what" names the object in errors.  A truncated stream, trailing bytes and
 * more than "most" decoded bytes are ERR_CORRUPT, before any beyond is handed on.
 */
void codec_add_decoder(Pipe *pipe, Codec codec, uint64_t most, const char *what);
