/*
 * What a dump tells about server and databases.  Names are taken byte by byte: the
 * session's client_encoding is SQL_ASCII (walship/pg/server.h).
 */
#include <inttypes.h>
#include <string.h>

#include "dump_run.h"
#include "walship/base/mem.h"

/* Of one statement; a value that is NULL is "". */
static const char *
value(const ServerRows *rows, size_t row, size_t column)
{
	const char *text = rows->values[row * rows->columns + column];

	return text == NULL ? "" : text;
}

static uint64_t
number(const ServerRows *rows, size_t row, size_t column)
{
	uint64_t found = 0;

	(void) str_to_uint64(value(rows, row, column), &found);
	return found;
}

static bool
truth(const ServerRows *rows, size_t row, size_t column)
{
	return strcmp(value(rows, row, column), "t") == 0;
}

static char *
maybe(const ServerRows *rows, size_t row, size_t column)
{
	return value(rows, row, column)[0] == '\0' ? NULL : mem_strdup(value(rows, row, column));
}

static Error *
ask(Server *server, const char *sql, size_t columns, ServerResults *ret_results)
{
	TRY(server_run(server, sql, -1, ret_results));
	if (ret_results->count != 1 || ret_results->items[0].columns != columns)
		return error_new(ERR_TRANSIENT, "unexpected answer of the server to \"%.60s...\"", sql);
	return NULL;
}

static Error *
identify(DumpRun *run)
{
	static const char sql[] =
		"SELECT system_identifier, pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN "
		"pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, (extract(epoch FROM clock_timestamp()) * "
		"1000000)::int8, has_table_privilege('pg_catalog.pg_authid', 'SELECT'), timeline_id FROM "
		"pg_control_system(), pg_control_checkpoint()";
	DumpRecord *record = run->record;
	AUTO_RESULTS results = {0};

	TRY(ask(run->server, sql, 6, &results));

	const ServerRows *rows = results.items;

	if (rows->count != 1 || !str_to_uint64(value(rows, 0, 0), &record->system_identifier) ||
	    !lsn_parse(value(rows, 0, 2), &record->lsn))
		return error_new(ERR_TRANSIENT, "unexpected answer of the server: it does not say which one it is");
	record->from_standby = truth(rows, 0, 1);
	record->start_time = (TimeUs) number(rows, 0, 3);
	record->role_passwords = truth(rows, 0, 4);
	record->timeline = (TimeLineID) number(rows, 0, 5);
	record->server_version = server_version(run->server);
	return server_segment_size(run->server, &record->segment_size);
}

static Error *
no_such_database(const char *name)
{
	return error_hint(error_new(ERR_USAGE, "there is no database \"%s\" on the server", name),
	                  "psql -l lists them; the names are as there, without quotes.");
}

/* Named by nobody, a database into which this role may not go is left out, and that is said. */
static Error *
choose(DumpRun *run, const ServerRows *rows, size_t row)
{
	const DumpOptions *options = run->options;
	const char *name = value(rows, row, 1);
	bool named = strlist_contains(&options->databases, name);

	if ((options->databases.count > 0 && !named) || strlist_contains(&options->exclude, name))
		return NULL;
	if (!truth(rows, row, 2) && !named)
		return NULL;
	if (!truth(rows, row, 2) || (!truth(rows, row, 3) && named))
		return error_new(ERR_DENIED, "database \"%s\" cannot be connected to", name);
	if (!truth(rows, row, 3))
	{
		notice(&options->notices, LOG_WARNING,
		       "Grant CONNECT on it, or leave it out with --exclude so that this is not said.",
		       "database \"%s\" is not dumped: this role may not connect to it", name);
		return NULL;
	}
	run->choices[run->n_choices++] = (DumpChoice){
		.oid = (uint32_t) number(rows, row, 0), .name = mem_strdup(name), .size = number(rows, row, 4)};
	run->size_total += number(rows, row, 4);
	return NULL;
}

static Error *
choose_databases(DumpRun *run)
{
	static const char sql[] =
		"SELECT oid, datname, datallowconn, has_database_privilege(oid, 'CONNECT'), CASE WHEN "
		"has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) END FROM pg_database ORDER BY oid";
	const StrList *named = &run->options->databases;
	AUTO_RESULTS results = {0};

	TRY(ask(run->server, sql, 5, &results));
	for (size_t i = 0; i < named->count; i++)
	{
		bool found = false;

		for (size_t row = 0; row < results.items[0].count && !found; row++)
			found = strcmp(value(results.items, row, 1), named->items[i]) == 0;
		if (!found)
			return no_such_database(named->items[i]);
	}
	run->choices = NEW_ARRAY(DumpChoice, results.items[0].count + 1);
	for (size_t row = 0; row < results.items[0].count; row++)
		TRY(choose(run, results.items, row));
	if (run->n_choices == 0)
		return error_new(ERR_USAGE, "there is no database to be dumped");
	return NULL;
}

Error *
dump_look_at_server(DumpRun *run)
{
	TRY(server_connect_somewhere(run->options->conninfo, &run->server));
	TRY(identify(run));
	return choose_databases(run);
}

