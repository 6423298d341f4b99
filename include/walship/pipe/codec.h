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
} Compression;

const char *codec_name(Codec codec);   /* "none", "brotli", "zstd" */
const char *codec_suffix(Codec codec); /* "raw", "br", "zst": of members and parts */
bool codec_from_name(const char *name, Codec *ret_codec);
void codec_level_range(Codec codec, int *ret_lowest, int *ret_highest, int *ret_default);

/* NULL codec stages do not exist: for CODEC_NONE nothing is added. */
void codec_add_encoder(Pipe *pipe, const Compression *compression);

/*
 * "what" names the object in errors.  A truncated stream, trailing bytes and
 * more than "most" decoded bytes are ERR_CORRUPT.
 */
void codec_add_decoder(Pipe *pipe, Codec codec, uint64_t most, const char *what);
