/* The table of codecs. */
#include "walship/pipe/codec.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "codec_stages.h"
#include "walship/base/crc32c.h"
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
	int least_in_chunks;
	Choice choices[COMPRESS_FILES + 1];
	Sink *(*encoder)(int level);
	ChunkEncoder chunk_encoder;
	Sink *(*decoder)(uint64_t most, const char *what);
	PieceDecoder piece_decoder;
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

/*
 * "least_in_chunks": below this level chunks cost too much to be made for their own
 * sake, without a pool: brotli's 0 learns from what it has just written, and a new
 * beginning every megabyte costs 3 to 10 % of the size.
 *
 * zstd's levels above 19 need more memory to decode than its own program grants.
 */
static const CodecRow codecs[] = {
	[CODEC_NONE] = {.name = "none", .suffix = "raw", .decoder = plain_decoder_new},
	[CODEC_BROTLI] = {.name = "brotli",
                      .suffix = "br",
                      .highest = 11,
                      .least_in_chunks = 1,
                      .choices = {[COMPRESS_WAL] = {2, CHUNK(1)},
                                  [COMPRESS_BACKLOG] = {0, CHUNK(1)},
                                  [COMPRESS_BASE] = {2, CHUNK(4)},
                                  [COMPRESS_FILES] = {2, CHUNK(4)}},
                      .encoder = brotli_encoder_new,
                      .chunk_encoder = brotli_encode_chunk,
                      .decoder = brotli_decoder_new,
                      .piece_decoder = {.decode = brotli_decode_chunks, .free = brotli_chunk_decoder_free}},
	[CODEC_ZSTD] = {.name = "zstd",
                    .suffix = "zst",
                    .lowest = 1,
                    .highest = 19,
                    .choices = {[COMPRESS_WAL] = {2, CHUNK(2)},
                                [COMPRESS_BACKLOG] = {1, CHUNK(2)},
                                [COMPRESS_BASE] = {2, CHUNK(4)},
                                [COMPRESS_FILES] = {3, CHUNK(4)}},
                    .encoder = zstd_encoder_new,
                    .chunk_encoder = zstd_encode_chunk,
                    .decoder = zstd_decoder_new,
                    .piece_decoder = {.decode = zstd_decode_chunks,
                                      .free = zstd_chunk_decoder_free,
                                      .find = zstd_find_frame,
                                      .skip = zstd_decoder_skip}},
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

uint64_t
codec_stored_most(uint64_t raw_size)
{
	return raw_size + raw_size / 8 + UINT64_C(1024) * 1024;
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

/*
 * brotli 2 makes WAL smallest for what it costs: zstd 1 needs half of the time for
 * 12 % more (of pgbench, measured), so it is for a backlog, which it empties in 0.89 of
 * the time that zstd 2 takes; that stores 6 % less.  In a base backup zstd is not larger
 * than brotli, and far faster both ways: its level 2 takes 0.86 of the processor time of
 * level 3, from a server that has other work, and stores 2 % more.
 */
Compression
compression_auto(CompressFor purpose)
{
	switch (purpose)
	{
		case COMPRESS_WAL:
			return compression_for(CODEC_BROTLI, COMPRESS_WAL);
		case COMPRESS_BACKLOG:
			return compression_for(CODEC_ZSTD, COMPRESS_BACKLOG);
		case COMPRESS_BASE:
		case COMPRESS_FILES:
			break;
	}
	return compression_for(CODEC_ZSTD, purpose);
}

ChunkList
chunk_list_for(const Compression *compression, uint64_t raw_size, size_t most)
{
	uint64_t chunk_size = compression->chunk_size;
	uint64_t group = 1;

	if (compression->cpu == NULL && compression->level < codecs[compression->codec].least_in_chunks)
		return (ChunkList){.chunk_size = 0};
	if (most > 0 && chunk_size > 0 && raw_size > most * chunk_size)
		group = (raw_size + most * chunk_size - 1) / (most * chunk_size);
	return (ChunkList){.chunk_size = group * chunk_size};
}

void
chunk_list_release(ChunkList *list)
{
	free(list->places);
	*list = (ChunkList){.chunk_size = list->chunk_size};
}

void
codec_add_encoder(Pipe *pipe, const Compression *compression, ChunkList *ret_list)
{
	const CodecRow *row = &codecs[compression->codec];
	bool in_chunks = compression->cpu != NULL || (ret_list != NULL && ret_list->chunk_size > 0);

	if (row->encoder == NULL)
		return;
	assert(compression->level >= row->lowest && compression->level <= row->highest);
	assert(compression->cpu == NULL || compression->chunk_size > 0);
	pipe_add(pipe, in_chunks ? chunked_encoder_new(row->chunk_encoder, compression, ret_list)
	                         : row->encoder(compression->level));
}

void
codec_add_decoder(Pipe *pipe, Codec codec, uint64_t most, const char *what)
{
	pipe_add(pipe, codecs[codec].decoder(most, what));
}

void
codec_add_parallel_decoder(Pipe *pipe, const ChunkedStream *stream, Workers *cpu, int most_pieces)
{
	const PieceDecoder *pieces = &codecs[stream->codec].piece_decoder;
	Sink *whole = codecs[stream->codec].decoder(stream->raw_size, stream->what);

	pipe_add(pipe, cpu == NULL || pieces->decode == NULL
	                   ? whole
	                   : parallel_decoder_new(pieces, stream, whole, cpu, most_pieces));
}

bool
codec_needs_list(Codec codec)
{
	return codecs[codec].piece_decoder.decode != NULL && codecs[codec].piece_decoder.find == NULL;
}

/*
 * Measured with fetch of a segment on 2 cores: where brotli stores 7.2 MB of it, two threads need 0.7 of the time; where
 * it stores 1.4 MB, of which writing the file is the larger part, a fifth more processor time for little.  zstd's decoding
 * is 9 ms of 45.
 */
#define CHUNKS_PAY_FROM ((uint64_t) 4 * 1024 * 1024)

bool
codec_chunks_pay(const ChunkedStream *stream, int threads)
{
	return threads > 1 && stream->codec == CODEC_BROTLI && stream->size >= CHUNKS_PAY_FROM &&
	       stream->list->count >= 2;
}

bool
codec_has_chunks(const ChunkedStream *stream)
{
	const ChunkList *list = stream->list;
	uint64_t end = stream->size;

	if (codecs[stream->codec].piece_decoder.decode == NULL || list->count == 0 || list->chunk_size == 0 ||
	    list->places[0].offset != 0 || (stream->raw_size - 1) / list->chunk_size != list->count - 1)
		return false;
	for (size_t i = list->count; i-- > 0; end = list->places[i].offset)
		if (list->places[i].offset >= end)
			return false;
	return stream->codec != CODEC_BROTLI ||
	       brotli_chunks_are_independent(stream->first_byte, list->chunk_size);
}

const PieceDecoder *
codec_piece_decoder(Codec codec)
{
	return &codecs[codec].piece_decoder;
}

/* Raw bytes before these chunks. */
static uint64_t
chunks_begin(const ChunkedStream *stream, size_t number)
{
	return number == stream->list->count ? stream->raw_size : number * stream->list->chunk_size;
}

Error *
codec_check_chunks(const ChunkedStream *stream, size_t first, size_t count, const void *raw)
{
	const uint8_t *next = raw;

	for (size_t i = first; i < first + count; i++)
	{
		size_t length = chunks_begin(stream, i + 1) - chunks_begin(stream, i);

		if (crc32c(0, next, length) != stream->list->places[i].crc32c)
			return error_new(ERR_CORRUPT, "%s: the bytes from %" PRIu64 " on do not match their checksum",
			                 stream->what, chunks_begin(stream, i));
		next += length;
	}
	return NULL;
}

Error *
codec_decode_chunks(const ChunkedStream *stream, size_t first, size_t count, const void *data, size_t size,
                    void *raw)
{
	const PieceDecoder *pieces = &codecs[stream->codec].piece_decoder;
	const ChunkInput input = {.first_byte = stream->first_byte,
	                          .first = first == 0,
	                          .last = first + count == stream->list->count,
	                          .data = data,
	                          .size = size};
	void *kept = NULL;
	Error *error = pieces->decode(
		&input, raw, chunks_begin(stream, first + count) - chunks_begin(stream, first), stream->what, &kept);

	if (kept != NULL)
		pieces->free(kept);
	TRY(error);
	return codec_check_chunks(stream, first, count, raw);
}
