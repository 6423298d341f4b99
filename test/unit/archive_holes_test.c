/* The end of the archive, or a hole in it. */
#include "walship/archive/holes.h"

#include "archive_fixture.h"

#define WAL  "7300000000000000001/wal/"
#define BASE "7300000000000000001/base/20261120T023007Z-9f3c/"
#define SIZE (16u * 1024 * 1024)

#define OBJECTS_MAX 4

typedef struct Object
{
	const char *key;
	const char *text;
} Object;

/* The segment that is missing is always 000000020000000300000009: LSN 3/9000000 to 3/A000000. */
typedef struct Case
{
	const char *name;
	const char *why; /* NULL: the end of the archive */
	Object objects[OBJECTS_MAX];
} Case;

static const Case cases[] = {
	{"nothing is there", "nothing of database system 7300000000000000001", {{NULL, NULL}}},
	{"only another system is there",
     "nothing of database system",
     {{"7300000000000000002/wal/00000002/00000002000000030000000A.tar", ""}}},
	{"a system whose number begins alike",
     "nothing of database system",
     {{"73000000000000000011/wal/00000002/00000002000000030000000A.tar", ""}}},
	{"only a backup is there", NULL, {{BASE "backup.json", ""}}},
	{"segments below", NULL, {{WAL "00000002/000000020000000300000008.tar", ""}}},
	{"the next segment",
     "00000002000000030000000A.tar\" of the same timeline",
     {{WAL "00000002/00000002000000030000000A.tar", ""}}},
	{"a segment far above", "0000000200000004000000", {{WAL "00000002/000000020000000400000000.tar", ""}}},
	{"a partial above",
     "partial-",
     {{WAL "00000002/00000002000000030000000A.partial-0001020304050607.tar", ""}}},
	{"a backup file above",
     ".00000028.backup",
     {{WAL "00000002/00000002000000030000000A.00000028.backup", ""}}},
	{"a partial of the segment itself",
     NULL,
     {{WAL "00000002/000000020000000300000009.partial-0001020304050607.tar", ""}}},
	{"a backup file of the segment itself",
     NULL,
     {{WAL "00000002/000000020000000300000009.00000028.backup", ""}}},
	{"a segment above of another timeline", NULL, {{WAL "00000003/00000003000000030000000A.tar", ""}}},
	{"something above that is no file of WAL", NULL, {{WAL "00000002/000000020000000300000009.zzz", ""}}},
	{"a timeline that left after the segment",
     "00000003.history",
     {{WAL "00000003.history", "1\t3/1000000\tx\n2\t3/A000100\tx\n"}}},
	{"a timeline that left at the segment's end",
     "00000003.history",
     {{WAL "00000003.history", "1\t3/1000000\tx\n2\t3/A000000\tx\n"}}},
	{"a timeline that left within the segment",
     NULL,
     {{WAL "00000003.history", "1\t3/1000000\tx\n2\t3/9FFFFF8\tx\n"}}},
	{"a timeline that left before the segment",
     NULL,
     {{WAL "00000003.history", "1\t3/1000000\tx\n2\t3/8000000\tx\n"}}},
	{"a timeline that passed by", NULL, {{WAL "00000003.history", "1\t3/A000100\tx\n"}}},
	{"the timeline's own history", NULL, {{WAL "00000002.history", "1\t3/A000100\tx\n"}}},
	{"the second of two histories",
     "00000004.history",
     {{WAL "00000003.history", "2\t3/8000000\tx\n"}, {WAL "00000004.history", "2\t3/B000000\tx\n"}}},
};

static void
rules_for_holes(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		void *made = NULL;
		WalName name = wal_name("000000020000000300000009");
		AUTO_FREE char *why = NULL;

		print_message("  %s\n", cases[i].name);
		(void) place_make(&made);
		for (size_t j = 0; j < OBJECTS_MAX && cases[i].objects[j].key != NULL; j++)
			put_raw(made, cases[i].objects[j].key, cases[i].objects[j].text,
			        strlen(cases[i].objects[j].text));
		assert_ok(holes_explain(((Place *) made)->store, BUILDER_SYSTEM, &name, SIZE, &why));
		(void) place_destroy(&made);
		if (cases[i].why == NULL)
			assert_null(why);
		else
			assert_true(why != NULL && strstr(why, cases[i].why) != NULL);
	}
}

static void
what_cannot_be_understood_is_not_called_the_end(void **state)
{
	Place *place = *state;
	WalName name = wal_name("000000020000000300000009");
	WalName impossible = wal_name("000000020000000300000100");
	char *why = NULL;

	put_raw(place, WAL "00000003.history", "nonsense\n", 9);
	assert_error(holes_explain(place->store, BUILDER_SYSTEM, &name, SIZE, &why), ERR_CORRUPT,
	             "00000003.history");
	assert_error(holes_explain(place->store, BUILDER_SYSTEM, &impossible, SIZE, &why), ERR_USAGE, NULL);
	assert_null(why);
}

static void
an_unmounted_store_is_not_called_empty(void **state)
{
	Place *place = *state;
	WalName name = wal_name("000000020000000300000009");
	AUTO_FREE char *directory = path_join(place->scratch, "store");
	char *why = NULL;

	assert_ok(dir_remove_tree(directory, true));
	assert_error(holes_explain(place->store, BUILDER_SYSTEM, &name, SIZE, &why), ERR_TRANSIENT, NULL);
	assert_ok(dir_remove_tree(directory, false));
	assert_error(holes_explain(place->store, BUILDER_SYSTEM, &name, SIZE, &why), ERR_TRANSIENT, NULL);
	assert_null(why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_for_holes),
		PLACE_TEST(what_cannot_be_understood_is_not_called_the_end),
		PLACE_TEST(an_unmounted_store_is_not_called_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
