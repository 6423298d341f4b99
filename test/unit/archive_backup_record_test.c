/* backup.json: what is printed is read back, what is damaged is refused. */
#include "walship/archive/backup_record.h"

#include "scratch.h"

static BackupRecord *
sample(void)
{
	BackupRecord *record = backup_record_new();

	record->id = mem_strdup("20261120T023007Z-9f3c");
	record->system_identifier = UINT64_C(7710453728729770471);
	record->server_version = 150020;
	record->segment_size = 16 * 1024 * 1024;
	record->timeline = 2;
	record->start_lsn = UINT64_C(0x100000028);
	record->stop_lsn = UINT64_C(0x100000138);
	record->start_time = INT64_C(1795141807123456);
	record->stop_time = INT64_C(1795141907000000);
	record->label = mem_strdup("it's \"nightly\"");
	record->wal_inside = true;
	record->data_checksums = true;
	record->codec = mem_strdup("brotli");
	record->tablespaces = NEW_ARRAY(BackupTablespace, 1);
	record->tablespaces[record->n_tablespaces++] =
		(BackupTablespace){.oid = UINT32_MAX, .path = mem_strdup("/srv/a b")};
	record->parts = NEW_ARRAY(BackupPart, 2);
	record->parts[record->n_parts++] = (BackupPart){.name = mem_strdup("base-0001.tar.br"),
	                                                .set = mem_strdup("base"),
	                                                .raw_size = UINT64_C(1) << 40,
	                                                .stored_size = 12345,
	                                                .stored_sha256 = {1, 2, 0xff}};
	record->parts[record->n_parts++] =
		(BackupPart){.name = mem_strdup("wal-0001.tar.br"), .set = mem_strdup("wal")};
	record->manifest_name = mem_strdup("manifest.br");
	record->manifest_raw_size = 100;
	record->manifest_stored_size = 50;
	record->files = 3;
	record->files_size = 9;
	record->parameters = (BackupParameters){100, 8, 10, 0, 64};
	record->duration_ms = 4321;
	record->walship_version = mem_strdup("0.1.0");
	return record;
}

static void
print(const BackupRecord *record, Buf *text)
{
	buf_init(text, BACKUP_RECORD_MAX);
	backup_record_print(record, text);
}

static void
what_is_printed_is_read_back(void **state)
{
	AUTO(BackupRecord) record = sample();
	AUTO(BackupRecord) read = NULL;
	AUTO_BUF(first, 0);
	AUTO_BUF(second, 0);

	(void) state;
	record->note = mem_strdup("zeile\n2");
	(void) snprintf(record->recipients, sizeof(record->recipients),
	                "age1aaaaaaaaaaaaaaaa, age1bbbbbbbbbbbbbbbb");
	print(record, &first);
	assert_ok(backup_record_parse(first.data, first.size, "backup.json", &read));
	assert_true(read->system_identifier == record->system_identifier);
	assert_true(read->start_time == record->start_time);
	assert_string_equal(read->note, "zeile\n2");
	assert_string_equal(read->recipients, record->recipients);
	assert_int_equal(read->tablespaces[0].oid, UINT32_MAX);
	assert_true(read->parts[0].raw_size == UINT64_C(1) << 40);
	assert_memory_equal(read->parts[0].stored_sha256, record->parts[0].stored_sha256, SHA256_SIZE);
	print(read, &second);
	assert_string_equal(first.data, second.data);
}

static void
a_record_without_a_note_has_none(void **state)
{
	AUTO(BackupRecord) record = sample();
	AUTO(BackupRecord) read = NULL;
	AUTO_BUF(text, 0);

	(void) state;
	print(record, &text);
	assert_ok(backup_record_parse(text.data, text.size, "backup.json", &read));
	assert_null(read->note);
}

/* The text with its first "from" replaced. */
static char *
replaced(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	assert_non_null(at);
	return mem_printf("%.*s%s%s", (int) (at - text), text, to, at + strlen(from));
}