/*
 * Times of this session must not end it while pg_dump works for hours; a lock is waited
 * for as long as pg_dump waits for one.
 */
static Error *
begin_snapshot(const DumpRun *run, Server *server, char **ret_snapshot)
{
	AUTO_FREE char *settings = mem_printf(
		"SET statement_timeout = 0; SET "
		"idle_in_transaction_session_timeout = 0; SET lock_timeout = %" PRId64 "%s",
		run->options->lock_timeout_ms, server_major(server) >= 17 ? "; SET transaction_timeout = 0" : "");
	AUTO_RESULTS done = {0};

	TRY(server_run(server, settings, -1, &done));
	TRY(server_run(server, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", -1, &done));
	return server_value(server, "SELECT pg_export_snapshot()", ret_snapshot);
}

static Error *
ask_database(Server *server, DumpDatabaseFacts *facts)
{
	const char *locale = server_major(server) >= 17   ? "datlocprovider, datlocale, daticurules"
	                     : server_major(server) == 16 ? "datlocprovider, daticulocale, daticurules"
	                     : server_major(server) == 15 ? "datlocprovider, daticulocale, NULL"
	                                                  : "NULL, NULL, NULL";
	AUTO_FREE char *sql = mem_printf(
		"SELECT pg_encoding_to_char(encoding), datcollate, datctype, (SELECT count(*) FROM "
		"pg_largeobject_metadata), %s, pg_get_userbyid(datdba), nullif((SELECT spcname FROM pg_tablespace s "
		"WHERE s.oid = dattablespace), 'pg_default') FROM pg_database WHERE datname = current_database()",
		locale);
	AUTO_RESULTS results = {0};

	TRY(ask(server, sql, 9, &results));
	if (results.items[0].count != 1)
		return error_new(ERR_TRANSIENT, "database \"%s\" is not there any more", facts->name);
	facts->encoding = mem_strdup(value(results.items, 0, 0));
	facts->collate = mem_strdup(value(results.items, 0, 1));
	facts->ctype = mem_strdup(value(results.items, 0, 2));
	facts->large_objects = number(results.items, 0, 3);
	facts->provider = maybe(results.items, 0, 4);
	facts->locale = maybe(results.items, 0, 5);
	facts->icu_rules = maybe(results.items, 0, 6);
	facts->owner = mem_strdup(value(results.items, 0, 7));
	facts->tablespace = maybe(results.items, 0, 8);
	return NULL;
}

/*
 * Roles that the restore mentions.  What belongs to the role of initdb is noted in no
 * dependency (PostgreSQL: pg_shdepend.c), and its name is not always "postgres".
 */
static Error *
ask_roles(Server *server, DumpDatabaseFacts *facts)
{
	static const char sql[] =
		"SELECT DISTINCT rolname FROM pg_roles r WHERE rolname !~ '^pg_' AND (oid IN (SELECT refobjid FROM "
		"pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND dbid IN (0, (SELECT oid FROM pg_database "
		"WHERE datname = current_database())) AND (dbid <> 0 OR objid = (SELECT oid FROM pg_database WHERE "
		"datname = current_database()))) OR oid = (SELECT datdba FROM pg_database WHERE datname = "
		"current_database()) OR oid IN (SELECT relowner FROM pg_class WHERE oid >= 16384 UNION SELECT proowner "
		"FROM pg_proc WHERE oid >= 16384 UNION SELECT typowner FROM pg_type WHERE oid >= 16384 UNION SELECT "
		"nspowner FROM pg_namespace WHERE oid >= 16384)) ORDER BY 1";
	AUTO_RESULTS results = {0};

	TRY(ask(server, sql, 1, &results));
	facts->roles = NEW_ARRAY(char *, results.items[0].count + 1);
	for (size_t row = 0; row < results.items[0].count; row++)
		facts->roles[facts->n_roles++] = mem_strdup(value(results.items, row, 0));
	return NULL;
}

static Error *
ask_tablespaces(Server *server, DumpDatabaseFacts *facts)
{
	AUTO_RESULTS results = {0};

	TRY(ask(
		server,
		"SELECT spcname FROM pg_tablespace WHERE spcname !~ '^pg_' AND oid IN (SELECT reltablespace FROM pg_class "
		"UNION SELECT dattablespace FROM pg_database WHERE datname = current_database()) ORDER BY 1",
		1, &results));
	facts->tablespaces = NEW_ARRAY(char *, results.items[0].count + 1);
	for (size_t row = 0; row < results.items[0].count; row++)
		facts->tablespaces[facts->n_tablespaces++] = mem_strdup(value(results.items, row, 0));
	return NULL;
}

static Error *
ask_extensions(Server *server, DumpDatabaseFacts *facts)
{
	AUTO_RESULTS results = {0};

	TRY(ask(server, "SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1", 2,
	        &results));
	facts->extensions = NEW_ARRAY(DumpExtension, results.items[0].count + 1);
	for (size_t row = 0; row < results.items[0].count; row++)
		facts->extensions[facts->n_extensions++] = (DumpExtension){mem_strdup(value(results.items, row, 0)),
		                                                           mem_strdup(value(results.items, row, 1))};
	return NULL;
}

#define USERS_TABLES                                                                                             \
	"c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS " \
	"(SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')"

static Error *
ask_tables(const DumpRun *run, Server *server, DumpDatabaseFacts *facts)
{
	static const char sql[] =
		"SELECT c.oid, n.nspname, c.relname, pg_get_userbyid(c.relowner), greatest(c.reltuples, 0)::int8, "
		"coalesce(pg_table_size(c.oid), 0), c.relpersistence = 'u' AND c.relkind = 'r', (SELECT inhparent FROM "
		"pg_inherits WHERE inhrelid = c.oid AND c.relispartition), c.relkind = 'r' FROM pg_class c JOIN pg_namespace n ON n.oid = "
		"c.relnamespace WHERE " USERS_TABLES " ORDER BY c.oid";
	AUTO_RESULTS results = {0};

	TRY(ask(server, sql, 9, &results));
	facts->tables = NEW_ARRAY(DumpTableFacts, results.items[0].count + 1);
	for (size_t row = 0; row < results.items[0].count; row++)
	{
		const ServerRows *rows = results.items;
		DumpTableFacts *table = &facts->tables[facts->n_tables++];

		*table = (DumpTableFacts){.oid = (uint32_t) number(rows, row, 0),
		                          .schema = mem_strdup(value(rows, row, 1)),
		                          .name = mem_strdup(value(rows, row, 2)),
		                          .owner = mem_strdup(value(rows, row, 3)),
		                          .rows = number(rows, row, 4),
		                          .size = number(rows, row, 5),
		                          .unlogged = truth(rows, row, 6),
		                          .parent = (uint32_t) number(rows, row, 7),
		                          .has_rows = truth(rows, row, 8)};
		if (!table->unlogged || !run->record->from_standby)
			continue;
		facts->unlogged_left_out++;
		notice(
			&run->options->notices, LOG_WARNING, NULL,
			"table \"%s.%s\" of database \"%s\" is dumped without its rows: it is unlogged, and this server is "
			"a standby",
			table->schema, table->name, facts->name);
	}
	return NULL;
}

/* What leads to other tables, or calls functions, does not belong to the one table alone. */
static Error *
ask_parts(Server *server, DumpDatabaseFacts *facts)
{
	static const char sql[] =
		"SELECT d.refobjid, d.objid, coalesce(o.relname, k.conname) FROM pg_depend d JOIN pg_class c ON c.oid = "
		"d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class o ON d.classid = "
		"'pg_class'::regclass AND o.oid = d.objid LEFT JOIN pg_constraint k ON d.classid = "
		"'pg_constraint'::regclass AND k.oid = d.objid WHERE d.refclassid = 'pg_class'::regclass AND d.deptype IN "
		"('a', 'i') AND " USERS_TABLES
		" AND (o.relkind IN ('i', 'I', 'S') OR k.contype <> 'f' OR d.classid IN "
		"('pg_attrdef'::regclass, 'pg_statistic_ext'::regclass)) GROUP BY 1, 2, 3 ORDER BY 1, 2";
	AUTO_RESULTS results = {0};
	size_t at = 0;

	TRY(ask(server, sql, 3, &results));

	const ServerRows *rows = results.items;

	/* Both lists are by the table's OID. */
	for (size_t i = 0; i < facts->n_tables; i++)
	{
		DumpTableFacts *table = &facts->tables[i];
		size_t end;

		while (at < rows->count && number(rows, at, 0) < table->oid)
			at++;
		for (end = at; end < rows->count && number(rows, end, 0) == table->oid;)
			end++;
		table->parts = NEW_ARRAY(DumpPart, end - at + 1);
		for (; at < end; at++)
			table->parts[table->n_parts++] = (DumpPart){(uint32_t) number(rows, at, 1), maybe(rows, at, 2)};
	}
	return NULL;
}

/* The size of a table is asked for under a lock; which one it was the server does not say. */
static Error *
explain_lock(Error *error)
{
	if (error == NULL || strstr(error_message(error), "lock timeout") == NULL)
		return error;
	return error_hint(
		error,
		"Somebody changes a table: SELECT pid, relation::regclass FROM pg_locks WHERE granted AND mode = "
		"'AccessExclusiveLock' shows who and which. --lock-timeout waits longer.");
}

Error *
dump_open_database(const DumpRun *run, const DumpChoice *choice, Server **ret_server, char **ret_snapshot,
                   DumpDatabaseFacts *facts)
{
	AUTO(Server) server = NULL;

	facts->oid = choice->oid;
	facts->name = mem_strdup(choice->name);
	TRY(server_connect_to(run->options->conninfo, choice->name, &server));
	TRY(begin_snapshot(run, server, ret_snapshot));
	TRY(ask_database(server, facts));
	TRY(ask_roles(server, facts));
	TRY(ask_tablespaces(server, facts));
	TRY(ask_extensions(server, facts));
	TRY(explain_lock(ask_tables(run, server, facts)));
	TRY(ask_parts(server, facts));
	*ret_server = MOVE(server);
	return NULL;
}
