/* A drill of a dump: restored into a new server; see walship/upkeep/drill.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>

#include "drill_steps.h"
#include "walship/backup/dump_globals.h"
#include "walship/base/child.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/pg/programs.h"

#define GLOBALS_MAX (64u * 1024 * 1024) /* bytes */
#define OUTPUT_MAX  (256 * 1024)        /* bytes of initdb's words */
#define INITDB_MS   600000

#define NEW_SERVER_SIZE (100u * 1024 * 1024) /* bytes: three databases, and WAL */

/* "postgresql.auto.conf", which is read after the configuration file: a dump of thousands of tables is one transaction. */
#define MORE_LOCKS "max_locks_per_transaction = 1024\n"

/* Of the connections that restore: the server is there to be looked at, and writes only when it is told to. */
#define WRITING_OPTIONS                                                                               \
	"-c default_transaction_read_only=off -c session_preload_libraries= -c local_preload_libraries= " \
	"-c statement_timeout=0 -c lock_timeout=0"

static void
describe(const DrillDump *dump, const DrillOptions *options, DrillReport *report)
{
	const DumpRecord *record = dump->source.record;
	char time[TIME_TEXT_SIZE];

	report->time = dump->now;
	report->system_identifier = record->system_identifier;
	report->walship_version = mem_strdup(options->walship_version);
	report->dump = mem_strdup(record->id);
	report->schema_only = dump->schema_only;
	report->server_version = record->server_version;
	report->timeline = record->timeline;
	report->target = mem_printf("the dump of %s", time_format_postgres(record->start_time, time));
	report->planned_time = TIME_NONE;
	report->fetched_size = dump_record_stored_size(record);
}

/* The dumped tables' own sizes, without their indexes: what is less than that is surely too little. */
static Error *
check_space(const DrillDump *dump, const char *directory)
{
	uint64_t needed = NEW_SERVER_SIZE;
	struct statvfs space;
	char needed_text[SIZE_TEXT_SIZE];
	char free_text[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < dump->contents->n_databases && !dump->schema_only; i++)
		for (size_t j = 0; j < dump->contents->databases[i].n_tables; j++)
			needed += dump->contents->databases[i].tables[j].size;
	if (statvfs(directory, &space) != 0)
		return error_errno("could not ask for the free space of \"%s\"", directory);

	uint64_t available = (uint64_t) space.f_bavail * space.f_frsize;

	if (needed <= available)
		return NULL;
	return error_hint(error_new(ERR_SYSTEM, "not enough space for directory \"%s\": %s needed, %s free",
	                            directory, size_format(needed, needed_text),
	                            size_format(available, free_text)),
	                  "Make room, or set \"drill_scratch\" to another place.");
}

/*
 * What it will run with, before anything is made: a server of the dumped major, and pg_restore of
 * the dump's or a newer one, which need not lie in the same directory.
 */
static Error *
find_programs(const DrillDump *dump, const DrillOptions *options, PrivateServer *server, char **ret_clients)
{
	const DumpRecord *record = dump->source.record;
	const char *const places[] = {options->copy.programs, NULL}; /* what was given, then the usual ones */
	size_t first = options->copy.programs == NULL ? 1 : 0;
	ServerNote *note = &server->note;
	Error *server_error = NULL;
	Error *client_error = NULL;
	int major;

	server->kept = options->keep;
	server->fence = options->copy.fence;
	note->major = record->server_version / 10000;
	note->port = 5432;
	note->libraries = mem_strdup(options->copy.libraries);
	note->backup = mem_strdup(record->id);
	note->timeline = record->timeline;
	for (size_t i = first; i < lengthof(places) && note->programs == NULL; i++)
	{
		error_free(server_error);
		server_error = programs_find(places[i], note->major, &note->programs);
	}
	for (size_t i = first; i < lengthof(places) && *ret_clients == NULL; i++)
	{
		error_free(client_error);
		client_error = programs_find_client(places[i], "pg_restore", record->dump_major, ret_clients, &major);
	}
	if (server_error == NULL)
		return client_error;
	error_free(client_error);
	return server_error;
}

/* Databases that are on every new server have initdb's encoding: what is restored into them must fit into it. */
static const char *
first_encoding(const DumpContents *contents)
{
	const DumpDatabaseFacts *facts = dump_contents_database(contents, "postgres");

	return facts == NULL ? "UTF8" : facts->encoding;
}

