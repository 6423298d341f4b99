/* History files in pg_wal and in the store: read when they can be, and bounded. */
#include "walship/archive/history_file.h"

#include <unistd.h>

#include "archive_fixture.h"

static void
write_history(const Place *place, const char *name, const char *text)
{
	AUTO_FREE char *path = path_join(place->wal, name);

	write_file(path, text, strlen(text));
}

static void
it_is_read_from_both_places(void **state)
{
	Place *place = *state;
	TimelineHistory *history;
	AUTO_FREE char *path = path_join(place->wal, "0000000A.history");
	WalName name = wal_name("0000000A.history");
	PutResult result;

	assert_error(history_file_read(place->wal, 10, &history), ERR_NOT_FOUND, "0000000A.history");
	assert_error(history_file_get(place->store, place->archive.system_identifier, 10, &history),
	             ERR_NOT_FOUND, NULL);
	write_history(place, "0000000A.history", "1\t0/5000000\tx\n");
	assert_ok(history_file_read(place->wal, 10, &history));
	assert_int_equal(history->timeline, 10);
	assert_int_equal(history->ancestors[0].switch_lsn, 0x5000000);
	timeline_history_free(history);

	assert_ok(wal_text_put(&place->archive, path, &name, &result));
	assert_ok(history_file_get(place->store, place->archive.system_identifier, 10, &history));
	assert_int_equal(history->n_ancestors, 1);
	timeline_history_free(history);
}

static void
one_that_is_too_long_or_none_is_corrupt(void **state)
{
	Place *place = *state;
	AUTO_FREE char *long_text = mem_alloc(1024 * 1024 + 2);
	TimelineHistory *history;

	memset(long_text, '\n', 1024 * 1024 + 1);
	long_text[1024 * 1024 + 1] = '\0';
	write_history(place, "00000002.history", long_text);
	assert_error(history_file_read(place->wal, 2, &history), ERR_CORRUPT, "is longer than");
	long_text[1024 * 1024] = '\0';
	write_history(place, "00000002.history", long_text);
	assert_ok(history_file_read(place->wal, 2, &history));
	timeline_history_free(history);
	write_history(place, "00000002.history", "nothing\n");
	assert_error(history_file_read(place->wal, 2, &history), ERR_CORRUPT, "00000002.history");
}

static void
of_a_directory_only_what_can_be_understood_is_taken(void **state)
{
	Place *place = *state;
	AUTO_HISTORY_FILES files = {0};
	AUTO_FREE char *missing = path_join(place->scratch, "missing");
	AUTO_FREE char *dangling = path_join(place->wal, "00000006.history");

	write_history(place, "00000002.history", "1\t0/5000000\tx\n");
	write_history(place, "00000003.history", "nothing\n");
	write_history(place, "3.history", "1\t0/5000000\tx\n");
	write_history(place, "00000004.history.old", "1\t0/5000000\tx\n");
	write_history(place, "000000010000000000000005", "1\t0/5000000\tx\n");
	write_history(place, "00000005.history", "1\t0/5000000\tx\n");
	assert_int_equal(symlink("nowhere", dangling), 0);
	assert_ok(history_files_read(place->wal, &files));
	assert_int_equal(files.count, 2);
	assert_int_equal(files.items[0]->timeline + files.items[1]->timeline, 2 + 5);
	assert_error(history_files_read(missing, &files), ERR_NOT_FOUND, missing);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(it_is_read_from_both_places),
		PLACE_TEST(one_that_is_too_long_or_none_is_corrupt),
		PLACE_TEST(of_a_directory_only_what_can_be_understood_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
