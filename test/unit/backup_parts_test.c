/* Cutting the server's archives into parts, and WAL into segments, on a real directory store. */
#include "parts.h"

#include "scratch.h"
#include "walship/base/crc32c.h"
#include "walship/pipe/tar.h"
#include "walship/store/file_store.h"

#define PART_SIZE 4096
#define MEMBERS   9

typedef struct Fixture
{
	char *directory;
	Store *store;
	BackupTarget target;
	PartList parts;
	BackupFacts facts;
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
	                                 .compression = {.codec = CODEC_BROTLI, .level = 2},
	                                 .part_size = PART_SIZE};
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	Fixture *fixture = *state;

	part_list_release(&fixture->parts);
	free(fixture->target.prefix);
	store_free(fixture->store);
	scratch_remove(fixture->directory);
	free(fixture);
	return 0;
}

static void
add_member(Buf *archive, const char *name, const void *contents, size_t size)
{
	static const char zeros[TAR_BLOCK_SIZE];
	TarEntry entry = {.type = TAR_FILE, .size = size, .mode = 0600};
	uint8_t header[TAR_BLOCK_SIZE];

	(void) snprintf(entry.name, sizeof(entry.name), "%s", name);
	assert_ok(tar_header_format(&entry, header));
	buf_append(archive, header, sizeof(header));
	buf_append(archive, contents, size);
	buf_append(archive, zeros, tar_padding(size));
}

/* Files of 0, 700, 1400, ... bytes. */
static void
make_archive(Buf *archive)
{
	AUTO_FREE uint8_t *bytes = scratch_bytes((size_t) MEMBERS * 700, 1);

	buf_init(archive, 1024 * 1024);
	for (size_t i = 0; i < MEMBERS; i++)
	{
		AUTO_FREE char *name = mem_printf("base/%zu", i);

		add_member(archive, name, bytes, i * 700);
	}
}

static Error *
cut(Fixture *fixture, const Buf *archive, size_t piece, bool with_end)
{
	static const char zeros[TAR_END_SIZE];
	AUTO(BackupTar)
	tar = backup_tar_new(part_writer_new(&fixture->target, "base", &fixture->parts), &fixture->facts);

	for (size_t at = 0; at < archive->size; at += piece)
		TRY(backup_tar_write(tar, archive->data + at,
		                     archive->size - at < piece ? archive->size - at : piece));
	for (size_t at = 0; with_end && at < sizeof(zeros); at += 100)
		TRY(backup_tar_write(tar, zeros + at, sizeof(zeros) - at < 100 ? sizeof(zeros) - at : 100));
	return backup_tar_finish(tar);
}

/* Appends the part's tar without its end, having checked size and digest. */
static void
read_part(const Fixture *fixture, const BackupPart *part, Buf *whole)
{
	AUTO_FREE char *key = mem_printf("%s%s", fixture->target.prefix, part->name);
	AUTO(Pipe) pipe = pipe_new();
	Digest expected = {.size = part->stored_size};
	AUTO_BUF(raw, 64 * 1024 * 1024);

	memcpy(expected.sha256, part->stored_sha256, sizeof(expected.sha256));
	pipe_add(pipe, verify_stage_new(&expected, key));
	codec_add_decoder(pipe, CODEC_BROTLI, part->raw_size, key);
	pipe_add(pipe, buf_sink_new(&raw));
	Sink *into = pipe_as_sink(pipe);

	assert_ok(store_get(fixture->store, key, 0, STORE_TO_END, into));
	assert_ok(pipe_finish(pipe));
	sink_free(into);
	assert_int_equal(raw.size, part->raw_size);
	assert_int_equal(raw.size % TAR_BLOCK_SIZE, 0);
	for (size_t i = raw.size - TAR_END_SIZE; i < raw.size; i++)
		assert_int_equal(raw.data[i], 0);
	buf_append(whole, raw.data, raw.size - TAR_END_SIZE);
}

static void
assert_parts_hold(const Fixture *fixture, const Buf *archive)
{
	AUTO_BUF(whole, 64 * 1024 * 1024);

	for (size_t i = 0; i < fixture->parts.count; i++)
		read_part(fixture, &fixture->parts.items[i], &whole);
	assert_int_equal(whole.size, archive->size);
	assert_memory_equal(whole.data, archive->data, whole.size);
}

static void
fail_of_notice(void *context, LogLevel level, const char *message, const char *hint)
{
	(void) context;
	(void) level;
	(void) hint;
	fail_msg("%s", message);
}

