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

/* A segment must have several, for all threads and an early start; in a long part larger ones cost less in size. */
#define CHUNK_OF_SEGMENT ((size_t) 2 * 1024 * 1024)
#define CHUNK_OF_PART    ((size_t) 4 * 1024 * 1024)

/* What a level is chosen for when the user has not. */
typedef enum LevelFor
{
	LEVEL_FOR_WAL,
	LEVEL_FOR_BACKLOG, /* of WAL: a third to two thirds of the time, an eighth to a fifth more bytes */
	LEVEL_FOR_BASE,
} LevelFor;

const char *codec_name(Codec codec);   /* "none", "brotli", "zstd" */
const char *codec_suffix(Codec codec); /* "raw", "br", "zst": of members and parts */
bool codec_from_name(const char *name, Codec *ret_codec);
void codec_level_range(Codec codec, int *ret_lowest, int *ret_highest);
int codec_level_for(Codec codec, LevelFor purpose);

/* NULL codec stages do not exist: for CODEC_NONE nothing is added. */
void codec_add_encoder(Pipe *pipe, const Compression *compression);

/*
 * "what" names the object in errors.  A truncated stream, trailing bytes and
 * more than "most" decoded bytes are ERR_CORRUPT.
 */
void codec_add_decoder(Pipe *pipe, Codec codec, uint64_t most, const char *what);
