/* The order of a restore. */
#include "walship/backup/undump.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "undump_run.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pg/programs.h"

#define ALREADY_THERE         "42710:" /* SQLSTATE: duplicate_object */
#define TABLES_IN_TRANSACTION 500
#define ENTRIES_TEXT_MAX      (64u * 1024 * 1024)

static void
undump_run_release(UndumpRun *run)
{
	table_choice_release(&run->tables);
	free(run->choices);
	free(run->programs);
	server_free(run->server);
}

#define AUTO_RUN __attribute__((cleanup(undump_run_release))) UndumpRun

static Error *
choose_one(UndumpRun *run)
{
	const UndumpOptions *options = run->options;
	const DumpDatabaseFacts *facts = dump_contents_database(options->contents, options->database);
	UndumpChoice *choice = &run->choices[run->n_choices++];

	if (facts == NULL)
		return error_hint(error_new(ERR_NOT_FOUND, "dump \"%s\" has no database \"%s\"",
		                            options->source.record->id, options->database),
		                  "\"walship undump --list\" shows what is in it.");
	*choice = (UndumpChoice){.facts = facts,
	                         .target = options->target != NULL ? options->target : facts->name,
	                         .create = options->create};
	if (options->table != NULL)
		TRY(table_choice_make(facts, options->table, &run->tables));
	return dump_source_database(&options->source, facts->oid, &choice->objects);
}

/* Into those that are there on every new server, too; all others are made. */
static Error *
choose_all(UndumpRun *run)
{
	const DumpContents *contents = run->options->contents;
	AUTO_RESULTS results = {0};

	TRY(server_run(run->server, "SELECT datname FROM pg_catalog.pg_database", -1, &results));
	for (size_t i = 0; i < contents->n_databases; i++)
	{
		const DumpDatabaseFacts *facts = &contents->databases[i];
		UndumpChoice *choice = &run->choices[run->n_choices++];

		*choice = (UndumpChoice){.facts = facts, .target = facts->name, .create = true};
		for (size_t row = 0; row < results.items[0].count; row++)
			choice->create &= !str_equal(results.items[0].values[row], facts->name);
		TRY(dump_source_database(&run->options->source, facts->oid, &choice->objects));
	}
	return NULL;
}

static Error *
prepare(UndumpRun *run)
{
	const UndumpOptions *options = run->options;
	const DumpRecord *record = options->source.record;

	TRY(server_connect_somewhere(options->conninfo, &run->server));
	TRY(programs_find_client(options->programs, "pg_restore", record->dump_major, &run->programs,
	                         &run->client_major));
	run->choices = NEW_ARRAY(UndumpChoice, options->contents->n_databases + 1);
	if (!options->globals_only)
		TRY(options->database != NULL ? choose_one(run) : choose_all(run));
	for (size_t i = 0; i < run->n_choices; i++)
	{
		const DumpDatabase *objects = run->choices[i].objects;

		run->total += objects->archive.raw_size;
		for (size_t j = 0; j < objects->n_tables && !options->schema_only; j++)
			run->total += objects->tables[j].object.raw_size;
	}
	return undump_check(run);
}

/* What a program's failure, or the server's refusal, is that may come right later, or elsewhere. */
static ErrorKind
kind_of_failure(const UndumpRun *run, ErrorKind kind)
{
	return run->options->new_server ? ERR_CORRUPT : kind;
}

/* Beside an error that says "already there" psql also says where in the server's source it came from. */
static bool
is_worth_telling(const char *line)
{
	return strstr(line, ALREADY_THERE) == NULL && !str_starts_with(line, "LOCATION:");
}

/*
 * The role of initdb is in every dump, and on every server: CREATE ROLE for it fails, and
 * so it does for every role that is there; the ALTER ROLE that follows sets it right.
 */