static void
what_makes_no_sense_is_corrupt(void **state)
{
	static const struct
	{
		const char *name;
		const char *from;
		const char *to;
		const char *message;
	} cases[] = {
		{"newer format", "\"format\":\t1", "\"format\":\t2", "format version 2"},
		{"other type", "\"full\"", "\"incremental\"", "type"},
		{"malformed id", "20261120T023007Z-9f3c", "../../x", "id"},
		{"system identifier", "7710453728729770471", "77x", "system_id"},
		{"segment size", "16777216", "16777215", "segment_size"},
		{"timeline 0", "\"timeline\":\t2", "\"timeline\":\t0", "timeline"},
		{"LSN", "\"1/28\"", "\"1.28\"", "start_lsn"},
		{"stop before start", "\"1/138\"", "\"1/18\"", "positions"},
		{"no stop time", "\"2026-11-20T02:31:47Z\"", "null", "time"},
		{"unknown codec", "\"codec\":\t\"brotli\"", "\"codec\":\t\"lzma\"", "codec"},
		{"part's name with a path", "base-0001.tar.br", "../base-0001.tar.br", "name"},
		{"part's name with a slash", "base-0001.tar.br", "a/b", "name"},
		{"digest", "0102ff", "0102f", "stored_sha256"},
		{"digest of no digits", "0102ff", "0102fg", "stored_sha256"},
		{"no parts", "\"parts\"", "\"part\"", "parts"},
		{"no manifest", "\"manifest\":", "\"manifests\":", "manifest"},
		{"no parameters", "\"parameters\"", "\"parameter\"", "parameters"},
		{"no truth", "\"wal_inside\":\ttrue", "\"wal_inside\":\t1", "wal_inside"},
	};
	AUTO(BackupRecord) record = sample();
	AUTO_BUF(text, 0);

	(void) state;
	print(record, &text);
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_FREE char *damaged = replaced(text.data, cases[i].from, cases[i].to);
		BackupRecord *read = NULL;

		print_message("%s\n", cases[i].name);
		assert_error(backup_record_parse(damaged, strlen(damaged), "backup.json", &read), ERR_CORRUPT,
		             cases[i].message);
		assert_null(read);
	}
}

/* The largest numbers that JSON can tell: after some of them a sum of 64 bits would begin anew. */
static void
sizes_that_add_up_to_more_than_any_disk_are_refused(void **state)
{
	AUTO(BackupRecord) record = sample();
	BackupRecord *read = NULL;
	AUTO_BUF(text, 4 * 1024 * 1024);

	(void) state;
	for (unsigned i = 0; i < 2100; i++)
	{
		record->parts = mem_realloc(record->parts, (record->n_parts + 1) * sizeof(BackupPart));
		record->parts[record->n_parts++] = (BackupPart){.name = mem_strdup("base-0001.tar.br"),
		                                                .set = mem_strdup("base"),
		                                                .raw_size = UINT64_C(9007199254740991)};
	}
	backup_record_print(record, &text);
	assert_false(text.overflowed);
	assert_error(backup_record_parse(text.data, text.size, "backup.json", &read), ERR_CORRUPT,
	             "sizes make no sense");
	assert_null(read);
}

/* It could be a stream that decodes to nothing and never ends. */
static void
what_is_stored_is_not_much_longer_than_what_it_holds(void **state)
{
	AUTO(BackupRecord) record = sample();
	BackupRecord *read = NULL;
	AUTO_BUF(text, 0);

	(void) state;
	record->parts[0].stored_size = record->parts[0].raw_size * 2;
	print(record, &text);
	assert_error(backup_record_parse(text.data, text.size, "backup.json", &read), ERR_CORRUPT,
	             "sizes make no sense");
	assert_null(read);
}

static void
a_record_that_is_cut_is_corrupt(void **state)
{
	AUTO(BackupRecord) record = sample();
	AUTO_BUF(text, 0);

	(void) state;
	print(record, &text);
	for (size_t size = 0; size + 2 < text.size; size += 7)
	{
		BackupRecord *read = NULL;

		assert_error(backup_record_parse(text.data, size, "backup.json", &read), ERR_CORRUPT, "backup.json");
	}
}

static void
unknown_members_are_ignored(void **state)
{
	AUTO(BackupRecord) record = sample();
	AUTO(BackupRecord) read = NULL;
	AUTO_BUF(text, 0);

	(void) state;
	print(record, &text);

	AUTO_FREE char *longer = replaced(text.data, "\"id\"", "\"later\": [1, {}], \"id\"");

	assert_ok(backup_record_parse(longer, strlen(longer), "backup.json", &read));
	assert_string_equal(read->id, record->id);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_printed_is_read_back),
		cmocka_unit_test(a_record_without_a_note_has_none),
		cmocka_unit_test(what_makes_no_sense_is_corrupt),
		cmocka_unit_test(a_record_that_is_cut_is_corrupt),
		cmocka_unit_test(unknown_members_are_ignored),
		cmocka_unit_test(sizes_that_add_up_to_more_than_any_disk_are_refused),
		cmocka_unit_test(what_is_stored_is_not_much_longer_than_what_it_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
