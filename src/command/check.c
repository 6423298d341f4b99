/* walship check: is everything in place, before it is needed at night? */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_archiving.h"
#include "check_encryption.h"
#include "check_postgres.h"
#include "commands.h"
#include "context.h"
#include "table.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/file.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/pipe/stages.h"

#define STATUS_CHECKS_FAILED 8
#define REPORT_FORMAT        1
#define STORE_PATIENCE_MS    10000
#define FRESH_KEY            "walship-check-%016" PRIx64 ".json"
#define LEARNED_MAX          (256 * 1024)

typedef struct Check
{
	char *name;
	bool ok;
	char *detail; /* NULL: nothing to be said */
	char *hint;   /* NULL: none */
} Check;

typedef struct Report
{
	Check checks[16];
	size_t count;
	size_t failed;
} Report;

/* "error" is given away. */
static void
note(Report *report, const char *name, Error *error, const char *detail)
{
	report->checks[report->count++] =
		(Check){.name = mem_strdup(name),
	            .ok = error == NULL,
	            .detail = mem_strdup(error == NULL ? detail : error_message(error)),
	            .hint = error == NULL ? NULL : mem_strdup(error_get_hint(error))};
	report->failed += error != NULL;
	error_free(error);
}

/* Not wrong, but to be known.  Detail and hint are given away. */
static void
note_advice(Report *report, const char *name, char *detail, char *hint)
{
	report->checks[report->count++] =
		(Check){.name = mem_strdup(name), .ok = true, .detail = detail, .hint = hint};
}

static void
note_version(Report *report, const char *name, VersionNote version)
{
	note_advice(report, name, version.detail, version.hint);
}

static void
release(Report *report)
{
	for (size_t i = 0; i < report->count; i++)
	{
		free(report->checks[i].name);
		free(report->checks[i].detail);
		free(report->checks[i].hint);
	}
}

static void
check_settings(const Settings *settings, Report *report)
{
	const char *path = settings_config_path(settings);
	Compression compression;

	note(report, "settings", context_compression(settings, COMPRESS_WAL, &compression),
	     path == NULL ? "no settings file; environment and options only" : path);
}

static void
check_keys(const Settings *settings, Report *report)
{
	AUTO_FREE char *detail = NULL;
	Error *error = check_encryption(settings, &detail);

	note(report, "encryption", error, detail);
}

static void
check_data_directory(const Settings *settings, const char *directory, Report *report)
{
	AUTO_FREE char *detail = NULL;
	PgControl control;
	Error *error;
	uint64_t system;

	if (directory == NULL)
	{
		note(report, "data directory", NULL, "none given (--pgdata); not looked at");
		return;
	}
	error = pgdata_read_control(directory, &control);
	if (error == NULL)
		error = context_system(settings, directory, &system);
	if (error == NULL && control.major != 0)
		detail = mem_printf("%s: PostgreSQL %d, system %" PRIu64 ", segments of %" PRIu32 " MB", directory,
		                    control.major, control.system_identifier, control.segment_size / (1024 * 1024));
	else if (error == NULL)
		detail = mem_printf("%s: system %" PRIu64, directory, control.system_identifier);

	bool known = error == NULL;

	note(report, "data directory", error, detail);
	if (known)
		note_version(report, "server version", check_postgres_server(&control, clock_now()));
}

/* Of a data directory that is known; what it cannot be asked, it does not do. */
static void
check_running_server(const Invocation *invocation, const char *directory, Report *report)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO(Server) server = NULL;
	AUTO_FREE char *detail = NULL;
	AUTO_FREE char *archiving = NULL;
	uint64_t system;
	Error *error = context_system(settings, directory, &system);

	if (error != NULL)
	{
		error_free(error); /* is told of the data directory */
		return;
	}
	error = error_hint(
		check_server(system, &server, &detail),
		"Start the server, and say where it is by PGHOST, PGPORT and PGUSER; --store-only looks at "
		"the rest.");
	note(report, "server", error, detail);
	if (server == NULL)
		return;
	error = check_archiving(settings, server, invocation_program(invocation), directory, &archiving);
	note(report, "archiving", error, archiving);
}

/* Without it everything works, but every push on a later timeline looks at all its ancestors again. */
static Error *
try_state_directory(const char *directory)
{
	AUTO_FREE char *probe = path_join(directory, "walship-check");

	TRY(file_replace(probe, "", 0, 0600));
	return file_remove(probe);
}

