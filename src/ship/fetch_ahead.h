/*
 * Fetch, and what was fetched ahead.  Only a server's own calls take part: what
 * pg_rewind or a person asks for comes from the store.  Nothing here can make a
 * fetch fail: what does not work is left out, and said at log level debug.
 */
#pragma once

#include "walship/ship/fetch.h"
#include "walship/ship/prefetch.h"

/* A standby asks again by itself, and its promotion waits for us: one attempt, and all that is done in it. */
#define FETCH_STANDBY_MS 5000

typedef struct FetchAhead FetchAhead;

/* NULL when this fetch is none of a server that recovers, or prefetch is off. */
FetchAhead *fetch_ahead_new(const FetchOptions *options);

/* Takes the segment out of the window, or waits for it.  False: get it from the store.  Fails only when cancelled. */
Error *fetch_ahead_take(FetchAhead *ahead, bool *ret_taken) MUST_CHECK;

/* The server has the segment: the next ones are got ahead, by the prefetcher or, where there can be none, here and now. */
void fetch_ahead_go_on(FetchAhead *ahead);

void fetch_ahead_free(FetchAhead *ahead);
AUTO_DEFINE(FetchAhead, fetch_ahead_free);

/* The same window for whoever gets segments ahead. */
Error *fetch_ahead_window(const FetchSource *source, PrefetchWindow **ret_window, uint32_t *ret_segment_size)
	MUST_CHECK;
