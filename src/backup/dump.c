/* The order of a dump. */
#include "walship/backup/dump.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dump_run.h"
#include "walship/archive/catalog.h"
#include "walship/archive/layout.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pg/programs.h"

#define SMALL_SIZE     (UINT64_C(1) << 30) /* bytes; of databases */
#define STALE_AFTER_US (INT64_C(24) * 3600 * 1000000)

static void
dump_run_release(DumpRun *run)
{
	for (size_t i = 0; i < run->n_choices; i++)
		free(run->choices[i].name);
	free(run->choices);
	lease_hold_free(run->lease);
	strlist_release(&run->names);
	free(run->prefix);
	free(run->programs);
	dump_contents_free(run->contents);
	dump_record_free(run->record);
	server_free(run->server);
}

#define AUTO_RUN __attribute__((cleanup(dump_run_release))) DumpRun

static Error *
check_system(const DumpRun *run)
{
	const DumpOptions *options = run->options;
	uint64_t found = run->record->system_identifier;

	if (options->system_identifier != 0 && options->system_identifier != found)
		return error_hint(
			error_new(ERR_USAGE,
		              "server has the system identifier %" PRIu64
		              ", but \"system\" or \"pgdata\" says %" PRIu64,
		              found, options->system_identifier),
			"Look at PGHOST, PGPORT, PGSERVICE and \"conninfo\": this is another database system.");
	return options->new_system ? NULL : catalog_check_known_system(options->store, found);
}

static Error *
find_programs(DumpRun *run)
{
	TRY(programs_find_client(run->options->programs, "pg_dump", server_major(run->server), &run->programs,
	                         &run->record->dump_major));

	AUTO_FREE char *dumpall = program_in(run->programs, "pg_dumpall");
	AUTO_FREE char *restore = program_in(run->programs, "pg_restore");

	if (dumpall != NULL && restore != NULL)
		return NULL;
	return error_new(ERR_SYSTEM, "beside pg_dump in \"%s\" there is no %s", run->programs,
	                 dumpall == NULL ? "pg_dumpall" : "pg_restore");
}

static void
name_dump(DumpRun *run)
{
	const DumpOptions *options = run->options;
	DumpRecord *record = run->record;
	uint16_t random;

	random_bytes(&random, sizeof(random));
	record->id = layout_backup_id(record->start_time, random);
	record->note = mem_strdup(options->note);
	record->codec = mem_strdup(codec_name(options->compression.codec));
	record->read_back = options->read_back;
	if (options->recipients != NULL)
		(void) snprintf(record->recipients, sizeof(record->recipients), "%s",
		                age_recipients_fingerprints(options->recipients));
	record->walship_version = mem_strdup(options->walship_version);
	record->databases = NEW_ARRAY(DumpDatabase, run->n_choices);
	run->contents->databases = NEW_ARRAY(DumpDatabaseFacts, run->n_choices);
	run->prefix = layout_dump_prefix(record->system_identifier, record->id);
}

/* Roles, their passwords and memberships, tablespaces: nothing of it is in a dump of a database. */
static Error *
dump_globals(DumpRun *run)
{
	const DumpOptions *options = run->options;
	AUTO_FREE char *program = program_in(run->programs, "pg_dumpall");
	AUTO_FREE char *conninfo = server_conninfo(run->server, "postgres");
	AUTO_FREE char *dbname = mem_printf("--dbname=%s", conninfo);
	AUTO_FREE char *lock = mem_printf("--lock-wait-timeout=%" PRId64, options->lock_timeout_ms);
	AUTO_FREE char *name = layout_globals_name(options->compression.codec, options->recipients != NULL);
	const char *argv[] = {program, "--globals-only", "--no-password", dbname, lock, "--no-role-passwords",
	                      NULL};

	if (run->record->role_passwords)
		argv[5] = NULL;
	else
		notice(&options->notices, LOG_WARNING,
		       "Only a superuser may read them. After a restore every role needs a new password.",
		       "the globals are dumped WITHOUT THE PASSWORDS of the roles: this role may not read pg_authid");
	return dump_program_run(run, &(DumpProgram){.argv = argv, .what = "pg_dumpall", .name = name},
	                        &run->record->globals);
}

static Error *
write_contents(DumpRun *run)
{
	const DumpOptions *options = run->options;
	AUTO_FREE char *name = layout_contents_name(options->compression.codec, options->recipients != NULL);
	AUTO_BUF(text, DUMP_CONTENTS_MAX);

	dump_contents_print(run->contents, &text);
	if (text.overflowed)
		return error_hint(error_new(ERR_SYSTEM, "the list of what is in the dump is longer than %u bytes",
		                            DUMP_CONTENTS_MAX),
		                  "Dump fewer databases at a time.");
	return dump_text_write(run, name, &text, &run->record->contents);
}

