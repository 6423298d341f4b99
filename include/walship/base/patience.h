/*
 * How long something outside of this process is waited for: one value, made where
 * the settings are read, and handed down to the socket.  0 is "no such limit".
 *
 * Names that end in _ms alone are spans of time; those that end in until_ms and
 * at_ms are moments, of clock_monotonic_ms().
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "walship/base/error.h"

typedef struct Patience
{
	/* Of one attempt. */
	int64_t connect_ms; /* for the name, the connection and TLS's handshake together */
	int64_t stall_ms;   /* it has failed when not even PATIENCE_LEAST_RATE came or went for so long */

	/* Of the attempts that follow one that failed.  Progress is a new beginning. */
	int attempts;           /* so many, with the first one */
	int64_t retry_ms;       /* none begins so long after the first one */
	int64_t retry_until_ms; /* none begins after this moment */
	int64_t
		unreached_ms; /* like retry_ms, while nothing there has ever answered: it may be the wrong address */

	/* Of everything, also of what is making progress. */
	int64_t abort_at_ms;
	/*
	 * Whoever waits is about to end, and cannot before this does: true from some
	 * moment on, by any thread that asks.  Then no other attempt begins, and one
	 * fails after PATIENCE_HURRIED_STALL_MS.  May be NULL.
	 */
	bool (*in_a_hurry)(const void *context);
	const void *hurry_context;

	const atomic_bool *stop;  /* ends like a cancellation once it is true; may be NULL */
	bool even_when_cancelled; /* for tidying up after a cancellation; have a limit, then */

	bool quiet; /* what fails on the way is for debuggers only: nobody waits for it */
} Patience;

#define PATIENCE_LEAST_RATE       (16 * 1024) /* bytes per second */
#define PATIENCE_HURRIED_STALL_MS 3000

/* While something is waited for: ERR_CANCELLED, or ERR_TRANSIENT when the time is over. */
Error *patience_check(const Patience *patience) MUST_CHECK;

/* May another attempt begin at this moment?  "made" were; the first of them, or the last progress, was then. */
bool patience_allows_retry(const Patience *patience, int made, int64_t began_at_ms, int64_t next_at_ms);

/*
 * A pause that was drawn at random, for the attempt after it: what would go past
 * the last moment for one ends just before that moment, so that it is not chance that
 * decides how much of the time is used.  Unchanged when that moment is near anyway.
 */
int64_t patience_fit_pause_ms(const Patience *patience, int64_t began_at_ms, int64_t now_ms,
                              int64_t pause_ms);

bool patience_hurries(const Patience *patience);

/* The pause before another attempt; ends early, with an error, when cancelled or stopped or in a hurry. */
Error *patience_sleep_ms(const Patience *patience, int64_t ms) MUST_CHECK;
