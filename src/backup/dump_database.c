/*
 * One database: its schema, its archive, and the rows of its large tables each for
 * itself; all of one snapshot, which a session of our own holds.
 */
#include <inttypes.h>
#include <string.h>

#include "dump_run.h"
#include "walship/archive/layout.h"
#include "walship/base/child_stream.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pg/programs.h"

#define ENTRIES_TEXT_MAX (64u * 1024 * 1024)
#define STATISTICS_SINCE 18 /* pg_dump's major */

/*
 * pg_restore --list gets the archive as it passes: its table of contents stands at the
 * beginning, and that it can be read proves that it is one.
 */
typedef struct ContentsReader
{
	ChildStream *child;
	Buf list;
	bool wants;
} ContentsReader;

static Error *
feed_reader(void *context, const void *data, size_t size)
{
	ContentsReader *reader = context;

	if (reader->wants)
		TRY(child_stream_write(reader->child, data, size, &reader->list, &reader->wants));
	return NULL;
}

/* A line for each entry; those that begin with ';' are remarks. */
static uint64_t
count_entries(const Buf *list)
{
	uint64_t count = 0;

	for (const char *line = list->data; line != NULL && *line != '\0';)
	{
		const char *end = strchr(line, '\n');

		count += *line != ';' && *line != '\n';
		line = end == NULL ? NULL : end + 1;
	}
	return count;
}

/*
 * A pattern that pg_dump understood in another way would leave the rows in the archive, too, and a restore would
 * make them twice.
 */
static Error *
check_left_out(const Buf *list, const DumpChoice *choice, const DumpDatabase *database)
{
	for (size_t i = 0; i < database->n_tables; i++)
	{
		AUTO_FREE char *entry = mem_printf("; 0 %" PRIu32 " TABLE DATA ", database->tables[i].oid);

		if (list->data != NULL && strstr(list->data, entry) != NULL)
			return error_new(ERR_SYSTEM,
			                 "pg_dump did not leave out the rows of table %" PRIu32 " of database \"%s\"",
			                 database->tables[i].oid, choice->name);
	}
	return NULL;
}

static Error *
end_reader(ContentsReader *reader, const DumpChoice *choice, const DumpDatabase *database,
           uint64_t *ret_entries)
{
	AUTO_STRLIST lines = {0};
	int status = 0;

	TRY(child_stream_end(reader->child, &reader->list, &status));
	child_stream_errors(reader->child, &lines);
	if (status != 0)
		return error_new(ERR_SYSTEM, "pg_restore cannot read the dump of database \"%s\": %s", choice->name,
		                 lines.count > 0 ? lines.items[0] : "it said nothing");
	*ret_entries = count_entries(&reader->list);
	return check_left_out(&reader->list, choice, database);
}

/* What both calls of pg_dump for one database have in common. */
typedef struct DumpWords
{
	char *program;
	char *dbname;
	char *snapshot;
	char *lock;
	char *encoding;
} DumpWords;

static void
dump_words_release(DumpWords *words)
{
	free(words->program);
	free(words->dbname);
	free(words->snapshot);
	free(words->lock);
	free(words->encoding);
}

static DumpWords
make_words(const DumpRun *run, const Server *server, const char *snapshot, const DumpDatabaseFacts *facts)
{
	AUTO_FREE char *conninfo = server_conninfo(server, facts->name);

	return (DumpWords){.program = program_in(run->programs, "pg_dump"),
	                   .dbname = mem_printf("--dbname=%s", conninfo),
	                   .snapshot = mem_printf("--snapshot=%s", snapshot),
	                   .lock = mem_printf("--lock-wait-timeout=%" PRId64, run->options->lock_timeout_ms),
	                   .encoding = mem_printf("--encoding=%s", facts->encoding)};
}

/* A table as pg_dump's patterns have it: what is in quotes is taken as it is. */
static char *
table_pattern(const char *option, const DumpTableFacts *table)
{
	AUTO_BUF(pattern, SIZE_MAX);

	buf_printf(&pattern, "%s=", option);
	for (int part = 0; part < 2; part++)
	{
		buf_puts(&pattern, part == 0 ? "\"" : ".\"");
		for (const char *at = part == 0 ? table->schema : table->name; *at != '\0'; at++)
		{
			if (*at == '"')
				buf_putc(&pattern, '"');
			buf_putc(&pattern, *at);
		}
		buf_putc(&pattern, '"');
	}
	return buf_steal(&pattern);
}