/* Notes of others are not believed; but they can remove ours, and put links where files are made. */
static void
check_state_owner(const char *directory, Report *report)
{
	struct stat status;

	if (stat(directory, &status) != 0)
		return;
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		note_advice(report, "state directory",
		            mem_printf("%s has mode %04o: others may write there", directory, status.st_mode & 07777),
		            mem_printf("Run: chmod go-w '%s'", directory));
	else if (status.st_uid != geteuid() && status.st_uid != 0)
		note_advice(report, "state directory", mem_printf("%s belongs to another user", directory),
		            mem_printf("Run: chown %u '%s'", (unsigned) geteuid(), directory));
}

static void
check_state_directory(const Settings *settings, Report *report)
{
	const char *directory = settings_text(settings, SETTING_state_dir);

	note(report, "state directory",
	     error_hint(try_state_directory(directory),
	                "Create it for the server's user: install -d -o postgres %s", directory),
	     directory);
	check_state_owner(directory, report);
}

static Error *
read_probe(Store *store, Buf *into)
{
	AUTO(Sink) sink = buf_sink_new(into);

	return store_get(store, STORE_PROBE_KEY, 0, STORE_TO_END, sink);
}

static Error *
note_found(void *found, const StoreEntry *entry)
{
	(void) entry;
	*(bool *) found = true;
	return NULL;
}

/* Who may not list is told "denied" of what is not there, and a recovery could not find the archive's end. */
static Error *
try_absence(Store *store)
{
	uint64_t number;
	StoreEntry entry;
	bool listed = false;

	random_bytes(&number, sizeof(number));

	AUTO_FREE char *key = mem_printf(FRESH_KEY, number);
	Error *error = store_stat(store, key, &entry);

	if (error == NULL)
		return error_new(ERR_CORRUPT, "store has object \"%s\", which never was", key);
	if (!error_is(error, ERR_NOT_FOUND))
		return error_hint(error_context(error, "could not learn that an object is absent"),
		                  "The role needs the right to list the bucket (s3:ListBucket).");
	error_free(error);
	TRY(error_context(store_list(store, STORE_PROBE_KEY, LIST_ALL, NULL, note_found, &listed),
	                  "could not list the store"));
	return listed ? NULL : error_new(ERR_CORRUPT, "object \"%s\" is not listed", STORE_PROBE_KEY);
}

/* Writes, reads back, and proves that nothing is overwritten. */
static Error *
try_store(Store *store, Buf *report)
{
	static const char text[] = STORE_PROBE_TEXT;
	Slice slice = slice_of_memory(text, sizeof(text) - 1);
	AUTO_BUF(got, 64 * 1024);

	Error *error = store_put(store, STORE_PROBE_KEY, &slice, 1, PUT_IF_ABSENT);

	if (error != NULL && !error_is(error, ERR_EXISTS))
		return error;
	error_free(error);
	TRY(read_probe(store, &got));
	if (got.size != slice.size || memcmp(got.data, text, got.size) != 0)
		return error_new(ERR_CORRUPT, "object \"%s\" does not read back as it was written", STORE_PROBE_KEY);

	TRY(store_probe(store, report));

	error = store_put(store, STORE_PROBE_KEY, &slice, 1, PUT_IF_ABSENT);
	if (error == NULL)
		return error_new(ERR_CORRUPT, "store lets object \"%s\" be overwritten", STORE_PROBE_KEY);
	if (!error_is(error, ERR_EXISTS))
		return error;
	error_free(error);
	return try_absence(store);
}

static void
check_claims_of_encryption(const Settings *settings, Store *store, uint64_t system, Report *report)
{
	char *detail = NULL;
	char *hint = NULL;
	AUTO(Error) error = check_stored_encryption(settings, store, system, &detail, &hint);

	if (error_is(error, ERR_UNTRUSTED))
		note(report, "stored objects", MOVE(error), NULL);
	else if (error != NULL)
		note_advice(report, "stored objects", mem_printf("not looked at: %s", error_message(error)), NULL);
	else if (detail != NULL)
		note_advice(report, "stored objects", detail, hint);
}

