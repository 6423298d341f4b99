#include <unistd.h>

#include "codec_stages.h"
#include "codec_streams.h"

#define FRAME_HEADER_MOST 18 /* RFC 8878 */

static const Compression compressions[] = {
	{CODEC_NONE, 0, NULL, 0},   {CODEC_BROTLI, 0, NULL, 0}, {CODEC_BROTLI, 1, NULL, 0},
	{CODEC_BROTLI, 2, NULL, 0}, {CODEC_BROTLI, 5, NULL, 0}, {CODEC_ZSTD, 1, NULL, 0},
	{CODEC_ZSTD, 2, NULL, 0},   {CODEC_ZSTD, 19, NULL, 0},
};

static void
round_trip(const Compression *compression, const uint8_t *bytes, size_t size, size_t piece)
{
	AUTO_BUF(encoded, MOST);
	AUTO_BUF(decoded, MOST);

	encode(compression, bytes, size, piece, &encoded);
	assert_ok(decode(compression->codec, size, encoded.data, encoded.size, piece, &decoded));
	assert_int_equal(decoded.size, size);
	if (size > 0)
		assert_memory_equal(decoded.data, bytes, size);
}

static void
every_codec_gives_back_what_it_got_at_every_size_and_split(void **state)
{
	static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 5 * 1024 * 1024};
	static const size_t pieces[] = {1, 7, 511, 512, 8191, 65536, 1 << 30};

	(void) state;
	for (size_t s = 0; s < lengthof(sizes); s++)
	{
		AUTO_FREE uint8_t *noise = scratch_bytes(sizes[s], s);
		AUTO_FREE uint8_t *waves = compressible_bytes(sizes[s], s);

		for (size_t p = 0; p < lengthof(pieces); p++)
		{
			/* Byte by byte through megabytes tells nothing more, and takes long under the sanitizers. */
			if (sizes[s] > 1000000 && pieces[p] < 511)
				continue;
			for (size_t c = 0; c < lengthof(compressions); c++)
			{
				if (compressions[c].level > 5 && p + 1 < lengthof(pieces))
					continue;
				round_trip(&compressions[c], noise, sizes[s], pieces[p]);
				round_trip(&compressions[c], waves, sizes[s], pieces[p]);
			}
		}
	}
}

static bool
have_program(const char *program)
{
	AUTO_FREE char *command = mem_printf("command -v %s >/dev/null", program);

	if (system(command) == 0)
		return true;
	print_message("SKIPPED: the program \"%s\" is not installed\n", program);
	return false;
}

static void
the_stock_programs_read_what_we_write(void **state)
{
	char *directory = scratch_make();
	AUTO_FREE char *raw_path = path_join(directory, "raw");

	(void) state;
	for (size_t i = 1; i < lengthof(compressions); i++)
	{
		const Compression *compression = &compressions[i];
		AUTO_FREE uint8_t *bytes = compressible_bytes(3000000, i);
		AUTO_FREE char *path = path_join(directory, codec_suffix(compression->codec));
		AUTO_FREE char *command =
			mem_printf("%s -dc %s | cmp - %s", codec_name(compression->codec), path, raw_path);
		AUTO_BUF(encoded, MOST);

		if (!have_program(codec_name(compression->codec)))
			continue;
		encode(compression, bytes, 3000000, 100000, &encoded);
		assert_ok(file_replace(path, encoded.data, encoded.size, 0600));
		assert_ok(file_replace(raw_path, bytes, 3000000, 0600));
		assert_int_equal(system(command), 0);
	}
	scratch_remove(directory);
}

static void
what_the_stock_programs_write_is_read(void **state)
{
	char *directory = scratch_make();
	AUTO_FREE char *raw_path = path_join(directory, "raw");
	AUTO_FREE uint8_t *bytes = compressible_bytes(3000000, 1);

	(void) state;
	assert_ok(file_replace(raw_path, bytes, 3000000, 0600));
	for (Codec codec = CODEC_BROTLI; codec <= CODEC_ZSTD; codec++)
	{
		AUTO_FREE char *path = path_join(directory, codec_suffix(codec));
		AUTO_FREE char *command = mem_printf("%s -9 -c %s > %s", codec_name(codec), raw_path, path);
		AUTO_BUF(encoded, MOST);
		AUTO_BUF(decoded, MOST);

		if (!have_program(codec_name(codec)))
			continue;
		assert_int_equal(system(command), 0);
		assert_ok(file_read_all(path, &encoded));
		assert_ok(decode(codec, 3000000, encoded.data, encoded.size, 4096, &decoded));
		assert_int_equal(decoded.size, 3000000);
		assert_memory_equal(decoded.data, bytes, 3000000);
	}
	scratch_remove(directory);
}