static const DumpTableFacts *
facts_of(const DumpDatabaseFacts *facts, uint32_t oid)
{
	size_t i = 0;

	while (facts->tables[i].oid != oid)
		i++;
	return &facts->tables[i];
}

/* One database's dump under way; of its jobs each writes to a member of its own. */
typedef struct DatabaseRun
{
	DumpRun *run;
	DumpWords words;
	const DumpChoice *choice;
	DumpDatabaseFacts *facts;
	DumpDatabase *database;
	bool in_job;
} DatabaseRun;

/* A WorkersJob. */
static Error *
dump_archive(void *argument)
{
	const DatabaseRun *self = argument;
	DumpRun *run = self->run;
	const DumpWords *words = &self->words;
	const DumpChoice *choice = self->choice;
	DumpDatabaseFacts *facts = self->facts;
	DumpDatabase *database = self->database;
	const DumpOptions *options = run->options;
	AUTO_FREE char *restore = program_in(run->programs, "pg_restore");
	AUTO_FREE char *what = mem_printf("pg_dump of database \"%s\"", choice->name);
	AUTO_FREE char *name =
		layout_archive_name(choice->oid, options->compression.codec, options->recipients != NULL);
	const char *const list[] = {restore, "--list", NULL};
	AUTO_STRLIST left_out = {0};
	AUTO_FREE const char **argv = NEW_ARRAY(const char *, database->n_tables + 10);
	size_t n = 0;
	ContentsReader reader = {.wants = true};

	argv[n++] = words->program;
	argv[n++] = "--format=custom";
	argv[n++] = "--compress=0";
	argv[n++] = "--no-password";
	argv[n++] = words->dbname;
	argv[n++] = words->snapshot;
	argv[n++] = words->lock;
	argv[n++] = words->encoding;
	if (run->record->dump_major >= STATISTICS_SINCE)
		argv[n++] = "--statistics";
	for (size_t i = 0; i < database->n_tables; i++)
	{
		AUTO_FREE char *option =
			table_pattern("--exclude-table-data", facts_of(facts, database->tables[i].oid));

		strlist_add(&left_out, option);
		argv[n++] = left_out.items[i];
	}
	buf_init(&reader.list, ENTRIES_TEXT_MAX);
	Error *error = child_stream_start(&(ChildOptions){.argv = list}, true, &reader.child);

	if (error == NULL)
		error = dump_program_run(run,
		                         &(DumpProgram){.argv = argv,
		                                        .what = what,
		                                        .name = name,
		                                        .watch = feed_reader,
		                                        .context = &reader,
		                                        .in_job = self->in_job},
		                         &database->archive);
	if (error == NULL)
		error = end_reader(&reader, choice, database, &facts->entries);
	child_stream_free(reader.child);
	buf_release(&reader.list);
	return dump_keep_failure(run, error);
}

/* No text for psql can lead into such a database: pg_dump refuses to write it with --create. */
static bool
has_line_end(const char *name)
{
	return strpbrk(name, "\r\n") != NULL;
}

/* A WorkersJob. */
static Error *
dump_schema(void *argument)
{
	const DatabaseRun *self = argument;
	const DumpWords *words = &self->words;
	const DumpChoice *choice = self->choice;
	const DumpOptions *options = self->run->options;
	AUTO_FREE char *what = mem_printf("pg_dump of the schema of database \"%s\"", choice->name);
	AUTO_FREE char *name =
		layout_schema_name(choice->oid, options->compression.codec, options->recipients != NULL);
	const char *const argv[] = {words->program,
	                            "--schema-only",
	                            "--no-password",
	                            words->dbname,
	                            words->snapshot,
	                            words->lock,
	                            words->encoding,
	                            has_line_end(choice->name) ? NULL : "--create",
	                            NULL};
	AUTO(SchemaDigest) digest = schema_digest_new();

	TRY(dump_program_run(self->run,
	                     &(DumpProgram){.argv = argv,
	                                    .what = what,
	                                    .name = name,
	                                    .watch = schema_digest_write,
	                                    .context = digest,
	                                    .in_job = true},
	                     &self->database->schema));
	schema_digest_final(digest, self->facts->schema_sha256);
	return NULL;
}

