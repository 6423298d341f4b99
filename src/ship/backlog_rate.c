/* When a backlog is compressed less; see walship/ship/backlog_rate.h. */
#include "walship/ship/backlog_rate.h"

#include <inttypes.h>
#include <stdio.h>

#include "walship/archive/timeline_note.h"
#include "walship/base/mem.h"

/*
 * The level for a backlog saves 40 % of the time of making a segment, and makes
 * it a fifth longer (brotli 0 beside 2 on WAL, measured; zstd 1 beside 2 gains
 * less and costs less).  Sending longer than twice the time of making would eat
 * the gain up.
 */
#define SENDING_PER_MAKING 2

void
backlog_rate_add(BacklogRate *rate, int64_t making_ms, int64_t sending_ms)
{
	rate->making_ms = rate->making_ms / 2 + making_ms;
	rate->sending_ms = rate->sending_ms / 2 + sending_ms;
}

bool
backlog_rate_hurries(const BacklogRate *rate)
{
	return rate->sending_ms <= SENDING_PER_MAKING * rate->making_ms;
}

BacklogRate
backlog_rate_noted(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
{
	AUTO_STATE_NOTE note = timeline_note(state_dir, "backlog-rate", archive, timeline);
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);
	BacklogRate rate = {0};

	if (!state_note_read(&note, &text) ||
	    sscanf(text.data, "making_ms %9" SCNd64 " sending_ms %9" SCNd64, &rate.making_ms, &rate.sending_ms) !=
	        2 ||
	    rate.making_ms < 0 || rate.sending_ms < 0)
		return (BacklogRate){0};
	return rate;
}

Error *
backlog_rate_note(const char *state_dir, const WalArchive *archive, TimeLineID timeline,
                  const BacklogRate *rate)
{
	AUTO_STATE_NOTE note = timeline_note(state_dir, "backlog-rate", archive, timeline);
	AUTO_FREE char *text =
		mem_printf("making_ms %" PRId64 "\nsending_ms %" PRId64 "\n", rate->making_ms, rate->sending_ms);

	return state_note_write(&note, text);
}
