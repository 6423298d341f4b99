/* Fetch, and what was fetched ahead: see fetch_ahead.h. */
#include "fetch_ahead.h"

#include <string.h>

#include "context.h"
#include "detach.h"
#include "fetch_batch.h"
#include "walship/base/file.h"
#include "walship/base/log.h"
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
	FetchAheadOptions options;
	pid_t postmaster;
	PrefetchWindow *window;
	PrefetchPlace place;
	PrefetchTaken how;
	int claim;
};

static void
leave_out(const char *what, Error *error)
{
	if (error == NULL)
		return;
	error = error_context(error, "%s", what);
	log_of_error(LOG_DEBUG, error);
	error_free(error);
}

/* Endpoint and URL; the environment is the postmaster's, and has a say where the setting has none. */
static char *
place_of_store(const Settings *settings)
{
	const char *endpoint = settings_text(settings, SETTING_s3_endpoint);

	if (endpoint == NULL)
		endpoint = getenv("AWS_ENDPOINT_URL_S3");
	if (endpoint == NULL)
		endpoint = getenv("AWS_ENDPOINT_URL");
	return mem_printf("%s\n%s", settings_text(settings, SETTING_store), endpoint == NULL ? "" : endpoint);
}

Error *
fetch_ahead_window(const Settings *settings, const char *data_directory, PrefetchWindow **ret_window,
                   PrefetchPlace *ret_place)
{
	AUTO_FREE char *store = place_of_store(settings);
	PrefetchPlace place = {.state_dir = settings_text(settings, SETTING_state_dir),
	                       .store = store,
	                       .data_directory = data_directory};
	PgControl control;

	TRY(context_system(settings, data_directory, &place.system_identifier));
	TRY(pgdata_read_control(data_directory, &control));
	place.segment_size = control.segment_size;
	TRY(prefetch_window_new(&place, ret_window));
	place.store = NULL;
	*ret_place = place;
	return NULL;
}

static bool
is_servers_own(const FetchAheadOptions *options, pid_t *ret_postmaster)
{
	const char *leaf = path_leaf(options->dest);
	const char *expected = options->name.kind == WAL_HISTORY ? SERVERS_DEST_HISTORY : SERVERS_DEST;

	return options->data_directory != NULL &&
	       (options->name.kind == WAL_SEGMENT || options->name.kind == WAL_HISTORY) &&
	       strcmp(leaf, expected) == 0 && postmaster_of(options->data_directory, ret_postmaster) &&
	       postmaster_called_us(*ret_postmaster);
}

FetchAhead *
fetch_ahead_new(const FetchAheadOptions *options)
{
	const Settings *settings = invocation_settings(options->invocation);
	PrefetchWindow *window;
	PrefetchPlace place;
	pid_t postmaster;
	Error *error;

	if (settings_integer(settings, SETTING_prefetch) == 0 || settings_text(settings, SETTING_store) == NULL ||
	    !is_servers_own(options, &postmaster))
		return NULL;
	error = fetch_ahead_window(settings, options->data_directory, &window, &place);
	if (error != NULL)
	{
		leave_out("nothing is fetched ahead", error);
		return NULL;
	}

	FetchAhead *ahead = NEW(FetchAhead);

	ahead->options = *options;
	ahead->postmaster = postmaster;
	ahead->window = window;
	ahead->place = place;
	ahead->how = PREFETCH_MISSED;
	ahead->claim = -1;
	return ahead;
}

void
fetch_ahead_free(FetchAhead *ahead)
{
	if (ahead == NULL)
		return;
	prefetch_claim_end(ahead->window, &ahead->options.name, ahead->claim);
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
	if (ahead->options.name.kind == WAL_HISTORY)
	{
		prefetch_window_vacate(ahead->window);
		return NULL;
	}
	TRY(prefetch_take(ahead->window, &ahead->options.name, ahead->options.dest,
	                  ahead->options.standby ? WAIT_STANDBY_MS : WAIT_RECOVERY_MS, &ahead->how,
	                  &ahead->claim));
	*ret_taken = ahead->how != PREFETCH_MISSED;
	if (*ret_taken)
		log_debug("\"%s\" had been fetched ahead", wal_name_format(&ahead->options.name, text));
	return NULL;
}

static Error *
start_prefetcher(const FetchAhead *ahead, const PrefetchMessage *message, bool *ret_started)
{
	AUTO_STRLIST words = {0};
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
	strlist_add(&words, "walship");
	strlist_add(&words, "prefetcher");
	invocation_list_sources(ahead->options.invocation, &words);
	strlist_add(&words, "--");
	strlist_add(&words, ahead->options.data_directory);
	GROW(words.items, words.count, words.capacity);
	words.items[words.count] = NULL;

	/* It waits in the FIFO: the prefetcher begins where the server is now. */
	(void) prefetch_tell(ahead->window, message);
	error = detach_start(words.items, (const int[]){office.lock, office.requests}, 2, ahead->postmaster,
	                     ret_started);
	(void) close(office.requests);
	(void) close(office.lock);
	return error;
}

/* A standby that only follows the archive, a segment now and then, has no use for it. */
static bool
is_worth_it(const FetchAhead *ahead)
{
	bool backlog =
		!ahead->options.standby || prefetch_follows(ahead->window, &ahead->options.name, PREFETCH_BACKLOG_MS);

	return backlog && ahead->how == PREFETCH_MISSED && prefetch_has_room(ahead->window);
}

static Error *
go_on(FetchAhead *ahead)
{
	PrefetchMessage message = {.got = ahead->options.name, .how = ahead->how};
	bool started = false;

	message.bounded = ahead->options.plan_end != NULL;
	if (message.bounded)
		TRY(wal_name_parse(ahead->options.plan_end, &message.end));
	if (prefetch_tell(ahead->window, &message))
		return NULL;
	TRY(prefetch_window_make(ahead->window));
	if (!is_worth_it(ahead))
		return NULL;
	if (ahead->postmaster != 1)
		TRY(start_prefetcher(ahead, &message, &started));
	if (started)
		return NULL;
	return fetch_batch(invocation_settings(ahead->options.invocation), ahead->window, &ahead->place, &message,
	                   ahead->options.limit_ms);
}

void
fetch_ahead_go_on(FetchAhead *ahead)
{
	if (ahead == NULL || ahead->options.name.kind != WAL_SEGMENT)
		return;
	leave_out("could not fetch ahead", go_on(ahead));
}
