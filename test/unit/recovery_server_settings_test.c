/* What a server of ours is started with: nothing that leads out, and nothing that its major does not know. */
#include "scratch.h"
#include "walship/recovery/server_settings.h"
#include "walship/recovery/wal_window.h"

static StrList
settings_of(int major, bool kept, bool listens)
{
	StrList words = {0};

	server_settings_list(&(ServerSettings){.major = major,
	                                       .segment_size = 16 << 20,
	                                       .directory = "/d",
	                                       .sockets = "/s",
	                                       .restore_command = "cp",
	                                       .libraries = "",
	                                       .port = 5432,
	                                       .kept = kept,
	                                       .listens = listens},
	                     &words);
	return words;
}

static void
test_the_fence_is_there_in_every_major_and_unknown_names_are_not(void **state)
{
	static const struct
	{
		const char *word;
		int first;
		int last;
	} rows[] = {
		{"archive_mode=off", 13, 19},
		{"archive_command=", 13, 19},
		{"archive_library=", 15, 19},
		{"recovery_end_command=", 13, 19},
		{"archive_cleanup_command=", 13, 19},
		{"primary_conninfo=", 13, 19},
		{"promote_trigger_file=", 13, 15},
		{"sync_replication_slots=off", 17, 19},
		{"synchronized_standby_slots=", 17, 19},
		{"event_triggers=off", 17, 19},
		{"max_logical_replication_workers=0", 13, 19},
		{"shared_preload_libraries=", 13, 19},
		{"session_preload_libraries=", 13, 19},
		{"local_preload_libraries=", 13, 19},
		{"stats_temp_directory=pg_stat_tmp", 13, 14},
		{"io_method=sync", 18, 19},
		{"dynamic_shared_memory_type=mmap", 13, 19},
		{"listen_addresses=", 13, 19},
		{"config_file=/d/postgresql.conf", 13, 19},
		{"hba_file=/d/pg_hba.conf", 13, 19},
	};

	for (int major = 13; major <= 19; major++)
	{
		AUTO_STRLIST words = settings_of(major, false, false);

		for (size_t i = 0; i < lengthof(rows); i++)
			assert_int_equal(strlist_contains(&words, rows[i].word),
			                 major >= rows[i].first && major <= rows[i].last);
	}
	(void) state;
}

static void
test_only_what_is_thrown_away_goes_without_fsync(void **state)
{
	AUTO_STRLIST kept = settings_of(15, true, true);
	AUTO_STRLIST drilled = settings_of(15, false, false);

	assert_true(strlist_contains(&kept, "fsync=on"));
	assert_true(strlist_contains(&kept, "listen_addresses=localhost"));
	assert_true(strlist_contains(&drilled, "fsync=off"));
	assert_true(strlist_contains(&drilled, "default_transaction_read_only=on"));
	(void) state;
}

static void
test_the_command_takes_wal_from_a_directory_of_any_name(void **state)
{
	AUTO_FREE char *command = staged_wal_command("/a b/it's 100%/wal", false);
	AUTO_FREE char *taking = staged_wal_command("/a b/it's 100%/wal", true);

	assert_string_equal(command, "cp '/a b/it'\\''s 100%%/wal'/%f %p");
	assert_string_equal(taking, "sh '/a b/it'\\''s 100%%/wal'/take %f %p");
	(void) state;
}

static void
test_wal_sizes_suit_the_segments(void **state)
{
	static const struct
	{
		uint32_t segment_mb;
		uint64_t wal_max_mb;
		const char *least;
		const char *most;
	} rows[] = {
		{1, 0, "min_wal_size=80MB", "max_wal_size=512MB"},
		{16, 0, "min_wal_size=80MB", "max_wal_size=512MB"},
		{64, 0, "min_wal_size=128MB", "max_wal_size=512MB"},
		{1024, 0, "min_wal_size=2048MB", "max_wal_size=4096MB"},
		{16, 32, "min_wal_size=32MB", "max_wal_size=64MB"},
		{1, 2, "min_wal_size=2MB", "max_wal_size=4MB"},
		{16, 4096, "min_wal_size=80MB", "max_wal_size=512MB"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_STRLIST words = {0};

		server_settings_list(&(ServerSettings){.major = 15,
		                                       .segment_size = rows[i].segment_mb << 20,
		                                       .wal_max = rows[i].wal_max_mb << 20,
		                                       .directory = "/d",
		                                       .sockets = "/s",
		                                       .restore_command = "cp",
		                                       .libraries = ""},
		                     &words);
		assert_true(strlist_contains(&words, rows[i].least));
		assert_true(strlist_contains(&words, rows[i].most));
		assert_true(strlist_contains(&words, "wal_recycle=off"));
	}
}

static void
test_what_has_no_room_comes_later(void **state)
{
	enum
	{
		MB = 1 << 20,
		SEGMENT = 16 * MB
	};
	static const struct
	{
		uint64_t wal_mb;
		uint64_t room_mb;
		uint64_t most_mb;
		uint64_t expected_mb;
	} rows[] = {
		{0, 0, 0, 0},          {160, 320, 0, 0},           {176, 320, 0, 80},
		{1000000, 320, 0, 80}, {1000000, 100000, 0, 4096}, /* 256 segments */
		{1600, 100, 0, 32}, /* at least two, and whether these have room is seen later */
		{160, 320, 160, 0},    {160, 320, 159, 159},       {160, 320, 1, 32},
		{160, 10, 1000, 0}, /* as was said: staged_wal_fetch() looks for room */
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
		assert_int_equal(
			wal_window_size(rows[i].wal_mb * MB, rows[i].room_mb * MB, rows[i].most_mb * MB, SEGMENT),
			rows[i].expected_mb * MB);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_fence_is_there_in_every_major_and_unknown_names_are_not),
		cmocka_unit_test(test_only_what_is_thrown_away_goes_without_fsync),
		cmocka_unit_test(test_wal_sizes_suit_the_segments),
		cmocka_unit_test(test_what_has_no_room_comes_later),
		cmocka_unit_test(test_the_command_takes_wal_from_a_directory_of_any_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
