/* backup_manifest, as the servers write it and as it may be damaged. */
#include "walship/pg/manifest.h"

#include "scratch.h"
#include "walship/base/buf.h"
#include "walship/base/crypto.h"
#include "walship/base/strs.h"

#define HEAD_1 "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n"
#define HEAD_2 \
	"{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": 7710453728729770471,\n\"Files\": [\n"
#define FILE_LINE(path, size, algorithm, checksum)                               \
	"{ " path ", \"Size\": " size                                                \
	", \"Last-Modified\": \"2026-11-21 03:00:00 GMT\", \"Checksum-Algorithm\": " \
	"\"" algorithm "\", \"Checksum\": \"" checksum "\" }"
#define PLAIN(path)   FILE_LINE("\"Path\": \"" path "\"", "226", "CRC32C", "64440205")
#define ENCODED(path) FILE_LINE("\"Encoded-Path\": \"" path "\"", "0", "CRC32C", "00000000")
#define RANGES                \
	"],\n\"WAL-Ranges\": [\n" \
	"{ \"Timeline\": 2, \"Start-LSN\": \"0/6000028\", \"End-LSN\": \"1/6000100\" }\n],\n"
#define NORMAL HEAD_1 PLAIN("global/pg_control") ",\n" PLAIN("backup_label") "\n" RANGES

/* Appends the checksum's line, which covers everything before it. */
static void
seal(const char *body, Buf *text)
{
	uint8_t digest[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];

	buf_init(text, 1024 * 1024);
	buf_puts(text, body);
	sha256_of(text->data, text->size, digest);
	hex_encode(digest, sizeof(digest), hex);
	buf_printf(text, "\"Manifest-Checksum\": \"%s\"}\n", hex);
}

static Error *
read_pieces(Manifest *manifest, const char *text, size_t size, size_t piece)
{
	AUTO(Pipe) pipe = pipe_new();

	pipe_add(pipe, manifest_sink_new(manifest, SIZE_MAX));
	for (size_t at = 0; at < size; at += piece)
		TRY(pipe_write(pipe, text + at, size - at < piece ? size - at : piece));
	return pipe_finish(pipe);
}

static void
files_are_found_whatever_the_pieces(void **state)
{
	AUTO_BUF(text, 0);

	(void) state;
	seal(NORMAL, &text);
	for (size_t piece = 1; piece <= text.size; piece += piece < 64 ? 1 : 97)
	{
		AUTO(Manifest) manifest = manifest_new();
		ManifestFile file;

		assert_ok(read_pieces(manifest, text.data, text.size, piece));
		assert_int_equal(manifest_count(manifest), 2);
		assert_int_equal(manifest_total_size(manifest), 452);
		assert_true(manifest_find(manifest, "global/pg_control", &file));
		assert_int_equal(file.size, 226);
		assert_int_equal(file.crc32c, 0x05024464);
		assert_string_equal(manifest_nth(manifest, 0).path, "backup_label");
		assert_int_equal(manifest_index_of(manifest, "global/pg_control"), 1);
		assert_false(manifest_find(manifest, "global", &file));
		assert_false(manifest_find(manifest, "zzz", &file));
		assert_int_equal(manifest_range_count(manifest), 1);
		assert_int_equal(manifest_range(manifest, 0)->timeline, 2);
		assert_int_equal(manifest_range(manifest, 0)->end_lsn, UINT64_C(0x106000100));
		assert_int_equal(manifest_system_identifier(manifest), 0);
	}
}

static void
version_2_tells_the_system_identifier_to_its_last_digit(void **state)
{
	AUTO(Manifest) manifest = manifest_new();
	AUTO_BUF(text, 0);

	(void) state;
	seal(HEAD_2 PLAIN("a") "\n" RANGES, &text);
	assert_ok(read_pieces(manifest, text.data, text.size, text.size));
	assert_true(manifest_system_identifier(manifest) == UINT64_C(7710453728729770471));
}

static void
names_may_be_escaped_or_encoded(void **state)
{
	AUTO(Manifest) manifest = manifest_new();
	AUTO_BUF(text, 0);
	ManifestFile file;

	(void) state;
	seal(HEAD_1 PLAIN("a \\\"b\\\"\\\\c\\u000a") ",\n" ENCODED("64ff2f78") "\n" RANGES, &text);
	assert_ok(read_pieces(manifest, text.data, text.size, text.size));
	assert_true(manifest_find(manifest, "a \"b\"\\c\n", &file));
	assert_true(manifest_find(manifest, "d\xff/x", &file));
}

