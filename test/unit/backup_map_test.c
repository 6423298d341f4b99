/* The map of a backup: the golden one of test/data/format-1, and what becomes of it when its list cannot be kept. */
#include "map.h"

#include "scratch.h"
#include "walship/base/workers.h"
#include "walship/store/file_store.h"

#define MAP_MAX (1024 * 1024)

typedef struct Fixture
{
	char *directory;
	Store *store;
	BackupTarget target;
	PartList copy;
	PartList wal;
	Manifest *manifest;
} Fixture;

static int
set_up(void **state)
{
	Fixture *fixture = NEW(Fixture);

	fixture->directory = scratch_make();
	assert_ok(file_store_create(fixture->directory));
	assert_ok(file_store_open(fixture->directory, &fixture->store));
	fixture->target = (BackupTarget){.store = fixture->store,
	                                 .prefix = mem_strdup("1/base/20261120T023007Z-9f3c/"),
	                                 .compression = {.codec = CODEC_NONE},
	                                 .part_size = 4096,
	                                 .spool_directory = fixture->directory};
	fixture->manifest = manifest_new();
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	Fixture *fixture = *state;

	part_list_release(&fixture->copy);
	part_list_release(&fixture->wal);
	manifest_free(fixture->manifest);
	free(fixture->target.prefix);
	store_free(fixture->store);
	scratch_remove(fixture->directory);
	free(fixture);
	return 0;
}

/* Of these files, the last with another size than in the parts below. */
static void
read_manifest(Fixture *fixture)
{
	static const char body[] =
		"{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n"
		"{ \"Path\": \"base/1/1259\", \"Size\": 5000, \"Last-Modified\": \"2026-11-21 03:00:00 GMT\", "
		"\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"00000000\" },\n"
		"{ \"Path\": \"pg_tblspc/16400/PG_15/x\", \"Size\": 0, \"Last-Modified\": \"2026-11-21 03:00:00 GMT\", "
		"\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"00000000\" },\n"
		"{ \"Path\": \"torn\", \"Size\": 7, \"Last-Modified\": \"2026-11-21 03:00:00 GMT\", "
		"\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"00000000\" }\n],\n"
		"\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/6000028\", \"End-LSN\": \"0/6000100\" }\n],\n";
	AUTO(Pipe) pipe = pipe_new();
	AUTO_FREE char *end = NULL;
	uint8_t digest[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];

	sha256_of(body, strlen(body), digest);
	hex_encode(digest, sizeof(digest), hex);
	end = mem_printf("\"Manifest-Checksum\": \"%s\"}\n", hex);
	pipe_add(pipe, manifest_sink_new(fixture->manifest, SIZE_MAX));
	assert_ok(pipe_write(pipe, body, strlen(body)));
	assert_ok(pipe_write(pipe, end, strlen(end)));
	assert_ok(pipe_finish(pipe));
}

static void
add_member(PartWriter *writer, const char *name, TarType type, uint64_t size)
{
	AUTO_FREE uint8_t *contents = mem_zalloc(size + TAR_BLOCK_SIZE);
	TarEntry entry = {.type = type, .size = size, .mode = 0600};
	uint8_t header[TAR_BLOCK_SIZE];

	(void) snprintf(entry.name, sizeof(entry.name), "%s", name);
	assert_ok(tar_header_format(&entry, header));
	assert_ok(part_writer_begin_member(writer, &entry, header));
	assert_ok(part_writer_write(writer, contents, size + tar_padding(size)));
	assert_ok(part_writer_end_member(writer));
}

static void
write_parts(Fixture *fixture)
{
	AUTO(PartWriter) base = part_writer_new(&fixture->target, "base", &fixture->copy);
	AUTO(PartWriter) space = part_writer_new(&fixture->target, "16400", &fixture->copy);
	AUTO(PartWriter) wal = part_writer_new(&fixture->target, "wal", &fixture->wal);

	add_member(space, "PG_15", TAR_DIRECTORY, 0);
	add_member(space, "PG_15/x", TAR_FILE, 0);
	assert_ok(part_writer_finish(space));
	add_member(base, "base", TAR_DIRECTORY, 0);
	add_member(base, "base/1/1259", TAR_FILE, 5000);
	add_member(base, "torn", TAR_FILE, 8);
	add_member(base, "caf\xe9 \"\n", TAR_FILE, 3);
	assert_ok(part_writer_finish(base));
	add_member(wal, "000000010000000000000006", TAR_FILE, 1024 * 1024);
	assert_ok(part_writer_finish(wal));
}

