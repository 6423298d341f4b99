/* How much a backlog is compressed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "walship/archive/pace.h"
#include "walship/base/mem.h"

#define NOTES_MOST 8

typedef struct Row
{
	const char *name;
	int64_t making_ms[NOTES_MOST]; /* up to the first 0 */
	int64_t sending_ms[NOTES_MOST];
	bool hurries;
} Row;

static const Row rows[] = {
	{"before anything is known it hurries", {0}, {0}, true},
	{"a near store lets it hurry", {60}, {40}, true},
	{"as far as it gains", {60}, {120}, true},
	{"a far store does not", {60}, {121}, false},
	{"a slow one does not", {50, 50}, {900, 1100}, false},
	{"one late answer among many is no slow store", {60, 60, 60, 60, 60}, {30, 30, 30, 200, 30}, true},
	{"a store that becomes slow is noticed", {60, 60, 60, 60}, {30, 30, 900, 900}, false},
	{"and one that recovers", {60, 60, 60, 60, 60, 60, 60}, {900, 900, 30, 30, 30, 30, 30}, true},
};

static void
a_backlog_is_hurried_while_the_processor_is_what_takes_the_time(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		const Row *row = &rows[i];
		Pace pace = {0};

		for (size_t k = 0; k < NOTES_MOST && row->making_ms[k] > 0; k++)
			pace_note(&pace, row->making_ms[k], row->sending_ms[k]);
		if (pace_hurries(&pace) != row->hurries)
			fail_msg("%s", row->name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backlog_is_hurried_while_the_processor_is_what_takes_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