static Error *
restore_globals(UndumpRun *run)
{
	const UndumpOptions *options = run->options;
	AUTO_FREE char *program = program_in(run->programs, "psql");
	AUTO_FREE char *conninfo = server_conninfo(run->server, "postgres");
	AUTO_FREE char *dbname = mem_printf("--dbname=%s", conninfo);
	const char *const argv[] = {program, "--no-psqlrc", "--quiet", "--no-password", "--set=VERBOSITY=verbose",
	                            dbname,  NULL};
	AUTO_STRLIST lines = {0};
	int status = 0;

	if (program == NULL)
		return error_new(ERR_SYSTEM, "beside pg_restore in \"%s\" there is no psql", run->programs);
	TRY(undump_program_run(run, &(UndumpProgram){.argv = argv, .object = &options->source.record->globals},
	                       &lines, &status));
	for (size_t i = 0; i < lines.count; i++)
		if (is_worth_telling(lines.items[i]))
			notice(&options->notices, LOG_WARNING, NULL, "psql, restoring the globals: %s", lines.items[i]);
	if (status != 0)
		return error_new(kind_of_failure(run, ERR_TRANSIENT),
		                 "psql could not restore the globals: it ended with status %d", status);
	return NULL;
}

static bool
says_why(const char *line)
{
	return strstr(line, "error: ") != NULL || strstr(line, "ERROR:") != NULL;
}

Error *
undump_failed(const UndumpRun *run, const UndumpChoice *choice, const StrList *lines, int status)
{
	size_t reason = 0;

	if (lines->count == 0)
		return error_new(kind_of_failure(run, ERR_SYSTEM),
		                 "pg_restore of database \"%s\" ended with status %d, and said nothing",
		                 choice->facts->name, status);
	while (reason + 1 < lines->count && !says_why(lines->items[reason]))
		reason++;
	for (size_t i = 0; i < lines->count; i++)
		if (i != reason)
			notice(&run->options->notices, LOG_WARNING, NULL, "%s", lines->items[i]);

	ErrorKind kind = strstr(lines->items[reason], "permission denied") != NULL ? ERR_DENIED : ERR_TRANSIENT;

	Error *error = error_new(kind_of_failure(run, kind), "pg_restore of database \"%s\" failed: %s",
	                         choice->facts->name, lines->items[reason]);

	if (strstr(lines->items[reason], "out of shared memory") == NULL)
		return error;
	return error_hint(error,
	                  "One transaction locks every table. Raise max_locks_per_transaction of the server, or "
	                  "restore with --create, which needs no single transaction.");
}

/* pg_restore reads it by its descriptor: no name, no file. */
Error *
undump_list_file(const Buf *lines, int *ret_fd)
{
	AUTO_CLOSE int fd = memfd_create("entries", MFD_CLOEXEC);

	if (fd < 0)
		return error_errno("could not create a file in memory");
	TRY(file_write(fd, "entries", lines->data, lines->size));
	*ret_fd = fd;
	fd = -1;
	return NULL;
}

/* What of an archive is restored at a time. */
typedef struct RestorePass
{
	const BackupObject *object;
	const char *sections[2]; /* NULL: all */
	int entries;             /* descriptor of the lines that are chosen; 0: all */
	bool head;               /* none of it has rows */
	bool clean;
	bool data_only;
} RestorePass;

/* What pg_restore prints of the archive's beginning. */
Error *
undump_print(UndumpRun *run, const UndumpChoice *choice, const char *const *argv, int kept, Buf *ret_text)
{
	AUTO_STRLIST lines = {0};
	uint64_t done = atomic_load(&run->done);
	int status = 0;

	TRY(undump_program_run(run,
	                       &(UndumpProgram){.argv = argv,
	                                        .object = &choice->objects->archive,
	                                        .kept = kept,
	                                        .output = ret_text,
	                                        .head = true},
	                       &lines, &status));
	atomic_store(&run->done, done);
	return status == 0 ? NULL : undump_failed(run, choice, &lines, status);
}

