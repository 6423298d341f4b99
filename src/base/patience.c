/* What a patience allows. */
#include "walship/base/patience.h"

#include "walship/base/cancel.h"
#include "walship/base/clock.h"

#define STOP_STEP_MS        100 /* between two looks at "stop" and "in_a_hurry" */
#define LAST_PAUSE_LEAST_MS 500 /* sooner after the attempt before there is no reason for another */

static Error *
check_stop(const Patience *patience)
{
	if (patience->stop != NULL && atomic_load(patience->stop))
		return error_new(ERR_CANCELLED, "given up, for it is not needed any more");
	return patience->even_when_cancelled ? NULL : cancel_check();
}

Error *
patience_check(const Patience *patience)
{
	TRY(check_stop(patience));
	if (patience->abort_at_ms != 0 && clock_monotonic_ms() >= patience->abort_at_ms)
		return error_new(ERR_TRANSIENT, "not finished in time");
	return NULL;
}

bool
patience_hurries(const Patience *patience)
{
	return patience->in_a_hurry != NULL && patience->in_a_hurry(patience->hurry_context);
}

/* After this moment no attempt begins; INT64_MAX: no such moment. */
static int64_t
last_attempt_ms(const Patience *patience, int64_t began_at_ms)
{
	int64_t last_ms = INT64_MAX;

	if (patience->retry_ms != 0)
		last_ms = began_at_ms + patience->retry_ms;
	if (patience->retry_until_ms != 0 && patience->retry_until_ms < last_ms)
		last_ms = patience->retry_until_ms;
	return last_ms;
}

bool
patience_allows_retry(const Patience *patience, int made, int64_t began_at_ms, int64_t next_at_ms)
{
	return (patience->attempts == 0 || made < patience->attempts) &&
	       next_at_ms < last_attempt_ms(patience, began_at_ms) &&
	       (patience->abort_at_ms == 0 || next_at_ms < patience->abort_at_ms) && !patience_hurries(patience);
}

int64_t
patience_fit_pause_ms(const Patience *patience, int64_t began_at_ms, int64_t now_ms, int64_t pause_ms)
{
	int64_t left_ms = last_attempt_ms(patience, began_at_ms) - now_ms;

	return pause_ms >= left_ms && left_ms >= LAST_PAUSE_LEAST_MS ? left_ms - 1 : pause_ms;
}

Error *
patience_sleep_ms(const Patience *patience, int64_t ms)
{
	int64_t until_ms = clock_monotonic_ms() + ms;
	bool looks = patience->stop != NULL || patience->in_a_hurry != NULL;

	for (int64_t left_ms = ms; left_ms > 0; left_ms = until_ms - clock_monotonic_ms())
	{
		TRY(check_stop(patience));
		if (patience_hurries(patience))
			return error_new(ERR_TRANSIENT, "given up, for there is no time for another attempt");
		TRY(cancel_sleep_ms(looks && left_ms > STOP_STEP_MS ? STOP_STEP_MS : left_ms));
	}
	return NULL;
}
