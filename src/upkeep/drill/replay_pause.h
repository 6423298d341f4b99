/* Holding the replay of a standby still, for as long as it takes to look at it. */
#pragma once

#include <stdbool.h>

#include "walship/pg/server.h"

typedef struct ReplayPause
{
	Server *server; /* not owned; of no other use until the pause has ended */
	bool ours;      /* nobody else had paused it before */
} ReplayPause;

/*
 * Pauses it unless it is paused, and waits until the server has noticed that.  ERR_DENIED: the
 * role may not; ERR_TRANSIENT: the server does not come to it.
 */
Error *replay_pause_begin(Server *server, ReplayPause *pause) MUST_CHECK;

/*
 * Where the replay stands, if it stands there still and for good since replay_pause_begin(), and nothing is half applied:
 * at the end of the last record.  Called again after snapshots were taken it has the same answer,
 * or these are of no use.
 */
Error *replay_pause_place(const ReplayPause *pause, XLogRecPtr *ret_lsn, TimeLineID *ret_timeline) MUST_CHECK;

/* Goes on, after a cancellation, too.  What others paused stays so: at a target, to go on would be to promote. */
void replay_pause_end(ReplayPause *pause);
#define AUTO_PAUSE __attribute__((cleanup(replay_pause_end))) ReplayPause
