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

#define ALREADY_THERE    "42710:" /* SQLSTATE: duplicate_object */
#define ENTRIES_TEXT_MAX (64u * 1024 * 1024)

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
	int major;

	TRY(server_connect_somewhere(options->conninfo, &run->server));
	TRY(programs_find_client(options->programs, "pg_restore", record->dump_major, &run->programs, &major));
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

static char *
quote_literal(const char *text)
{
	AUTO_BUF(quoted, SIZE_MAX);

	buf_puts(&quoted, " E'");
	for (; *text != '\0'; text++)
	{
		if (*text == '\'' || *text == '\\')
			buf_putc(&quoted, *text);
		buf_putc(&quoted, *text);
	}
	buf_putc(&quoted, '\'');
	return buf_steal(&quoted);
}

static char *
quote_identifier(const char *text)
{
	AUTO_BUF(quoted, SIZE_MAX);

	buf_putc(&quoted, '"');
	for (; *text != '\0'; text++)
	{
		if (*text == '"')
			buf_putc(&quoted, *text);
		buf_putc(&quoted, *text);
	}
	buf_putc(&quoted, '"');
	return buf_steal(&quoted);
}

static void
add_locale(Buf *sql, const char *word, const char *value)
{
	AUTO_FREE char *quoted = value == NULL ? NULL : quote_literal(value);

	if (quoted != NULL)
		buf_printf(sql, " %s%s", word, quoted);
}

/* Under another name, for pg_restore knows only its own, and refuses one with a line end.  As the original, but for what only pg_dump's text has. */
static Error *
create_database(const UndumpRun *run, const UndumpChoice *choice)
{
	const DumpDatabaseFacts *facts = choice->facts;
	AUTO_FREE char *name = quote_identifier(choice->target);
	AUTO_BUF(sql, SIZE_MAX);
	AUTO_RESULTS done = {0};
	bool icu = str_equal(facts->provider, "i");

	buf_printf(&sql, "CREATE DATABASE %s TEMPLATE template0", name);
	add_locale(&sql, "ENCODING", facts->encoding);
	add_locale(&sql, "LC_COLLATE", facts->collate);
	add_locale(&sql, "LC_CTYPE", facts->ctype);
	if (server_major(run->server) >= 15 && (icu || str_equal(facts->provider, "b")))
		buf_printf(&sql, " LOCALE_PROVIDER %s", icu ? "icu" : "builtin");
	if (server_major(run->server) >= 15 && facts->locale != NULL)
		add_locale(&sql, icu ? "ICU_LOCALE" : "BUILTIN_LOCALE", facts->locale);
	Error *error = server_run(run->server, sql.data, -1, &done);

	if (error != NULL && run->options->new_server && !error_is(error, ERR_CANCELLED))
	{
		Error *refused = error_new(ERR_CORRUPT, "%s", error_message(error));

		error_free(error);
		error = refused;
	}
	TRY(error_context(error, "could not create database \"%s\"", choice->target));
	notice(&run->options->notices, LOG_INFO, NULL,
	       "database \"%s\" has the data of \"%s\", but not its own privileges, comment and settings (ALTER "
	       "DATABASE); schema-%" PRIu32 ".sql of the dump has them",
	       choice->target, facts->name, facts->oid);
	return NULL;
}

static void
drop_database(const UndumpRun *run, const UndumpChoice *choice)
{
	AUTO_FREE char *name = quote_identifier(choice->target);
	AUTO_FREE char *sql = mem_printf("DROP DATABASE %s", name);
	AUTO_RESULTS done = {0};
	AUTO(Error) error = server_run(run->server, sql, -1, &done);

	if (error != NULL)
		notice(&run->options->notices, LOG_WARNING, NULL,
		       "database \"%s\", which was made for this restore, could not be dropped: %s", choice->target,
		       error_message(error));
}

static Error *
restore_failed(const UndumpRun *run, const UndumpChoice *choice, const StrList *lines, int status)
{
	size_t reason = 0;

	if (lines->count == 0)
		return error_new(kind_of_failure(run, ERR_SYSTEM),
		                 "pg_restore of database \"%s\" ended with status %d, and said nothing",
		                 choice->facts->name, status);
	while (reason + 1 < lines->count && strstr(lines->items[reason], "error: ") == NULL)
		reason++;
	for (size_t i = 0; i < lines->count; i++)
		if (i != reason)
			notice(&run->options->notices, LOG_WARNING, NULL, "%s", lines->items[i]);

	ErrorKind kind = strstr(lines->items[reason], "permission denied") != NULL ? ERR_DENIED : ERR_TRANSIENT;

	return error_new(kind_of_failure(run, kind), "pg_restore of database \"%s\" failed: %s",
	                 choice->facts->name, lines->items[reason]);
}

