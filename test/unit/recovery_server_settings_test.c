/* What a server of ours is started with: nothing that leads out, and nothing that its major does not know. */
#include "scratch.h"
#include "walship/recovery/server_settings.h"
#include "walship/recovery/staged_wal.h"

static StrList
settings_of(int major, bool kept, bool listens)
{
	StrList words = {0};

	server_settings_list(&(ServerSettings){.major = major,
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
	AUTO_FREE char *command = staged_wal_command("/a b/it's 100%/wal");

	assert_string_equal(command, "cp '/a b/it'\\''s 100%%/wal'/%f %p");
	(void) state;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_fence_is_there_in_every_major_and_unknown_names_are_not),
		cmocka_unit_test(test_only_what_is_thrown_away_goes_without_fsync),
		cmocka_unit_test(test_the_command_takes_wal_from_a_directory_of_any_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
