/* Compressed streams whose chunks are decoded each for itself. */
#include "codec_stages.h"
#include "codec_streams.h"

static void
encode_with_list(const Compression *compression, const uint8_t *bytes, size_t size, size_t most, Buf *into,
                 ChunkList *ret_list)
{
	AUTO(Pipe) pipe = pipe_new();

	*ret_list = chunk_list_for(compression, size, most);
	codec_add_encoder(pipe, compression, ret_list);
	pipe_add(pipe, buf_sink_new(into));
	write_in_pieces(pipe, bytes, size, 700001);
	assert_ok(pipe_finish(pipe));
}

static ChunkedStream
chunked_stream(Codec codec, const ChunkList *list, uint64_t raw_size, const Buf *encoded)
{
	return (ChunkedStream){.codec = codec,
	                       .list = list,
	                       .raw_size = raw_size,
	                       .size = encoded->size,
	                       .first_byte = (uint8_t) encoded->data[0],
	                       .what = "\"object.tar\""};
}

/* Of "raw", as much as there is room for; *ret_size is how many bytes the chunks hold by the list. */
static Error *
decode_chunks(const ChunkedStream *stream, const Buf *encoded, size_t first, size_t count, uint8_t **ret_raw,
              size_t *ret_size)
{
	const ChunkList *list = stream->list;
	bool last = first + count == list->count;
	uint64_t begin = list->places[first].offset;
	uint64_t end = last ? stream->size : list->places[first + count].offset;

	*ret_size = (last ? stream->raw_size : (first + count) * list->chunk_size) - first * list->chunk_size;
	*ret_raw = mem_alloc(*ret_size);
	return codec_decode_chunks(stream, first, count, encoded->data + begin, end - begin, *ret_raw);
}

/* Every chunk, and every run of two and of all that follow. */
static void
assert_chunks_are_what_the_stream_is(const ChunkedStream *stream, const Buf *encoded, const uint8_t *bytes)
{
	for (size_t first = 0; first < stream->list->count; first++)
	{
		size_t counts[] = {1, 2, stream->list->count - first};

		for (size_t i = 0; i < lengthof(counts); i++)
		{
			AUTO_FREE uint8_t *raw = NULL;
			size_t size;

			if (first + counts[i] > stream->list->count)
				continue;
			assert_ok(decode_chunks(stream, encoded, first, counts[i], &raw, &size));
			assert_memory_equal(raw, bytes + first * stream->list->chunk_size, size);
		}
	}
}

static void
check_chunks(const Compression *compression, const uint8_t *bytes, size_t size, size_t most)
{
	AUTO_CHUNK_LIST list = {0};
	AUTO_BUF(encoded, MOST);
	AUTO_BUF(decoded, MOST);
	uint64_t expected = (size + compression->chunk_size - 1) / compression->chunk_size;

	encode_with_list(compression, bytes, size, most, &encoded, &list);
	if (list.chunk_size == 0)
	{
		assert_true(compression->codec == CODEC_BROTLI && compression->level == 0 &&
		            compression->cpu == NULL);
		assert_int_equal(list.count, 0);
		return;
	}

	ChunkedStream stream = chunked_stream(compression->codec, &list, size, &encoded);

	assert_int_equal(list.count, expected == 0 ? 1 : most > 0 && expected > most ? list.count : expected);
	assert_true(most == 0 || list.count <= most);
	assert_ok(decode(compression->codec, size, encoded.data, encoded.size, 65536, &decoded));
	assert_int_equal(decoded.size, size);
	assert_int_equal(codec_has_chunks(&stream), size > 0);
	if (size == 0)
		return;
	assert_memory_equal(decoded.data, bytes, size);
	assert_chunks_are_what_the_stream_is(&stream, &encoded, bytes);
}