static Error *
run_initdb(const DrillDump *dump, const PrivateServer *server)
{
	AUTO_FREE char *path = program_in(server->note.programs, "initdb");
	const char *const argv[] = {path,
	                            "--pgdata",
	                            server->pgdata,
	                            "--username",
	                            server->user,
	                            "--encoding",
	                            first_encoding(dump->contents),
	                            "--locale=C",
	                            "--auth=trust",
	                            "--no-sync",
	                            NULL};
	AUTO_STRLIST environment = {0};
	AUTO_BUF(output, OUTPUT_MAX);
	AUTO_CLOSE int lock = -1;
	int status = 0;

	if (path == NULL)
		return error_new(ERR_SYSTEM, "there is no program \"initdb\" in \"%s\"", server->note.programs);
	private_server_environment("", &environment);

	/*
	 * The lock of a server, which initdb's own children have, too: killed with this process, it
	 * leaves one that goes on for a moment, and whoever clears up waits for that.
	 */
	TRY(dir_make(server->pgdata, 0700));
	lock = open(server->pgdata, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0)
		return error_errno("could not lock directory \"%s\"", server->pgdata);
	TRY(child_run(&(ChildOptions){.argv = argv,
	                              .environment = (const char *const *) environment.items,
	                              .kept = lock,
	                              .death_signal = SIGKILL},
	              INITDB_MS, &output, &status));
	if (status == 0)
		return NULL;

	const char *said = output.data == NULL ? "it said nothing" : output.data;
	const char *reason = strstr(said, "error: ");

	reason = reason == NULL ? said : reason;
	return error_new(ERR_SYSTEM, "initdb ended with status %d: %.*s", status, (int) strcspn(reason, "\n"),
	                 reason);
}

static Error *
make_server(const DrillDump *dump, PrivateServer *server)
{
	AUTO_FREE char *settings = path_join(server->pgdata, "postgresql.auto.conf");

	TRY(run_initdb(dump, server));
	TRY(file_replace(settings, MORE_LOCKS, strlen(MORE_LOCKS), 0600));
	return private_server_prepare(server);
}

static Error *
start(const DrillDump *dump, const DrillOptions *options, const DumpGlobals *globals, PrivateServer *server,
      DrillReport *report, char **ret_clients, bool *ret_runs)
{
	ServerProgress progress = {.consistent_ms = -1, .last_xact_time = TIME_NONE};
	int64_t begin = clock_monotonic_ms();
	Error *error;

	error = find_programs(dump, options, server, ret_clients);
	if (error == NULL)
		error = check_space(dump, options->directory);
	TRY(drill_take_error(report, DRILL_RESTORED, error));
	if (report->checks[DRILL_RESTORED].findings.count > 0)
		return NULL;
	server->user = mem_strdup(globals->superuser);
	error = make_server(dump, server);
	if (error == NULL)
		error = copy_start(server, &progress);
	*ret_runs = error == NULL;
	report->no_network = server->note.no_network;
	report->fence_reason = server->fence_reason == NULL ? NULL : mem_strdup(server->fence_reason);
	report->checks[DRILL_CONSISTENT].checked = *ret_runs;
	TRY(drill_take_error(report, DRILL_CONSISTENT, error));
	(void) drill_close_level(report, DRILL_CONSISTENT, begin);
	return NULL;
}

/*
 * CREATE TABLESPACE of the globals would write where the dumped server has its own, which
 * may run on this machine.  One of that name that is there already makes it fail, before
 * it looks at the directory (PostgreSQL: tablespace.c, CreateTableSpace()).
 */
static Error *
make_tablespaces(const DumpGlobals *globals, const char *directory, PrivateServer *server)
{
	AUTO(Server) connection = NULL;
	AUTO_RESULTS set = {0};

	if (globals->tablespaces.count == 0)
		return NULL;
	TRY(private_server_connect(server, "postgres", &connection));
	TRY(server_run(connection, "SET default_transaction_read_only = off", -1, &set));
	for (size_t i = 0; i < globals->tablespaces.count; i++)
	{
		AUTO_FREE char *path = mem_printf("%s/tablespaces/%zu", directory, i + 1);
		AUTO_FREE char *sql = NULL;
		AUTO_RESULTS made = {0};

		TRY(dir_make(path, 0700));

		/* A path with a quote is refused by the server, too. */
		sql = mem_printf("CREATE TABLESPACE %s LOCATION '%s'", globals->tablespaces.items[i], path);
		TRY(server_run(connection, sql, -1, &made));
	}
	return NULL;
}

/* What psql says of the globals: on a new server nothing of them is there already but what we made. */
static void
take_word(void *context, LogLevel level, const char *message, const char *hint)
{
	(void) hint;
	if (level <= LOG_WARNING && strstr(message, "ERROR:") != NULL)
		drill_finding(context, DRILL_RESTORED, "%s", message);
	else if (level <= LOG_WARNING)
		drill_note(context, DRILL_RESTORED, "%s", message);
}

