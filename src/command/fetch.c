/*
 * walship fetch NAME DEST: the restore_command.  In archive recovery the server
 * takes every exit status up to 125 for the end of the archive and goes live,
 * so there only a certain absence may be 1; everything else is 200
 * (PostgreSQL: xlogarchive.c, RestoreArchivedFile).
 */
#include <inttypes.h>
#include <string.h>

#include "commands.h"
#include "context.h"
#include "fetch_ahead.h"
#include "keys.h"
#include "walship/archive/holes.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/base/retry.h"
#include "walship/pg/pgdata.h"
#include "walship/pipe/stages.h"

/* An object that fails its checks is read again, for the network may have done it; not for minutes. */
#define CORRUPT_ATTEMPTS 3

#define STANDBY_ATTEMPT_MS 5000

#define TEXT_FILE_MAX (1024 * 1024)

typedef enum FetchMode
{
	FETCH_BY_HAND,  /* also pg_rewind */
	FETCH_STANDBY,  /* the server asks again by itself */
	FETCH_RECOVERY, /* "absent" ends the recovery */
} FetchMode;

typedef struct Fetch
{
	const Invocation *invocation;
	const Settings *settings;
	const char *dest;
	const char *plan_end; /* NULL when none was given */
	char *data_directory; /* NULL when there is none */
	FetchMode mode;
	WalName name;
	AgeIdentities *identities; /* NULL: nothing can be decrypted */
	WalArchive archive;
	int64_t began_ms;
	int64_t deadline_ms;
} Fetch;

/* Also where pg_control is missing: a working directory with a signal file is a server's. */
static FetchMode
mode_of(const char *data_directory)
{
	const char *directory = data_directory != NULL ? data_directory : ".";

	if (pgdata_is_standby(directory))
		return FETCH_STANDBY;
	return pgdata_in_archive_recovery(directory) ? FETCH_RECOVERY : FETCH_BY_HAND;
}

static Error *
absent(const Fetch *fetch, const char *why)
{
	char text[WAL_NAME_SIZE];

	return error_new(ERR_NOT_FOUND, "\"%s\" is not in store \"%s\"%s", wal_name_format(&fetch->name, text),
	                 store_url(fetch->archive.store), why);
}

/* The server reads ahead of a target that is already reachable; a failure there must not spoil it. */
static Error *
check_plan_end(const Fetch *fetch)
{
	WalName end;

	if (fetch->plan_end == NULL || fetch->name.kind != WAL_SEGMENT)
		return NULL;
	TRY(error_context(wal_name_parse(fetch->plan_end, &end), "option \"--plan-end\""));
	if (fetch->name.log > end.log || (fetch->name.log == end.log && fetch->name.seg > end.seg))
		return error_new(ERR_NOT_FOUND, "the recovery plan ends before this segment, with \"%s\"",
		                 fetch->plan_end);
	return NULL;
}

/* Segment size by the data directory: the store has nothing to tell it from. */
static Error *
local_segment_size(const Fetch *fetch, uint32_t *ret_size)
{
	PgControl control;

	if (fetch->data_directory == NULL)
		return error_new(ERR_SYSTEM, "the data directory has no pg_control");
	TRY(pgdata_read_control(fetch->data_directory, &control));
	*ret_size = control.segment_size;
	return NULL;
}

/* Has the server this segment itself?  It looks into pg_wal when the archive has none. */
static bool
is_in_pg_wal(const Fetch *fetch, uint32_t segment_size)
{
	char text[WAL_NAME_SIZE];
	AUTO_FREE char *wal_directory = path_join(fetch->data_directory, "pg_wal");
	AUTO_FREE char *path = path_join(wal_directory, wal_name_format(&fetch->name, text));
	AUTO_CLOSE int fd = -1;
	AUTO(Error) error = NULL;
	uint8_t bytes[WAL_LONG_HEADER_SIZE];
	size_t size = 0;
	struct stat status;
	WalPageHeader header;

	error = file_open_read(path, &fd, &status);
	if (error == NULL)
		error = file_read_at(fd, path, 0, bytes, sizeof(bytes), &size);
	if (error == NULL)
		error = wal_page_header_parse(bytes, size, &header);
	if (error == NULL)
		error = wal_page_header_matches(&header, &fetch->name);
	return error == NULL && (uint64_t) status.st_size == segment_size &&
	       header.segment_size == segment_size &&
	       header.system_identifier == fetch->archive.system_identifier;
}

/* In archive recovery: "the archive ends here" (ERR_NOT_FOUND), or a hole in it (ERR_TRANSIENT). */
static Error *
explain_absence(const Fetch *fetch)
{
	AUTO_FREE char *why = NULL;
	uint32_t segment_size = 0;
	char text[WAL_NAME_SIZE];

	TRY(local_segment_size(fetch, &segment_size));
	if (is_in_pg_wal(fetch, segment_size))
		return absent(fetch, ", but pg_wal has it");
	TRY(holes_explain(fetch->archive.store, fetch->archive.system_identifier, &fetch->name, segment_size,
	                  &why));
	if (why == NULL)
		return absent(fetch, "");
	return error_hint(
		error_new(ERR_TRANSIENT, "\"%s\" is missing in store \"%s\": %s", wal_name_format(&fetch->name, text),
	              store_url(fetch->archive.store), why),
		"This is a hole in the archive, not its end. If the segment still lies on the old server, push it; else "
		"recover to a target before it: \"walship list\" shows how far that is.");
}

static Error *
fetch_segment(const Fetch *fetch)
{
	AUTO(Sink) file = NULL;
	AUTO(Pipe) pipe = pipe_new();

	TRY(file_sink_new(fetch->dest, 0600, &file));
	pipe_add(pipe, MOVE(file));
	TRY(wal_object_get(&fetch->archive, &fetch->name, pipe_as_sink(pipe), NULL));
	return pipe_finish(pipe);
}

