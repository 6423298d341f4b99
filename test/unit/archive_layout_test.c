/* Keys in the store, both ways. */
#include "walship/archive/layout.h"

#include "scratch.h"
#include "walship/store/store.h"

#define SYSTEM UINT64_C(7300000000000000001)
#define WAL    "7300000000000000001/wal/"

static const struct
{
	const char *name;
	const char *key;
} wal_keys[] = {
	{"000000010000000300000009", WAL "00000001/000000010000000300000009.tar"},
	{"FFFFFFFFFFFFFFFF00000FFF", WAL "FFFFFFFF/FFFFFFFFFFFFFFFF00000FFF.tar"},
	{"000000020000000300000009.partial",
     WAL "00000002/000000020000000300000009.partial-0001020304050607.tar"},
	{"0000000A.history", WAL "0000000A.history"},
	{"000000010000000300000009.00000028.backup", WAL "00000001/000000010000000300000009.00000028.backup"},
};

static void
wal_names_become_keys_and_keys_names(void **state)
{
	uint8_t digest[32];

	(void) state;
	for (uint8_t i = 0; i < sizeof(digest); i++)
		digest[i] = i;
	for (size_t i = 0; i < lengthof(wal_keys); i++)
	{
		WalName name;
		WalName back;
		char text[WAL_NAME_SIZE];

		assert_ok(wal_name_parse(wal_keys[i].name, &name));
		AUTO_FREE char *key = layout_wal_key(SYSTEM, &name, name.kind == WAL_PARTIAL ? digest : NULL);

		assert_string_equal(key, wal_keys[i].key);
		assert_ok(store_check_key(key));
		assert_true(layout_parse_wal_key(key, &back));
		assert_int_equal(back.kind, name.kind);
		assert_string_equal(wal_name_format(&back, text), wal_keys[i].name);
	}
}

static void
what_is_no_key_of_ours_is_passed_over(void **state)
{
	static const char *const keys[] = {
		"",
		"/",
		".tar",
		"-.tar",
		WAL "00000001/",
		WAL "00000001/000000010000000300000009",
		WAL "00000001/000000010000000300000009.tar.gz",
		WAL "00000001/000000010000000300000009.TAR",
		WAL "00000001/00000001000000030000000a.tar",
		WAL "00000001/00000001000000030000000.tar",
		WAL "00000001/000000010000000300000009.partial",
		WAL "00000001/000000010000000300000009.partial.tar",
		WAL "00000001/000000010000000300000009.partial-.tar",
		WAL "00000001/000000010000000300000009.partial-000102030405060.tar",
		WAL "00000001/000000010000000300000009.partial-00010203040506070.tar",
		WAL "00000001/000000010000000300000009.partial-000102030405060g.tar",
		WAL "00000001/000000010000000300000009-0001020304050607.tar",
		WAL "00000001/000000010000000300000009.00000028.backup.tar",
		WAL "0000000A.history.tar",
		WAL "0000000A.history-0001020304050607.tar",
		WAL "0000000A.histor",
		"7300000000000000001/base/20261120T023007Z-9f3c/backup.json",
	};

	(void) state;
	for (size_t i = 0; i < lengthof(keys); i++)
	{
		WalName name = {.timeline = 42};

		print_message("  \"%s\"\n", keys[i]);
		assert_false(layout_parse_wal_key(keys[i], &name));
		assert_int_equal(name.timeline, 42);
	}
}

static void
prefixes_are_below_one_another(void **state)
{
	AUTO_FREE char *system = layout_system_prefix(UINT64_MAX);
	AUTO_FREE char *wal = layout_wal_prefix(SYSTEM);
	AUTO_FREE char *timeline = layout_timeline_prefix(SYSTEM, 26);
	AUTO_FREE char *base = layout_base_prefix(SYSTEM);
	AUTO_FREE char *backup = layout_backup_prefix(SYSTEM, "20261120T023007Z-9f3c");
	AUTO_FREE char *record = layout_backup_record_key(SYSTEM, "20261120T023007Z-9f3c");

	(void) state;
	assert_string_equal(system, "18446744073709551615/");
	assert_string_equal(wal, WAL);
	assert_string_equal(timeline, WAL "0000001A/");
	assert_string_equal(base, "7300000000000000001/base/");
	assert_string_equal(backup, "7300000000000000001/base/20261120T023007Z-9f3c/");
	assert_string_equal(record, "7300000000000000001/base/20261120T023007Z-9f3c/backup.json");
}

static void
parts_are_named_by_set_number_codec_and_encryption(void **state)
{
	static const struct
	{
		const char *set;
		int number;
		Codec codec;
		bool encrypted;
		const char *part;
		const char *manifest;
	} rows[] = {
		{"base", 1, CODEC_BROTLI, false, "base-0001.tar.br", "manifest.br"},
		{"wal", 12, CODEC_ZSTD, false, "wal-0012.tar.zst", "manifest.zst"},
		{"16385", 9999, CODEC_NONE, false, "16385-9999.tar", "manifest"},
		{"base", 10000, CODEC_NONE, false, "base-10000.tar", "manifest"},
		{"base", 1, CODEC_BROTLI, true, "base-0001.tar.br.age", "manifest.br.age"},
		{"wal", 2, CODEC_NONE, true, "wal-0002.tar.age", "manifest.age"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *part =
			layout_part_name(rows[i].set, rows[i].number, rows[i].codec, rows[i].encrypted);
		AUTO_FREE char *manifest = layout_manifest_name(rows[i].codec, rows[i].encrypted);

		assert_string_equal(part, rows[i].part);
		assert_string_equal(manifest, rows[i].manifest);
	}
}

static void
backup_ids_are_times_with_four_digits(void **state)
{
	static const struct
	{
		int64_t time;
		uint16_t random;
		const char *id;
	} rows[] = {
		{INT64_C(1795141807000000), 0x9f3c, "20261120T023007Z-9f3c"},
		{INT64_C(1795141807999999), 0, "20261120T023007Z-0000"},
		{INT64_C(946684800000000), 0xffff, "20000101T000000Z-ffff"},
	};
	static const char *const bad[] = {
		"",
		"20261120T023007Z",
		"20261120T023007Z-",
		"20261120T023007Z-9f3",
		"20261120T023007Z-9f3c0",
		"20261120T023007Z-9F3C",
		"20261120t023007z-9f3c",
		"20261120T023007Z_9f3c",
		"2026112OT023007Z-9f3c",
		" 20261120T023007Z-9f3",
		"../../../../etc/passw",
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *id = layout_backup_id(rows[i].time, rows[i].random);

		assert_string_equal(id, rows[i].id);
		assert_true(layout_is_backup_id(id));
	}
	for (size_t i = 0; i < lengthof(bad); i++)
		assert_false(layout_is_backup_id(bad[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wal_names_become_keys_and_keys_names),
		cmocka_unit_test(what_is_no_key_of_ours_is_passed_over),
		cmocka_unit_test(prefixes_are_below_one_another),
		cmocka_unit_test(parts_are_named_by_set_number_codec_and_encryption),
		cmocka_unit_test(backup_ids_are_times_with_four_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
