/*
 * The process that gets segments ahead of a recovery.  Fetch starts it, with the
 * window's lock and FIFO as descriptors 3 and 4; by the FIFO it hears how far the
 * server is.  Nobody waits for it and nobody reads its exit status.
 */
#pragma once

#include "walship/ship/fetch.h"

/* Returns when it hears nothing for a while, or the recovery is over. */
Error *prefetcher_run(const FetchSource *source) MUST_CHECK;
