/* Segments into the store and back: whole, unchanged, or refused. */
#include "walship/archive/wal_object.h"

#include "archive_fixture.h"

#define MB   ((size_t) 1024 * 1024)
#define NAME "000000010000000300000000"
#define KEY  "7300000000000000001/wal/00000001/" NAME ".tar"

/* The first MB is real WAL, what follows is noise or nothing. */
static uint8_t *
make_segment(size_t size, uint64_t noise)
{
	WalBuilder builder = builder_new(15, 1);
	uint8_t *bytes = noise == 0 ? mem_zalloc(size) : scratch_bytes(size, noise);

	fill_wal(&builder, builder.size);
	memcpy(bytes, builder.bytes, builder.size);
	builder_le(bytes + 32, size, 4);
	free(builder.bytes);
	return bytes;
}

static void
assert_reads_back(const Place *place, const uint8_t *bytes, size_t size)
{
	AUTO_BUF(back, OBJECT_MAX);
	AUTO(Sink) sink = NULL;
	WalName name = wal_name(NAME);
	WalIndex index;

	sink = buf_sink_new(&back);
	assert_ok(wal_object_get(&place->archive, &name, sink, &index));
	assert_int_equal(back.size, size);
	assert_memory_equal(back.data, bytes, size);
	assert_int_equal(index.segment_size, size);
	assert_string_equal(index.segment, NAME);
}

static void
every_codec_and_size_goes_there_and_back(void **state)
{
	static const struct
	{
		Codec codec;
		int level;
		size_t size;
		uint64_t noise;
	} rows[] = {
		{CODEC_NONE, 0, MB, 0},      {CODEC_BROTLI, 2, MB, 0},    {CODEC_ZSTD, 1, MB, 0},
		{CODEC_NONE, 0, 16 * MB, 1}, {CODEC_ZSTD, 1, 16 * MB, 0}, {CODEC_BROTLI, 0, 16 * MB, 0},
	};
	Place *place = *state;
	WalName name = wal_name(NAME);

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE uint8_t *bytes = make_segment(rows[i].size, rows[i].noise);
		AUTO_FREE char *path = write_wal(place, NAME, bytes, rows[i].size);
		PutResult result;
		WalIndex index;
		WalIndex stored;

		print_message("  %s, %zu bytes\n", codec_name(rows[i].codec), rows[i].size);
		place->archive.compression = (Compression){.codec = rows[i].codec, .level = rows[i].level};
		assert_ok(wal_object_put(&place->archive, path, &name, &result, &index));
		assert_int_equal(result, PUT_STORED);
		assert_true(index.walked);
		assert_int_equal(index.start_lsn, BUILDER_START);
		assert_int_equal(index.end_lsn, BUILDER_START + rows[i].size);
		assert_reads_back(place, bytes, rows[i].size);

		/* The same again, also when the codec has changed meanwhile. */
		place->archive.compression = (Compression){.codec = CODEC_ZSTD, .level = 1};
		assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
		assert_int_equal(result, PUT_WAS_THERE);
		assert_ok(wal_object_index(place->store, KEY, &stored));
		assert_memory_equal(stored.sha256, index.sha256, SHA256_SIZE);
		assert_string_equal(stored.codec, codec_name(rows[i].codec));
		assert_ok(store_remove(place->store, KEY));
	}
}

/* New keys for this place. */
static void
make_keys(AgeRecipients *recipients, AgeIdentities *identities)
{
	AUTO_FREE char *secret = NULL;
	AUTO_FREE char *public_key = NULL;

	age_generate(&secret, &public_key);
	assert_ok(age_recipients_add(recipients, public_key, strlen(public_key), "key"));
	assert_ok(age_identities_add(identities, secret, strlen(secret), "key"));
}

static Error *
read_with(const Place *place, const AgeIdentities *identities, Buf *into)
{
	WalArchive archive = place->archive;
	AUTO(Sink) sink = buf_sink_new(into);
	WalName name = wal_name(NAME);

	archive.identities = identities;
	return wal_object_get(&archive, &name, sink, NULL);
}

