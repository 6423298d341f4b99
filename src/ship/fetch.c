/* One WAL file out of the archive; see walship/ship/fetch.h. */
#include "walship/ship/fetch.h"

#include <unistd.h>

#include "fetch_ahead.h"
#include "walship/archive/history_file.h"
#include "walship/archive/holes.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/retry.h"
#include "walship/base/workers.h"
#include "walship/pg/pgdata.h"
#include "walship/pipe/stages.h"

/* An object that fails its checks is read again, for the network may have done it; not for minutes. */
#define CORRUPT_ATTEMPTS 3

#define TEXT_FILE_MAX (1024 * 1024)

/* A segment has chunks for no more, and each costs memory. */
#define CPU_THREADS_MAX 4

typedef struct Fetch
{
	const FetchOptions *options;
	WalArchive archive; /* its store is NULL until it could be opened */
} Fetch;

/* Also where pg_control is missing: a working directory with a signal file is a server's. */
FetchMode
fetch_mode_of(const char *data_directory)
{
	const char *directory = data_directory != NULL ? data_directory : ".";

	if (pgdata_is_standby(directory))
		return FETCH_STANDBY;
	return pgdata_in_archive_recovery(directory) ? FETCH_RECOVERY : FETCH_BY_HAND;
}

Error *
fetch_check_name(const FetchOptions *options)
{
	const WalName *name = &options->name;
	const WalName *end = &options->plan_end;
	char text[WAL_NAME_SIZE];

	if (options->bounded && name->kind == WAL_SEGMENT &&
	    (name->log > end->log || (name->log == end->log && name->seg > end->seg)))
		return error_new(ERR_NOT_FOUND, "the recovery plan ends before this segment, with \"%s\"",
		                 wal_name_format(end, text));
	if (name->kind == WAL_PARTIAL)
		return error_hint(error_new(ERR_USAGE, "partial segment \"%s\" cannot be fetched by its name",
		                            wal_name_format(name, text)),
		                  "Its key in the store carries a digest; see docs/format.md.");
	return NULL;
}

static Error *
absent(const Fetch *fetch, const char *why)
{
	char text[WAL_NAME_SIZE];

	return error_new(ERR_NOT_FOUND, "\"%s\" is not in store \"%s\"%s",
	                 wal_name_format(&fetch->options->name, text), store_url(fetch->archive.store), why);
}

/* Segment size by the data directory: the store has nothing to tell it from. */
static Error *
local_segment_size(const Fetch *fetch, uint32_t *ret_size)
{
	if (fetch->options->source.data_directory == NULL)
		return error_new(ERR_SYSTEM, "the data directory has no pg_control");
	return pgdata_segment_size(fetch->options->source.data_directory, ret_size);
}

/* A standby asks again by itself, and its promotion waits for us: one short attempt. */
static Patience
patience_of(const FetchOptions *options)
{
	if (options->mode == FETCH_STANDBY)
		return (Patience){.attempts = 1, .abort_at_ms = options->start_ms + FETCH_STANDBY_MS};
	return (Patience){.retry_until_ms = options->deadline_ms};
}

/* However the segment came to "path": what was fetched ahead is as it is in the store. */
static Error *
prepare_tablespaces(Fetch *fetch, const char *path)
{
	const FetchOptions *options = fetch->options;
	const TablespaceSegment segment = {.path = path,
	                                   .name = options->name,
	                                   .data_directory = options->source.data_directory,
	                                   .archive = &fetch->archive,
	                                   .opener = &options->source.opener,
	                                   .patience = patience_of(options)};

	if (options->name.kind != WAL_SEGMENT || options->tablespaces.rule == TABLESPACES_AS_RECORDED)
		return NULL;
	if (options->source.data_directory == NULL)
		return error_new(ERR_USAGE, "no data directory was found, for \"--tablespaces\"");
	return tablespaces_prepare(&segment, &options->tablespaces);
}

/* In archive recovery: "the archive ends here" (ERR_NOT_FOUND), or a hole in it (ERR_TRANSIENT). */
static Error *
explain_absence(Fetch *fetch)
{
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *own = NULL;
	uint32_t segment_size = 0;
	char text[WAL_NAME_SIZE];

	TRY(local_segment_size(fetch, &segment_size));
	if (pgdata_has_segment(fetch->options->source.data_directory, &fetch->options->name,
	                       fetch->archive.system_identifier, segment_size))
	{
		own = mem_printf("%s/pg_wal/%s", fetch->options->source.data_directory,
		                 wal_name_format(&fetch->options->name, text));
		TRY(prepare_tablespaces(fetch, own));
		return absent(fetch, ", but pg_wal has it");
	}
	TRY(holes_explain(fetch->archive.store, fetch->archive.system_identifier, &fetch->options->name,
	                  segment_size, &why));
	if (why == NULL)
		return absent(fetch, "");
	return error_hint(
		error_new(ERR_TRANSIENT, "\"%s\" is missing in store \"%s\": %s",
	              wal_name_format(&fetch->options->name, text), store_url(fetch->archive.store), why),
		"This is a hole in the archive, not its end. If the segment still lies on the old server, push it; else "
		"recover to a target before it: \"walship list\" shows how far that is.");
}