static Error *
write_record(DumpRun *run)
{
	DumpRecord *record = run->record;
	AUTO_FREE char *time = NULL;
	uint64_t stop = 0;

	TRY(server_value(run->server, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8", &time));
	(void) str_to_uint64(time, &stop);
	record->stop_time = (TimeUs) stop > record->start_time ? (TimeUs) stop : record->start_time;
	record->duration_ms = clock_monotonic_ms() - run->began_ms;
	TRY(cancel_check());
	run->record_tried = true;
	return dump_record_write(run->options->store, record);
}

typedef struct SmallDatabase
{
	DumpRun *run;
	size_t number;
} SmallDatabase;

/* A WorkersJob. */
static Error *
dump_small_database(void *argument)
{
	const SmallDatabase *job = argument;

	return dump_database(job->run, job->number, true);
}

/* Large ones one after another, with all that can go side by side in each; then the small ones side by side. */
static Error *
dump_databases(DumpRun *run)
{
	uint64_t large = run->options->table_size > 0 ? run->options->table_size : SMALL_SIZE;
	AUTO_FREE SmallDatabase *jobs = NEW_ARRAY(SmallDatabase, run->n_choices + 1);
	AUTO(Workers) workers = workers_new(run->options->jobs);

	run->record->n_databases = run->contents->n_databases = run->n_choices;
	for (size_t i = 0; i < run->n_choices; i++)
		if (run->choices[i].size >= large || run->n_choices == 1)
			TRY(dump_database(run, i, false));
	for (size_t i = 0; i < run->n_choices; i++)
		if (run->choices[i].size < large && run->n_choices > 1)
		{
			jobs[i] = (SmallDatabase){run, i};
			workers_submit(workers, dump_small_database, &jobs[i], NULL);
		}
	return workers_wait(workers);
}

static Error *
run_dump(DumpRun *run)
{
	TRY(dump_look_at_server(run));
	TRY(check_system(run));
	TRY(find_programs(run));
	name_dump(run);
	run->lease = lease_hold(run->options->store, run->record->system_identifier,
	                        &(LeaseOn){.kind = "dump", .backup = run->record->id}, &run->options->notices);
	TRY(dump_globals(run));
	TRY(dump_databases(run));
	TRY(write_contents(run));
	return write_record(run);
}

static void
warn_of_leftover(void *context, const char *key, const Error *error)
{
	notice(context, LOG_WARNING, NULL, "could not remove leftover \"%s\": %s", key, error_message(error));
}

/* The record first, should it be there after all: a dump must never be visible without its objects. */
static void
remove_everything(DumpRun *run)
{
	const DumpOptions *options = run->options;
	Notices told = options->notices;
	AUTO_STRLIST keys = {0};

	if (run->prefix == NULL)
		return;
	if (run->record_tried)
	{
		AUTO_FREE char *key = layout_dump_record_key(run->record->system_identifier, run->record->id);
		AUTO(Error) error = store_remove(options->store, key);

		if (error != NULL)
		{
			notice(&told, LOG_WARNING, NULL, "could not remove \"%s\": %s; its objects were left alone", key,
			       error_message(error));
			return;
		}
	}
	for (size_t i = 0; i < run->names.count; i++)
	{
		AUTO_FREE char *key = mem_printf("%s%s", run->prefix, run->names.items[i]);

		strlist_add(&keys, key);
	}
	error_free(store_remove_many(options->store, (const char *const *) keys.items, keys.count,
	                             warn_of_leftover, &told));
}

Error *
dump_take(const DumpOptions *options, DumpRecord **ret_record)
{
	AUTO(Error) untidy = store_tidy(options->store, "", clock_now() - STALE_AFTER_US);

	notice_of_error(&options->notices, LOG_WARNING, untidy);

	AUTO_RUN run = {.options = options,
	                .began_ms = clock_monotonic_ms(),
	                .mutex = PTHREAD_MUTEX_INITIALIZER,
	                .record = dump_record_new(),
	                .contents = dump_contents_new()};
	Error *error = run_dump(&run);

	if (error != NULL && run.failure != NULL)
	{
		error_free(error);
		error = run.failure;
	}
	if (error != NULL)
	{
		remove_everything(&run);
		return error;
	}
	*ret_record = MOVE(run.record);
	return NULL;
}
