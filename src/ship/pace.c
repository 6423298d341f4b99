/* When a backlog is compressed less; see walship/archive/pace.h. */
#include "walship/ship/pace.h"

#include <inttypes.h>
#include <string.h>

#include "walship/archive/timeline_note.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define NOTE_SIZE_MAX 64

/* No segment takes a day. */
#define TIME_MOST_MS 86400000

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

/* "MAKING SENDING\n" */
static bool
parse_note(char *text, Pace *ret_pace)
{
	char *second = strchr(text, ' ');
	uint64_t making_ms;
	uint64_t sending_ms;

	if (second == NULL)
		return false;
	*second++ = '\0';
	second[strcspn(second, "\n")] = '\0';
	if (!str_to_uint64(text, &making_ms) || !str_to_uint64(second, &sending_ms) || making_ms > TIME_MOST_MS ||
	    sending_ms > TIME_MOST_MS)
		return false;
	*ret_pace = (Pace){.making_ms = (int64_t) making_ms, .sending_ms = (int64_t) sending_ms};
	return true;
}

Pace
pace_noted(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
{
	AUTO_FREE char *path = timeline_note_path(state_dir, "pace", archive, timeline);
	AUTO_BUF(text, NOTE_SIZE_MAX);
	AUTO(Error) error = file_read_all(path, &text);
	Pace pace = {0};

	if (error == NULL && text.size > 0)
		(void) parse_note(text.data, &pace);
	return pace;
}

Error *
pace_keep(const char *state_dir, const WalArchive *archive, TimeLineID timeline, const Pace *pace)
{
	AUTO_FREE char *path = timeline_note_path(state_dir, "pace", archive, timeline);
	AUTO_FREE char *text = mem_printf("%" PRId64 " %" PRId64 "\n", pace->making_ms, pace->sending_ms);

	return file_replace_unsynced(path, text, strlen(text), 0600);
}
