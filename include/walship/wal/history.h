/*
 * Timeline history files (PostgreSQL: timeline.c, readTimeLineHistory): one line
 * per ancestor, "parent TLI <tab> switch LSN <tab> reason".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "walship/base/error.h"
#include "walship/wal/lsn.h"

typedef struct TimelineSwitch
{
	TimeLineID timeline;   /* the ancestor */
	XLogRecPtr switch_lsn; /* its WAL counts up to, not including, this byte; never above the next one's */
} TimelineSwitch;

/* The way from the first timeline to "timeline". */
typedef struct TimelineHistory
{
	TimeLineID timeline;
	TimelineSwitch *ancestors; /* oldest first; owned */
	size_t n_ancestors;
} TimelineHistory;

/* "name" names the file in errors.  Timelines must increase and stay below the file's own. */
Error *timeline_history_parse(TimeLineID timeline, const char *text, size_t size, const char *name,
                              TimelineHistory **ret_history) MUST_CHECK;

/* Of a timeline without a history file, such as 1. */
TimelineHistory *timeline_history_root(TimeLineID timeline);
void timeline_history_free(TimelineHistory *history);
AUTO_DEFINE(TimelineHistory, timeline_history_free);

/* On which timeline lies the byte at "lsn", on the way to history->timeline? */
TimeLineID timeline_history_at(const TimelineHistory *history, XLogRecPtr lsn);

/*
 * Where "timeline" ends on this path: the switch LSN, or UINT64_MAX for the path's own last timeline.
 * False when it is not on the path.
 */
bool timeline_history_end_of(const TimelineHistory *history, TimeLineID timeline, XLogRecPtr *ret_end);

/* Where "timeline" begins on this path (0 for the first).  False when it is not on the path. */
bool timeline_history_begin_of(const TimelineHistory *history, TimeLineID timeline, XLogRecPtr *ret_begin);