static void
decoding_can_begin_at_every_chunk(void **state)
{
	static const size_t sizes[] = {0, 1, MIB, MIB + 1, 4 * MIB, 8 * MIB + 77777};
	AUTO(Workers) cpu = workers_new(3);

	(void) state;
	for (size_t s = 0; s < lengthof(sizes); s++)
	{
		AUTO_FREE uint8_t *waves = compressible_bytes(sizes[s], s);
		AUTO_FREE uint8_t *noise = scratch_bytes(sizes[s], s);

		for (size_t c = 0; c < lengthof(in_chunks); c++)
		{
			Compression compression = in_chunks[c];

			check_chunks(&compression, noise, sizes[s], 0);
			compression.cpu = cpu;
			check_chunks(&compression, waves, sizes[s], 0);
			check_chunks(&compression, waves, sizes[s], 3);
		}
	}
}

/* The slow levels look far for matches, and may use the static dictionary. */
static void
decoding_can_begin_at_every_chunk_at_every_level(void **state)
{
	const size_t size = 2 * MIB + 54321;
	AUTO_FREE uint8_t *waves = compressible_bytes(size, 5);
	AUTO_FREE uint8_t *words = mem_alloc(size);
	AUTO(Workers) cpu = workers_new(2);

	(void) state;
	for (size_t at = 0; at < size; at++)
		words[at] = (uint8_t) "the government of the people, in order to establish and maintain information "
			[(at + at / 7001 + waves[at]) % 77];
	for (Codec codec = CODEC_BROTLI; codec <= CODEC_ZSTD; codec++)
	{
		int lowest;
		int highest;

		codec_level_range(codec, &lowest, &highest);
		for (int level = lowest; level <= highest; level++)
		{
			Compression compression = {codec, level, level == 0 ? cpu : NULL, MIB};

			check_chunks(&compression, words, codec == CODEC_BROTLI && level > 9 ? MIB + 54321 : size, 0);
		}
	}
}

/* What the pool encodes and what the pipe's own thread does are the same bytes. */
static void
chunks_do_not_depend_on_who_encodes_them(void **state)
{
	AUTO_FREE uint8_t *bytes = compressible_bytes(5 * MIB, 4);
	AUTO(Workers) cpu = workers_new(2);

	(void) state;
	for (size_t c = 0; c < lengthof(in_chunks); c++)
	{
		Compression compression = in_chunks[c];

		if (compression.level == 0)
			continue;

		AUTO_CHUNK_LIST alone = {0};
		AUTO_CHUNK_LIST together = {0};
		AUTO_BUF(first, MOST);
		AUTO_BUF(second, MOST);

		encode_with_list(&compression, bytes, 5 * MIB, 0, &first, &alone);
		compression.cpu = cpu;
		encode_with_list(&compression, bytes, 5 * MIB, 0, &second, &together);
		assert_int_equal(first.size, second.size);
		assert_memory_equal(first.data, second.data, first.size);
		assert_int_equal(alone.count, together.count);
		for (size_t i = 0; i < alone.count; i++)
		{
			assert_int_equal(alone.places[i].offset, together.places[i].offset);
			assert_int_equal(alone.places[i].crc32c, together.places[i].crc32c);
		}
	}
}

/* One stream, or ERR_CORRUPT, or the right bytes. */
static void
assert_never_wrong_bytes(const ChunkedStream *stream, const Buf *encoded, const uint8_t *bytes, int *failed)
{
	if (!codec_has_chunks(stream))
	{
		(*failed)++;
		return;
	}
	for (size_t i = 0; i < stream->list->count; i++)
	{
		AUTO_FREE uint8_t *raw = NULL;
		size_t size;
		Error *error = decode_chunks(stream, encoded, i, 1, &raw, &size);

		if (error == NULL)
			assert_memory_equal(raw, bytes + i * stream->list->chunk_size, size);
		else
		{
			assert_error(error, ERR_CORRUPT, "\"object.tar\"");
			(*failed)++;
		}
	}
}

