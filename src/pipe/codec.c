/* The table of codecs. */
#include "walship/pipe/codec.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "codec_stages.h"

typedef struct CodecRow
{
	const char *name;
	const char *suffix;
	int lowest;
	int highest;
	int levels[3]; /* by LevelFor */
	Sink *(*encoder)(int level);
	ChunkEncoder chunk_encoder;
	Sink *(*decoder)(uint64_t most, const char *what);
} CodecRow;

/* zstd's levels above 19 need more memory to decode than its own program grants. */
static const CodecRow codecs[] = {
	[CODEC_NONE] = {.name = "none", .suffix = "raw"},
	[CODEC_BROTLI] =
		{"brotli", "br", 0, 11, {2, 0, 2}, brotli_encoder_new, brotli_encode_chunk, brotli_decoder_new},
	[CODEC_ZSTD] = {"zstd", "zst", 1, 19, {2, 1, 3}, zstd_encoder_new, zstd_encode_chunk, zstd_decoder_new},
};

const char *
codec_name(Codec codec)
{
	return codecs[codec].name;
}

const char *
codec_suffix(Codec codec)
{
	return codecs[codec].suffix;
}

bool
codec_from_name(const char *name, Codec *ret_codec)
{
	for (size_t i = 0; i < lengthof(codecs); i++)
	{
		if (strcmp(codecs[i].name, name) == 0)
		{
			*ret_codec = (Codec) i;
			return true;
		}
	}
	return false;
}

void
codec_level_range(Codec codec, int *ret_lowest, int *ret_highest)
{
	*ret_lowest = codecs[codec].lowest;
	*ret_highest = codecs[codec].highest;
}

int
codec_level_for(Codec codec, LevelFor purpose)
{
	return codecs[codec].levels[purpose];
}

void
codec_add_encoder(Pipe *pipe, const Compression *compression)
{
	const CodecRow *row = &codecs[compression->codec];

	if (row->encoder == NULL)
		return;
	assert(compression->level >= row->lowest && compression->level <= row->highest);
	pipe_add(pipe, compression->cpu != NULL ? chunked_encoder_new(row->chunk_encoder, compression)
	                                        : row->encoder(compression->level));
}

void
codec_add_decoder(Pipe *pipe, Codec codec, uint64_t most, const char *what)
{
	if (codecs[codec].decoder != NULL)
		pipe_add(pipe, codecs[codec].decoder(most, what));
}

Error *
codec_error_truncated(const char *what)
{
	return error_new(ERR_CORRUPT, "%s is cut off: the compressed stream does not come to its end", what);
}

Error *
codec_error_trailing(const char *what)
{
	return error_new(ERR_CORRUPT, "%s has bytes after the end of the compressed stream", what);
}

Error *
codec_error_too_long(const char *what, uint64_t most)
{
	return error_new(ERR_CORRUPT, "%s decompresses to more than %" PRIu64 " bytes", what, most);
}
