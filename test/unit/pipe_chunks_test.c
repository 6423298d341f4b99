/* Compressed streams whose chunks are decoded each for itself. */
#include "codec_stages.h"
#include "codec_streams.h"

/* Not to be copied: the stream points into it. */
typedef struct Encoded
{
	Buf data;
	ChunkList list;
	ChunkedStream stream;
} Encoded;

static void
encoded_release(Encoded *encoded)
{
	buf_release(&encoded->data);
	chunk_list_release(&encoded->list);
}

#define AUTO_ENCODED __attribute__((cleanup(encoded_release))) Encoded

/* By this pool, with "most" places or fewer; see chunk_list_for(). */
static void
encode_with_list(Encoded *encoded, Compression compression, Workers *cpu, const uint8_t *bytes, size_t size,
                 size_t most)
{
	AUTO(Pipe) pipe = pipe_new();

	compression.cpu = cpu;
	buf_init(&encoded->data, MOST);
	encoded->list = chunk_list_for(&compression, size, most);
	codec_add_encoder(pipe, &compression, &encoded->list);
	pipe_add(pipe, buf_sink_new(&encoded->data));
	write_in_pieces(pipe, bytes, size, 700001);
	assert_ok(pipe_finish(pipe));
	encoded->stream = (ChunkedStream){.codec = compression.codec,
	                                  .list = &encoded->list,
	                                  .raw_size = size,
	                                  .size = encoded->data.size,
	                                  .first_byte = (uint8_t) encoded->data.data[0],
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
check_chunks(const Compression *compression, Workers *cpu, const uint8_t *bytes, size_t size, size_t most)
{
	AUTO_ENCODED encoded = {0};
	AUTO_BUF(decoded, MOST);
	uint64_t expected = (size + compression->chunk_size - 1) / compression->chunk_size;
	const ChunkList *list = &encoded.list;

	encode_with_list(&encoded, *compression, cpu, bytes, size, most);
	if (list->chunk_size == 0)
	{
		assert_true(compression->codec == CODEC_BROTLI && compression->level == 0 && cpu == NULL);
		assert_int_equal(list->count, 0);
		return;
	}
	assert_int_equal(list->count, expected == 0 ? 1 : most > 0 && expected > most ? list->count : expected);
	assert_true(most == 0 || list->count <= most);
	assert_ok(decode(compression->codec, size, encoded.data.data, encoded.data.size, 65536, &decoded));
	assert_int_equal(decoded.size, size);
	assert_int_equal(codec_has_chunks(&encoded.stream), size > 0);
	if (size == 0)
		return;
	assert_memory_equal(decoded.data, bytes, size);
	assert_chunks_are_what_the_stream_is(&encoded.stream, &encoded.data, bytes);
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
			check_chunks(&in_chunks[c], NULL, noise, sizes[s], 0);
			check_chunks(&in_chunks[c], cpu, waves, sizes[s], 0);
			check_chunks(&in_chunks[c], cpu, waves, sizes[s], 3);
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
			const Compression compression = {codec, level, NULL, MIB};

			check_chunks(&compression, level == 0 ? cpu : NULL, words,
			             codec == CODEC_BROTLI && level > 9 ? MIB + 54321 : size, 0);
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
		if (in_chunks[c].level == 0)
			continue;

		AUTO_ENCODED alone = {0};
		AUTO_ENCODED together = {0};

		encode_with_list(&alone, in_chunks[c], NULL, bytes, 5 * MIB, 0);
		encode_with_list(&together, in_chunks[c], cpu, bytes, 5 * MIB, 0);
		assert_int_equal(alone.data.size, together.data.size);
		assert_memory_equal(alone.data.data, together.data.data, alone.data.size);
		assert_int_equal(alone.list.count, together.list.count);
		for (size_t i = 0; i < alone.list.count; i++)
		{
			assert_int_equal(alone.list.places[i].offset, together.list.places[i].offset);
			assert_int_equal(alone.list.places[i].crc32c, together.list.places[i].crc32c);
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
		AUTO_ENCODED encoded = {0};

		encode_with_list(&encoded, in_chunks[c], cpu, bytes, size, 0);

		const ChunkList right = encoded.list;

		for (int damage = 0; damage < 40; damage++)
		{
			ChunkPlace places[16];
			ChunkList wrong = right;
			ChunkedStream damaged = encoded.stream;
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
			assert_never_wrong_bytes(&damaged, &encoded.data, bytes, &failed);
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
		AUTO_ENCODED encoded = {0};

		encode_with_list(&encoded, in_chunks[c], cpu, bytes, size, 0);
		for (size_t i = 0; i < 60; i++)
		{
			char *byte = encoded.data.data + i * 7919 % encoded.data.size;
			int failed = 0;

			*byte = (char) (*byte ^ (1 << (i % 8)));
			encoded.stream.first_byte = (uint8_t) encoded.data.data[0];
			assert_never_wrong_bytes(&encoded.stream, &encoded.data, bytes, &failed);
			*byte = (char) (*byte ^ (1 << (i % 8)));
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

	codec_add_parallel_decoder(pipe, stream, cpu, 4);
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
		const PieceDecoder *pieces = codec_piece_decoder(in_chunks[c].codec);
		AUTO_ENCODED encoded = {0};
		void *kept = NULL;

		encode_with_list(&encoded, in_chunks[c], cpu, bytes, size, 0);

		const ChunkPlace *places = encoded.list.places;
		size_t chunk_size = encoded.list.chunk_size;

		for (size_t i = encoded.list.count - 1; i-- > 1;)
		{
			const ChunkInput input = {.first_byte = encoded.stream.first_byte,
			                          .data = encoded.data.data + places[i].offset,
			                          .size = places[i + 1].offset - places[i].offset};

			assert_ok(pieces->decode(&input, raw, chunk_size, "\"object.tar\"", &kept));
			assert_memory_equal(raw, bytes + i * chunk_size, chunk_size);
		}
		pieces->free(kept);
	}
}

#define IN_ORDER   5
#define PATIENCE_S 60

/* Decodes as the codec's own decoder, but each chunk ends only when the one behind it has. */
typedef struct Backwards
{
	pthread_mutex_t mutex;
	pthread_cond_t ended;
	const Encoded *encoded;
	size_t oldest; /* of the chunks that have ended: count when none has */
	size_t order[IN_ORDER];
	size_t n_ended;
} Backwards;

static Backwards backwards = {.mutex = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static size_t
number_of(const ChunkInput *input)
{
	const ChunkList *list = &backwards.encoded->list;
	size_t number = 0;

	while (number + 1 < list->count &&
	       memcmp(backwards.encoded->data.data + list->places[number].offset, input->data, input->size) != 0)
		number++;
	return number;
}

static Error *
decode_backwards(const ChunkInput *input, void *raw, size_t raw_size, const char *what, void **kept)
{
	size_t number = number_of(input);
	Error *error =
		codec_piece_decoder(backwards.encoded->stream.codec)->decode(input, raw, raw_size, what, kept);
	struct timespec deadline;
	int late = 0;

	(void) clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += PATIENCE_S;
	(void) pthread_mutex_lock(&backwards.mutex);
	while (backwards.oldest != number + 1 && late == 0)
		late = pthread_cond_timedwait(&backwards.ended, &backwards.mutex, &deadline);
	backwards.oldest = number;
	backwards.order[backwards.n_ended++] = number;
	(void) pthread_cond_broadcast(&backwards.ended);
	(void) pthread_mutex_unlock(&backwards.mutex);
	return error;
}

/* The last chunk first, the first one last; by as many threads, so that none waits for another one's turn. */
static void
chunks_that_end_backwards_are_passed_on_in_order(void **state)
{
	const size_t size = (IN_ORDER - 1) * MIB + 5;
	AUTO_FREE uint8_t *bytes = compressible_bytes(size, 3);
	AUTO(Workers) cpu = workers_new(IN_ORDER);

	(void) state;
	for (size_t c = 0; c < lengthof(in_chunks); c++)
	{
		PieceDecoder pieces = *codec_piece_decoder(in_chunks[c].codec);
		Compression compression = in_chunks[c];
		AUTO_ENCODED encoded = {0};
		AUTO(Pipe) pipe = pipe_new();
		AUTO_BUF(decoded, MOST);

		compression.chunk_size = MIB;
		encode_with_list(&encoded, compression, cpu, bytes, size, 0);
		assert_int_equal(encoded.list.count, IN_ORDER);
		backwards.encoded = &encoded;
		backwards.oldest = IN_ORDER;
		backwards.n_ended = 0;
		pieces.decode = decode_backwards;
		pipe_add(pipe, parallel_decoder_new(&pieces, &encoded.stream, null_sink_new(), cpu, IN_ORDER));
		pipe_add(pipe, buf_sink_new(&decoded));
		write_in_pieces(pipe, (const uint8_t *) encoded.data.data, encoded.data.size, 50000);
		assert_ok(pipe_finish(pipe));
		for (size_t i = 0; i < IN_ORDER; i++)
			assert_int_equal(backwards.order[i], IN_ORDER - 1 - i);
		assert_int_equal(decoded.size, size);
		assert_memory_equal(decoded.data, bytes, size);
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
				AUTO_ENCODED encoded = {0};

				encode_with_list(&encoded, in_chunks[c], cpu, bytes, sizes[s], most);
				for (int kind = 0; kind < 4; kind++)
				{
					ChunkedStream stream = encoded.stream;
					const ChunkList none = {0};
					AUTO_BUF(decoded, MOST);

					stream.list = kind == 2 ? &none : &encoded.list;
					assert_ok(decode_side_by_side(&stream, kind == 3 ? NULL : cpu, encoded.data.data,
					                              encoded.data.size, pieces[kind % 2], &decoded));
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
		AUTO_ENCODED encoded = {0};

		encode_with_list(&encoded, in_chunks[c], cpu, bytes, size, 0);

		const ChunkList list = encoded.list;

		buf_append(&encoded.data, "more", 4);
		for (int damage = 0; damage < 12; damage++)
		{
			ChunkedStream stream = encoded.stream;
			AUTO_FREE ChunkPlace *places = mem_alloc(list.count * sizeof(*places));
			ChunkList wrong = list;
			size_t length = encoded.data.size - 4;
			AUTO_BUF(decoded, MOST);

			stream.size = encoded.data.size;
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
					length = encoded.data.size;
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

			AUTO(Error) error = decode_side_by_side(&stream, cpu, encoded.data.data, length, 65536, &decoded);

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

/* A frame of nothing is no work for a thread, and one that a stream refuses is refused in pieces, too. */
static void
frames_that_are_no_work_for_a_thread_are_left_to_the_stream(void **state)
{
	static const struct
	{
		size_t raw_size;
		PieceKind kind;
	} frames[] = {
		{0, PIECE_OTHER},         {100, PIECE_OTHER},     {64 * 1024 - 1, PIECE_OTHER},
		{64 * 1024, PIECE_WHOLE}, {4 * MIB, PIECE_WHOLE}, {4 * MIB + 1, PIECE_OTHER},
	};
	static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0};

	/* RFC 8878, 3.1.1.1: no single segment, a window of 2^27 or 2^28 bytes, 1 MiB of content, and its first block is cut off. */
	static const uint8_t window_27[] = {0x28, 0xb5, 0x2f, 0xfd, 0x80, 17 << 3, 0, 0, 0x10, 0};
	static const uint8_t window_28[] = {0x28, 0xb5, 0x2f, 0xfd, 0x80, 18 << 3, 0, 0, 0x10, 0};
	const PieceDecoder *pieces = codec_piece_decoder(CODEC_ZSTD);
	AUTO(Workers) cpu = workers_new(1);
	const Compression compression = {CODEC_ZSTD, 3, cpu, 8 * MIB};
	AUTO_FREE uint8_t *bytes = compressible_bytes(5 * MIB, 3);
	Piece piece;

	(void) state;
	for (size_t i = 0; i < lengthof(frames); i++)
	{
		AUTO_BUF(encoded, MOST);

		encode(&compression, bytes, frames[i].raw_size, SIZE_MAX, &encoded);
		assert_int_equal(pieces->find(encoded.data, encoded.size, &piece), frames[i].kind);
	}
	assert_int_equal(pieces->find(skippable, sizeof(skippable), &piece), PIECE_OTHER);
	assert_int_equal(pieces->find(window_27, sizeof(window_27), &piece), PIECE_CUT);
	assert_int_equal(pieces->find(window_28, sizeof(window_28), &piece), PIECE_OTHER);
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
		cmocka_unit_test(chunks_that_end_backwards_are_passed_on_in_order),
		cmocka_unit_test(a_stream_is_decoded_side_by_side),
		cmocka_unit_test(chunks_pay_for_what_takes_long),
		cmocka_unit_test(what_is_damaged_is_never_decoded_to_other_bytes),
		cmocka_unit_test(frames_that_are_no_work_for_a_thread_are_left_to_the_stream),
		cmocka_unit_test(brotli_streams_that_break_the_rules_are_one_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
