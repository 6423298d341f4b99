/* When a backlog is compressed less; see walship/archive/pace.h. */
#include "walship/archive/pace.h"

/*
 * The level for a backlog saves 40 % of the time of making a segment, and makes
 * it a fifth longer (brotli 0 beside 2 on WAL, measured; zstd 1 beside 2 gains
 * less and costs less).  Sending longer than twice the time of making would eat
 * the gain up.
 */
#define SENDING_PER_MAKING 2

void
pace_note(Pace *pace, int64_t making_ms, int64_t sending_ms)
{
	pace->making_ms = pace->making_ms / 2 + making_ms;
	pace->sending_ms = pace->sending_ms / 2 + sending_ms;
}

bool
pace_hurries(const Pace *pace)
{
	return pace->sending_ms <= SENDING_PER_MAKING * pace->making_ms;
}