static Error *
read_segment(const Fetch *fetch)
{
	AUTO(Sink) file = NULL;
	AUTO(Pipe) pipe = pipe_new();

	TRY(file_sink_new(fetch->options->dest, 0600, &file));
	pipe_add(pipe, MOVE(file));
	TRY(wal_object_get(&fetch->archive, &fetch->options->name, pipe_as_sink(pipe), NULL));
	return pipe_finish(pipe);
}

static Error *
fetch_segment(Fetch *fetch)
{
	Error *error = read_segment(fetch);

	/* The list of its chunks may be wrong where the segment is not. */
	if (fetch->archive.decoding == NULL || !error_is(error, ERR_CORRUPT))
		return error;
	error_free(error);
	fetch->archive.decoding = NULL;
	return read_segment(fetch);
}

/*
 * A history file says which WAL is replayed, and the server believes it: so it must be that of its digest, or, where
 * an older version stored it without one, what the WAL says.
 */
static Error *
fetch_history(const Fetch *fetch)
{
	Store *store = fetch->archive.store;
	uint64_t system_identifier = fetch->archive.system_identifier;
	AUTO(TimelineHistory) history = NULL;
	AUTO_BUF(text, 0);
	uint32_t segment_size = 0;
	bool has_digest;

	TRY(history_text_get(store, system_identifier, fetch->options->name.timeline, &text, &history,
	                     &has_digest));

	/* Without a data directory nobody knows which segment to look at. */
	if (!has_digest)
		error_free(local_segment_size(fetch, &segment_size));
	if (!has_digest)
		TRY(history_check_wal(&fetch->archive, history, segment_size));
	return file_replace(fetch->options->dest, text.data, text.size, 0600);
}

static Error *
fetch_text(const Fetch *fetch)
{
	AUTO_FREE char *key = layout_wal_key(fetch->archive.system_identifier, &fetch->options->name, NULL);
	AUTO_BUF(text, TEXT_FILE_MAX);
	AUTO(Sink) sink = NULL;

	if (fetch->options->name.kind == WAL_HISTORY)
		return fetch_history(fetch);
	sink = buf_sink_new(&text);
	TRY(store_get(fetch->archive.store, key, 0, STORE_TO_END, sink));
	return file_replace(fetch->options->dest, text.data, text.size, 0600);
}

/* An unmounted store may come back: opening it is part of every attempt. */
static Error *
fetch_once(Fetch *fetch)
{
	Patience patience = patience_of(fetch->options);

	if (fetch->archive.store == NULL)
		TRY(store_opener_open(&fetch->options->source.opener, &patience, &fetch->archive.store));

	bool segment = fetch->options->name.kind == WAL_SEGMENT;
	Error *error = segment ? fetch_segment(fetch) : fetch_text(fetch);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return segment && fetch->options->mode == FETCH_RECOVERY ? explain_absence(fetch) : absent(fetch, "");
}

static bool
is_worth_another_try(const Fetch *fetch, const Error *error, int attempt)
{
	if (fetch->options->mode != FETCH_RECOVERY || clock_monotonic_ms() >= fetch->options->deadline_ms)
		return false;
	return error_is(error, ERR_TRANSIENT) || (error_is(error, ERR_CORRUPT) && attempt + 1 < CORRUPT_ATTEMPTS);
}

static Error *
fetch_until_deadline(Fetch *fetch)
{
	static const RetryPolicy policy = {.first_ms = 200, .most_ms = 5000};

	for (int attempt = 0;; attempt++)
	{
		Error *error = fetch_once(fetch);
		uint64_t random;

		if (!is_worth_another_try(fetch, error, attempt))
			return error;
		if (attempt == 0)
			notice_of_error(&fetch->options->notices, LOG_WARNING, error);
		error_free(error);
		random_bytes(&random, sizeof(random));
		TRY(cancel_sleep_ms(retry_delay_ms(&policy, attempt, random)));
	}
}

/* From what was fetched ahead, else from the store. */
Error *
fetch(const FetchOptions *options)
{
	AUTO(FetchAhead) ahead = fetch_ahead_new(options);

	/* Whoever fetches ahead has work for every core. */
	AUTO(Workers) cpu = ahead == NULL ? workers_new(workers_cpu_count(CPU_THREADS_MAX)) : NULL;
	Fetch from_store = {.options = options,
	                    .archive = {.system_identifier = options->source.system_identifier,
	                                .identities = options->source.identities,
	                                .decoding = cpu}};
	Error *error = NULL;
	bool taken;

	TRY(fetch_ahead_take(ahead, &taken));
	if (!taken)
		error = fetch_until_deadline(&from_store);
	if (error == NULL)
	{
		error = prepare_tablespaces(&from_store, options->dest);

		/* The server looks at the exit status only, but nobody shall take it for fetched. */
		if (error != NULL)
			(void) unlink(options->dest);
	}
	store_free(from_store.archive.store);
	fetch_ahead_go_on(ahead, error);
	return error;
}