static void
what_is_no_manifest_is_corrupt(void **state)
{
	static const struct
	{
		const char *name;
		const char *body;
		const char *message;
	} cases[] = {
		{"unknown version", "{ \"PostgreSQL-Backup-Manifest-Version\": 3,\n\"Files\": [\n" RANGES,
	     "unexpected line"},
		{"other document", "{ \"a\": 1 }\n", "unexpected line"},
		{"identifier in version 1",
	     "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"System-Identifier\": 7,\n\"Files\": [\n" RANGES,
	     "unexpected line"},
		{"file twice", HEAD_1 PLAIN("a") ",\n" PLAIN("b") ",\n" PLAIN("a") "\n" RANGES, "\"a\" twice"},
		{"other algorithm", HEAD_1 FILE_LINE("\"Path\": \"a\"", "1", "SHA256", "00") "\n" RANGES, "SHA256"},
		{"short checksum", HEAD_1 FILE_LINE("\"Path\": \"a\"", "1", "CRC32C", "00") "\n" RANGES, "checksum"},
		{"no digits in the checksum",
	     HEAD_1 FILE_LINE("\"Path\": \"a\"", "1", "CRC32C", "0000000g") "\n" RANGES, "checksum"},
		{"negative size", HEAD_1 FILE_LINE("\"Path\": \"a\"", "-1", "CRC32C", "00000000") "\n" RANGES,
	     "Size"},
		{"no name", HEAD_1 FILE_LINE("\"Name\": \"a\"", "1", "CRC32C", "00000000") "\n" RANGES, "Path"},
		{"empty name", HEAD_1 PLAIN("") "\n" RANGES, "name"},
		{"odd encoding", HEAD_1 ENCODED("64f") "\n" RANGES, "Encoded-Path"},
		{"encoded NUL", HEAD_1 ENCODED("6400") "\n" RANGES, "name"},
		{"line that is no JSON", HEAD_1 "{ \"Path\": \n" RANGES, "manifest"},
		{"malformed range",
	     HEAD_1
	     "],\n\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0-1\", \"End-LSN\": \"0/1\" }\n],\n",
	     "WAL range"},
		{"no ranges", HEAD_1 PLAIN("a") "\n],\n", "unexpected line"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO(Manifest) manifest = manifest_new();
		AUTO_BUF(text, 0);

		print_message("%s\n", cases[i].name);
		seal(cases[i].body, &text);
		assert_error(read_pieces(manifest, text.data, text.size, text.size), ERR_CORRUPT, cases[i].message);
	}
}

static void
a_manifest_that_is_cut_anywhere_is_corrupt(void **state)
{
	AUTO_BUF(text, 0);

	(void) state;
	seal(NORMAL, &text);
	for (size_t size = 0; size < text.size; size++)
	{
		AUTO(Manifest) manifest = manifest_new();

		assert_error(read_pieces(manifest, text.data, size, size + 1), ERR_CORRUPT, NULL);
	}
}

static void
a_byte_that_flipped_anywhere_is_noticed(void **state)
{
	AUTO_BUF(text, 0);

	(void) state;
	seal(NORMAL, &text);
	for (size_t at = 0; at < text.size; at++)
	{
		AUTO(Manifest) manifest = manifest_new();

		text.data[at] ^= 1;
		assert_error(read_pieces(manifest, text.data, text.size, text.size), ERR_CORRUPT, NULL);
		text.data[at] ^= 1;
	}
}

static void
a_line_without_end_is_refused(void **state)
{
	AUTO(Manifest) manifest = manifest_new();
	AUTO_FREE char *line = mem_alloc(MANIFEST_LINE_MAX + 2);

	(void) state;
	memset(line, 'x', MANIFEST_LINE_MAX + 1);
	line[MANIFEST_LINE_MAX + 1] = '\n';
	assert_error(read_pieces(manifest, line, MANIFEST_LINE_MAX + 2, 4096), ERR_CORRUPT, "line of more than");
}

static void
many_files_are_sorted(void **state)
{
	AUTO(Manifest) manifest = manifest_new();
	AUTO_BUF(body, 1024 * 1024);
	AUTO_BUF(text, 0);

	(void) state;
	buf_puts(&body, HEAD_1);
	for (unsigned i = 0; i < 2000; i++)
		buf_printf(&body, "%s" FILE_LINE("\"Path\": \"base/%u\"", "%u", "CRC32C", "64440205"),
		           i > 0 ? ",\n" : "", i * 7919 % 2003, i);
	buf_puts(&body, "\n" RANGES);
	assert_false(body.overflowed);
	seal(body.data, &text);
	assert_ok(read_pieces(manifest, text.data, text.size, 32768));
	assert_int_equal(manifest_count(manifest), 2000);
	for (size_t i = 0; i < manifest_count(manifest); i++)
		assert_int_equal(manifest_index_of(manifest, manifest_nth(manifest, i).path), i);
}

/* The largest numbers that JSON can tell: after some of them a sum of 64 bits would begin anew. */
static void
sizes_that_add_up_to_more_than_any_disk_are_refused(void **state)
{
	AUTO(Manifest) manifest = manifest_new();
	AUTO_BUF(body, 1024 * 1024);
	AUTO_BUF(text, 0);

	(void) state;
	buf_puts(&body, HEAD_1);
	for (unsigned i = 0; i < 2100; i++)
		buf_printf(&body, "%s" FILE_LINE("\"Path\": \"base/%u\"", "9007199254740991", "CRC32C", "64440205"),
		           i > 0 ? ",\n" : "", i);
	buf_puts(&body, "\n" RANGES);
	assert_false(body.overflowed);
	seal(body.data, &text);
	assert_error(read_pieces(manifest, text.data, text.size, 32768), ERR_CORRUPT,
	             "more bytes than any disk has");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_found_whatever_the_pieces),
		cmocka_unit_test(version_2_tells_the_system_identifier_to_its_last_digit),
		cmocka_unit_test(names_may_be_escaped_or_encoded),
		cmocka_unit_test(what_is_no_manifest_is_corrupt),
		cmocka_unit_test(a_manifest_that_is_cut_anywhere_is_corrupt),
		cmocka_unit_test(a_byte_that_flipped_anywhere_is_noticed),
		cmocka_unit_test(a_line_without_end_is_refused),
		cmocka_unit_test(many_files_are_sorted),
		cmocka_unit_test(sizes_that_add_up_to_more_than_any_disk_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
