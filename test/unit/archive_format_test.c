/*
 * Objects of format 1 (test/data/format-1): they are read, and what is written has the same bytes still.  Of
 * version 0.1.0 "all" has every member, "least" only those that are never left out.  Younger are "unread", of a
 * segment whose PostgreSQL its writer did not know, and "changes" and "later", with the members that came later.
 */
#include "scratch.h"
#include "walship/archive/backup_record.h"
#include "walship/archive/self_sha256.h"
#include "walship/wal/index.h"

#define OBJECT_MAX 65536

static void
reprint_index(const char *name, const Buf *golden, Buf *text)
{
	WalIndex index;

	assert_ok(wal_index_parse(golden->data, golden->size, name, &index));
	wal_index_print(&index, text);
}

static void
reprint_record(const char *name, const Buf *golden, Buf *text)
{
	AUTO(BackupRecord) record = NULL;

	assert_ok(backup_record_parse(golden->data, golden->size, name, &record));
	backup_record_print(record, text);
}

static void
objects_of_format_1_keep_their_bytes(void **state)
{
	static const struct
	{
		const char *name;
		void (*reprint)(const char *name, const Buf *golden, Buf *text);
	} rows[] = {
		{"index-all.json", reprint_index},     {"index-encrypted.json", reprint_index},
		{"index-least.json", reprint_index},   {"index-partial.json", reprint_index},
		{"index-unread.json", reprint_index},  {"index-changes.json", reprint_index},
		{"backup-all.json", reprint_record},   {"backup-least.json", reprint_record},
		{"backup-later.json", reprint_record},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *path = mem_printf("%s/format-1/%s", TEST_DATA_DIR, rows[i].name);
		AUTO_BUF(golden, OBJECT_MAX);
		AUTO_BUF(text, OBJECT_MAX);

		print_message("  %s\n", rows[i].name);
		assert_ok(file_read_all(path, &golden));
		assert_ok(self_sha256_check(golden.data, golden.size, rows[i].name));
		rows[i].reprint(rows[i].name, &golden, &text);
		self_sha256_append(&text);
		assert_string_equal(text.data, golden.data);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_of_format_1_keep_their_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
