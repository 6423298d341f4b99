/* Errors as values, and pauses between attempts. */
#include "walship/base/error.h"

#include <errno.h>

#include "scratch.h"
#include "walship/base/retry.h"

static void
messages_are_built_from_context_and_reason(void **state)
{
	(void) state;
	AUTO(Error) error = error_new(ERR_CORRUPT, "page %d is %s", 7, "torn");

	error = error_context(error, "file \"%s\"", "x");
	error = error_context(error, "backup \"%s\"", "y");
	assert_string_equal(error_message(error), "backup \"y\": file \"x\": page 7 is torn");
	assert_null(error_get_hint(error));
	assert_int_equal(error_kind(error), ERR_CORRUPT);
}

static void
the_last_hint_stays_and_context_keeps_it(void **state)
{
	(void) state;
	AUTO(Error) error = error_hint(error_new(ERR_USAGE, "no"), "First %d.", 1);

	error = error_context(error_hint(error, "Second %d.", 2), "at the door");
	assert_string_equal(error_get_hint(error), "Second 2.");
	assert_string_equal(error_message(error), "at the door: no");
}

static void
success_passes_through_everything(void **state)
{
	(void) state;
	assert_null(error_context(NULL, "x"));
	assert_null(error_hint(NULL, "x"));
	assert_false(error_is(NULL, ERR_NOT_FOUND));
	error_free(NULL);
}

static void
an_errno_is_never_taken_for_certain_absence(void **state)
{
	static const struct
	{
		int number;
		ErrorKind kind;
		const char *message;
	} rows[] = {
		{ENOENT, ERR_SYSTEM, "could not open \"x\": No such file or directory"},
		{EACCES, ERR_DENIED, "could not open \"x\": Permission denied"},
		{EPERM, ERR_DENIED, "could not open \"x\": Operation not permitted"},
		{EROFS, ERR_DENIED, "could not open \"x\": Read-only file system"},
		{ENOSPC, ERR_SYSTEM, "could not open \"x\": No space left on device"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		errno = rows[i].number;
		AUTO(Error) error = error_errno("could not open \"%s\"", "x");

		assert_int_equal(error_kind(error), rows[i].kind);
		assert_string_equal(error_message(error), rows[i].message);
	}
}

static Error *
try_twice(Error *first, int *ret_reached)
{
	TRY(first);
	*ret_reached = 1;
	TRY(error_new(ERR_TRANSIENT, "second"));
	*ret_reached = 2;
	return NULL;
}

static void
try_returns_the_first_error_and_goes_on_without_one(void **state)
{
	int reached = 0;

	(void) state;
	assert_error(try_twice(error_new(ERR_DENIED, "first"), &reached), ERR_DENIED, "first");
	assert_int_equal(reached, 0);
	assert_error(try_twice(NULL, &reached), ERR_TRANSIENT, "second");
	assert_int_equal(reached, 1);
}

/* "random" of ceiling - 1 gives the longest pause, 0 the shortest. */
static void
pauses_grow_to_the_ceiling_and_are_never_zero(void **state)
{
	static const struct
	{
		const char *name;
		RetryPolicy policy;
		int attempt;
		int64_t ceiling;
	} rows[] = {
		{"the first", {200, 5000}, 0, 200},
		{"doubles", {200, 5000}, 1, 400},
		{"doubles again", {200, 5000}, 4, 3200},
		{"is cut at the most", {200, 5000}, 5, 5000},
		{"stays there", {200, 5000}, INT32_MAX, 5000},
		{"a negative attempt is the first", {200, 5000}, -1, 200},
		{"first above most", {9000, 5000}, 0, 5000},
		{"no overflow", {3, INT64_MAX}, 1000, INT64_MAX},
		{"one millisecond", {1, 1}, 9, 1},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		uint64_t ceiling = (uint64_t) rows[i].ceiling;
		uint64_t seed = i + 1;

		print_message("  %s\n", rows[i].name);
		assert_int_equal(retry_delay_ms(&rows[i].policy, rows[i].attempt, 0), 1);
		assert_int_equal(retry_delay_ms(&rows[i].policy, rows[i].attempt, ceiling - 1), ceiling);
		assert_int_equal(retry_delay_ms(&rows[i].policy, rows[i].attempt, ceiling), 1);
		for (int n = 0; n < 1000; n++)
		{
			int64_t delay = retry_delay_ms(&rows[i].policy, rows[i].attempt, scratch_random(&seed));

			assert_in_range(delay, 1, ceiling);
		}
	}
}

static void
a_policy_without_pauses_gives_none(void **state)
{
	static const RetryPolicy none[] = {{0, 5000}, {200, 0}, {-1, 5000}, {0, 0}};

	(void) state;
	for (size_t i = 0; i < lengthof(none); i++)
		assert_int_equal(retry_delay_ms(&none[i], INT32_MAX, 12345), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_built_from_context_and_reason),
		cmocka_unit_test(the_last_hint_stays_and_context_keeps_it),
		cmocka_unit_test(success_passes_through_everything),
		cmocka_unit_test(an_errno_is_never_taken_for_certain_absence),
		cmocka_unit_test(try_returns_the_first_error_and_goes_on_without_one),
		cmocka_unit_test(pauses_grow_to_the_ceiling_and_are_never_zero),
		cmocka_unit_test(a_policy_without_pauses_gives_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