static char plain_name[] = "postgres";
static char latin_name[] = "caf\xe9";
static const ServerDatabase databases[] = {{5, 1663, plain_name}, {16401, 16400, latin_name}};

static void
write_map(Fixture *fixture, BackupObject *map)
{
	MapSource source = {.backup_id = "20261120T023007Z-9f3c",
	                    .databases = databases,
	                    .n_databases = lengthof(databases),
	                    .manifest = fixture->manifest,
	                    .lists = {&fixture->copy, &fixture->wal}};

	assert_ok(map_write(&fixture->target, &source, &fixture->copy.names, map));
}

static void
get_map(const Fixture *fixture, const BackupObject *map, Buf *text)
{
	AUTO_FREE char *key = mem_printf("%s%s", fixture->target.prefix, map->name);
	AUTO(Pipe) pipe = pipe_new();
	Digest expected = {.size = map->stored_size};
	Codec codec = fixture->target.compression.codec;

	memcpy(expected.sha256, map->stored_sha256, sizeof(expected.sha256));
	buf_init(text, MAP_MAX);
	pipe_add(pipe, verify_stage_new(&expected, key));
	codec_add_decoder(pipe, codec, map->raw_size, key);
	pipe_add(pipe, buf_sink_new(text));
	assert_ok(store_get(fixture->store, key, 0, STORE_TO_END, pipe_as_sink(pipe)));
	assert_ok(pipe_finish(pipe));
	assert_int_equal(text->size, map->raw_size);
}

static void
sizes_that_the_manifest_tells_are_left_out(void **state)
{
	Fixture *fixture = *state;
	AUTO_FREE char *path = mem_printf("%s/format-1/map.jsonl", TEST_DATA_DIR);
	AUTO_BUF(golden, MAP_MAX);
	AUTO_BUF(text, 0);
	BackupObject map = {0};

	assert_ok(file_read_all(path, &golden));
	read_manifest(fixture);
	write_parts(fixture);
	write_map(fixture, &map);
	assert_string_equal(map.name, "map");
	assert_string_equal(fixture->copy.names.items[fixture->copy.names.count - 1], "map");
	get_map(fixture, &map, &text);
	assert_string_equal(text.data, golden.data);
	free(map.name);
}

/* Each of them decodes alone; where the encoder makes one stream there is no list. */
static void
chunks_are_told_of_parts_that_have_them(void **state)
{
	Fixture *fixture = *state;
	AUTO(Workers) cpu = workers_new(2);
	AUTO_BUF(text, 0);
	BackupObject map = {0};

	fixture->target.compression = compression_for(CODEC_ZSTD, COMPRESS_BASE);
	fixture->target.compression.cpu = cpu;
	fixture->target.compression.chunk_size = 64 * 1024;
	write_parts(fixture);
	assert_int_equal(fixture->wal.count, 1);
	assert_int_equal(fixture->wal.maps[0].chunks.count, (1024 * 1024 + 1536 + 65535) / 65536);
	assert_int_equal(fixture->copy.maps[0].chunks.count, 1);
	write_map(fixture, &map);
	assert_string_equal(map.name, "map.zst");
	get_map(fixture, &map, &text);
	assert_non_null(strstr(text.data, "{\"part\":\"wal-0001.tar.zst\",\"chunk_size\":65536,\"chunks\":[[0,"));
	free(map.name);

	part_list_release(&fixture->copy);
	fixture->target.compression.cpu = NULL;
	fixture->target.prefix[0] = '2';
	PartWriter *writer = part_writer_new(&fixture->target, "base", &fixture->copy);

	add_member(writer, "alone", TAR_FILE, 200000);
	assert_ok(part_writer_finish(writer));
	part_writer_free(writer);
	assert_int_equal(fixture->copy.maps[0].chunks.count, 0);
}