/* The second member of the object, decrypted: the compressed stream. */
static void
read_stream(Place *place, const WalIndex *index, const AgeIdentities *identities, Buf *ret_stream)
{
	AUTO_BUF(object, 0);
	AUTO(Pipe) pipe = pipe_new();
	size_t behind = tar_padding(index->stored_size) + TAR_END_SIZE;

	read_raw(place, KEY, &object);
	if (index->recipients[0] != '\0')
		pipe_add(pipe, age_decoder_new(identities, KEY));
	pipe_add(pipe, buf_sink_new(ret_stream));
	assert_ok(pipe_write(pipe, object.data + object.size - behind - index->stored_size, index->stored_size));
	assert_ok(pipe_finish(pipe));
}

/* Each chunk that the index in the store tells of, decoded for itself. */
static void
assert_chunks_read_back(Place *place, const AgeIdentities *identities, const uint8_t *bytes,
                        uint32_t n_chunks)
{
	AUTO_BUF(text, OBJECT_MAX);
	ChunkPlace places[WAL_INDEX_CHUNKS_MAX];
	ChunkList list = {.places = places};
	WalIndex index;

	assert_ok(wal_object_index(place->store, KEY, &index));
	assert_int_equal(index.n_chunks, n_chunks);
	if (n_chunks == 0)
		return;
	read_stream(place, &index, identities, &text);
	list.chunk_size = index.chunk_size;
	list.count = index.n_chunks;
	for (size_t i = 0; i < list.count; i++)
		places[i] = (ChunkPlace){index.chunks[i].offset, index.chunks[i].crc32c};

	ChunkedStream stream = {.list = &list,
	                        .raw_size = index.segment_size,
	                        .size = text.size,
	                        .first_byte = (uint8_t) text.data[0],
	                        .what = KEY};

	assert_true(codec_from_name(index.codec, &stream.codec));
	assert_true(codec_has_chunks(&stream));
	for (size_t i = 0; i < list.count; i++)
	{
		AUTO_FREE uint8_t *raw = mem_alloc(list.chunk_size);
		uint64_t end = i + 1 < list.count ? places[i + 1].offset : text.size;

		assert_ok(
			codec_decode_chunks(&stream, i, 1, text.data + places[i].offset, end - places[i].offset, raw));
		assert_memory_equal(raw, bytes + i * list.chunk_size, list.chunk_size);
	}
}

static void
an_index_says_where_decoding_can_begin(void **state)
{
	static const struct
	{
		Codec codec;
		int level;
		bool pool;
		size_t size;
		uint32_t n_chunks;
	} rows[] = {
		{CODEC_NONE, 0, true, 4 * MB, 0},     {CODEC_BROTLI, 2, false, MB, 0},
		{CODEC_BROTLI, 2, true, 4 * MB, 4},   {CODEC_BROTLI, 2, false, 4 * MB, 4},
		{CODEC_BROTLI, 0, false, 4 * MB, 0},  {CODEC_BROTLI, 0, true, 4 * MB, 4},
		{CODEC_ZSTD, 1, false, 4 * MB, 2},    {CODEC_ZSTD, 2, true, 16 * MB, 8},
		{CODEC_BROTLI, 0, true, 32 * MB, 16}, {CODEC_ZSTD, 1, true, 64 * MB, 16},
	};
	Place *place = *state;
	WalName name = wal_name(NAME);
	AUTO(Workers) cpu = workers_new(2);
	AUTO(AgeRecipients) recipients = age_recipients_new();
	AUTO(AgeIdentities) identities = age_identities_new();

	make_keys(recipients, identities);
	for (size_t i = 0; i < 2 * lengthof(rows); i++)
	{
		size_t row = i / 2;
		AUTO_FREE uint8_t *bytes = make_segment(rows[row].size, rows[row].size > 16 * MB ? 0 : i % 2);
		AUTO_FREE char *path = write_wal(place, NAME, bytes, rows[row].size);
		PutResult result;

		place->archive.compression = compression_for(rows[row].codec, COMPRESS_WAL);
		place->archive.compression.level = rows[row].level;
		place->archive.compression.cpu = rows[row].pool ? cpu : NULL;
		place->archive.recipients = i % 2 == 0 ? NULL : recipients;
		assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
		assert_chunks_read_back(place, identities, bytes, rows[row].n_chunks);
		assert_ok(store_remove(place->store, KEY));
	}
	place->archive.recipients = NULL;
}