static void
forget_parts(Fixture *fixture)
{
	part_list_remove(&fixture->target, &fixture->parts, &(Notices){.tell = fail_of_notice});
	part_list_release(&fixture->parts);
}

static void
parts_together_are_the_archive_whatever_the_pieces(void **state)
{
	static const size_t pieces[] = {1, 511, 512, 513, 1000, 4096, 1000000};
	Fixture *fixture = *state;
	AUTO_BUF(archive, 0);

	make_archive(&archive);
	for (size_t i = 0; i < 2 * lengthof(pieces); i++)
	{
		assert_ok(cut(fixture, &archive, pieces[i / 2], i % 2 == 0));
		assert_true(fixture->parts.count > 3);
		assert_string_equal(fixture->parts.items[1].name, "base-0002.tar.br");
		assert_string_equal(fixture->parts.items[1].set, "base");
		for (size_t part = 0; part + 1 < fixture->parts.count; part++)
			assert_true(fixture->parts.items[part].raw_size >= PART_SIZE);
		assert_parts_hold(fixture, &archive);
		forget_parts(fixture);
	}
}

static void
an_archive_that_is_cut_short_is_corrupt(void **state)
{
	Fixture *fixture = *state;
	AUTO_BUF(archive, 0);

	make_archive(&archive);
	for (size_t less = 1; less < 1200; less += 100)
	{
		Buf shorter = {.data = archive.data, .size = archive.size - less};

		assert_error(cut(fixture, &shorter, 777, false), ERR_CORRUPT, "cut short");
		forget_parts(fixture);
	}
}

static void
bytes_after_the_end_are_corrupt(void **state)
{
	Fixture *fixture = *state;
	AUTO_BUF(archive, 0);

	make_archive(&archive);
	for (size_t i = 0; i < TAR_END_SIZE; i++)
		buf_putc(&archive, '\0');
	buf_putc(&archive, 'x');
	assert_error(cut(fixture, &archive, 10000, false), ERR_CORRUPT, "after the end");
	forget_parts(fixture);
}

static void
a_torn_pg_control_fails_the_backup(void **state)
{
	Fixture *fixture = *state;
	uint8_t control[PG_CONTROL_FILE_SIZE] = {[8] = 0x14, [9] = 0x05};
	AUTO_BUF(archive, 1024 * 1024);

	add_member(&archive, "global/pg_control", control, sizeof(control));
	assert_error(cut(fixture, &archive, 1000, true), ERR_CORRUPT, "global/pg_control");
	assert_false(fixture->facts.has_control);
	forget_parts(fixture);
}

static void
backup_label_is_read_in_passing(void **state)
{
	static const char label[] =
		"START WAL LOCATION: 1/6000028 (file 000000020000000100000006)\n"
		"CHECKPOINT LOCATION: 1/6000080\nBACKUP METHOD: streamed\nBACKUP FROM: standby\n"
		"START TIME: 2026-11-21 03:00:00 UTC\nLABEL: it's\nSTART TIMELINE: 2\n";
	Fixture *fixture = *state;
	AUTO_BUF(archive, 1024 * 1024);

	add_member(&archive, "base/backup_label", "no", 2);
	add_member(&archive, "backup_label", label, strlen(label));
	for (size_t piece = 1; piece < 700; piece += 37)
	{
		fixture->facts = (BackupFacts){0};
		assert_ok(cut(fixture, &archive, piece, true));
		assert_true(fixture->facts.has_label);
		assert_true(fixture->facts.label.start_lsn == UINT64_C(0x106000028));
		assert_true(fixture->facts.label.from_standby);
		forget_parts(fixture);
	}
}

static void
what_is_not_finished_leaves_nothing(void **state)
{
	Fixture *fixture = *state;
	PartWriter *writer = part_writer_new(&fixture->target, "base", &fixture->parts);
	AUTO_FREE char *key = mem_printf("%sbase-0001.tar.br", fixture->target.prefix);
	uint8_t header[TAR_BLOCK_SIZE] = {0};
	StoreEntry entry;

	assert_ok(part_writer_begin_member(writer, &(TarEntry){.name = "abc", .size = 3}, header));
	assert_ok(part_writer_write(writer, "abc", 3));
	part_writer_free(writer);
	assert_error(store_stat(fixture->store, key, &entry), ERR_NOT_FOUND, NULL);
	assert_int_equal(fixture->parts.count, 0);
}

/* What a TarHandler sees: "name:size:crc;" per member. */
typedef struct Listing
{
	Buf text;
	uint32_t crc;
} Listing;