static void
a_damaged_list_never_gives_wrong_bytes(void **state)
{
	const size_t size = 5 * MIB + 5;
	AUTO_FREE uint8_t *bytes = compressible_bytes(size, 7);
	AUTO(Workers) cpu = workers_new(2);

	(void) state;
	for (size_t c = 0; c < lengthof(in_chunks); c++)
	{
		Compression compression = in_chunks[c];
		AUTO_CHUNK_LIST list = {0};
		AUTO_BUF(encoded, MOST);

		compression.cpu = cpu;
		encode_with_list(&compression, bytes, size, 0, &encoded, &list);

		const ChunkedStream stream = chunked_stream(in_chunks[c].codec, &list, size, &encoded);
		const ChunkList right = list;

		for (int damage = 0; damage < 40; damage++)
		{
			ChunkPlace places[16];
			ChunkList wrong = right;
			ChunkedStream damaged = stream;
			size_t at = (size_t) damage % right.count;
			int failed = 0;

			memcpy(places, right.places, right.count * sizeof(*places));
			wrong.places = places;
			damaged.list = &wrong;
			switch (damage % 8)
			{
				case 0:
					places[at].offset += 1 + (uint64_t) damage;
					break;
				case 1:
					places[at].offset -= 1 + (uint64_t) damage;
					break;
				case 2:
					places[at].crc32c ^= 1u << damage % 32;
					break;
				case 3:
					wrong.count--;
					break;
				case 4:
					wrong.chunk_size += 4096;
					break;
				case 5:
					wrong.chunk_size /= 2;
					break;
				case 6:
					damaged.raw_size -= 1;
					break;
				case 7:
					places[at].offset = right.places[(at + 1) % right.count].offset;
					break;
			}
			assert_never_wrong_bytes(&damaged, &encoded, bytes, &failed);
			assert_true(failed > 0);
		}
	}
}

static void
a_damaged_stream_never_gives_wrong_bytes_from_the_middle(void **state)
{
	const size_t size = 2 * MIB + 5;
	AUTO_FREE uint8_t *bytes = compressible_bytes(size, 9);
	AUTO(Workers) cpu = workers_new(2);

	(void) state;
	for (size_t c = 0; c < lengthof(in_chunks); c++)
	{
		Compression compression = in_chunks[c];
		AUTO_CHUNK_LIST list = {0};
		AUTO_BUF(encoded, MOST);

		compression.cpu = cpu;
		encode_with_list(&compression, bytes, size, 0, &encoded, &list);

		ChunkedStream stream = chunked_stream(in_chunks[c].codec, &list, size, &encoded);

		for (size_t i = 0; i < 60; i++)
		{
			size_t at = i * 7919 % encoded.size;
			int failed = 0;

			encoded.data[at] = (char) (encoded.data[at] ^ (1 << (i % 8)));
			stream.first_byte = (uint8_t) encoded.data[0];
			assert_never_wrong_bytes(&stream, &encoded, bytes, &failed);
			encoded.data[at] = (char) (encoded.data[at] ^ (1 << (i % 8)));
		}
	}
}

/* By the window that the stream's first byte tells (RFC 7932, 9.1), and where its chunks begin. */
static void
brotli_streams_that_break_the_rules_are_one_stream(void **state)
{
	static const struct
	{
		uint8_t first_byte;
		uint64_t chunk_size;
		bool independent;
	} rows[] = {
		{0x0b, MIB, false},                           /* 22 */
		{0x0f, MIB, false},                           /* 24 */
		{0x09, MIB, false},                           /* 21 */
		{0x07, MIB, true},                            /* 20 */
		{0x07, MIB - 1, false}, {0x00, 65536, true},  /* 16 */
		{0x00, 65535, false},   {0x01, 131072, true}, /* 17 */
		{0x01, 131071, false},  {0x21, 1024, true},   /* 10 */
		{0x21, 1023, false},    {0x71, 32768, true},  /* 15 */
		{0x71, 32767, false},   {0x11, MIB, false},   /* a large window, which is no standard */
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		ChunkPlace places[2] = {{0, 0}, {10, 0}};
		ChunkList list = {.chunk_size = rows[i].chunk_size, .places = places, .count = 2};
		ChunkedStream stream = {.codec = CODEC_BROTLI,
		                        .list = &list,
		                        .raw_size = rows[i].chunk_size + 1,
		                        .size = 20,
		                        .first_byte = rows[i].first_byte,
		                        .what = "a row"};

		assert_int_equal(codec_has_chunks(&stream), rows[i].independent);
		stream.codec = CODEC_NONE;
		assert_false(codec_has_chunks(&stream));
	}
}

