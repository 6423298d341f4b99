/* Fetch, and what was fetched ahead: see fetch_ahead.h. */
#include "fetch_ahead.h"

#include <string.h>
#include <unistd.h>

#include "prefetch_private.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/dir_watch.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/ship/detach.h"

/* How the server has its restore_command put a segment (PostgreSQL: xlogrecovery.c, XLogFileRead); pg_rewind does not. */
#define SERVERS_DEST "RECOVERYXLOG"

/* The server asks for history files when it begins and at the archive's end: nothing of a spool is of use then. */
#define SERVERS_DEST_HISTORY "RECOVERYHISTORY"

/* A standby makes one attempt of five seconds, and this is a part of it. */
#define WAIT_STANDBY_MS  2000
#define WAIT_RECOVERY_MS 60000

/* Whoever gets a segment has hung when the file did not grow for so long: then it is faster to get it anew. */
#define STILL_MOST_MS 2000
#define LOOK_EVERY_MS 100 /* whoever gets it may have been killed, of which nothing else tells */
#define BLIND_MS      5   /* where the directory cannot be watched */

/* Two segments that the server got within this time are a backlog; further apart, it follows an archive that grows. */
#define BACKLOG_MS 10000

struct FetchAhead
{
	const FetchOptions *options;
	pid_t postmaster;
	PrefetchSpool *spool;
	bool missed; /* the spool did not have it */
	int claim;   /* open as long as nobody else is to get the segment; -1: it is not ours */
};

static void
leave_out(const FetchOptions *options, const char *what, Error *error)
{
	error = error_context(error, "%s", what);
	notice_of_error(&options->notices, LOG_DEBUG, error);
	error_free(error);
}

static bool
is_servers_own(const FetchOptions *options, pid_t *ret_postmaster)
{
	const char *leaf = path_leaf(options->dest);
	const char *expected = options->name.kind == WAL_HISTORY ? SERVERS_DEST_HISTORY : SERVERS_DEST;

	return options->mode != FETCH_BY_HAND && options->source.data_directory != NULL &&
	       (options->name.kind == WAL_SEGMENT || options->name.kind == WAL_HISTORY) &&
	       strcmp(leaf, expected) == 0 && postmaster_of(options->source.data_directory, ret_postmaster) &&
	       postmaster_called_us(*ret_postmaster);
}

FetchAhead *
fetch_ahead_new(const FetchOptions *options)
{
	FetchAhead *ahead;
	PrefetchSpool *spool;
	pid_t postmaster;
	Error *error;

	if (options->source.ahead == 0 || options->source.store == NULL || !is_servers_own(options, &postmaster))
		return NULL;
	error = prefetch_spool_new(&options->source, &spool);
	if (error != NULL)
	{
		leave_out(options, "nothing is fetched ahead", error);
		return NULL;
	}
	ahead = NEW(FetchAhead);
	*ahead = (FetchAhead){options, postmaster, spool, true, -1};
	return ahead;
}

void
fetch_ahead_free(FetchAhead *ahead)
{
	if (ahead == NULL)
		return;
	prefetch_spool_claim_end(ahead->spool, &ahead->options->name, ahead->claim);
	prefetch_spool_free(ahead->spool);
	free(ahead);
}

/*
 * Takes the segment; or claims it, when nobody gets it, so that the process does not
 * begin now what fetch does; or waits for whoever gets it, as long as the file grows.
 */