static Error *
restore_globals(const UndumpOptions *options, DrillReport *report)
{
	UndumpOptions work = *options;

	work.globals = true;
	work.globals_only = true;
	work.notices = (Notices){.tell = take_word, .context = report};
	work.progress = NULL;
	report->checks[DRILL_RESTORED].checked++;
	return drill_take_error(report, DRILL_RESTORED, undump(&work));
}

static Error *
ask_names(PrivateServer *server, const char *sql, StrList *ret_names)
{
	AUTO(Server) connection = NULL;
	AUTO_RESULTS results = {0};

	TRY(private_server_connect(server, "postgres", &connection));
	TRY(server_run(connection, sql, -1, &results));
	for (size_t i = 0; results.count == 1 && i < results.items[0].count; i++)
		strlist_add(ret_names, results.items[0].values[i]);
	return NULL;
}

/* Once the globals are there, and before any database is: what each needs and will not find. */
static Error *
check_needs(const DumpContents *contents, PrivateServer *server, bool *lacks, DrillReport *report)
{
	AUTO_STRLIST extensions = {0};
	AUTO_STRLIST roles = {0};

	TRY(ask_names(server, "SELECT name FROM pg_available_extensions", &extensions));
	TRY(ask_names(server, "SELECT rolname FROM pg_roles", &roles));
	for (size_t i = 0; i < contents->n_databases; i++)
	{
		const DumpDatabaseFacts *facts = &contents->databases[i];

		report->checks[DRILL_CONFIGURED].checked += facts->n_extensions + facts->n_roles;
		for (size_t j = 0; j < facts->n_extensions; j++)
			if (!strlist_contains(&extensions, facts->extensions[j].name))
			{
				lacks[i] = true;
				drill_finding(report, DRILL_CONFIGURED,
				              "database \"%s\" needs extension \"%s\", which is not installed here",
				              facts->name, facts->extensions[j].name);
			}
		for (size_t j = 0; j < facts->n_roles; j++)
			if (!strlist_contains(&roles, facts->roles[j]))
			{
				lacks[i] = true;
				drill_finding(report, DRILL_CONFIGURED,
				              "database \"%s\" needs role \"%s\", which the dump's globals do not have",
				              facts->name, facts->roles[j]);
			}
	}
	return NULL;
}

static Error *
restore_databases(const DrillDump *dump, const UndumpOptions *options, const bool *lacks, DrillReport *report)
{
	for (size_t i = 0; i < dump->contents->n_databases; i++)
	{
		const char *name = dump->contents->databases[i].name;
		UndumpOptions work = *options;

		if (lacks[i])
			continue;
		work.database = name;
		work.create = strcmp(name, "postgres") != 0 && strcmp(name, "template1") != 0;
		report->checks[DRILL_RESTORED].checked++;
		TRY(drill_take_error(report, DRILL_RESTORED, undump(&work)));
	}
	return NULL;
}

static void
add_value(Buf *into, const char *keyword, const char *value)
{
	buf_printf(into, "%s='", keyword);
	for (; *value != '\0'; value++)
		buf_printf(into, "%s%c", *value == '\'' || *value == '\\' ? "\\" : "", *value);
	buf_puts(into, "' ");
}

/* To our server and no other, whatever the environment says (PGHOSTADDR, a service). */
static char *
conninfo_of(const PrivateServer *server)
{
	AUTO_FREE char *port = mem_printf("%" PRIu64, server->note.port);
	const char *const words[][2] = {{"host", server->note.sockets},
	                                {"hostaddr", ""},
	                                {"port", port},
	                                {"user", server->user},
	                                {"options", WRITING_OPTIONS},
	                                {"sslmode", "disable"},
	                                {"gssencmode", "disable"},
	                                {"target_session_attrs", "any"}};
	AUTO_BUF(text, SIZE_MAX);

	for (size_t i = 0; i < lengthof(words); i++)
		add_value(&text, words[i][0], words[i][1]);
	return buf_steal(&text);
}