/* Of a standby the unlogged ones have no rows. */
static void
choose_tables(const DumpRun *run, const DumpDatabaseFacts *facts, DumpDatabase *database)
{
	database->tables = NEW_ARRAY(DumpTable, facts->n_tables + 1);
	for (size_t i = 0; i < facts->n_tables; i++)
	{
		const DumpTableFacts *table = &facts->tables[i];

		if (table->has_rows && table->size >= run->options->table_size && run->options->table_size > 0 &&
		    !(table->unlogged && run->record->from_standby))
			database->tables[database->n_tables++].oid = table->oid;
	}
}

typedef struct TableJob
{
	const DatabaseRun *of;
	const DumpTableFacts *facts;
	DumpTable *table;
} TableJob;

/* A WorkersJob. */
static Error *
dump_table(void *argument)
{
	const TableJob *job = argument;
	const DatabaseRun *of = job->of;
	const DumpOptions *options = of->run->options;
	const DumpWords *words = &of->words;
	AUTO_FREE char *what = mem_printf("pg_dump of table \"%s.%s\" of database \"%s\"", job->facts->schema,
	                                  job->facts->name, of->choice->name);
	AUTO_FREE char *name = layout_table_data_name(of->choice->oid, job->facts->oid,
	                                              options->compression.codec, options->recipients != NULL);
	AUTO_FREE char *table = table_pattern("--table", job->facts);
	const char *const argv[] = {words->program,
	                            "--format=custom",
	                            "--compress=0",
	                            "--data-only",
	                            "--no-password",
	                            table,
	                            words->dbname,
	                            words->snapshot,
	                            words->lock,
	                            words->encoding,
	                            NULL};

	return dump_program_run(of->run, &(DumpProgram){.argv = argv, .what = what, .name = name, .in_job = true},
	                        &job->table->object);
}

/*
 * Archive, schema and large tables side by side.  The archive comes first, for it is compressed by all cores where
 * the others have one each; and every object is read again while others are still dumped.
 */
static Error *
dump_objects(DatabaseRun *self)
{
	const DumpDatabase *database = self->database;
	AUTO_FREE TableJob *jobs = NEW_ARRAY(TableJob, database->n_tables + 1);
	AUTO(Workers) workers = workers_new(self->in_job ? 1 : self->run->options->jobs);

	workers_submit(workers, dump_archive, self, NULL);
	for (size_t i = 0; i < database->n_tables; i++)
	{
		jobs[i] =
			(TableJob){self, facts_of(self->facts, database->tables[i].oid), &self->database->tables[i]};
		workers_submit(workers, dump_table, &jobs[i], NULL);
	}
	workers_submit(workers, dump_schema, self, NULL);
	return workers_wait(workers);
}

static uint64_t
raw_size(const DumpDatabase *database)
{
	uint64_t size = database->archive.raw_size + database->schema.raw_size;

	for (size_t i = 0; i < database->n_tables; i++)
		size += database->tables[i].object.raw_size;
	return size;
}

static Error *
dump_with_snapshot(DatabaseRun *self)
{
	DumpRun *run = self->run;
	const DumpChoice *choice = self->choice;
	AUTO(Server) server = NULL;
	AUTO_FREE char *snapshot = NULL;

	TRY(error_context(dump_open_database(run, choice, &server, &snapshot, self->facts), "database \"%s\"",
	                  choice->name));
	self->database->oid = choice->oid;
	if (run->options->recipients == NULL)
		self->database->name = mem_strdup(choice->name);
	self->words = make_words(run, server, snapshot, self->facts);
	choose_tables(run, self->facts, self->database);
	TRY(dump_objects(self));
	atomic_fetch_add(&run->size_done, choice->size);
	atomic_fetch_sub(&run->received, raw_size(self->database));
	return NULL;
}

Error *
dump_database(DumpRun *run, size_t number, bool in_job)
{
	DatabaseRun self = {.run = run,
	                    .choice = &run->choices[number],
	                    .facts = &run->contents->databases[number],
	                    .database = &run->record->databases[number],
	                    .in_job = in_job};
	Error *error = dump_with_snapshot(&self);

	dump_words_release(&self.words);
	return dump_keep_failure(run, error);
}