/* A store may well let nobody list it; then "list" and "fetch" say what that means. */
static void
check_stored_wal(const Settings *settings, const char *directory, Store *store, Report *report)
{
	VersionNote version = {0};
	uint64_t system;
	AUTO(Error) error = directory != NULL ? context_system(settings, directory, &system)
	                                      : context_system_in_store(settings, store, &system);

	if (error == NULL)
		check_claims_of_encryption(settings, store, system, report);
	if (error == NULL)
		error = check_postgres_wal(store, system, (int) settings_integer(settings, SETTING_jobs), &version);
	if (error != NULL && !error_is(error, ERR_NOT_FOUND))
		version.detail = mem_printf("not looked at: %s", error_message(error));
	if (version.detail != NULL)
		note_version(report, "stored WAL", version);
}

static void
check_store(const Settings *settings, const char *directory, Report *report)
{
	AUTO(Store) store = NULL;
	AUTO_FREE char *url = NULL;
	AUTO_BUF(learned, LEARNED_MAX);
	int64_t began_ms = clock_monotonic_ms();
	Patience patience = {.retry_until_ms = began_ms + STORE_PATIENCE_MS};
	Error *error = context_open_store_within(settings, &patience, &store);

	if (error == NULL)
		error = try_store(store, &learned);
	if (error == NULL)
		url = mem_printf("%s: written, read back, not overwritten, in %" PRId64 " ms%s%s", store_url(store),
		                 clock_monotonic_ms() - began_ms, learned.size > 0 ? "; " : "",
		                 learned.size > 0 ? learned.data : "");

	bool works = error == NULL;

	note(report, "store", error, url);
	if (works)
		check_stored_wal(settings, directory, store, report);
}

static void
print_text(const Report *report)
{
	for (size_t i = 0; i < report->count; i++)
	{
		const Check *check = &report->checks[i];

		print_line(stdout, "%-6s %-16s %s", check->ok ? "ok" : "FAILED", check->name,
		           check->detail == NULL ? "" : check->detail);
		if (check->hint != NULL)
			print_line(stdout, "       %-16s %s", "", check->hint);
	}
}

static const JsonField check_fields[] = {
	{"check", &json_string, JSON_AT(Check, name)},
	{"ok", &json_bool, JSON_AT(Check, ok)},
	{"detail", &json_string, JSON_AT(Check, detail)},
	{"hint", &json_string, JSON_AT(Check, hint), .flags = JSON_OPTIONAL},
};
static const JsonTable check_table = JSON_TABLE(Check, check_fields);

/* docs/json.md */
static void
print_json(const Report *report)
{
	AUTO(Json) root = json_new_object();

	json_add_int(root, "format", REPORT_FORMAT);
	json_put_list(root, "checks", &check_table, report->checks, report->count);
	json_add_bool(root, "ok", report->failed == 0);
	print_object(root, stdout);
}

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	const char *given = invocation_value(invocation, "pgdata");
	AUTO_FREE char *directory = given != NULL ? mem_strdup(given) : pgdata_of(NULL);
	Report report = {.count = 0};

	if (invocation_flag(invocation, "create"))
		TRY(context_create_store(settings));
	check_settings(settings, &report);
	check_keys(settings, &report);
	check_data_directory(settings, directory, &report);
	if (directory != NULL && !invocation_flag(invocation, "store-only"))
		check_running_server(invocation, directory, &report);
	check_state_directory(settings, &report);
	check_store(settings, directory, &report);

	if (invocation_flag(invocation, "json"))
		print_json(&report);
	else
		print_text(&report);
	if (report.failed > 0)
		invocation_set_status(invocation, STATUS_CHECKS_FAILED);
	release(&report);
	return NULL;
}

static const CommandOption options[] = {
	{"create", OPTION_FLAG, NULL, "make the store's directory and its marker first"},
	{"pgdata", OPTION_VALUE, "DIR",
     "the server's data directory (default: the working directory, if it is one)"},
	{"store-only", OPTION_FLAG, NULL, "do not ask the server whether it archives"},
	{"json", OPTION_FLAG, NULL, "print the results as JSON"},
};

const Command command_check = {
	.name = "check",
	.summary = "looks whether settings, server, archiving and store are as they must be",
	.arguments = "",
	.description =
		"Exit 0: everything is in place. Exit 8: something is not; stdout says what, and what to do.\n"
		"Run it as the user that runs the server.",
	.options = options,
	.n_options = lengthof(options),
	.run = run,
};
