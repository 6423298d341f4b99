/* When a backlog is compressed less; see walship/archive/pace.h. */
#include "walship/ship/pace.h"

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

Pace
pace_noted(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
{
	AUTO_STATE_NOTE note = timeline_note(state_dir, "pace", archive, timeline);
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);
	Pace pace = {0};

	if (!state_note_read(&note, &text) ||
	    sscanf(text.data, "making_ms %9" SCNd64 " sending_ms %9" SCNd64, &pace.making_ms, &pace.sending_ms) !=
	        2 ||
	    pace.making_ms < 0 || pace.sending_ms < 0)
		return (Pace){0};
	return pace;
}

Error *
pace_keep(const char *state_dir, const WalArchive *archive, TimeLineID timeline, const Pace *pace)
{
	AUTO_STATE_NOTE note = timeline_note(state_dir, "pace", archive, timeline);
	AUTO_FREE char *text =
		mem_printf("making_ms %" PRId64 "\nsending_ms %" PRId64 "\n", pace->making_ms, pace->sending_ms);

	return state_note_write(&note, text);
}