#define MAP_ID "20261120T023007Z-9f3c"

static Error *
read_chunks(const BackupRecord *record, const char *text, size_t piece, ChunkList *lists)
{
	AUTO(Pipe) pipe = pipe_new();
	size_t size = strlen(text);

	pipe_add(pipe, map_chunks_sink_new(record, lists));
	for (size_t at = 0; at < size; at += piece)
		TRY(pipe_write(pipe, text + at, size - at < piece ? size - at : piece));
	return pipe_finish(pipe);
}

static void
chunks_are_read_as_they_were_written(void **state)
{
	Fixture *fixture = *state;
	AUTO(Workers) cpu = workers_new(2);
	BackupPart parts[3] = {0};
	const BackupRecord record = {.id = (char[]){MAP_ID}, .parts = parts, .n_parts = 3};
	AUTO_BUF(text, 0);
	BackupObject map = {0};

	fixture->target.compression = compression_for(CODEC_BROTLI, COMPRESS_BASE);
	fixture->target.compression.cpu = cpu;
	fixture->target.compression.chunk_size = 1024 * 1024;
	read_manifest(fixture);
	write_parts(fixture);
	write_map(fixture, &map);
	get_map(fixture, &map, &text);

	/* The record has them in another order. */
	parts[0] = fixture->wal.items[0];
	parts[1] = fixture->copy.items[0];
	parts[2] = fixture->copy.items[1];

	const ChunkList *expected[] = {&fixture->wal.maps[0].chunks, &fixture->copy.maps[0].chunks,
	                               &fixture->copy.maps[1].chunks};

	for (size_t piece = 1; piece <= text.size; piece = piece * 3 + 1)
	{
		ChunkList lists[3] = {0};

		assert_ok(read_chunks(&record, text.data, piece, lists));
		for (size_t i = 0; i < lengthof(lists); i++)
		{
			assert_int_equal(lists[i].chunk_size, 1024 * 1024);
			assert_int_equal(lists[i].count, expected[i]->count);
			for (size_t k = 0; k < lists[i].count; k++)
			{
				assert_int_equal(lists[i].places[k].offset, expected[i]->places[k].offset);
				assert_int_equal(lists[i].places[k].crc32c, expected[i]->places[k].crc32c);
			}
			chunk_list_release(&lists[i]);
		}
	}
	assert_int_equal(expected[0]->count, 2);
	free(map.name);
}

#define HEAD(format, id) "{\"format\":" format ",\"backup\":\"" id "\"}\n"
#define PART(rest)       HEAD("1", MAP_ID) "{\"part\":\"a.br\"" rest "}\n[\"base/1/2\"]\n"

