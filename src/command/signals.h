/*
 * The signals of a walship process.  SIGTERM and SIGINT are blocked in every thread;
 * one thread waits for them and has everything given up (walship/base/cancel.h).
 * Only the program itself does this: what lies below command/ may run inside a
 * server's process, whose signals are the server's.
 */
#pragma once

#include "walship/base/error.h"

/* Once, before any other thread.  Until then signals kill, as always. */
Error *signals_init(void) MUST_CHECK;

/* Ends the process as SIGTERM or SIGINT would have done, if one came. */
void signals_die(void);
