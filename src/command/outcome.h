/* What became of a command, told to whom the setting "notify" names. */
#pragma once

#include "command.h"

/*
 * After everything else was said and done: whatever becomes of the message, the
 * command has ended with this status.  It takes NOTIFY_FIRST_MS at most, and of a push
 * nothing but the reading and writing of a note.
 */
void outcome_tell(const Invocation *invocation, const Error *error, int status);
