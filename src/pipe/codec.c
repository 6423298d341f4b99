/* The table of codecs. */
#include "walship/pipe/codec.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "codec_stages.h"
#include "walship/base/mem.h"

#define CHUNK(mib) ((size_t) (mib) *1024 * 1024)

/*
 * A segment must have several chunks, for all threads and an early start; in a
 * long part larger ones cost less in size.  Brotli's window is 1 MiB.
 */
typedef struct Choice
{
	int level;
	size_t chunk_size;
} Choice;

typedef struct CodecRow
{
	const char *name;
	const char *suffix;
	int lowest;
	int highest;
	Choice choices[COMPRESS_BASE + 1];
	Sink *(*encoder)(int level);
	ChunkEncoder chunk_encoder;
	Sink *(*decoder)(uint64_t most, const char *what);
} CodecRow;

typedef struct PlainDecoder
{
	Sink sink;
	uint64_t most;
	uint64_t size; /* so far */
	char *what;
} PlainDecoder;

static Error *
plain_decoder_write(Sink *sink, const void *data, size_t size)
{
	PlainDecoder *self = (PlainDecoder *) sink;

	if (size > self->most - self->size)
		return error_new(ERR_CORRUPT, "%s has more than %" PRIu64 " bytes", self->what, self->most);
	self->size += size;
	return sink_write(self->sink.next, data, size);
}

static void
plain_decoder_free(Sink *sink)
{
	free(((PlainDecoder *) sink)->what);
	free(sink);
}

/* What is not compressed must not fill a disk either. */
static Sink *
plain_decoder_new(uint64_t most, const char *what)
{
	static const SinkOps ops = {.write = plain_decoder_write, .free = plain_decoder_free};
	PlainDecoder *self = NEW(PlainDecoder);

	*self = (PlainDecoder){.sink.ops = &ops, .most = most, .what = mem_strdup(what)};
	return &self->sink;
}

/* zstd's levels above 19 need more memory to decode than its own program grants. */
static const CodecRow codecs[] = {
	[CODEC_NONE] = {.name = "none", .suffix = "raw", .decoder = plain_decoder_new},
	[CODEC_BROTLI] = {.name = "brotli",
                      .suffix = "br",
                      .highest = 11,
                      .choices = {[COMPRESS_WAL] = {2, CHUNK(1)},
                                  [COMPRESS_BACKLOG] = {0, CHUNK(1)},
                                  [COMPRESS_BASE] = {2, CHUNK(4)}},
                      .encoder = brotli_encoder_new,
                      .chunk_encoder = brotli_encode_chunk,
                      .decoder = brotli_decoder_new},
	[CODEC_ZSTD] = {.name = "zstd",
                    .suffix = "zst",
                    .lowest = 1,
                    .highest = 19,
                    .choices = {[COMPRESS_WAL] = {2, CHUNK(2)},
                                [COMPRESS_BACKLOG] = {1, CHUNK(2)},
                                [COMPRESS_BASE] = {3, CHUNK(4)}},
                    .encoder = zstd_encoder_new,
                    .chunk_encoder = zstd_encode_chunk,
                    .decoder = zstd_decoder_new},
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

Compression
compression_for(Codec codec, CompressFor purpose)
{
	const Choice *choice = &codecs[codec].choices[purpose];

	return (Compression){.codec = codec, .level = choice->level, .chunk_size = choice->chunk_size};
}

void
codec_add_encoder(Pipe *pipe, const Compression *compression)
{
	const CodecRow *row = &codecs[compression->codec];

	if (row->encoder == NULL)
		return;
	assert(compression->level >= row->lowest && compression->level <= row->highest);
	assert(compression->cpu == NULL || compression->chunk_size > 0);
	pipe_add(pipe, compression->cpu != NULL ? chunked_encoder_new(row->chunk_encoder, compression)
	                                        : row->encoder(compression->level));
}

void
codec_add_decoder(Pipe *pipe, Codec codec, uint64_t most, const char *what)
{
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