/* The lines of the archive's table of contents that belong to the chosen tables; *ret_head: none of them has rows. */
static Error *
select_entries(UndumpRun *run, const UndumpChoice *choice, int *ret_fd, bool *ret_head)
{
	AUTO_FREE char *program = program_in(run->programs, "pg_restore");
	const char *const argv[] = {program, "--list", NULL};
	AUTO_BUF(list, ENTRIES_TEXT_MAX);
	AUTO_BUF(selected, ENTRIES_TEXT_MAX);
	size_t count = 0;

	buf_puts(&list, "");
	TRY(undump_print(run, choice, argv, 0, &list));
	archive_entries_select(list.data, &run->tables, run->with_schema, &selected, &count);
	if (count == 0)
		return error_new(ERR_CORRUPT, "the archive of database \"%s\" has no table \"%s\"",
		                 choice->facts->name, run->options->table);
	*ret_head = strstr(selected.data, " TABLE DATA ") == NULL;
	return undump_list_file(&selected, ret_fd);
}

/* The words of pg_restore that say what of an archive, and how. */
static void
add_choices(const UndumpRun *run, const UndumpChoice *choice, const RestorePass *pass, const char **argv)
{
	const UndumpOptions *options = run->options;

	for (size_t i = 0; i < lengthof(pass->sections) && pass->sections[i] != NULL; i++)
		*argv++ = pass->sections[i];
	if (options->schema_only)
		*argv++ = "--schema-only";
	if (pass->data_only)
		*argv++ = "--data-only";
	if (options->no_owner)
	{
		*argv++ = "--no-owner";
		*argv++ = "--no-privileges";
	}
	if (choice->no_tablespaces)
		*argv++ = "--no-tablespaces";
	if (pass->clean)
	{
		*argv++ = "--clean";
		*argv++ = "--if-exists";
	}

	/* They are restored by functions that came with 18. */
	if (run->client_major >= 18 && server_major(run->server) < 18)
		*argv++ = "--no-statistics";
}

/*
 * One transaction holds a lock for each table, index and TOAST table, and a server with its defaults has room for
 * some thousand.  A database that was made for this is dropped after a failure, and needs none.
 */
static bool
in_one_transaction(const UndumpChoice *choice)
{
	return !choice->create || choice->facts->n_tables <= TABLES_IN_TRANSACTION;
}

static Error *
run_pass(UndumpRun *run, const UndumpChoice *choice, const RestorePass *pass)
{
	AUTO_FREE char *program = program_in(run->programs, "pg_restore");
	AUTO_FREE char *dbname = undump_dbname_option(run, choice);
	AUTO_FREE char *use_list = mem_printf("--use-list=/proc/self/fd/%d", pass->entries);
	bool as_text = undump_needs_script(run);
	const char *argv[20] = {program};
	size_t n = 1;
	AUTO_STRLIST lines = {0};
	int status = 0;

	argv[n++] = as_text ? "--file=-" : dbname;
	if (in_one_transaction(choice))
		argv[n++] = "--single-transaction"; /* as text, too: its COMMIT is printed when all has been read */
	if (!as_text)
	{
		argv[n++] = "--no-password";
		argv[n++] = "--exit-on-error";
	}
	if (pass->entries > 0)
		argv[n++] = use_list;
	add_choices(run, choice, pass, argv + n);
	TRY(undump_program_run(run,
	                       &(UndumpProgram){.argv = argv,
	                                        .object = pass->object,
	                                        .kept = pass->entries,
	                                        .head = pass->head,
	                                        .into = as_text ? choice : NULL},
	                       &lines, &status));
	if (status != 0)
		return undump_failed(run, choice, &lines, status);
	for (size_t i = 0; i < lines.count; i++)
		notice(&run->options->notices, LOG_WARNING, NULL, "%s", lines.items[i]);
	return NULL;
}

