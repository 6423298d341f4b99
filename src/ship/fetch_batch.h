/* A few segments ahead within the call, where no process can stay behind. */
#pragma once

#include "walship/ship/fetch.h"
#include "walship/ship/prefetch.h"

/*
 * Gets what the server asks for after message->got into the window, side by side
 * and within a short time, for the server waits for it; never beyond "limit_ms" of
 * clock_monotonic_ms(), if that is not 0.
 */
Error *fetch_batch(const FetchSource *source, const PrefetchWindow *window, uint32_t segment_size,
                   const PrefetchMessage *message, int64_t limit_ms) MUST_CHECK;