/* pg_restore reads it by its descriptor: no name, no file. */
static Error *
make_list_file(const Buf *lines, int *ret_fd)
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
	bool create;             /* under its own name */
	bool clean;
	bool data_only;
} RestorePass;

/* The lines of the archive's table of contents that belong to the chosen tables; *ret_head: none of them has rows. */
static Error *
select_entries(UndumpRun *run, const UndumpChoice *choice, int *ret_fd, bool *ret_head)
{
	AUTO_FREE char *program = program_in(run->programs, "pg_restore");
	const char *const argv[] = {program, "--list", NULL};
	AUTO_BUF(list, ENTRIES_TEXT_MAX);
	AUTO_BUF(selected, ENTRIES_TEXT_MAX);
	AUTO_STRLIST lines = {0};
	size_t count = 0;
	int status = 0;

	buf_puts(&list, "");
	TRY(undump_program_run(
		run,
		&(UndumpProgram){.argv = argv, .object = &choice->objects->archive, .output = &list, .head = true},
		&lines, &status));
	atomic_store(&run->done, 0);
	if (status != 0)
		return restore_failed(run, choice, &lines, status);
	archive_entries_select(list.data, &run->tables, run->with_schema, &selected, &count);
	if (count == 0)
		return error_new(ERR_CORRUPT, "the archive of database \"%s\" has no table \"%s\"",
		                 choice->facts->name, run->options->table);
	*ret_head = strstr(selected.data, " TABLE DATA ") == NULL;
	return make_list_file(&selected, ret_fd);
}

static Error *
run_pass(UndumpRun *run, const UndumpChoice *choice, const RestorePass *pass)
{
	const UndumpOptions *options = run->options;
	AUTO_FREE char *program = program_in(run->programs, "pg_restore");
	AUTO_FREE char *conninfo = server_conninfo(run->server, pass->create ? "postgres" : choice->target);
	AUTO_FREE char *dbname = mem_printf("--dbname=%s", conninfo);
	AUTO_FREE char *use_list = mem_printf("--use-list=/proc/self/fd/%d", pass->entries);
	const char *argv[16] = {program, "--no-password", "--exit-on-error", dbname,
	                        pass->create ? "--create" : "--single-transaction"};
	size_t n = 5;
	AUTO_STRLIST lines = {0};
	int status = 0;

	for (size_t i = 0; i < lengthof(pass->sections) && pass->sections[i] != NULL; i++)
		argv[n++] = pass->sections[i];
	if (options->schema_only)
		argv[n++] = "--schema-only";
	if (pass->data_only)
		argv[n++] = "--data-only";
	if (options->no_owner)
	{
		argv[n++] = "--no-owner";
		argv[n++] = "--no-privileges";
	}
	if (pass->clean)
	{
		argv[n++] = "--clean";
		argv[n++] = "--if-exists";
	}
	if (pass->entries > 0)
		argv[n++] = use_list;
	TRY(undump_program_run(
		run,
		&(UndumpProgram){.argv = argv, .object = pass->object, .kept = pass->entries, .head = pass->head},
		&lines, &status));
	if (status != 0)
		return restore_failed(run, choice, &lines, status);
	for (size_t i = 0; i < lines.count; i++)
		notice(&options->notices, LOG_WARNING, NULL, "%s", lines.items[i]);
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
	TRY(restore_tables(run, choice));
	if (pass->entries > 0 && lseek(pass->entries, 0, SEEK_SET) != 0)
		return error_errno("could not read the list of entries again");
	return run_pass(run, choice, &after);
}

static Error *
run_restore(UndumpRun *run, const UndumpChoice *choice, bool by_its_name)
{
	RestorePass pass = {
		.object = &choice->objects->archive, .create = by_its_name, .clean = run->options->clean};
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
restore_database(UndumpRun *run, const UndumpChoice *choice)
{
	bool by_its_name = choice->create && strcmp(choice->target, choice->facts->name) == 0 &&
	                   strpbrk(choice->target, "\r\n") == NULL && run->tables.n_tables == 0;
	Error *error;

	if (choice->create && !by_its_name)
		TRY(create_database(run, choice));
	error = run_restore(run, choice, by_its_name);
	if (error != NULL && choice->create && !by_its_name)
		drop_database(run, choice);
	else if (by_its_name || choice->objects->n_tables > 0)
		error = error_hint(error,
		                   "If database \"%s\" is there now, it is incomplete: drop it before the next try.",
		                   choice->target);
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