typedef struct RowsJob
{
	UndumpRun *run;
	const UndumpChoice *choice;
	const BackupObject *object;
} RowsJob;

/* A WorkersJob. */
static Error *
restore_rows(void *argument)
{
	const RowsJob *job = argument;

	return run_pass(job->run, job->choice, &(RestorePass){.object = job->object, .data_only = true});
}

static bool
is_chosen(const UndumpRun *run, uint32_t oid)
{
	for (size_t i = 0; i < run->tables.n_tables; i++)
		if (run->tables.tables[i]->oid == oid)
			return true;
	return run->tables.n_tables == 0;
}

/* Rows of tables that have an object of their own, side by side. */
static Error *
restore_tables(UndumpRun *run, const UndumpChoice *choice)
{
	const DumpDatabase *objects = choice->objects;
	AUTO_FREE RowsJob *jobs = NEW_ARRAY(RowsJob, objects->n_tables + 1);
	AUTO(Workers) workers = workers_new(run->options->jobs);

	for (size_t i = 0; i < objects->n_tables; i++)
		if (is_chosen(run, objects->tables[i].oid))
		{
			jobs[i] = (RowsJob){run, choice, &objects->tables[i].object};
			workers_submit(workers, restore_rows, &jobs[i], NULL);
		}
	return workers_wait(workers);
}

/* After a failure: of what was there before the first pass nothing is missing, and what it brought is not whole. */
static Error *
say_what_is_there(const UndumpRun *run, const UndumpChoice *choice, Error *error)
{
	if (error == NULL || choice->create)
		return error;
	return run->tables.n_tables > 0
	           ? error_hint(error, "Table \"%s\" is there now, but incomplete: restore it anew with --clean.",
	                        run->options->table)
	           : error_hint(error,
	                        "What database \"%s\" has now is incomplete: empty it before the next try.",
	                        choice->target);
}

/* Keys, indexes and triggers only once the rows of all tables are there. */
static Error *
restore_in_passes(UndumpRun *run, const UndumpChoice *choice, const RestorePass *pass)
{
	RestorePass before = *pass;
	RestorePass after = {
		.object = pass->object, .sections = {"--section=post-data"}, .entries = pass->entries, .head = true};

	before.sections[0] = "--section=pre-data";
	before.sections[1] = "--section=data";
	TRY(run_pass(run, choice, &before));
	TRY(say_what_is_there(run, choice, restore_tables(run, choice)));
	if (pass->entries > 0 && lseek(pass->entries, 0, SEEK_SET) != 0)
		return error_errno("could not read the list of entries again");
	return say_what_is_there(run, choice, run_pass(run, choice, &after));
}

static Error *
run_restore(UndumpRun *run, const UndumpChoice *choice)
{
	RestorePass pass = {.object = &choice->objects->archive, .clean = run->options->clean};
	AUTO_CLOSE int entries = -1;

	if (run->tables.n_tables > 0)
	{
		TRY(select_entries(run, choice, &entries, &pass.head));
		pass.entries = entries;
	}
	if (choice->objects->n_tables == 0 || run->options->schema_only)
		return run_pass(run, choice, &pass);
	return restore_in_passes(run, choice, &pass);
}

static Error *
restore_database(UndumpRun *run, UndumpChoice *choice)
{
	Error *error;

	TRY(undump_look_for_tablespaces(run, choice));
	if (choice->create)
		TRY(undump_make_database(run, choice));
	error = run_restore(run, choice);
	if (error != NULL && choice->create)
		undump_drop_database(run, choice);
	return error;
}

Error *
undump(const UndumpOptions *options)
{
	AUTO_RUN run = {.options = options};

	TRY(prepare(&run));
	if (options->globals)
		TRY(restore_globals(&run));
	for (size_t i = 0; i < run.n_choices; i++)
		TRY(restore_database(&run, &run.choices[i]));
	return NULL;
}