/* Does its harm to one compression of these bytes, and looks at what comes of it. */
typedef void (*Harm)(const Compression *compression, Buf *encoded, const uint8_t *bytes, size_t size);

static void
harm_all(size_t size, Harm harm)
{
	for (size_t i = 1; i < lengthof(compressions); i++)
	{
		AUTO_FREE uint8_t *bytes = compressible_bytes(size, i);
		AUTO_BUF(encoded, MOST);

		encode(&compressions[i], bytes, size, size, &encoded);
		harm(&compressions[i], &encoded, bytes, size);
	}
}

static void
cut_everywhere(const Compression *compression, Buf *encoded, const uint8_t *bytes, size_t size)
{
	size_t step = encoded->size / 300 + 1;

	(void) bytes;
	for (size_t cut = 0; cut < encoded->size; cut += cut + 50 < encoded->size ? step : 1)
	{
		AUTO_BUF(decoded, MOST);

		assert_error(decode(compression->codec, size, encoded->data, cut, 1000, &decoded), ERR_CORRUPT,
		             "\"object.tar\" is cut off");
	}
}

static void
a_cut_stream_is_corrupt_wherever_it_is_cut(void **state)
{
	(void) state;
	harm_all(100000, cut_everywhere);
}

static void
append_garbage(const Compression *compression, Buf *encoded, const uint8_t *bytes, size_t size)
{
	static const char *const tails[] = {"x", "\n", "garbage that is long enough to be a frame header"};
	size_t length = encoded->size;

	(void) bytes;
	for (size_t i = 0; i < lengthof(tails); i++)
	{
		for (size_t piece = 1000; piece <= length + 1000; piece += length)
		{
			AUTO_BUF(decoded, MOST);

			buf_puts(encoded, tails[i]);
			assert_error(decode(compression->codec, size, encoded->data, encoded->size, piece, &decoded),
			             ERR_CORRUPT, "\"object.tar\"");
			encoded->size = length;
		}
	}
}

static void
trailing_bytes_are_corrupt(void **state)
{
	(void) state;
	harm_all(100000, append_garbage);
}

/* brotli has no checksum of its own: what its decoder lets pass, the verify stage must not. */
static void
flip_bits(const Compression *compression, Buf *encoded, const uint8_t *bytes, size_t size)
{
	Digest digest = {.size = size};

	sha256_of(bytes, size, digest.sha256);
	for (size_t i = 0; i < 300; i++)
	{
		size_t at = i < 40 ? i % encoded->size : i * 7919 % encoded->size;
		AUTO(Pipe) pipe = pipe_new();
		AUTO_BUF(decoded, MOST);
		Error *error;

		codec_add_decoder(pipe, compression->codec, size, "\"object.tar\"");
		pipe_add(pipe, verify_stage_new(&digest, "\"object.tar\""));
		pipe_add(pipe, buf_sink_new(&decoded));

		encoded->data[at] = (char) (encoded->data[at] ^ (1 << (i % 8)));
		error = pipe_write(pipe, encoded->data, encoded->size);
		if (error == NULL)
			error = pipe_finish(pipe);
		encoded->data[at] = (char) (encoded->data[at] ^ (1 << (i % 8)));
		if (error != NULL)
			assert_error(error, ERR_CORRUPT, "\"object.tar\"");
		else
			assert_memory_equal(decoded.data, bytes, size);
	}
}

static void
flipped_bits_never_give_other_bytes(void **state)
{
	(void) state;
	harm_all(60000, flip_bits);
}

static void
a_bomb_is_stopped_at_the_size_that_is_expected(void **state)
{
	AUTO_FREE uint8_t *zeros = mem_zalloc(20000000);
	AUTO_BUF(plain, 1000000);

	(void) state;
	assert_error(decode(CODEC_NONE, 1000000, zeros, 20000000, 300000, &plain), ERR_CORRUPT,
	             "\"object.tar\" has more than 1000000 bytes");
	assert_int_equal(plain.size, 900000);
	for (size_t i = 1; i < lengthof(compressions); i++)
	{
		AUTO_BUF(encoded, MOST);
		AUTO_BUF(decoded, 1000000);

		encode(&compressions[i], zeros, 20000000, 20000000, &encoded);
		assert_true(encoded.size < 20000);
		assert_error(decode(compressions[i].codec, 1000000, encoded.data, encoded.size, 4096, &decoded),
		             ERR_CORRUPT, "\"object.tar\" decompresses to more than 1000000 bytes");
		assert_true(decoded.size <= 1000000);
	}
}

