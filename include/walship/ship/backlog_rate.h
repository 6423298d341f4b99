/*
 * Is a backlog of segments emptied faster with less compression?  As long as it is
 * the processor that takes the time; where the way to the store does, more bytes
 * only make it longer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/archive/wal_object.h"

/* Zero when nothing is known: then it hurries. */
typedef struct BacklogRate
{
	int64_t making_ms; /* of the last segments, the newest counting most */
	int64_t sending_ms;
	bool hurried; /* they were compressed less */
} BacklogRate;

/* A segment was read and compressed in the one time, and stored in the other. */
void backlog_rate_add(BacklogRate *rate, bool hurried, int64_t making_ms, int64_t sending_ms);

bool backlog_rate_hurries(const BacklogRate *rate);

/* What the pushes before have found out with the same codec, for a push is soon over; nothing, where that is lost. */
BacklogRate backlog_rate_noted(const char *state_dir, const WalArchive *archive, TimeLineID timeline);
Error *backlog_rate_note(const char *state_dir, const WalArchive *archive, TimeLineID timeline,
                         const BacklogRate *rate) MUST_CHECK;