static void
an_encrypted_segment_opens_with_its_key_only(void **state)
{
	Place *place = *state;
	WalName name = wal_name(NAME);
	AUTO_FREE uint8_t *bytes = make_segment(MB, 0);
	AUTO_FREE char *path = write_wal(place, NAME, bytes, MB);
	AUTO(AgeRecipients) recipients = age_recipients_new();
	AUTO(AgeRecipients) nobody = age_recipients_new();
	AUTO(AgeIdentities) identities = age_identities_new();
	AUTO(AgeIdentities) others = age_identities_new();
	AUTO_BUF(opened, OBJECT_MAX);
	AUTO_BUF(unopened, OBJECT_MAX);
	PutResult result;
	WalIndex index;

	make_keys(recipients, identities);
	make_keys(nobody, others);
	place->archive.recipients = recipients;
	assert_ok(wal_object_put(&place->archive, path, &name, &result, &index));
	assert_string_equal(index.recipients, age_recipients_fingerprints(recipients));
	assert_string_equal(index.member, NAME ".br.age");
	assert_string_equal(index.codec, "brotli");

	assert_ok(read_with(place, identities, &opened));
	assert_int_equal(opened.size, MB);
	assert_memory_equal(opened.data, bytes, MB);
	assert_error(read_with(place, NULL, &unopened), ERR_DENIED, index.recipients);
	assert_error(read_with(place, others, &unopened), ERR_DENIED, index.recipients);
	assert_int_equal(unopened.size, 0);

	/* The same contents, whoever can read them. */
	place->archive.recipients = NULL;
	assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
	assert_int_equal(result, PUT_WAS_THERE);
}

static void
other_contents_under_the_same_name_change_nothing(void **state)
{
	Place *place = *state;
	WalName name = wal_name(NAME);
	AUTO_FREE uint8_t *bytes = make_segment(MB, 0);
	AUTO_FREE char *path = write_wal(place, NAME, bytes, MB);
	AUTO_BUF(before, 0);
	AUTO_BUF(after, 0);
	PutResult result = (PutResult) 77;

	assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
	read_raw(place, KEY, &before);
	bytes[MB - 1] ^= 1;
	assert_ok(file_replace(path, bytes, MB, 0600));
	result = (PutResult) 77;
	assert_error(wal_object_put(&place->archive, path, &name, &result, NULL), ERR_EXISTS, "other contents");
	assert_int_equal(result, 77);
	read_raw(place, KEY, &after);
	assert_int_equal(after.size, before.size);
	assert_memory_equal(after.data, before.data, before.size);
}

typedef struct WrongFile
{
	const char *name;
	const char *as; /* the name under which it is put */
	size_t size;
	int patch; /* offset of a byte to change; -1: none */
	uint8_t value;
	uint64_t system; /* 0: the right one */
	const char *message;
} WrongFile;

static const WrongFile wrong_files[] = {
	{"empty", NAME, 0, -1, 0, 0, NULL},
	{"shorter than a header", NAME, 39, -1, 0, 0, NULL},
	{"cut by a byte", NAME, MB - 1, -1, 0, 0, "file has 1048575 bytes"},
	{"cut to a page", NAME, 8192, -1, 0, 0, "file has 8192 bytes"},
	{"a byte too long", NAME, MB + 1, -1, 0, 0, "file has 1048577 bytes"},
	{"unknown magic", NAME, MB, 1, 0x55, 0, NULL},
	{"no long header", NAME, MB, 2, 0, 0, NULL},
	{"odd segment size", NAME, MB, 33, 1, 0, NULL},
	{"larger segment size", NAME, MB, 34, 0x20, 0, "file has 1048576 bytes"},
	{"other block size", NAME, MB, 37, 0x40, 0, NULL},
	{"address of another segment", NAME, MB, 10, 0x10, 0, NULL},
	{"timeline above the name's", NAME, MB, 4, 2, 0, NULL},
	{"name of the next segment", "000000010000000300000001", MB, -1, 0, 0, NULL},
	{"name beyond the segment size", "000000010000000300001000", MB, -1, 0, 0, NULL},
	{"another system in the header", NAME, MB, 24, 0x77, 0, "belongs to database system"},
	{"another system in the settings", NAME, MB, -1, 0, 42, "not to 42"},
};