static Error *
decode_side_by_side(const ChunkedStream *stream, Workers *cpu, const void *data, size_t size, size_t piece,
                    Buf *into)
{
	AUTO(Pipe) pipe = pipe_new();

	codec_add_chunk_decoder(pipe, stream, cpu);
	pipe_add(pipe, buf_sink_new(into));
	for (size_t at = 0; at < size; at += piece)
		TRY(pipe_write(pipe, (const char *) data + at, size - at < piece ? size - at : piece));
	return pipe_finish(pipe);
}

/* Threads that share decoders overtake each other: all but the first and the last one, which have their own. */
static void
a_decoder_that_is_kept_takes_chunks_in_any_order(void **state)
{
	const size_t size = 9 * MIB + 5;
	AUTO_FREE uint8_t *bytes = compressible_bytes(size, 5);
	AUTO_FREE uint8_t *raw = mem_alloc(size);
	AUTO(Workers) cpu = workers_new(2);

	(void) state;
	for (size_t c = 0; c < lengthof(in_chunks); c++)
	{
		Compression compression = in_chunks[c];
		AUTO_CHUNK_LIST list = {0};
		AUTO_BUF(encoded, MOST);
		void *kept = NULL;

		compression.cpu = cpu;
		encode_with_list(&compression, bytes, size, 0, &encoded, &list);

		ChunkedStream stream = chunked_stream(compression.codec, &list, size, &encoded);

		for (size_t i = list.count - 1; i-- > 1;)
		{
			assert_ok(codec_decode_chunks_with(&stream, i, 1, encoded.data + list.places[i].offset,
			                                   list.places[i + 1].offset - list.places[i].offset, raw,
			                                   &kept));
			assert_memory_equal(raw, bytes + i * list.chunk_size, list.chunk_size);
		}
		codec_chunk_decoder_free(stream.codec, kept);
	}
}

/* With a list of all chunks or of three; in pieces and at once; and without a list, or a pool. */
static void
a_stream_is_decoded_side_by_side(void **state)
{
	static const size_t sizes[] = {0, 1, MIB + 1, 8 * MIB, 9 * MIB + 77777};
	static const size_t pieces[] = {100001, MOST};
	AUTO(Workers) cpu = workers_new(3);

	(void) state;
	for (size_t s = 0; s < lengthof(sizes); s++)
	{
		AUTO_FREE uint8_t *bytes = compressible_bytes(sizes[s], s);

		for (size_t c = 0; c < lengthof(in_chunks); c++)
			for (size_t most = 0; most <= 3; most += 3)
			{
				Compression compression = in_chunks[c];
				AUTO_CHUNK_LIST list = {0};
				AUTO_BUF(encoded, MOST);

				compression.cpu = cpu;
				encode_with_list(&compression, bytes, sizes[s], most, &encoded, &list);
				for (int kind = 0; kind < 4; kind++)
				{
					ChunkedStream stream = chunked_stream(compression.codec, &list, sizes[s], &encoded);
					const ChunkList none = {0};
					AUTO_BUF(decoded, MOST);

					stream.list = kind == 2 ? &none : &list;
					assert_ok(decode_side_by_side(&stream, kind == 3 ? NULL : cpu, encoded.data, encoded.size,
					                              pieces[kind % 2], &decoded));
					assert_int_equal(decoded.size, sizes[s]);
					if (sizes[s] > 0)
						assert_memory_equal(decoded.data, bytes, sizes[s]);
				}
			}
	}
}

