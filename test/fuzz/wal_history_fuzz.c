/* Timeline history: every byte of the WAL lies on exactly the timeline whose bounds hold it. */
#include "fuzz.h"
#include "walship/wal/history.h"

static void
check(const TimelineHistory *history, TimeLineID timeline)
{
	XLogRecPtr begin;
	XLogRecPtr end;

	must(timeline_history_begin_of(history, timeline, &begin));
	must(timeline_history_end_of(history, timeline, &end));
	must(begin <= end);
	if (begin == end)
		return;
	must(timeline_history_at(history, begin) == timeline);
	must(timeline_history_at(history, end - 1) == timeline);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(TimelineHistory) history = NULL;
	TimeLineID own = size > 0 ? data[0] : 1;
	AUTO(Error) error = timeline_history_parse(own, (const char *) data, size, "00000009.history", &history);

	if (error != NULL)
		return 0;
	for (size_t i = 0; i < history->n_ancestors; i++)
		check(history, history->ancestors[i].timeline);
	check(history, history->timeline);
	return 0;
}