static void
a_file_that_is_not_what_its_name_says_is_not_stored(void **state)
{
	Place *place = *state;
	AUTO_FREE uint8_t *good = make_segment(2 * MB, 0);

	builder_le(good + 32, MB, 4);
	for (size_t i = 0; i < lengthof(wrong_files); i++)
	{
		const WrongFile *row = &wrong_files[i];
		AUTO_FREE uint8_t *bytes = mem_alloc(2 * MB);
		WalName name = wal_name(row->as);
		WalArchive archive = place->archive;
		PutResult result;

		memcpy(bytes, good, 2 * MB);
		if (row->patch >= 0)
			bytes[row->patch] = row->value;
		if (row->system != 0)
			archive.system_identifier = row->system;
		print_message("  %s\n", row->name);

		AUTO_FREE char *path = write_wal(place, "file", bytes, row->size);
		WalIndex index;

		assert_error(wal_object_put(&archive, path, &name, &result, NULL), ERR_CORRUPT, row->message);
		assert_error(wal_object_inspect(&archive, path, &name, &index), ERR_CORRUPT, row->message);
		assert_int_equal(objects_in_store(place), 0);
	}
}

static void
a_missing_file_and_one_that_is_no_file_are_told(void **state)
{
	Place *place = *state;
	WalName name = wal_name(NAME);
	AUTO_FREE char *missing = path_join(place->wal, NAME);
	PutResult result;

	assert_error(wal_object_put(&place->archive, missing, &name, &result, NULL), ERR_NOT_FOUND, missing);
	assert_error(wal_object_put(&place->archive, place->wal, &name, &result, NULL), ERR_USAGE,
	             "not a regular file");
}

static void
an_absent_segment_is_certainly_not_there(void **state)
{
	Place *place = *state;
	WalName name = wal_name(NAME);
	AUTO_BUF(back, OBJECT_MAX);
	AUTO(Sink) sink = NULL;

	sink = buf_sink_new(&back);
	assert_error(wal_object_get(&place->archive, &name, sink, NULL), ERR_NOT_FOUND, KEY);
}

static void
partials_that_differ_lie_beside_each_other(void **state)
{
	Place *place = *state;
	WalName name = wal_name(NAME ".partial");

	for (uint64_t noise = 0; noise < 3; noise++)
	{
		AUTO_FREE uint8_t *bytes = make_segment(MB, noise);
		AUTO_FREE char *path = NULL;
		AUTO_BUF(back, OBJECT_MAX);
		AUTO(Sink) sink = NULL;
		PutResult result;
		WalIndex index;

		memset(bytes + MB / 2, (int) noise, MB / 2);
		path = write_wal(place, NAME ".partial", bytes, MB);
		assert_ok(wal_object_put(&place->archive, path, &name, &result, &index));
		assert_int_equal(result, PUT_STORED);
		assert_false(index.walked);
		assert_string_equal(index.segment, NAME ".partial");
		assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
		assert_int_equal(result, PUT_WAS_THERE);
		assert_int_equal(objects_in_store(place), noise + 1);

		AUTO_FREE char *key = layout_wal_key(BUILDER_SYSTEM, &name, index.sha256);

		sink = buf_sink_new(&back);
		assert_ok(wal_object_get_key(&place->archive, key, &name, sink, &index));
		assert_memory_equal(back.data, bytes, MB);
	}
}

static void
a_segment_of_an_unknown_postgres_is_stored_unread(void **state)
{
	static const char *const names[] = {NAME, NAME ".partial"};
	Place *place = *state;

	for (size_t i = 0; i < lengthof(names); i++)
	{
		WalName name = wal_name(names[i]);
		WalBuilder builder = builder_new(15, 1);
		AUTO_FREE char *path = NULL;
		AUTO_FREE char *key = NULL;
		AUTO_BUF(back, OBJECT_MAX);
		AUTO(Sink) sink = NULL;
		PutResult result;
		WalIndex index;
		WalIndex stored;

		builder.magic = 0xD1F0;
		fill_wal(&builder, builder.size);
		path = write_wal(place, names[i], builder.bytes, MB);
		assert_ok(wal_object_put(&place->archive, path, &name, &result, &index));
		assert_int_equal(result, PUT_STORED);
		assert_true(wal_index_is_foreign(&index) && !index.walked);
		key = layout_wal_key(BUILDER_SYSTEM, &name, index.sha256);
		assert_ok(wal_object_index(place->store, key, &stored));
		assert_int_equal(stored.major, 0);
		assert_int_equal(stored.time_high_since, InvalidXLogRecPtr);
		assert_memory_equal(stored.sha256, index.sha256, SHA256_SIZE);
		sink = buf_sink_new(&back);
		assert_ok(wal_object_get_key(&place->archive, key, &name, sink, NULL));
		assert_int_equal(back.size, MB);
		assert_memory_equal(back.data, builder.bytes, MB);
		assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
		assert_int_equal(result, PUT_WAS_THERE);
		free(builder.bytes);
	}
}

