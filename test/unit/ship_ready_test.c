/* Which of the files that wait for the archiver a push takes along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "walship/base/buf.h"
#include "walship/base/mem.h"
#include "walship/ship/ready.h"

#define T1 "00000001"
#define T2 "00000002"
#define S5 "0000000000000005"
#define S6 "0000000000000006"
#define S7 "0000000000000007"

static WalName
segment(const char *text)
{
	WalName name;

	assert_null(wal_name_parse(text, &name));
	return name;
}

static char *
join(const StrList *names)
{
	AUTO_BUF(text, 4096);

	for (size_t i = 0; i < names->count; i++)
		buf_printf(&text, "%s%s", i == 0 ? "" : " ", names->items[i]);
	return buf_steal(&text);
}

static void
segments_of_the_same_timeline_follow_in_the_archivers_order(void **state)
{
	static const struct
	{
		const char *name;
		const char *statuses[8];
		size_t most;
		const char *follows;
		size_t waiting;
	} cases[] = {
		{"nothing waits", {NULL}, 64, "", 0},
		{"only the file itself", {T1 S5 ".ready"}, 64, "", 1},
		{"what comes after it", {T1 S5 ".ready", T1 S6 ".ready", T1 S7 ".ready"}, 64, T1 S6 " " T1 S7, 3},
		{"over a gap", {T1 S5 ".ready", T1 S7 ".ready"}, 64, T1 S7, 2},
		{"at most so many", {T1 S5 ".ready", T1 S6 ".ready", T1 S7 ".ready"}, 1, T1 S6, 3},
		{"none when it is off", {T1 S5 ".ready", T1 S6 ".ready"}, 0, "", 2},
		{"not what is done", {T1 S5 ".ready", T1 S6 ".done", T1 S7 ".ready"}, 64, T1 S7, 2},
		{"not what comes before it", {T1 "0000000000000004.ready", T1 S5 ".ready"}, 64, "", 2},
		{"not another timeline", {T1 S5 ".ready", T2 S6 ".ready"}, 64, "", 2},
		{"nothing while a history waits", {T1 S5 ".ready", T1 S6 ".ready", T2 ".history.ready"}, 64, "", 3},
		{"no backup or partial",
	     {T1 S5 ".ready", T1 S6 ".00000028.backup.ready", T1 S6 ".partial.ready", T1 S7 ".ready"},
	     64,
	     T1 S7,
	     4},
		{"junk is left alone",
	     {".ready", "RECOVERYXLOG.ready", T1 S5 ".ready", T1 S6 ".ready.tmp", T1 S6 "00.ready",
	      T1 S7 ".READY", "00000001000000000000000g.ready"},
	     64,
	     "",
	     1},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_STRLIST statuses = {0};
		AUTO_READY ready = {0};
		AUTO_FREE char *follows = NULL;
		WalName name = segment(T1 S5);

		for (size_t k = 0; k < lengthof(cases[i].statuses) && cases[i].statuses[k] != NULL; k++)
			strlist_add(&statuses, cases[i].statuses[k]);
		strlist_sort(&statuses);
		ready_files_choose(&statuses, &name, cases[i].most, &ready);
		follows = join(&ready.follows);
		if (strcmp(follows, cases[i].follows) != 0 || ready.waiting != cases[i].waiting)
			fail_msg("%s: \"%s\" follows, %zu wait", cases[i].name, follows, ready.waiting);
	}
}

static void
without_a_status_directory_nothing_is_known(void **state)
{
	AUTO_READY ready = {0};
	WalName name = segment(T1 S5);
	AUTO(Error) error = ready_files_list("/nowhere/pg_wal", &name, 64, &ready);

	(void) state;
	assert_true(error_is(error, ERR_NOT_FOUND));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_of_the_same_timeline_follow_in_the_archivers_order),
		cmocka_unit_test(without_a_status_directory_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
