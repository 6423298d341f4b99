/* When an object is read by more than one connection. */
#include "scratch.h"

#include "s3_ranges.h"

#define MB (UINT64_C(1000) * 1000)

typedef struct PaceRow
{
	const char *name;
	S3Pace pace;
	uint64_t left;
	bool pays;
} PaceRow;

static const PaceRow paces[] = {
	{"a connection of 40 MB/s, which is waited for", {250, 30, 10 * MB}, 300 * MB, true},
	{"little is left", {250, 30, 10 * MB}, 20 * MB, false},
	{"three ranges are enough", {250, 30, 10 * MB}, 3 * S3_RANGE_SIZE, true},
	{"and one byte less is not", {250, 30, 10 * MB}, 3 * S3_RANGE_SIZE - 1, false},
	{"what comes is worked on for half of the time", {250, 125, 10 * MB}, 300 * MB, false},
	{"for somewhat less", {250, 124, 10 * MB}, 300 * MB, true},
	{"it was not looked at for long enough", {249, 30, 10 * MB}, 300 * MB, false},
	{"a fast connection of a store", {250, 30, 22 * MB}, 300 * MB, true},
	{"it has what is left sooner than another one begins", {250, 30, 22 * MB}, 40 * MB, false},
	{"as fast as any of a store", {250, 30, 25 * MB}, 300 * MB, true},
	{"faster", {250, 30, 26 * MB}, 300 * MB, false},
	{"a link that is slow itself", {1000, 0, MB}, 300 * MB, false},
	{"somewhat faster", {1000, 0, 2 * MB}, 300 * MB, true},
	{"after a pause, by one piece", {60000, 0, 60 * MB}, 300 * MB, false},
	{"nothing came", {250, 0, 0}, 300 * MB, false},
	{"no time", {0, 0, 10 * MB}, 300 * MB, false},
	{"more than any object", {250, 0, 10 * MB}, UINT64_MAX, true},
};

static void
more_connections_read_where_one_is_the_limit_and_much_is_left(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(paces); i++)
		if (s3_ranges_pay(&paces[i].pace, paces[i].left) != paces[i].pays)
			fail_msg("%s", paces[i].name);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_connections_read_where_one_is_the_limit_and_much_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
