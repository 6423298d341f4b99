/* dump.json and contents.json: what is printed is read back, what is damaged is refused. */
#include "scratch.h"
#include "walship/archive/dump_contents.h"
#include "walship/archive/dump_record.h"

static DumpRecord *
sample(void)
{
	DumpRecord *record = dump_record_new();

	record->id = mem_strdup("20261129T013007Z-9f3c");
	record->system_identifier = UINT64_C(7710453728729770471);
	record->server_version = 150020;
	record->dump_major = 17;
	record->segment_size = 16 * 1024 * 1024;
	record->timeline = 2;
	record->lsn = UINT64_C(0x100000028);
	record->start_time = INT64_C(1795141807123456);
	record->stop_time = INT64_C(1795141907000000);
	record->role_passwords = true;
	record->codec = mem_strdup("zstd");
	record->globals = (BackupObject){mem_strdup("globals.sql.zst"), 100, 50, {1, 2, 0xff}};
	record->contents = (BackupObject){mem_strdup("contents.json.zst"), 200, 60, {3}};
	record->databases = NEW_ARRAY(DumpDatabase, 1);
	record->databases[record->n_databases++] =
		(DumpDatabase){.oid = 16384,
	                   .name = mem_strdup("caf\xe9 \"\n"),
	                   .archive = {mem_strdup("16384.dump.zst"), 1000, 500, {4}},
	                   .schema = {mem_strdup("schema-16384.sql.zst"), 300, 70, {5}}};
	record->walship_version = mem_strdup("0.1.0");
	return record;
}

static void
what_is_printed_is_read_back(void **state)
{
	AUTO(DumpRecord) record = sample();
	AUTO(DumpRecord) read = NULL;
	AUTO_BUF(first, 65536);
	AUTO_BUF(second, 65536);

	(void) state;
	record->databases[0].tables = NEW_ARRAY(DumpTable, 1);
	record->databases[0].tables[record->databases[0].n_tables++] =
		(DumpTable){16390, {mem_strdup("16384-16390.dump.zst"), 10, 20, {6}}};
	dump_record_print(record, &first);
	assert_ok(dump_record_parse(first.data, first.size, "dump.json", &read));
	assert_string_equal(read->databases[0].name, "caf\xe9 \"\n");
	assert_int_equal(read->databases[0].tables[0].oid, 16390);
	assert_true(dump_record_raw_size(read) == 1610);
	assert_true(dump_record_stored_size(read) == 700);
	dump_record_print(read, &second);
	assert_string_equal(first.data, second.data);
}

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
		const char *from;
		const char *to;
		const char *message;
	} rows[] = {
		{"\"format\":\t1", "\"format\":\t2", "format version 2"},
		{"\"type\":\t\"dump\"", "\"type\":\t\"full\"", "type"},
		{"20261129T013007Z-9f3c", "../../x", "id"},
		{"7710453728729770471", "77x", "system_id"},
		{"16777216", "16777215", "segment_size"},
		{"\"zstd\"", "\"lzma\"", "codec"},
		{"globals.sql.zst", "../globals.sql.zst", "name"},
		{"\"16384.dump.zst\"", "\"a/b\"", "name"},
		{"\"raw_size\":\t1000,", "\"raw_size\":\t1152921504606846976,", "raw_size"},
		{"\"stored_size\":\t500,", "\"stored_size\":\t500000000,", "sizes"},
		{"\"oid\":\t16384", "\"oid\":\t0", "oid"},
	};
	AUTO(DumpRecord) record = sample();
	AUTO_BUF(text, 65536);

	(void) state;
	dump_record_print(record, &text);
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *damaged = replaced(text.data, rows[i].from, rows[i].to);
		AUTO(DumpRecord) read = NULL;

		assert_error(dump_record_parse(damaged, strlen(damaged), "dump.json", &read), ERR_CORRUPT,
		             rows[i].message);
	}
}

static void
contents_are_read_back_however_many_there_are(void **state)
{
	AUTO(DumpContents) contents = dump_contents_new();
	AUTO(DumpContents) read = NULL;
	AUTO_BUF(first, DUMP_CONTENTS_MAX);
	AUTO_BUF(second, DUMP_CONTENTS_MAX);
	DumpDatabaseFacts *database;

	(void) state;
	contents->databases = NEW_ARRAY(DumpDatabaseFacts, 1);
	database = &contents->databases[contents->n_databases++];
	*database = (DumpDatabaseFacts){.oid = 16384,
	                                .name = mem_strdup("x"),
	                                .encoding = mem_strdup("UTF8"),
	                                .collate = mem_strdup("C"),
	                                .ctype = mem_strdup("C"),
	                                .tables = NEW_ARRAY(DumpTableFacts, 5000)};
	for (uint32_t i = 0; i < 5000; i++)
	{
		DumpTableFacts *table = &database->tables[database->n_tables++];

		*table = (DumpTableFacts){.oid = 20000 + i,
		                          .schema = mem_strdup("s"),
		                          .name = mem_strdup("t\xff"),
		                          .owner = mem_strdup("o"),
		                          .parts = NEW_ARRAY(DumpPart, 10)};
		for (uint32_t j = 0; j < 10; j++)
			table->parts[table->n_parts++] = (DumpPart){30000 + j, j % 2 == 0 ? mem_strdup("i") : NULL};
	}
	dump_contents_print(contents, &first);
	assert_false(first.overflowed);
	assert_ok(dump_contents_parse(first.data, first.size, "contents.json", &read));
	assert_string_equal(dump_contents_database(read, "x")->tables[4999].name, "t\xff");
	assert_null(dump_contents_database(read, "y"));
	dump_contents_print(read, &second);
	assert_string_equal(first.data, second.data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_printed_is_read_back),
		cmocka_unit_test(what_makes_no_sense_is_corrupt),
		cmocka_unit_test(contents_are_read_back_however_many_there_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
