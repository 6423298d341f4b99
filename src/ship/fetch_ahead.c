/* Fetch, and what was fetched ahead: see fetch_ahead.h. */
#include "fetch_ahead.h"

#include <string.h>

#include "detach.h"
#include "fetch_batch.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/ship/prefetch_plan.h"

/* How the server has its restore_command put a segment (PostgreSQL: xlogrecovery.c, XLogFileRead); pg_rewind does not. */
#define SERVERS_DEST "RECOVERYXLOG"

/* The server asks for history files when it begins and at the archive's end: nothing of a window is of use then. */
#define SERVERS_DEST_HISTORY "RECOVERYHISTORY"

/* A standby makes one attempt of five seconds, and this is a part of it. */
#define WAIT_STANDBY_MS  2000
#define WAIT_RECOVERY_MS 60000

struct FetchAhead
{
	const FetchOptions *options;
	pid_t postmaster;
	PrefetchWindow *window;
	uint32_t segment_size;
	PrefetchTaken how;
	int claim;
};

static void
leave_out(const FetchOptions *options, const char *what, Error *error)
{
	error = error_context(error, "%s", what);
	notice_of_error(&options->notices, LOG_DEBUG, error);
	error_free(error);
}

Error *
fetch_ahead_window(const FetchSource *source, PrefetchWindow **ret_window, uint32_t *ret_segment_size)
{
	PrefetchPlace place = {.state_dir = source->state_dir,
	                       .store = source->store,
	                       .data_directory = source->data_directory,
	                       .system_identifier = source->system_identifier};
	PgControl control;

	TRY(pgdata_read_control(source->data_directory, &control));
	place.segment_size = *ret_segment_size = control.segment_size;
	return prefetch_window_new(&place, ret_window);
}

static bool
is_servers_own(const FetchOptions *options, pid_t *ret_postmaster)
{
	const char *leaf = path_leaf(options->dest);
	const char *expected = options->name.kind == WAL_HISTORY ? SERVERS_DEST_HISTORY : SERVERS_DEST;

	return options->source.data_directory != NULL &&
	       (options->name.kind == WAL_SEGMENT || options->name.kind == WAL_HISTORY) &&
	       strcmp(leaf, expected) == 0 && postmaster_of(options->source.data_directory, ret_postmaster) &&
	       postmaster_called_us(*ret_postmaster);
}

FetchAhead *
fetch_ahead_new(const FetchOptions *options)
{
	PrefetchWindow *window;
	uint32_t segment_size;
	pid_t postmaster;
	Error *error;

	if (options->source.ahead == 0 || options->source.store == NULL || !is_servers_own(options, &postmaster))
		return NULL;
	error = fetch_ahead_window(&options->source, &window, &segment_size);
	if (error != NULL)
	{
		leave_out(options, "nothing is fetched ahead", error);
		return NULL;
	}

	FetchAhead *ahead = NEW(FetchAhead);

	*ahead = (FetchAhead){.options = options,
	                      .postmaster = postmaster,
	                      .window = window,
	                      .segment_size = segment_size,
	                      .how = PREFETCH_MISSED,
	                      .claim = -1};
	return ahead;
}

void
fetch_ahead_free(FetchAhead *ahead)
{
	if (ahead == NULL)
		return;
	prefetch_claim_end(ahead->window, &ahead->options->name, ahead->claim);
	prefetch_window_free(ahead->window);
	free(ahead);
}

Error *
fetch_ahead_take(FetchAhead *ahead, bool *ret_taken)
{
	char text[WAL_NAME_SIZE];

	*ret_taken = false;
	if (ahead == NULL)
		return NULL;
	if (ahead->options->name.kind == WAL_HISTORY)
	{
		prefetch_window_vacate(ahead->window);
		return NULL;
	}
	TRY(prefetch_take(ahead->window, &ahead->options->name, ahead->options->dest,
	                  ahead->options->mode == FETCH_STANDBY ? WAIT_STANDBY_MS : WAIT_RECOVERY_MS, &ahead->how,
	                  &ahead->claim));
	*ret_taken = ahead->how != PREFETCH_MISSED;
	if (*ret_taken)
		notice(&ahead->options->notices, LOG_DEBUG, NULL, "\"%s\" had been fetched ahead",
		       wal_name_format(&ahead->options->name, text));
	return NULL;
}

static Error *
start_prefetcher(const FetchAhead *ahead, const PrefetchMessage *message, bool *ret_started)
{
	PrefetchOffice office;
	Error *error = prefetch_office_take(ahead->window, &office);

	/* Somebody was faster. */
	if (error_is(error, ERR_TRANSIENT))
	{
		*ret_started = true;
		error_free(error);
		return NULL;
	}
	TRY(error);
	/* It waits in the FIFO: the prefetcher begins where the server is now. */
	(void) prefetch_tell(ahead->window, message);
	error = detach_start(ahead->options->prefetcher_argv, (const int[]){office.lock, office.requests}, 2,
	                     ahead->postmaster, ret_started);
	(void) close(office.requests);
	(void) close(office.lock);
	return error;
}

/* A standby that only follows the archive, a segment now and then, has no use for it. */
static bool
is_worth_it(const FetchAhead *ahead)
{
	bool backlog = ahead->options->mode != FETCH_STANDBY ||
	               prefetch_follows(ahead->window, &ahead->options->name, PREFETCH_BACKLOG_MS);

	return backlog && ahead->how == PREFETCH_MISSED && prefetch_has_room(ahead->window);
}

static Error *
go_on(FetchAhead *ahead)
{
	PrefetchMessage message = {.got = ahead->options->name, .how = ahead->how};
	bool started = false;

	message.bounded = ahead->options->bounded;
	message.end = ahead->options->plan_end;
	if (prefetch_tell(ahead->window, &message))
		return NULL;
	TRY(prefetch_window_make(ahead->window));
	if (!is_worth_it(ahead))
		return NULL;
	if (ahead->postmaster != 1)
		TRY(start_prefetcher(ahead, &message, &started));
	if (started)
		return NULL;
	return fetch_batch(&ahead->options->source, ahead->window, ahead->segment_size, &message,
	                   ahead->options->mode == FETCH_STANDBY ? ahead->options->start_ms + FETCH_STANDBY_MS
	                                                         : 0);
}

void
fetch_ahead_go_on(FetchAhead *ahead)
{
	if (ahead == NULL || ahead->options->name.kind != WAL_SEGMENT)
		return;
	leave_out(ahead->options, "could not fetch ahead", go_on(ahead));
}