static void
zstd_frames_that_follow_each_other_are_one_stream(void **state)
{
	static const Compression zstd = {.codec = CODEC_ZSTD, .level = 3};
	AUTO_BUF(encoded, MOST);
	AUTO_BUF(decoded, MOST);

	(void) state;
	encode(&zstd, (const uint8_t *) "one ", 4, 4, &encoded);
	encode(&zstd, (const uint8_t *) "", 0, 1, &encoded);
	encode(&zstd, (const uint8_t *) "two", 3, 3, &encoded);
	for (size_t piece = 1; piece < encoded.size; piece++)
	{
		buf_clear(&decoded);
		assert_ok(decode(CODEC_ZSTD, 7, encoded.data, encoded.size, piece, &decoded));
		assert_string_equal(decoded.data, "one two");
	}
}

/* Also by chance, but not in these bytes. */
static int
count_zstd_frames(const Buf *encoded)
{
	static const char magic[] = {'\x28', '\xb5', '\x2f', '\xfd'};
	int count = 0;

	for (size_t i = 0; i + sizeof(magic) <= encoded->size; i++)
		count += memcmp(encoded->data + i, magic, sizeof(magic)) == 0;
	return count;
}

/* As segments are read: zstd makes a frame of each; and not of what is smaller or much larger. */
static void
pieces_of_a_megabyte_are_one_stream_with_what_comes_between(void **state)
{
	static const size_t pieces[][5] = {
		{MIB, MIB, MIB}, {MIB, 4 * MIB, 17}, {MIB, MIB - 1, MIB, 4 * MIB + 1, MIB},
		{1, MIB, MIB},   {5 * MIB, MIB},
	};
	static const int frames[] = {3, 3, 2, 1, 1};
	AUTO_FREE uint8_t *bytes = compressible_bytes(12 * MIB, 8);

	(void) state;
	for (size_t i = 0; i < lengthof(pieces) * lengthof(compressions); i++)
	{
		const Compression *compression = &compressions[i / lengthof(pieces)];
		const size_t *sizes = pieces[i % lengthof(pieces)];
		AUTO(Pipe) pipe = pipe_new();
		AUTO_BUF(encoded, MOST);
		AUTO_BUF(decoded, MOST);
		size_t at = 0;

		if (compression->level > 5)
			continue;
		codec_add_encoder(pipe, compression, NULL);
		pipe_add(pipe, buf_sink_new(&encoded));
		for (size_t k = 0; k < lengthof(pieces[0]); at += sizes[k], k++)
			assert_ok(pipe_write(pipe, bytes + at, sizes[k]));
		assert_ok(pipe_finish(pipe));
		if (compression->codec == CODEC_ZSTD)
			assert_int_equal(count_zstd_frames(&encoded), frames[i % lengthof(pieces)]);
		assert_ok(decode(compression->codec, at, encoded.data, encoded.size, 65536, &decoded));
		assert_int_equal(decoded.size, at);
		assert_memory_equal(decoded.data, bytes, at);
	}
}

static void
chunks_that_were_compressed_side_by_side_are_one_stream(void **state)
{
	static const size_t sizes[] = {0, 1, MIB, MIB + 1, 2 * MIB, 4 * MIB, 8 * MIB + 77777};
	AUTO(Workers) cpu = workers_new(3);

	(void) state;
	for (size_t s = 0; s < lengthof(sizes); s++)
	{
		AUTO_FREE uint8_t *bytes = compressible_bytes(sizes[s], s);

		for (size_t c = 0; c < lengthof(in_chunks); c++)
		{
			Compression compression = in_chunks[c];

			compression.cpu = cpu;
			round_trip(&compression, bytes, sizes[s], c % 2 == 0 ? 100003 : 1 << 30);
		}
	}
}

/* Noise: the output is larger than the input. */
static void
chunks_may_grow_by_compression(void **state)
{
	const size_t size = 2 * CHUNK_SIZE + 100;
	AUTO_FREE uint8_t *noise = scratch_bytes(size, 1);
	AUTO(Workers) cpu = workers_new(2);

	(void) state;
	for (size_t c = 0; c < lengthof(in_chunks); c++)
	{
		Compression compression = in_chunks[c];

		compression.cpu = cpu;
		round_trip(&compression, noise, size, 1 << 30);
	}
}

