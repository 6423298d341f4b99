/* Timeline history files. */
#include "walship/wal/history.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"

/* No server gets near it; it bounds what a strange file can make us allocate. */
#define ANCESTORS_MAX 100000
#define FIELD_MAX     32

typedef struct Line
{
	const char *at;
	const char *end;
} Line;

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void
skip_blanks(Line *line)
{
	while (line->at < line->end && is_blank(*line->at))
		line->at++;
}

/* The next word of the line as a string; empty when there is none or it is too long to be meant. */
static void
next_word(Line *line, char word[FIELD_MAX])
{
	size_t size = 0;

	skip_blanks(line);
	while (line->at + size < line->end && !is_blank(line->at[size]))
		size++;
	word[0] = '\0';
	if (size < FIELD_MAX && memchr(line->at, '\0', size) == NULL)
	{
		memcpy(word, line->at, size);
		word[size] = '\0';
	}
	line->at += size;
}

static Error *
parse_line(Line line, TimelineSwitch *ret_switch)
{
	char word[FIELD_MAX];
	uint64_t timeline;

	next_word(&line, word);
	if (!str_to_uint64(word, &timeline) || timeline == 0 || timeline > UINT32_MAX)
		return error_new(ERR_CORRUPT, "expected a timeline number");
	next_word(&line, word);
	if (!lsn_parse(word, &ret_switch->switch_lsn))
		return error_new(ERR_CORRUPT, "expected the WAL location of a timeline switch");
	ret_switch->timeline = (TimeLineID) timeline;
	return NULL;
}

static Error *
check_order(const TimelineHistory *history, const TimelineSwitch *next)
{
	if (history->n_ancestors == ANCESTORS_MAX)
		return error_new(ERR_CORRUPT, "more than %d timelines", ANCESTORS_MAX);
	if (history->n_ancestors > 0 && next->timeline <= history->ancestors[history->n_ancestors - 1].timeline)
		return error_new(ERR_CORRUPT, "timelines do not increase");
	if (next->timeline >= history->timeline)
		return error_new(ERR_CORRUPT, "timeline %" PRIu32 " is not below the file's own, %" PRIu32,
		                 next->timeline, history->timeline);
	return NULL;
}

static Error *
parse_lines(TimelineHistory *history, const char *text, size_t size, const char *name)
{
	const char *end = text + size;
	size_t capacity = 0;

	for (int number = 1; text < end; number++)
	{
		const char *newline = memchr(text, '\n', (size_t) (end - text));
		Line line = {.at = text, .end = newline == NULL ? end : newline};
		TimelineSwitch next;

		text = newline == NULL ? end : newline + 1;
		skip_blanks(&line);
		if (line.at == line.end || *line.at == '#')
			continue;
		TRY(error_context(parse_line(line, &next), "\"%s\" line %d", name, number));
		TRY(error_context(check_order(history, &next), "\"%s\" line %d", name, number));
		GROW(history->ancestors, history->n_ancestors, capacity);
		history->ancestors[history->n_ancestors++] = next;
	}
	return NULL;
}

Error *
timeline_history_parse(TimeLineID timeline, const char *text, size_t size, const char *name,
                       TimelineHistory **ret_history)
{
	AUTO(TimelineHistory) history = timeline_history_root(timeline);

	if (size > 0)
		TRY(parse_lines(history, text, size, name));

	/*
	 * A recovery along timeline 2 that stops before 2 had left 1 makes timeline 3 a
	 * child of 2 all the same (PostgreSQL: xlog.c, StartupXLOG gives
	 * recoveryTargetTLI as the parent), switching at an earlier place than 2 itself.
	 * The server resolves it by looking at the newest timeline first
	 * (tliOfPointInHistory): nothing of an ancestor counts from where a descendant
	 * begins.  Written down once here, every question below is a plain comparison.
	 */
	for (size_t i = history->n_ancestors; i-- > 1;)
		if (history->ancestors[i - 1].switch_lsn > history->ancestors[i].switch_lsn)
			history->ancestors[i - 1].switch_lsn = history->ancestors[i].switch_lsn;
	*ret_history = MOVE(history);
	return NULL;
}

TimelineHistory *
timeline_history_root(TimeLineID timeline)
{
	TimelineHistory *history = NEW(TimelineHistory);

	history->timeline = timeline;
	return history;
}

void
timeline_history_free(TimelineHistory *history)
{
	if (history == NULL)
		return;
	free(history->ancestors);
	free(history);
}

TimeLineID
timeline_history_at(const TimelineHistory *history, XLogRecPtr lsn)
{
	for (size_t i = 0; i < history->n_ancestors; i++)
		if (lsn < history->ancestors[i].switch_lsn)
			return history->ancestors[i].timeline;
	return history->timeline;
}

/* Position among the ancestors, n_ancestors for the path's own timeline. */
static bool
find(const TimelineHistory *history, TimeLineID timeline, size_t *ret_position)
{
	for (size_t i = 0; i < history->n_ancestors; i++)
	{
		if (history->ancestors[i].timeline != timeline)
			continue;
		*ret_position = i;
		return true;
	}
	*ret_position = history->n_ancestors;
	return timeline == history->timeline;
}

bool
timeline_history_end_of(const TimelineHistory *history, TimeLineID timeline, XLogRecPtr *ret_end)
{
	size_t position;

	if (!find(history, timeline, &position))
		return false;
	*ret_end = position == history->n_ancestors ? UINT64_MAX : history->ancestors[position].switch_lsn;
	return true;
}

bool
timeline_history_begin_of(const TimelineHistory *history, TimeLineID timeline, XLogRecPtr *ret_begin)
{
	size_t position;

	if (!find(history, timeline, &position))
		return false;
	*ret_begin = position == 0 ? 0 : history->ancestors[position - 1].switch_lsn;
	return true;
}
