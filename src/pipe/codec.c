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
	int normal;
	Sink *(*encoder)(int level);
	ChunkEncoder chunk_encoder;
	Sink *(*decoder)(uint64_t most, const char *what);
} CodecRow;

/* zstd's levels above 19 need more memory to decode than its own program grants. */
static const CodecRow codecs[] = {
	[CODEC_NONE] = {.name = "none", .suffix = "raw"},
	[CODEC_BROTLI] = {"brotli", "br", 0, 11, 2, brotli_encoder_new, brotli_encode_chunk, brotli_decoder_new},
	[CODEC_ZSTD] = {"zstd", "zst", 1, 19, 2, zstd_encoder_new, zstd_encode_chunk, zstd_decoder_new},
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
codec_level_range(Codec codec, int *ret_lowest, int *ret_highest, int *ret_default)
{
	*ret_lowest = codecs[codec].lowest;
	*ret_highest = codecs[codec].highest;
	*ret_default = codecs[codec].normal;
}

void
codec_add_encoder(Pipe *pipe, const Compression *compression)
{
	const CodecRow *row = &codecs[compression->codec];

	if (row->encoder == NULL)
		return;
	assert(compression->level >= row->lowest && compression->level <= row->highest);
	pipe_add(pipe, compression->cpu != NULL
	                   ? chunked_encoder_new(row->chunk_encoder, compression->level, compression->cpu)
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
