/* A recovery as a function: what is missing, and whether that means that the target cannot be reached. */
#include "walship/recovery/recover.h"

#include "scratch.h"
#include "walship/base/file.h"
#include "walship/store/file_store.h"

static const char label[] = "START WAL LOCATION: 0/6000028 (file 000000010000000000000006)\n"
							"CHECKPOINT LOCATION: 0/6000080\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n"
							"START TIME: 2026-11-21 03:00:00 UTC\nLABEL: x\nSTART TIMELINE: 1\n";

typedef struct Row
{
	const char *name;
	bool config_only;
	const char *label; /* in the data directory; NULL: none */
	bool unreachable;
	const char *message;
} Row;

static const Row rows[] = {
	{"no backup at all", false, NULL, true, "backup"},
	{"settings only, and nothing restored", true, NULL, false, "backup_label"},
	{"settings only, and what was restored is not of this store", true, label, false, "starts at 0/6000028"},
};

static void
what_is_missing_is_not_always_the_target(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *scratch = scratch_make();
		AUTO_FREE char *path = path_join(scratch, "backup_label");
		AUTO_FREE char *store_path = path_join(scratch, "store");
		AUTO(Store) store = NULL;
		Catalog catalog = {.system_identifier = 7300000000000000001, .segment_size = 16 * 1024 * 1024};
		AUTO_RECOVERY recovery = {.request = {.target = {.kind = TARGET_IMMEDIATE, .inclusive = true}},
		                          .pgdata = mem_strdup(scratch),
		                          .config_only = rows[i].config_only,
		                          .program = "/usr/bin/walship",
		                          .flags = "",
		                          .primary_conninfo = "",
		                          .primary_slot_name = "",
		                          .jobs = 1};

		print_message("  %s\n", rows[i].name);
		assert_ok(dir_make(store_path, 0700));
		assert_ok(file_store_create(store_path));
		assert_ok(file_store_open(store_path, &store));
		if (rows[i].label != NULL)
			assert_ok(file_replace(path, rows[i].label, strlen(rows[i].label), 0600));
		recovery.store = store;
		recovery.catalog = &catalog;
		assert_error(recovery_make_plan(&recovery), ERR_NOT_FOUND, rows[i].message);
		assert_int_equal(recovery.unreachable, rows[i].unreachable);
		assert_null(recovery.plan);
		scratch_remove(MOVE(scratch));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_missing_is_not_always_the_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