static Error *
list_begin(void *context, const TarEntry *entry)
{
	Listing *listing = context;

	listing->crc = 0;
	buf_printf(&listing->text, "%s:%u:", entry->name, (unsigned) entry->size);
	return NULL;
}

static Error *
list_data(void *context, const void *data, size_t size)
{
	Listing *listing = context;

	listing->crc = crc32c(listing->crc, data, size);
	return NULL;
}

static Error *
list_end(void *context)
{
	Listing *listing = context;

	buf_printf(&listing->text, "%08x;", listing->crc);
	return NULL;
}

/* Parts are finished by another thread while the next one fills: its failure must not get lost there. */
static void
a_part_that_cannot_be_finished_fails_the_backup(void **state)
{
	Fixture *fixture = *state;
	Slice slice = slice_of_memory("x", 1);
	bool in_the_way = false;
	Error *error = NULL;
	Buf archive;
	AUTO(BackupTar)
	tar = backup_tar_new(part_writer_new(&fixture->target, "base", &fixture->parts), &fixture->facts);

	make_archive(&archive);
	for (size_t at = 0; at < archive.size && error == NULL; at += TAR_BLOCK_SIZE)
	{
		error = backup_tar_write(tar, archive.data + at, TAR_BLOCK_SIZE);
		if (fixture->parts.names.count == 2 && !in_the_way)
		{
			AUTO_FREE char *key = mem_printf("%s%s", fixture->target.prefix, fixture->parts.names.items[1]);

			assert_ok(store_put(fixture->store, key, &slice, 1, PUT_IF_ABSENT));
			in_the_way = true;
		}
	}
	buf_release(&archive);
	if (error == NULL)
		error = backup_tar_finish(tar);
	assert_true(in_the_way);
	assert_error(error, ERR_EXISTS, "exists already");
	assert_int_equal(fixture->parts.count, 1);
}

static void
wal_becomes_whole_segments(void **state)
{
	static const TarHandler handler = {.begin = list_begin, .data = list_data, .end = list_end};
	const uint32_t segment_size = 1024 * 1024;
	const size_t size = segment_size + 100000;
	Fixture *fixture = *state;
	AUTO_FREE uint8_t *wal = mem_realloc(scratch_bytes(size, 7), 2 * (size_t) segment_size);
	AUTO_BUF(raw, 64 * 1024 * 1024);
	AUTO_BUF(expected, 4096);
	Listing listing = {0};

	fixture->target.part_size = UINT64_C(1) << 30;
	for (size_t piece = 8192; piece < 4 * 1024 * 1024; piece *= 5)
	{
		AUTO(WalTar)
		tar = wal_tar_new(part_writer_new(&fixture->target, "wal", &fixture->parts), 2, UINT64_C(0x1FFF00000),
		                  segment_size);

		assert_ok(wal_tar_add_history(tar, "1\t0/28\tx\n", 9));
		for (size_t at = 0; at < size; at += piece)
			assert_ok(wal_tar_write(tar, wal + at, size - at < piece ? size - at : piece));
		assert_ok(wal_tar_finish(tar));

		memset(wal + size, 0, 2 * (size_t) segment_size - size);
		buf_printf(&expected, "00000002.history:9:%08x;", crc32c(0, "1\t0/28\tx\n", 9));
		buf_printf(&expected, "000000020000000100000FFF:1048576:%08x;", crc32c(0, wal, segment_size));
		buf_printf(&expected, "000000020000000200000000:1048576:%08x;",
		           crc32c(0, wal + segment_size, segment_size));

		assert_int_equal(fixture->parts.count, 1);
		assert_string_equal(fixture->parts.items[0].name, "wal-0001.tar.br");
		buf_init(&listing.text, 4096);
		read_part(fixture, &fixture->parts.items[0], &raw);
		AUTO(Sink) reader = tar_reader_new(&handler, &listing, false, "wal");
		assert_ok(sink_write(reader, raw.data, raw.size));
		assert_string_equal(listing.text.data, expected.data);
		forget_parts(fixture);
		buf_release(&raw);
		buf_release(&expected);
		buf_release(&listing.text);
	}
}

#define with_store(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_store(parts_together_are_the_archive_whatever_the_pieces),
		with_store(an_archive_that_is_cut_short_is_corrupt),
		with_store(bytes_after_the_end_are_corrupt),
		with_store(a_torn_pg_control_fails_the_backup),
		with_store(backup_label_is_read_in_passing),
		with_store(what_is_not_finished_leaves_nothing),
		with_store(a_part_that_cannot_be_finished_fails_the_backup),
		with_store(wal_becomes_whole_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