static Error *
take_or_claim(FetchAhead *ahead, bool *ret_taken)
{
	const FetchOptions *options = ahead->options;
	int64_t grown_ms = clock_monotonic_ms();
	int64_t end_ms = grown_ms + (options->mode == FETCH_STANDBY ? WAIT_STANDBY_MS : WAIT_RECOVERY_MS);
	AUTO_CLOSE int watch = -1;
	bool watching = false;
	off_t size = -1;

	for (;;)
	{
		AUTO(Error) error = NULL;
		int64_t now_ms = clock_monotonic_ms();
		off_t now_size;

		*ret_taken = prefetch_spool_take(ahead->spool, &options->name, options->dest);
		if (*ret_taken)
			return NULL;
		error = prefetch_spool_claim(ahead->spool, &options->name, &ahead->claim);
		if (!error_is(error, ERR_TRANSIENT))
		{
			/* It may have come between the two looks. */
			*ret_taken = error == NULL && prefetch_spool_take(ahead->spool, &options->name, options->dest);
			return NULL;
		}
		now_size = prefetch_spool_progress(ahead->spool, &options->name);
		if (now_size != size)
			grown_ms = now_ms;
		size = now_size;
		if (now_ms >= end_ms || now_ms - grown_ms >= STILL_MOST_MS)
			return NULL;

		/* Only here, for most calls find their segment; and then once more, for it may have come meanwhile. */
		if (!watching)
			watch = dir_watch_open(ahead->spool->directory, DIR_NAMES);
		else
			TRY(dir_watch_wait(watch, LOOK_EVERY_MS, BLIND_MS));
		watching = true;
	}
}

Error *
fetch_ahead_take(FetchAhead *ahead, bool *ret_taken)
{
	char text[WAL_NAME_SIZE];
	AUTO(Error) not_ours = NULL;

	*ret_taken = false;
	if (ahead == NULL)
		return NULL;
	if (ahead->options->name.kind == WAL_HISTORY)
	{
		prefetch_spool_vacate(ahead->spool);
		return NULL;
	}
	not_ours = prefetch_spool_check(ahead->spool);
	if (not_ours != NULL)
		return NULL;
	TRY(take_or_claim(ahead, ret_taken));
	ahead->missed = !*ret_taken;
	if (*ret_taken)
		notice(&ahead->options->notices, LOG_DEBUG, NULL, "\"%s\" had been fetched ahead",
		       wal_name_format(&ahead->options->name, text));
	return NULL;
}

/* Did the server get the segment before this one a moment ago, and nothing that is not there since? */
static bool
follows_another(const FetchAhead *ahead)
{
	uint32_t segment_size = ahead->spool->segment_size;
	WalName last;
	XLogSegNo last_segno;
	XLogSegNo segno;
	int64_t age_ms;

	return prefetch_spool_last(ahead->spool, &last, &age_ms) && age_ms < BACKLOG_MS &&
	       wal_name_segno(&last, segment_size, &last_segno) &&
	       wal_name_segno(&ahead->options->name, segment_size, &segno) && segno == last_segno + 1;
}

static Error *
start_process(const FetchAhead *ahead, bool *ret_started)
{
	AUTO_CLOSE int lock = -1;
	Error *error = prefetch_spool_lock(ahead->spool, &lock);

	/* There is one. */
	if (error_is(error, ERR_TRANSIENT))
	{
		*ret_started = true;
		error_free(error);
		return NULL;
	}
	TRY(error);
	return detach_start(ahead->options->prefetcher_argv, lock, ahead->postmaster, ret_started);
}

static Error *
go_on(FetchAhead *ahead)
{
	const FetchOptions *options = ahead->options;
	bool standby = options->mode == FETCH_STANDBY;

	/* A standby that only follows the archive, a segment now and then, has no use for it. */
	bool backlog = !standby || follows_another(ahead);
	bool started = false;

	TRY(prefetch_spool_make(ahead->spool));
	prefetch_spool_set_last(ahead->spool, &options->name);
	if (!ahead->missed || !backlog || !prefetch_spool_has_room(ahead->spool))
		return NULL;
	if (ahead->postmaster != 1)
		TRY(start_process(ahead, &started));
	if (started)
		return NULL;
	return prefetch_batch(&options->source, ahead->spool, &options->name,
	                      options->bounded ? &options->plan_end : NULL,
	                      standby ? options->start_ms + FETCH_STANDBY_MS : 0);
}

void
fetch_ahead_go_on(FetchAhead *ahead, const Error *error)
{
	if (ahead == NULL || ahead->options->name.kind != WAL_SEGMENT)
		return;
	if (error == NULL)
		leave_out(ahead->options, "could not fetch ahead", go_on(ahead));
	else if (error_is(error, ERR_NOT_FOUND))
		prefetch_spool_set_last(ahead->spool, NULL);
}