static void
chunks_pay_for_what_takes_long(void **state)
{
	static const struct
	{
		Codec codec;
		uint64_t stored_size;
		size_t count;
		int threads;
		bool pays;
	} rows[] = {
		{CODEC_BROTLI, 7 * MIB, 16, 2, true}, {CODEC_BROTLI, 7 * MIB, 16, 1, false},
		{CODEC_BROTLI, 4 * MIB, 2, 4, true},  {CODEC_BROTLI, 4 * MIB - 1, 16, 4, false},
		{CODEC_BROTLI, 7 * MIB, 1, 2, false}, {CODEC_BROTLI, 7 * MIB, 0, 2, false},
		{CODEC_ZSTD, 7 * MIB, 8, 2, false},   {CODEC_NONE, 16 * MIB, 0, 2, false},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		const ChunkList list = {.chunk_size = MIB, .count = rows[i].count};
		const ChunkedStream stream = {.codec = rows[i].codec, .list = &list, .size = rows[i].stored_size};

		assert_int_equal(codec_chunks_pay(&stream, rows[i].threads), rows[i].pays);
	}
}

/* Too short, too long, a bit, and lists that are not the stream's: an error, or the right bytes. */
static void
what_is_damaged_is_never_decoded_to_other_bytes(void **state)
{
	const size_t size = 9 * MIB + 5;
	AUTO_FREE uint8_t *bytes = compressible_bytes(size, 7);
	AUTO(Workers) cpu = workers_new(2);

	(void) state;
	for (size_t c = 0; c < lengthof(in_chunks); c++)
	{
		Compression compression = in_chunks[c];
		AUTO_CHUNK_LIST list = {0};
		AUTO_BUF(encoded, MOST);

		compression.cpu = cpu;
		encode_with_list(&compression, bytes, size, 0, &encoded, &list);
		buf_append(&encoded, "more", 4);
		for (int damage = 0; damage < 12; damage++)
		{
			ChunkedStream stream = chunked_stream(compression.codec, &list, size, &encoded);
			AUTO_FREE ChunkPlace *places = mem_alloc(list.count * sizeof(*places));
			ChunkList wrong = list;
			size_t length = encoded.size - 4;
			AUTO_BUF(decoded, MOST);

			memcpy(places, list.places, list.count * sizeof(*places));
			wrong.places = places;
			stream.list = &wrong;
			switch (damage)
			{
				case 0:
					length -= 1;
					break;
				case 1:
					length = places[list.count / 2].offset;
					break;
				case 2:
					length = encoded.size;
					break;
				case 3:
					places[0].crc32c++;
					break;
				case 4:
					places[list.count - 1].crc32c++;
					break;
				case 5:
					places[list.count / 2].offset++;
					break;
				case 6:
					places[list.count - 1].offset = UINT64_MAX - 1;
					break;
				case 7:
					wrong.count--;
					break;
				case 8:
					wrong.chunk_size *= 2;
					break;
				case 9:
					stream.raw_size--;
					break;
				case 10:
					stream.raw_size = UINT64_MAX;
					break;
				default:
					length = 1;
					break;
			}

			AUTO(Error) error = decode_side_by_side(&stream, cpu, encoded.data, length, 65536, &decoded);

			if (error == NULL)
				assert_true(decoded.size == size && memcmp(decoded.data, bytes, size) == 0);
			else
				assert_true(error_is(error, ERR_CORRUPT) && decoded.size <= size);
			assert_true(decoded.size == 0 || memcmp(decoded.data, bytes, decoded.size) == 0);

			/* What the stream itself has wrong is seen in any case; a list that is set aside does no harm. */
			if (damage <= 4 || damage == 9 || damage == 11)
				assert_non_null(error);
		}
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoding_can_begin_at_every_chunk),
		cmocka_unit_test(decoding_can_begin_at_every_chunk_at_every_level),
		cmocka_unit_test(chunks_do_not_depend_on_who_encodes_them),
		cmocka_unit_test(a_damaged_list_never_gives_wrong_bytes),
		cmocka_unit_test(a_damaged_stream_never_gives_wrong_bytes_from_the_middle),
		cmocka_unit_test(a_decoder_that_is_kept_takes_chunks_in_any_order),
		cmocka_unit_test(a_stream_is_decoded_side_by_side),
		cmocka_unit_test(chunks_pay_for_what_takes_long),
		cmocka_unit_test(what_is_damaged_is_never_decoded_to_other_bytes),
		cmocka_unit_test(brotli_streams_that_break_the_rules_are_one_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
