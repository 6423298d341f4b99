/*
 * Fetch, and what was fetched ahead.  Only a server's own calls take part: what
 * pg_rewind or a person asks for comes from the store.  Nothing here can make a
 * fetch fail: what does not work is left out, and said at log level debug.
 */
#pragma once

#include "walship/ship/fetch.h"

/* A standby asks again by itself, and its promotion waits for us: one attempt, and all that is done in it. */
#define FETCH_STANDBY_MS 5000

typedef struct FetchAhead FetchAhead;

/* NULL when this fetch is none of a server that recovers, or nothing is to be fetched ahead. */
FetchAhead *fetch_ahead_new(const FetchOptions *options);

/* Takes the segment out of the spool, or waits for it.  False: get it from the store.  Fails only when cancelled. */
Error *fetch_ahead_take(FetchAhead *ahead, bool *ret_taken) MUST_CHECK;

/*
 * What came of it.  When the server has the segment, the next ones are got ahead, by
 * the process or, where there can be none, here and now.
 */
void fetch_ahead_go_on(FetchAhead *ahead, const Error *error);

void fetch_ahead_free(FetchAhead *ahead);
AUTO_DEFINE(FetchAhead, fetch_ahead_free);
