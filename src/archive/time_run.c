/* Runs of time_high, and the note that carries one from push to push. */
#include "walship/archive/time_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/archive/timeline_note.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

static const TimeRun no_run = {.high = TIME_NONE};

static TimeUs
later(TimeUs a, TimeUs b)
{
	if (a == TIME_NONE || b == TIME_NONE)
		return a == TIME_NONE ? b : a;
	return a > b ? a : b;
}

static void
take_continued(void *context, const WalEvent *event)
{
	WalIndex *index = context;

	if (event->kind == WAL_EVENT_COMMIT || event->kind == WAL_EVENT_ABORT)
		index->time_high = later(index->time_high, event->time);
	if (event->kind == WAL_EVENT_TABLESPACE_CREATED)
		index->continues_tablespace = true;
}

static bool
creates_tablespace(const WalIndex *index)
{
	bool creates = index->continues_tablespace || index->n_tablespaces > WAL_INDEX_TABLESPACES_MAX;

	for (size_t i = 0; i < index->n_tablespaces && !creates; i++)
		creates = index->tablespaces[i].created;
	return creates;
}

void
time_run_join(const TimeRun *run, WalIndex *index)
{
	bool follows = run->end == index->start_lsn && run->end != InvalidXLogRecPtr &&
	               run->timeline == index->timeline && run->segment_size == index->segment_size;

	if (!index->walked)
		return;
	index->time_high = index->max_time;
	index->time_high_since = index->start_lsn;
	index->quiet_since = wal_index_is_quiet(index) ? index->start_lsn : InvalidXLogRecPtr;
	if (follows && run->quiet_since != InvalidXLogRecPtr && index->quiet_since != InvalidXLogRecPtr)
		index->quiet_since = run->quiet_since;
	if (follows && run->has_sha256)
	{
		index->has_previous = true;
		memcpy(index->previous, run->sha256, SHA256_SIZE);
	}

	/* Nor behind one of 0.1.0, which has no digest: of tablespaces that are created in it nobody knows. */
	if (!follows || run->since == InvalidXLogRecPtr || !run->has_sha256)
		return;

	/* Of what goes on here nothing is to be learnt, or more than a head holds: two KiB of digits for nobody. */
	if (run->tail.size == 0)
		index->walk.head.size = 0;
	index->time_high = later(run->high, index->max_time);
	index->time_high_since = run->since;
	(void) wal_edge_join(&run->tail, &index->walk.head, index->major, InvalidXLogRecPtr, index->start_lsn,
	                     take_continued, index);
}

TimeRun
time_run_after(const WalIndex *index)
{
	const WalWalkResult *walk = &index->walk;

	TimeRun run = {.timeline = index->timeline,
	               .segment_size = index->segment_size,
	               .end = index->end_lsn,
	               .high = TIME_NONE,
	               .quiet_since = index->quiet_since,
	               .has_sha256 = true};

	if (!index->walked)
		return no_run;
	memcpy(run.sha256, index->sha256, SHA256_SIZE);
	if (index->time_high_since == InvalidXLogRecPtr || walk->damaged_at != InvalidXLogRecPtr ||
	    walk->wal_end < index->end_lsn || index->parameter_change || creates_tablespace(index))
		return run;
	run.since = index->time_high_since;
	run.high = index->time_high;
	run.tail = walk->tail;
	return run;
}

TimeRun
time_run_noted(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
{
	AUTO_STATE_NOTE note = timeline_note(state_dir, "times", archive, timeline);
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);
	TimeRun run = {.timeline = timeline};
	char since[LSN_TEXT_SIZE];
	char end[LSN_TEXT_SIZE];
	char sha256[SHA256_TEXT_SIZE] = "";
	char quiet[LSN_TEXT_SIZE] = "0/0";
	int tail_at = 0;

	if (!state_note_read(&note, &text) ||
	    sscanf(text.data, "segment_size %10" SCNu32 " since %17s end %17s high %20" SCNd64 " tail:%n",
	           &run.segment_size, since, end, &run.high, &tail_at) != 4 ||
	    tail_at == 0)
		return no_run;

	char *tail = text.data + tail_at;

	size_t length = strcspn(tail, "\n");

	/* A note of 0.1.0 ends with the tail. */
	(void) sscanf(tail + length, "\nsha256:%64[0-9a-f]\nquiet %17s", sha256, quiet);
	run.has_sha256 = hex_decode(sha256, run.sha256, sizeof(run.sha256));
	tail[length] = '\0';
	run.tail.size = run.tail.length = (uint32_t) (strlen(tail) / 2);
	if (run.tail.size > WAL_EDGE_MAX || !hex_decode(tail, run.tail.bytes, run.tail.size) ||
	    !lsn_parse(since, &run.since) || !lsn_parse(end, &run.end) || !lsn_parse(quiet, &run.quiet_since))
		return no_run;
	if (run.since == InvalidXLogRecPtr && !run.has_sha256)
		return no_run;
	if (!wal_segment_size_is_valid(run.segment_size) || run.since >= run.end ||
	    run.since % run.segment_size != 0 || run.end % run.segment_size != 0 || run.quiet_since >= run.end ||
	    run.quiet_since % run.segment_size != 0)
		return no_run;
	return run;
}

Error *
time_run_note(const char *state_dir, const WalArchive *archive, TimeLineID timeline, const TimeRun *run)
{
	AUTO_STATE_NOTE note = timeline_note(state_dir, "times", archive, timeline);
	char tail[2 * WAL_EDGE_MAX + 1] = "";
	char sha256[SHA256_TEXT_SIZE];
	char since[LSN_TEXT_SIZE];
	char end[LSN_TEXT_SIZE];
	char quiet[LSN_TEXT_SIZE];
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);

	if (run->end == InvalidXLogRecPtr)
		return state_note_remove(&note);
	hex_encode(run->tail.bytes, run->tail.size, tail);
	hex_encode(run->sha256, sizeof(run->sha256), sha256);
	buf_printf(&text, "segment_size %" PRIu32 "\nsince %s\nend %s\nhigh %" PRId64 "\ntail:%s\n",
	           run->segment_size, lsn_format(run->since, since), lsn_format(run->end, end), run->high, tail);

	/* Behind what 0.1.0 reads of a note. */
	if (run->has_sha256)
		buf_printf(&text, "sha256:%s\n", sha256);
	if (run->has_sha256 && run->quiet_since != InvalidXLogRecPtr)
		buf_printf(&text, "quiet %s\n", lsn_format(run->quiet_since, quiet));
	return state_note_write(&note, text.data);
}