/* The words of a dictionary in the order of chance: so a chunk misses what it cannot refer to. */
static uint8_t *
wordy_bytes(size_t size)
{
	AUTO_FREE uint8_t *noise = scratch_bytes(size, 99);
	uint8_t *bytes = mem_alloc(size);
	size_t at = 0;

	for (size_t i = 0; at < size; i++)
	{
		uint32_t word = (uint32_t) noise[2 * i % size] * (noise[(2 * i + 1) % size] + 1u) / 8;

		for (uint32_t n = 0; n < 3 + word % 7 && at < size; n++)
			bytes[at++] = (uint8_t) ('a' + (word * 2654435761u >> (3 * n)) % 26);
		if (at < size)
			bytes[at++] = ' ';
	}
	return bytes;
}

static void
chunks_cost_less_than_a_hundredth_in_size(void **state)
{
	const size_t size = 6 * CHUNK_SIZE;
	AUTO_FREE uint8_t *bytes = wordy_bytes(size);
	AUTO(Workers) cpu = workers_new(2);

	(void) state;
	for (size_t c = 0; c < lengthof(in_chunks); c++)
	{
		Compression compression = in_chunks[c];
		AUTO_BUF(whole, MOST);
		AUTO_BUF(chunked, MOST);

		/* Level 0 learns its code from the block before; who chooses it does not want the size. */
		if (compression.level == 0)
			continue;
		encode(&compression, bytes, size, size, &whole);
		compression.cpu = cpu;
		encode(&compression, bytes, size, size, &chunked);
		assert_true(whole.size < size);
		assert_true(chunked.size < whole.size + whole.size / 100);
	}
}

static void
the_stock_programs_read_what_was_compressed_in_chunks(void **state)
{
	const size_t size = 3 * CHUNK_SIZE + 4711;
	char *directory = scratch_make();
	AUTO_FREE char *raw_path = path_join(directory, "raw");
	AUTO_FREE uint8_t *bytes = compressible_bytes(size, 5);
	AUTO(Workers) cpu = workers_new(2);

	(void) state;
	assert_ok(file_replace(raw_path, bytes, size, 0600));
	for (size_t c = 0; c < lengthof(in_chunks); c++)
	{
		Compression compression = in_chunks[c];
		AUTO_FREE char *path = path_join(directory, codec_suffix(compression.codec));
		AUTO_FREE char *command =
			mem_printf("%s -dc %s | cmp - %s", codec_name(compression.codec), path, raw_path);
		AUTO_BUF(encoded, MOST);

		if (!have_program(codec_name(compression.codec)))
			continue;
		compression.cpu = cpu;
		encode(&compression, bytes, size, 1 << 30, &encoded);
		assert_ok(file_replace(path, encoded.data, encoded.size, 0600));
		assert_int_equal(system(command), 0);
	}
	scratch_remove(directory);
}

/* The store fails while chunks are being compressed; and a pipe that is never finished. */
static void
what_comes_after_may_fail_at_any_chunk(void **state)
{
	const size_t size = 6 * CHUNK_SIZE;
	AUTO_FREE uint8_t *noise = scratch_bytes(size, 3);
	AUTO(Workers) cpu = workers_new(2);

	(void) state;
	for (size_t room = 0; room < size; room += 2 * CHUNK_SIZE)
	{
		Compression compression = {.codec = CODEC_ZSTD, .level = 1, .cpu = cpu, .chunk_size = CHUNK_SIZE};
		AUTO(Pipe) pipe = pipe_new();
		AUTO_BUF(into, room);

		codec_add_encoder(pipe, &compression, NULL);
		pipe_add(pipe, buf_sink_new(&into));

		Error *error = pipe_write(pipe, noise, size);

		if (error == NULL)
			error = pipe_finish(pipe);
		assert_error(error, ERR_CORRUPT, "bytes");
	}
}

/* Of five frames the third: what is before it is passed on, and nothing behind it. */
static void
a_damaged_frame_ends_what_is_decoded_side_by_side(void **state)
{
	const size_t size = 20 * MIB;
	AUTO(Workers) cpu = workers_new(3);
	Compression compression = {CODEC_ZSTD, 3, cpu, 4 * MIB};
	ChunkList list = chunk_list_for(&compression, size, 0);
	AUTO_FREE uint8_t *bytes = compressible_bytes(size, 9);
	AUTO(Pipe) pipe = pipe_new();
	AUTO_BUF(encoded, MOST);

	(void) state;
	codec_add_encoder(pipe, &compression, &list);
	pipe_add(pipe, buf_sink_new(&encoded));
	write_in_pieces(pipe, bytes, size, MIB);
	assert_ok(pipe_finish(pipe));
	assert_int_equal(list.count, 5);
	for (size_t i = 0; i < 40; i++)
	{
		/* Not in the frame's header, of which a bit has no meaning. */
		size_t length = list.places[3].offset - list.places[2].offset - FRAME_HEADER_MOST;
		size_t at = list.places[2].offset + FRAME_HEADER_MOST + (i < 10 ? i : i * 7919 % length);
		AUTO_BUF(decoded, MOST);

		encoded.data[at] = (char) (encoded.data[at] ^ (1 << (i % 8)));
		assert_error(decode_by(cpu, CODEC_ZSTD, size, encoded.data, encoded.size, 300001, &decoded),
		             ERR_CORRUPT, "\"object.tar\"");
		encoded.data[at] = (char) (encoded.data[at] ^ (1 << (i % 8)));
		assert_true(decoded.size >= 8 * MIB && decoded.size < size);
		assert_memory_equal(decoded.data, bytes, 8 * MIB);
	}
	chunk_list_release(&list);
}

