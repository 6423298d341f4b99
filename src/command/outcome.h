/* What became of a command, told to whom the setting "notify" names; and "heartbeat_url", which is pinged while all is well. */
#pragma once

#include "command.h"

/* The heartbeat's start, of a command whose end it will be told: sent beside the work. */
void outcome_begin(Invocation *invocation);

/*
 * After everything else was said and done: whatever becomes of the message, the
 * command has ended with this status.  It takes NOTIFY_FIRST_MS at most for each of the two, and of a push
 * nothing but the reading and writing of a note, but where no other process can do it.
 */
void outcome_tell(Invocation *invocation, const Error *error, int status);