/* Of a part of 2500 bytes. */
static void
a_map_is_a_map_of_this_backup_or_corrupt(void **state)
{
	static const struct
	{
		const char *text;
		size_t count;
		const char *error;
	} rows[] = {
		{PART(",\"chunk_size\":1000,\"chunks\":[[0,1],[10,4294967295],[20,3]]"), 3, NULL},
		{PART(",\"chunk_size\":1000,\"chunks\":[[0,1]],\"newer\":{}"), 1, NULL},
		{PART(""), 0, NULL},
		{HEAD("1", MAP_ID) "{\"part\":\"b.br\",\"chunk_size\":1,\"chunks\":[[0,1]]}\n", 0, NULL},
		{HEAD("1", MAP_ID) "[\"{\", 7]\n[{\"hex\":\"00\"}]\nno json, but no part's either\n\n", 0, NULL},
		{"", 0, NULL},
		{PART(",\"chunk_size\":1000,\"chunks\":[[0,1],[10,2],[20,3],[30,4]]"), 0, "\"chunks\""},
		{PART(",\"chunk_size\":0,\"chunks\":[[0,1]]"), 0, "\"chunk_size\""},
		{PART(",\"chunk_size\":-1,\"chunks\":[[0,1]]"), 0, "\"chunk_size\""},
		{PART(",\"chunks\":[[0,1]]"), 0, "\"chunk_size\""},
		{PART(",\"chunk_size\":1000,\"chunks\":[[0]]"), 0, "\"chunks\""},
		{PART(",\"chunk_size\":1000,\"chunks\":[[0,-1]]"), 0, "\"chunks\""},
		{PART(",\"chunk_size\":1000,\"chunks\":[[0,4294967296]]"), 0, "\"chunks\""},
		{PART(",\"chunk_size\":1000,\"chunks\":[[-1,1]]"), 0, "\"chunks\""},
		{PART(",\"chunk_size\":1000,\"chunks\":[0,1]"), 0, "\"chunks\""},
		{HEAD("1", MAP_ID) "{\"chunk_size\":1000,\"chunks\":[[0,1]]}\n", 0, "\"part\""},
		{HEAD("1", MAP_ID) "{\"part\":\n", 0, "map"},
		{HEAD("2", MAP_ID), 0, "another one's"},
		{HEAD("1", "20261120T023007Z-9f3d"), 0, "another one's"},
		{"{}\n", 0, "\"format\""},
	};
	char name[] = "a.br";
	BackupPart parts[1] = {{.name = name, .raw_size = 2500}};
	const BackupRecord record = {.id = (char[]){MAP_ID}, .parts = parts, .n_parts = 1};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		ChunkList list = {0};
		Error *error = read_chunks(&record, rows[i].text, 7, &list);

		print_message("  %s", rows[i].text);
		if (rows[i].error == NULL)
		{
			assert_ok(error);
			assert_int_equal(list.count, rows[i].count);
		}
		else
			assert_error(error, ERR_CORRUPT, rows[i].error);
		chunk_list_release(&list);
	}
}

/* More than is read of it: no list; and none of the members' lines is kept at all. */
static void
a_line_that_is_too_long_tells_nothing(void **state)
{
	const size_t size = 5 * 1024 * 1024;
	char name[] = "a.br";
	BackupPart parts[1] = {{.name = name, .raw_size = UINT64_C(1) << 50}};
	const BackupRecord record = {.id = (char[]){MAP_ID}, .parts = parts, .n_parts = 1};
	AUTO_BUF(text, 3 * size);

	(void) state;
	buf_puts(&text, HEAD("1", MAP_ID) "{\"part\":\"a.br\",\"chunk_size\":1000,\"chunks\":[[0,1]");
	while (text.size < size)
		buf_puts(&text, ",[0,1]");
	buf_puts(&text, "]}\n[\"");
	while (text.size < 2 * size)
		buf_puts(&text, "{\"part\":");
	buf_puts(&text, "\"]\n");
	for (int more = 0; more < 2; more++)
	{
		ChunkList list = {0};

		assert_ok(read_chunks(&record, text.data, 65536, &list));
		assert_int_equal(list.count, more);
		chunk_list_release(&list);
		buf_puts(&text, "{\"part\":\"a.br\",\"chunk_size\":1000,\"chunks\":[[0,1]]}\n");
	}
}

static void
a_list_that_cannot_be_kept_costs_the_map_alone(void **state)
{
	Fixture *fixture = *state;
	TarEntry entry = {.type = TAR_FILE};

	memset(entry.name, 'x', TAR_NAME_MAX);
	for (size_t i = 0; i < SPOOL_MEMORY_MAX / TAR_NAME_MAX + 10; i++)
		member_list_add(&fixture->copy.members, "/nowhere", "base", &entry);
	assert_error(fixture->copy.members.error, ERR_SYSTEM, "/nowhere");
	fixture->copy.members.error = NULL;
	write_parts(fixture);
	assert_int_equal(fixture->copy.count, 3);
}

#define with_store(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		with_store(sizes_that_the_manifest_tells_are_left_out),
		with_store(chunks_are_told_of_parts_that_have_them),
		with_store(chunks_are_read_as_they_were_written),
		cmocka_unit_test(a_map_is_a_map_of_this_backup_or_corrupt),
		cmocka_unit_test(a_line_that_is_too_long_tells_nothing),
		with_store(a_list_that_cannot_be_kept_costs_the_map_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