static Error *
fetch_text(const Fetch *fetch)
{
	AUTO_FREE char *key = layout_wal_key(fetch->archive.system_identifier, &fetch->name, NULL);
	AUTO_BUF(text, TEXT_FILE_MAX);
	AUTO(Sink) sink = NULL;

	sink = buf_sink_new(&text);
	TRY(store_get(fetch->archive.store, key, 0, STORE_TO_END, sink));
	return file_replace(fetch->dest, text.data, text.size, 0600);
}

/* A standby asks again by itself, and its promotion waits for us: one short attempt. */
static Error *
open_store(Fetch *fetch)
{
	Patience patience = {.retry_until_ms = fetch->deadline_ms};

	if (fetch->mode == FETCH_STANDBY)
		patience = (Patience){.attempts = 1, .abort_at_ms = fetch->began_ms + STANDBY_ATTEMPT_MS};
	return context_open_store_within(fetch->settings, &patience, &fetch->archive.store);
}

/* An unmounted store may come back: opening it is part of every attempt. */
static Error *
fetch_once(Fetch *fetch)
{
	if (fetch->archive.store == NULL)
		TRY(open_store(fetch));

	bool segment = fetch->name.kind == WAL_SEGMENT;
	Error *error = segment ? fetch_segment(fetch) : fetch_text(fetch);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return segment && fetch->mode == FETCH_RECOVERY ? explain_absence(fetch) : absent(fetch, "");
}

static bool
is_worth_another_try(const Fetch *fetch, const Error *error, int attempt)
{
	if (fetch->mode != FETCH_RECOVERY || clock_monotonic_ms() >= fetch->deadline_ms)
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
			log_of_error(LOG_WARNING, error);
		error_free(error);
		random_bytes(&random, sizeof(random));
		TRY(cancel_sleep_ms(retry_delay_ms(&policy, attempt, random)));
	}
}

static FetchAhead *
open_ahead(const Fetch *fetch)
{
	bool standby = fetch->mode == FETCH_STANDBY;
	FetchAheadOptions options = {.invocation = fetch->invocation,
	                             .data_directory = fetch->data_directory,
	                             .dest = fetch->dest,
	                             .name = fetch->name,
	                             .plan_end = fetch->plan_end,
	                             .standby = standby,
	                             .limit_ms = standby ? fetch->began_ms + STANDBY_ATTEMPT_MS : 0};

	return fetch->mode == FETCH_BY_HAND ? NULL : fetch_ahead_new(&options);
}

/* From what was fetched ahead, else from the store. */
static Error *
fetch_from_anywhere(Fetch *fetch)
{
	AUTO(FetchAhead) ahead = open_ahead(fetch);
	bool taken;

	TRY(fetch_ahead_take(ahead, &taken));
	if (!taken)
		TRY(fetch_until_deadline(fetch));
	fetch_ahead_go_on(ahead);
	return NULL;
}

static Error *
fetch_file(Fetch *fetch, const char *name)
{
	TRY(wal_name_parse(name, &fetch->name));
	TRY(check_plan_end(fetch));
	if (fetch->name.kind == WAL_PARTIAL)
		return error_hint(error_new(ERR_USAGE, "partial segment \"%s\" cannot be fetched by its name", name),
		                  "Its key in the store carries a digest; see docs/format.md.");
	TRY(context_system(fetch->settings, fetch->data_directory, &fetch->archive.system_identifier));
	TRY(keys_identities(fetch->settings, &fetch->identities));
	fetch->archive.identities = fetch->identities;
	return fetch_from_anywhere(fetch);
}

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO_FREE char *data_directory = pgdata_of(invocation_argument(invocation, 1));
	int64_t now_ms = clock_monotonic_ms();
	Fetch fetch = {.invocation = invocation,
	               .settings = settings,
	               .dest = invocation_argument(invocation, 1),
	               .plan_end = invocation_value(invocation, "plan-end"),
	               .data_directory = data_directory,
	               .mode = mode_of(data_directory),
	               .began_ms = now_ms,
	               .deadline_ms = now_ms + settings_ms(settings, SETTING_fetch_deadline)};

	Error *error = fetch_file(&fetch, invocation_argument(invocation, 0));

	store_free(fetch.archive.store);
	age_identities_free(fetch.identities);
	return error;
}

static int
error_status(const Invocation *invocation, const Error *error)
{
	AUTO_FREE char *data_directory = pgdata_of(invocation_argument(invocation, 1));

	if (error_is(error, ERR_NOT_FOUND) || (error_is(error, ERR_CANCELLED) && cancel_requested()))
		return -1;
	return mode_of(data_directory) == FETCH_RECOVERY ? STATUS_STOP_RECOVERY : -1;
}

static const CommandOption options[] = {
	{"plan-end", OPTION_VALUE, "SEGMENT", "segments after this one are absent, without asking the store"},
};

const Command command_fetch = {
	.name = "fetch",
	.summary = "brings one WAL file back: restore_command = 'walship fetch %f %p'",
	.arguments = "NAME DEST",
	.description =
		"Reads the WAL file NAME from the store, checks it, and puts it at DEST. Exit 1 means that it certainly is\n"
		"not there. During archive recovery (recovery.signal and no standby.signal in the data directory) any other\n"
		"failure is exit 200, which stops the server instead of letting it go live without the missing WAL.",
	.n_arguments = 2,
	.options = options,
	.n_options = lengthof(options),
	.error_status = error_status,
	.absence_is_normal = true,
	.run = run,
};
