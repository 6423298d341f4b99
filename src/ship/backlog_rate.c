/* When a backlog is compressed less; see walship/ship/backlog_rate.h. */
#include "walship/ship/backlog_rate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/archive/timeline_note.h"
#include "walship/base/mem.h"

/*
 * Less compression saves 40 % of the time of making a segment, and makes it a fifth
 * longer (brotli 0 beside 2 on WAL, measured; zstd gains less and costs less).
 * Sending longer than twice the time of making would eat the gain up.  In a hurry
 * the same store looks slower, for more bytes are sent and made in less time: then
 * the same limit is at twice as much, or the two would follow each other for ever.
 */
#define SENDING_PER_MAKING         2
#define SENDING_PER_MAKING_HURRIED 4

void
backlog_rate_add(BacklogRate *rate, bool hurried, int64_t making_ms, int64_t sending_ms)
{
	if (hurried != rate->hurried)
		*rate = (BacklogRate){.hurried = hurried};
	rate->making_ms = rate->making_ms / 2 + making_ms;
	rate->sending_ms = rate->sending_ms / 2 + sending_ms;
}

bool
backlog_rate_hurries(const BacklogRate *rate)
{
	return rate->sending_ms <=
	       (rate->hurried ? SENDING_PER_MAKING_HURRIED : SENDING_PER_MAKING) * rate->making_ms;
}

BacklogRate
backlog_rate_noted(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
{
	AUTO_STATE_NOTE note = timeline_note(state_dir, "backlog-rate", archive, timeline);
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);
	BacklogRate rate = {0};
	char codec[16];
	int hurried;

	if (!state_note_read(&note, &text) ||
	    sscanf(text.data, "codec %15s hurried %1d making_ms %9" SCNd64 " sending_ms %9" SCNd64, codec,
	           &hurried, &rate.making_ms, &rate.sending_ms) != 4 ||
	    strcmp(codec, codec_name(archive->compression.codec)) != 0 || hurried < 0 || rate.making_ms < 0 ||
	    rate.sending_ms < 0)
		return (BacklogRate){0};
	rate.hurried = hurried > 0;
	return rate;
}

Error *
backlog_rate_note(const char *state_dir, const WalArchive *archive, TimeLineID timeline,
                  const BacklogRate *rate)
{
	AUTO_STATE_NOTE note = timeline_note(state_dir, "backlog-rate", archive, timeline);
	AUTO_FREE char *text =
		mem_printf("codec %s\nhurried %d\nmaking_ms %" PRId64 "\nsending_ms %" PRId64 "\n",
	               codec_name(archive->compression.codec), rate->hurried, rate->making_ms, rate->sending_ms);

	return state_note_write(&note, text);
}