/* A magic that is no longer the one of the other pages is none of the future. */
static void
a_magic_that_is_damaged_is_damage(void **state)
{
	Place *place = *state;
	WalName name = wal_name(NAME);
	AUTO_FREE uint8_t *bytes = make_segment(MB, 0);
	AUTO_FREE char *path = NULL;
	PutResult result;
	WalIndex index;

	bytes[0] ^= 1;
	path = write_wal(place, NAME, bytes, MB);
	place->archive.refuse_damaged = true;
	assert_error(wal_object_put(&place->archive, path, &name, &result, NULL), ERR_CORRUPT,
	             "WAL record at 3/0 is damaged");
	assert_int_equal(objects_in_store(place), 0);
	place->archive.refuse_damaged = false;
	assert_ok(wal_object_put(&place->archive, path, &name, &result, &index));
	assert_int_equal(index.walk.damaged_at, BUILDER_START);
}

/* What is handed on, and in how many bytes. */
typedef struct Witness
{
	Sink sink;
	const uint8_t *expected;
	size_t size;
	bool wrong_header;
	bool wrong; /* anywhere */
} Witness;

static Error *
witness_write(Sink *sink, const void *data, size_t size)
{
	Witness *witness = (Witness *) sink;
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++, witness->size++)
	{
		bool differs = witness->size >= MB || bytes[i] != witness->expected[witness->size];

		witness->wrong = witness->wrong || differs;
		witness->wrong_header = witness->wrong_header || (differs && witness->size < WAL_LONG_HEADER_SIZE);
	}
	return NULL;
}

/* Damage is done to the file itself. */
static void
overwrite(const Place *place, const void *object, size_t size)
{
	AUTO_FREE char *path = mem_printf("%s/store/%s", place->scratch, KEY);

	write_file(path, object, size);
}

static Error *
read_damaged(const Place *place, const void *object, size_t size, Witness *witness)
{
	static const SinkOps ops = {.write = witness_write};
	WalName name = wal_name(NAME);

	witness->sink.ops = &ops;
	witness->size = 0;
	witness->wrong = false;
	witness->wrong_header = false;
	overwrite(place, object, size);
	return wal_object_get(&place->archive, &name, &witness->sink, NULL);
}

/* The object of a segment whose payload lies as it is, so that its bytes can be found. */
static void
store_segment(Place *place, Codec codec, const uint8_t *bytes, Buf *ret_object)
{
	AUTO_FREE char *path = write_wal(place, NAME, bytes, MB);
	WalName name = wal_name(NAME);
	PutResult result;

	assert_ok(store_remove(place->store, KEY));
	place->archive.compression = (Compression){.codec = codec, .level = 1};
	assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
	read_raw(place, KEY, ret_object);
}

static void
a_flipped_bit_is_found_or_harmless_and_no_wrong_header_is_handed_on(void **state)
{
	static const Codec codecs[] = {CODEC_NONE, CODEC_BROTLI, CODEC_ZSTD};
	Place *place = *state;
	AUTO_FREE uint8_t *bytes = make_segment(MB, 0);
	Witness witness = {.expected = bytes};
	uint64_t seed = 9;

	for (size_t c = 0; c < lengthof(codecs); c++)
	{
		AUTO_BUF(object, 0);
		size_t found = 0;

		store_segment(place, codecs[c], bytes, &object);
		for (int i = 0; i < 90; i++)
		{
			/* Two thirds in headers and index, which are small. */
			size_t at = scratch_random(&seed) % (i % 3 == 0 ? object.size : 3000);
			char bit = (char) (1 << scratch_random(&seed) % 8);

			object.data[at] = (char) (object.data[at] ^ bit);

			Error *error = read_damaged(place, object.data, object.size, &witness);

			object.data[at] = (char) (object.data[at] ^ bit);
			assert_false(witness.wrong_header);
			found += error != NULL;
			if (error != NULL)
				assert_error(error, ERR_CORRUPT, KEY);
			else
				assert_true(!witness.wrong && witness.size == MB);
		}
		print_message("  %s: %zu of 90 found\n", codec_name(codecs[c]), found);
		assert_in_range(found, 45, 90);
	}
}

