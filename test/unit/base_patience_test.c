/* What a patience allows, and what ends it. */
#include "scratch.h"
#include "walship/base/clock.h"
#include "walship/base/patience.h"

#define BEGAN 1000000

static const bool yes = true;
static const bool no = false;

static bool
as_it_is(const void *context)
{
	return *(const bool *) context;
}

static void
another_attempt_begins_within_every_limit_that_is_set(void **state)
{
	static const struct
	{
		const char *name;
		Patience patience;
		int made;
		int64_t next_at_ms;
		bool allowed;
	} rows[] = {
		{"no limit at all", {0}, 1000000, BEGAN + INT64_C(1000000000), true},
		{"the last attempt but one", {.attempts = 3}, 2, BEGAN, true},
		{"as many as may be", {.attempts = 3}, 3, BEGAN, false},
		{"the first was the only one", {.attempts = 1}, 1, BEGAN, false},
		{"within the span", {.retry_ms = 500}, 9, BEGAN + 499, true},
		{"at the end of the span", {.retry_ms = 500}, 1, BEGAN + 500, false},
		{"before the moment", {.retry_until_ms = BEGAN + 500}, 9, BEGAN + 499, true},
		{"at the moment", {.retry_until_ms = BEGAN + 500}, 1, BEGAN + 500, false},
		{"before it is all over", {.abort_at_ms = BEGAN + 500}, 9, BEGAN + 499, true},
		{"it would be over before it began", {.abort_at_ms = BEGAN + 500}, 1, BEGAN + 500, false},
		{"whoever waits has time", {.in_a_hurry = as_it_is, .hurry_context = &no}, 9, BEGAN, true},
		{"whoever waits is in a hurry", {.in_a_hurry = as_it_is, .hurry_context = &yes}, 1, BEGAN, false},
		{"one of several limits",
	     {.attempts = 9, .retry_ms = 900, .retry_until_ms = BEGAN + 300},
	     1,
	     BEGAN + 400,
	     false},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		bool allowed = patience_allows_retry(&rows[i].patience, rows[i].made, BEGAN, rows[i].next_at_ms);

		if (allowed != rows[i].allowed)
			fail_msg("%s", rows[i].name);
	}
}

static void
a_pause_that_would_go_past_the_last_attempt_ends_just_before_it(void **state)
{
	static const struct
	{
		const char *name;
		Patience patience;
		int64_t now_ms;
		int64_t pause_ms;
		int64_t fitted_ms;
	} rows[] = {
		{"no limit", {0}, BEGAN + 5000, 20000, 20000},
		{"of everything, not of attempts", {.abort_at_ms = BEGAN + 6000}, BEGAN + 5000, 20000, 20000},
		{"well within the span", {.retry_ms = 15000}, BEGAN + 4000, 10999, 10999},
		{"to its end", {.retry_ms = 15000}, BEGAN + 4000, 11000, 10999},
		{"past its end", {.retry_ms = 15000}, BEGAN + 4000, 12800, 10999},
		{"past the moment", {.retry_until_ms = BEGAN + 10000}, BEGAN + 4000, 12800, 5999},
		{"the nearer of two", {.retry_ms = 9000, .retry_until_ms = BEGAN + 10000}, BEGAN + 4000, 12800, 4999},
		{"half a second is left", {.retry_ms = 15000}, BEGAN + 14500, 9000, 499},
		{"less is left", {.retry_ms = 15000}, BEGAN + 14501, 9000, 9000},
		{"the last one was made", {.retry_ms = 15000}, BEGAN + 14999, 1, 1},
		{"it is over", {.retry_ms = 15000}, BEGAN + 15000, 9000, 9000},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		int64_t fitted_ms = patience_fit_pause_ms(&rows[i].patience, BEGAN, rows[i].now_ms, rows[i].pause_ms);

		if (fitted_ms != rows[i].fitted_ms)
			fail_msg("%s: %lld", rows[i].name, (long long) fitted_ms);
	}
}

static void
a_patience_ends_at_its_moment_or_when_it_is_stopped(void **state)
{
	atomic_bool stop = false;
	Patience patience = {.stop = &stop};

	(void) state;
	assert_ok(patience_check(&patience));
	patience.abort_at_ms = clock_monotonic_ms() + 60000;
	assert_ok(patience_check(&patience));
	patience.abort_at_ms = clock_monotonic_ms();
	assert_error(patience_check(&patience), ERR_TRANSIENT, "not finished in time");
	atomic_store(&stop, true);
	assert_error(patience_check(&patience), ERR_CANCELLED, NULL);
}

static void
a_pause_lasts_its_time_and_ends_early_when_stopped(void **state)
{
	atomic_bool stop = false;
	Patience patience = {.stop = &stop};
	int64_t began_ms = clock_monotonic_ms();

	(void) state;
	assert_ok(patience_sleep_ms(&patience, 30));
	assert_true(clock_monotonic_ms() - began_ms >= 30);
	atomic_store(&stop, true);
	began_ms = clock_monotonic_ms();
	assert_error(patience_sleep_ms(&patience, 60000), ERR_CANCELLED, NULL);
	assert_true(clock_monotonic_ms() - began_ms < 30000);
	patience = (Patience){.in_a_hurry = as_it_is, .hurry_context = &yes};
	assert_error(patience_sleep_ms(&patience, 60000), ERR_TRANSIENT, "no time for another attempt");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_attempt_begins_within_every_limit_that_is_set),
		cmocka_unit_test(a_pause_that_would_go_past_the_last_attempt_ends_just_before_it),
		cmocka_unit_test(a_patience_ends_at_its_moment_or_when_it_is_stopped),
		cmocka_unit_test(a_pause_lasts_its_time_and_ends_early_when_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