static Error *
restore(const DrillDump *dump, const DrillOptions *options, const DumpGlobals *globals, const char *clients,
        PrivateServer *server, DrillReport *report)
{
	int64_t begin = clock_monotonic_ms();
	AUTO_FREE bool *lacks = NEW_ARRAY(bool, dump->contents->n_databases + 1);
	AUTO_FREE char *conninfo = conninfo_of(server);
	AUTO_STRLIST environment = {0};
	UndumpOptions work = {.source = dump->source,
	                      .contents = dump->contents,
	                      .conninfo = conninfo,
	                      .programs = clients,
	                      .schema_only = dump->schema_only,
	                      .jobs = dump->jobs,
	                      .new_server = true,
	                      .notices = dump->notices,
	                      .progress = dump->progress,
	                      .context = dump->context};
	Error *error;

	private_server_environment("", &environment);
	work.environment = (const char *const *) environment.items;
	error = make_tablespaces(globals, options->directory, server);
	if (error == NULL)
		error = restore_globals(&work, report);
	if (error == NULL)
		error = check_needs(dump->contents, server, lacks, report);
	if (error == NULL)
		error = restore_databases(dump, &work, lacks, report);
	TRY(drill_take_error(report, DRILL_RESTORED, error));
	(void) drill_close_level(report, DRILL_RESTORED, begin);
	(void) drill_close_level(report, DRILL_CONFIGURED, begin);
	return NULL;
}

static Error *
check_contents(const DrillDump *dump, const DrillOptions *options, PrivateServer *server, DrillReport *report)
{
	static const DrillLevel levels[] = {DRILL_CONFIGURED, DRILL_DATABASES, DRILL_TABLES, DRILL_COUNTS,
	                                    DRILL_STRUCTURE};
	AUTO_DRILL_COUNTS counts = {.estimates = dump->contents, .no_rows = dump->schema_only};
	int64_t begin = clock_monotonic_ms();

	TRY(drill_check_databases(server, &counts, report));
	for (size_t i = 0; i < lengthof(levels); i++)
		(void) drill_close_level(report, levels[i], begin);
	begin = clock_monotonic_ms();
	if (dump->schema_only)
		drill_note(report, DRILL_SQL, "only the schema was restored: there are no rows to ask for");
	else
		TRY(drill_check_sql(server, options->sql_directory, report));
	(void) drill_close_level(report, DRILL_SQL, begin);
	return NULL;
}

/* What only a backup has. */
static void
leave_out(DrillReport *report)
{
	static const struct
	{
		DrillLevel level;
		const char *note;
	} rows[] = {
		{DRILL_TARGET, "a dump has no target: it is of its own moment"},
		{DRILL_IN_TIME, "\"rto_target\" is held against recoveries of backups"},
		{DRILL_RECENT, "\"rpo_target\" is held against recoveries of backups"},
		{DRILL_DUMP, "it is a dump that was restored"},
		{DRILL_PAGES, "the server was made for this drill: its pages are not those of a backup"},
	};

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		drill_note(report, rows[i].level, "%s", rows[i].note);
		(void) drill_close_level(report, rows[i].level, clock_monotonic_ms());
	}
}

static Error *
read_globals(const DumpSource *source, DrillReport *report, DumpGlobals *ret_globals)
{
	AUTO_BUF(text, GLOBALS_MAX);

	TRY(drill_take_error(report, DRILL_RESTORED, dump_source_text(source, &source->record->globals, &text)));
	dump_globals_parse(text.data == NULL ? "" : text.data, ret_globals);
	return NULL;
}

static bool
has_failed(const DrillReport *report)
{
	for (int level = 0; level < N_DRILL_LEVELS; level++)
		if (report->checks[level].findings.count > 0)
			return true;
	return false;
}

Error *
drill_dump_run(const DrillDump *dump, const DrillOptions *options, PrivateServer *server, DrillReport *report)
{
	AUTO_DUMP_GLOBALS globals = {0};
	int64_t begin = clock_monotonic_ms();
	AUTO_FREE char *clients = NULL;
	bool runs = false;

	describe(dump, options, report);
	TRY(read_globals(&dump->source, report, &globals));
	if (!has_failed(report))
		TRY(start(dump, options, &globals, server, report, &clients, &runs));
	if (runs)
		TRY(restore(dump, options, &globals, clients, server, report));
	else if (report->checks[DRILL_RESTORED].findings.count > 0)
		(void) drill_close_level(report, DRILL_RESTORED, begin);
	report->restore_ms = clock_monotonic_ms() - begin;
	if (runs && !has_failed(report))
	{
		int64_t checks = clock_monotonic_ms();

		TRY(check_contents(dump, options, server, report));
		report->checks_ms = clock_monotonic_ms() - checks;
		leave_out(report);
	}
	report->total_ms = clock_monotonic_ms() - begin;
	report->passed = runs && !has_failed(report);
	return options->keep && runs ? NULL : private_server_stop(server);
}