static void
a_cut_or_longer_object_is_corrupt(void **state)
{
	Place *place = *state;
	AUTO_FREE uint8_t *bytes = make_segment(MB, 0);
	Witness witness = {.expected = bytes};
	AUTO_BUF(object, 0);

	store_segment(place, CODEC_BROTLI, bytes, &object);

	const size_t payload = object.size - 2 * TAR_BLOCK_SIZE;
	const size_t sizes[] = {0,    1,           511,     512,         513,           1024,
	                        2048, payload / 2, payload, payload + 1, payload + 512, object.size - 1};

	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		print_message("  %zu of %zu bytes\n", sizes[i], object.size);
		assert_error(read_damaged(place, object.data, sizes[i], &witness), ERR_CORRUPT, KEY);
		assert_false(witness.wrong);
		assert_true(sizes[i] > 2048 || witness.size == 0);
	}
	buf_puts(&object, "x");
	assert_error(read_damaged(place, object.data, object.size, &witness), ERR_CORRUPT, KEY);
}

/* Replaces the first occurrence, of the same length, in the index. */
static void
rewrite(Buf *object, const char *from, const char *to)
{
	char *at = memmem(object->data, 4096, from, strlen(from));

	assert_non_null(at);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(at, to, strlen(to));
}

static void
an_index_that_tells_another_story_is_corrupt_before_any_byte(void **state)
{
	static const struct
	{
		const char *name;
		const char *from;
		const char *to;
	} rows[] = {
		{"another segment", "\"" NAME "\"", "\"000000010000000300000001\""},
		{"another system", "7300000000000000001", "7300000000000000002"},
		{"another segment size", "1048576", "2097152"},
		{"an impossible segment size", "1048576", "1048577"},
		{"a codec that is not known", "brotli", "brutli"},
		{"another codec", "\"brotli\"", "  \"zstd\""},
		{"another member", NAME ".br", NAME ".bz"},
	};
	Place *place = *state;
	AUTO_FREE uint8_t *bytes = make_segment(MB, 0);
	Witness witness = {.expected = bytes};

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_BUF(object, 0);

		print_message("  %s\n", rows[i].name);
		store_segment(place, CODEC_BROTLI, bytes, &object);
		rewrite(&object, rows[i].from, rows[i].to);
		assert_error(read_damaged(place, object.data, object.size, &witness), ERR_CORRUPT, KEY);
		assert_int_equal(witness.size, 0);
	}
}

static void
a_damaged_object_is_never_taken_for_the_same_contents(void **state)
{
	Place *place = *state;
	WalName name = wal_name(NAME);
	AUTO_FREE uint8_t *bytes = make_segment(MB, 0);
	AUTO_FREE char *path = write_wal(place, NAME, bytes, MB);
	PutResult result;

	put_raw(place, KEY, "", 0);
	assert_error(wal_object_put(&place->archive, path, &name, &result, NULL), ERR_CORRUPT, "cut off");
	put_raw(place, KEY, bytes, 4096);
	assert_error(wal_object_put(&place->archive, path, &name, &result, NULL), ERR_CORRUPT,
	             "could not compare");
}

static void
history_and_backup_files_are_stored_word_for_word(void **state)
{
	static const struct
	{
		const char *name;
		const char *key;
	} rows[] = {
		{"00000002.history", "7300000000000000001/wal/00000002.history"},
		{NAME ".00000028.backup", "7300000000000000001/wal/00000001/" NAME ".00000028.backup"},
	};
	Place *place = *state;

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		WalName name = wal_name(rows[i].name);
		AUTO_FREE char *path = path_join(place->wal, rows[i].name);
		AUTO_BUF(stored, 0);
		PutResult result;

		assert_error(wal_text_put(&place->archive, path, &name, &result), ERR_NOT_FOUND, path);
		assert_ok(file_replace(path, "", 0, 0600));
		assert_error(wal_text_put(&place->archive, path, &name, &result), ERR_CORRUPT, "is empty");
		assert_ok(file_replace(path, "1\t0/3000000\tx\n", 14, 0600));
		assert_ok(wal_text_put(&place->archive, path, &name, &result));
		assert_int_equal(result, PUT_STORED);
		assert_ok(wal_text_put(&place->archive, path, &name, &result));
		assert_int_equal(result, PUT_WAS_THERE);
		assert_ok(file_replace(path, "1\t0/3000000\tx", 13, 0600));
		assert_error(wal_text_put(&place->archive, path, &name, &result), ERR_EXISTS, "other contents");
		read_raw(place, rows[i].key, &stored);
		assert_string_equal(stored.data, "1\t0/3000000\tx\n");
	}
}