static Error *
refuse_behind(void *context, const void *data, size_t size)
{
	size_t *left = context;

	(void) data;
	if (size > *left)
		return error_new(ERR_SYSTEM, "no more room");
	*left -= size;
	return NULL;
}

static void
what_comes_after_may_fail_at_any_frame(void **state)
{
	const size_t size = 18 * MIB;
	AUTO(Workers) cpu = workers_new(3);
	const Compression compression = {CODEC_ZSTD, 3, cpu, 4 * MIB};
	AUTO_FREE uint8_t *bytes = compressible_bytes(size, 10);
	AUTO_BUF(encoded, MOST);

	(void) state;
	encode(&compression, bytes, size, MIB, &encoded);
	for (size_t room = 0; room <= size; room += 2 * MIB)
	{
		AUTO(Pipe) pipe = pipe_new();
		size_t left = room;

		codec_add_parallel_decoder(
			pipe, &(ChunkedStream){.codec = CODEC_ZSTD, .raw_size = size, .what = "\"object.tar\""}, cpu, 2);
		pipe_add(pipe, callback_stage_new(refuse_behind, &left));

		Error *error = pipe_write(pipe, encoded.data, encoded.size);

		if (error == NULL)
			error = pipe_finish(pipe);
		if (room < size)
			assert_error(error, ERR_SYSTEM, "no more room");
		else
			assert_ok(error);
	}
}

static void
names_and_levels_are_those_of_the_table(void **state)
{
	Codec codec = CODEC_NONE;
	int lowest;
	int highest;

	(void) state;
	for (Codec each = CODEC_NONE; each <= CODEC_ZSTD; each++)
	{
		assert_true(codec_from_name(codec_name(each), &codec));
		assert_int_equal(codec, each);
		codec_level_range(each, &lowest, &highest);
		for (CompressFor purpose = COMPRESS_WAL; purpose <= COMPRESS_FILES; purpose++)
		{
			int level = compression_for(each, purpose).level;

			assert_true(lowest <= level && level <= highest);
			assert_true(purpose != COMPRESS_BACKLOG || level <= compression_for(each, COMPRESS_WAL).level);
		}
	}
	assert_false(codec_from_name("lz4", &codec));
	assert_string_equal(codec_suffix(CODEC_BROTLI), "br");
	assert_string_equal(codec_suffix(CODEC_ZSTD), "zst");
	assert_string_equal(codec_suffix(CODEC_NONE), "raw");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_codec_gives_back_what_it_got_at_every_size_and_split),
		cmocka_unit_test(the_stock_programs_read_what_we_write),
		cmocka_unit_test(what_the_stock_programs_write_is_read),
		cmocka_unit_test(a_cut_stream_is_corrupt_wherever_it_is_cut),
		cmocka_unit_test(trailing_bytes_are_corrupt),
		cmocka_unit_test(flipped_bits_never_give_other_bytes),
		cmocka_unit_test(a_bomb_is_stopped_at_the_size_that_is_expected),
		cmocka_unit_test(zstd_frames_that_follow_each_other_are_one_stream),
		cmocka_unit_test(pieces_of_a_megabyte_are_one_stream_with_what_comes_between),
		cmocka_unit_test(chunks_that_were_compressed_side_by_side_are_one_stream),
		cmocka_unit_test(chunks_may_grow_by_compression),
		cmocka_unit_test(chunks_cost_less_than_a_hundredth_in_size),
		cmocka_unit_test(the_stock_programs_read_what_was_compressed_in_chunks),
		cmocka_unit_test(what_comes_after_may_fail_at_any_chunk),
		cmocka_unit_test(a_damaged_frame_ends_what_is_decoded_side_by_side),
		cmocka_unit_test(what_comes_after_may_fail_at_any_frame),
		cmocka_unit_test(names_and_levels_are_those_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
