/* Compressing and decoding whole buffers, for the tests of codecs. */
#pragma once

#include <stdlib.h>

#include "scratch.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/stages.h"

#define MIB        ((size_t) 1024 * 1024)
#define MOST       (64u * 1024 * 1024)
#define CHUNK_SIZE (2 * MIB)

/* What is compressed by a pool; the slow levels are the same code. */
static const Compression in_chunks[] = {
	{CODEC_BROTLI, 0, NULL, MIB},     {CODEC_BROTLI, 1, NULL, MIB},   {CODEC_BROTLI, 2, NULL, MIB},
	{CODEC_BROTLI, 2, NULL, 4 * MIB}, {CODEC_ZSTD, 2, NULL, 2 * MIB}, {CODEC_ZSTD, 3, NULL, 4 * MIB},
};

/* Like WAL: runs, repetitions and noise. */
static inline uint8_t *
compressible_bytes(size_t size, uint64_t seed)
{
	uint8_t *bytes = scratch_bytes(size, seed);

	for (size_t i = 0; i < size; i++)
	{
		if (i % 512 >= 100)
			bytes[i] = (uint8_t) (i / 4096);
	}
	return bytes;
}

static inline void
write_in_pieces(Pipe *pipe, const uint8_t *bytes, size_t size, size_t piece)
{
	for (size_t at = 0; at < size; at += piece)
		assert_ok(pipe_write(pipe, bytes + at, size - at < piece ? size - at : piece));
}

static inline void
encode(const Compression *compression, const uint8_t *bytes, size_t size, size_t piece, Buf *into)
{
	AUTO(Pipe) pipe = pipe_new();

	codec_add_encoder(pipe, compression, NULL);
	pipe_add(pipe, buf_sink_new(into));
	write_in_pieces(pipe, bytes, size, piece);
	assert_ok(pipe_finish(pipe));
}

/* By this pool where there is one. */
static inline Error *
decode_by(Workers *cpu, Codec codec, uint64_t most, const void *data, size_t size, size_t piece, Buf *into)
{
	AUTO(Pipe) pipe = pipe_new();
	const char *bytes = data;

	codec_add_parallel_decoder(
		pipe, &(ChunkedStream){.codec = codec, .raw_size = most, .what = "\"object.tar\""}, cpu, 2);
	pipe_add(pipe, buf_sink_new(into));
	for (size_t at = 0; at < size; at += piece)
		TRY(pipe_write(pipe, bytes + at, size - at < piece ? size - at : piece));
	return pipe_finish(pipe);
}

/* By one thread; then of zstd by several, which must come to the same. */
static inline Error *
decode(Codec codec, uint64_t most, const void *data, size_t size, size_t piece, Buf *into)
{
	size_t before = into->size;
	Error *error = decode_by(NULL, codec, most, data, size, piece, into);

	if (codec == CODEC_ZSTD)
	{
		AUTO(Workers) cpu = workers_new(2);
		AUTO_BUF(again, into->cap);
		AUTO(Error) parallel = decode_by(cpu, codec, most, data, size, piece, &again);

		assert_int_equal(parallel == NULL, error == NULL);
		if (error != NULL)
			assert_string_equal(error_message(parallel), error_message(error));
		else
		{
			assert_int_equal(again.size, into->size - before);
			if (again.size > 0)
				assert_memory_equal(again.data, into->data + before, again.size);
		}
	}
	return error;
}