/* The line that sha256sum prints, behind the file and never without it. */
static void
a_history_file_has_its_digest_beside_it(void **state)
{
	static const char text[] = "1\t0/3000000\tx\n";
	static const char key[] = "7300000000000000001/wal/00000002.history.sha256";
	Place *place = *state;
	WalName name = wal_name("00000002.history");
	AUTO_FREE char *path = write_wal(place, "00000002.history", text, strlen(text));
	AUTO_FREE char *expected = NULL;
	AUTO_BUF(stored, 0);
	AUTO_BUF(again, 0);
	uint8_t sha256[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];
	PutResult result;

	sha256_of(text, strlen(text), sha256);
	hex_encode(sha256, sizeof sha256, hex);
	expected = mem_printf("%s  00000002.history\n", hex);
	assert_ok(wal_text_put(&place->archive, path, &name, &result));
	read_raw(place, key, &stored);
	assert_string_equal(stored.data, expected);

	/* A push that died before it wrote the digest is repeated. */
	assert_ok(store_remove(place->store, key));
	assert_ok(wal_text_put(&place->archive, path, &name, &result));
	assert_int_equal(result, PUT_WAS_THERE);
	read_raw(place, key, &again);
	assert_string_equal(again.data, expected);

	/* One that does not fit is told, and stays. */
	assert_ok(store_remove(place->store, key));
	put_raw(place, key, "x", 1);
	assert_error(wal_text_put(&place->archive, path, &name, &result), ERR_CORRUPT, "is not the digest of");

	/* Another server's history file gets none. */
	assert_ok(store_remove(place->store, key));
	assert_ok(file_replace(path, "1\t0/3000008\tx\n", strlen(text), 0600));
	assert_error(wal_text_put(&place->archive, path, &name, &result), ERR_EXISTS, "other contents");
	assert_false(is_in_store(place, key));
}

static void
a_payload_can_be_checked_as_it_is_stored(void **state)
{
	Place *place = *state;
	WalName name = wal_name(NAME);
	AUTO_FREE uint8_t *bytes = make_segment(MB, 0);
	AUTO_FREE char *path = write_wal(place, NAME, bytes, MB);
	AUTO_BUF(nothing, 16);
	AUTO(Sink) sink = buf_sink_new(&nothing);
	AUTO_BUF(object, 0);
	PutResult result;
	WalIndex index;

	assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
	place->archive.stored_only = true;
	assert_ok(wal_object_get(&place->archive, &name, sink, &index));
	assert_int_equal(nothing.size, 0);
	assert_string_equal(index.segment, NAME);

	read_raw(place, KEY, &object);
	object.data[object.size - TAR_END_SIZE - TAR_BLOCK_SIZE] ^= 1;
	put_raw(place, KEY, object.data, object.size);
	assert_error(wal_object_get(&place->archive, &name, sink, NULL), ERR_CORRUPT, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(a_payload_can_be_checked_as_it_is_stored),
		PLACE_TEST(every_codec_and_size_goes_there_and_back),
		PLACE_TEST(an_index_says_where_decoding_can_begin),
		PLACE_TEST(an_encrypted_segment_opens_with_its_key_only),
		PLACE_TEST(other_contents_under_the_same_name_change_nothing),
		PLACE_TEST(a_file_that_is_not_what_its_name_says_is_not_stored),
		PLACE_TEST(a_missing_file_and_one_that_is_no_file_are_told),
		PLACE_TEST(an_absent_segment_is_certainly_not_there),
		PLACE_TEST(partials_that_differ_lie_beside_each_other),
		PLACE_TEST(a_flipped_bit_is_found_or_harmless_and_no_wrong_header_is_handed_on),
		PLACE_TEST(a_cut_or_longer_object_is_corrupt),
		PLACE_TEST(an_index_that_tells_another_story_is_corrupt_before_any_byte),
		PLACE_TEST(a_damaged_object_is_never_taken_for_the_same_contents),
		PLACE_TEST(a_segment_of_an_unknown_postgres_is_stored_unread),
		PLACE_TEST(a_magic_that_is_damaged_is_damage),
		PLACE_TEST(history_and_backup_files_are_stored_word_for_word),
		PLACE_TEST(a_history_file_has_its_digest_beside_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
