/*
 * Fetch, and what was fetched ahead.  Only a server's own calls take part: what
 * pg_rewind or a person asks for comes from the store.  Nothing here can make a
 * fetch fail: what does not work is left out, and said at log level debug.
 */
#pragma once

#include "command.h"
#include "walship/ship/prefetch.h"

typedef struct FetchAhead FetchAhead;

typedef struct FetchAheadOptions
{
	const Invocation *invocation;
	const char *data_directory; /* NULL when there is none */
	const char *dest;
	WalName name;
	const char *plan_end; /* a segment's name, or NULL */
	bool standby;
	int64_t limit_ms; /* monotonic: the call must have ended by then; 0: no such time */
} FetchAheadOptions;

/* NULL when this fetch is none of a server that recovers, or prefetch is off. */
FetchAhead *fetch_ahead_new(const FetchAheadOptions *options);

/* Takes the segment out of the window, or waits for it.  False: get it from the store.  Fails only when cancelled. */
Error *fetch_ahead_take(FetchAhead *ahead, bool *ret_taken) MUST_CHECK;

/* The server has the segment: the next ones are got ahead, by the prefetcher or, where there can be none, here and now. */
void fetch_ahead_go_on(FetchAhead *ahead);

void fetch_ahead_free(FetchAhead *ahead);
AUTO_DEFINE(FetchAhead, fetch_ahead_free);

/* The same window for whoever gets segments ahead. */
Error *fetch_ahead_window(const Settings *settings, const char *data_directory, PrefetchWindow **ret_window,
                          PrefetchPlace *ret_place) MUST_CHECK;
