/* Before anything is changed: would the restore come to its end, and would it hurt anything? */
#include <inttypes.h>
#include <string.h>

#include "undump_run.h"
#include "walship/base/mem.h"

#define NAMES_MAX 1000 /* bytes of a list of names in a message */

/* The names that a query returns. */
static Error *
ask_names(Server *server, const char *sql, StrList *ret_names)
{
	AUTO_RESULTS results = {0};

	TRY(server_run(server, sql, -1, &results));
	for (size_t i = 0; results.count == 1 && i < results.items[0].count; i++)
		strlist_add(ret_names, results.items[0].values[i * results.items[0].columns]);
	return NULL;
}

static Error *
check_server(const UndumpRun *run)
{
	int dumped = run->options->source.record->server_version / 10000;
	bool standby;

	if (server_major(run->server) < dumped)
		return error_hint(
			error_new(ERR_USAGE, "the dump is of PostgreSQL %d, and the server is older: PostgreSQL %d",
		              dumped, server_major(run->server)),
			"An older server may not know what is in it. Restore it into PostgreSQL %d or newer, or "
			"take it apart with --into-file.",
			dumped);
	TRY(server_in_recovery(run->server, &standby));
	if (standby)
		return error_new(ERR_USAGE, "the server is a standby: nothing can be restored into it");
	return NULL;
}

static void
add_missing(Buf *missing, const StrList *there, const char *name)
{
	if (strlist_contains(there, name))
		return;
	if (missing->size + strlen(name) + 8 < NAMES_MAX)
		buf_printf(missing, "%s\"%s\"", missing->size > 0 ? ", " : "", name);
	else if (!missing->overflowed)
	{
		buf_puts(missing, " and more");
		missing->overflowed = true;
	}
}

/* Roles that the globals bring along are there by then. */
static Error *
check_roles(const UndumpRun *run, const UndumpChoice *choice)
{
	AUTO_STRLIST there = {0};
	AUTO_BUF(missing, NAMES_MAX + 100);

	if (run->options->globals || run->options->no_owner)
		return NULL;
	TRY(ask_names(run->server, "SELECT rolname FROM pg_catalog.pg_roles", &there));
	for (size_t i = 0; i < choice->facts->n_roles; i++)
		add_missing(&missing, &there, choice->facts->roles[i]);
	if (missing.size == 0)
		return NULL;
	return error_hint(
		error_new(ERR_USAGE, "database \"%s\" needs roles that the server does not have: %s",
	              choice->facts->name, missing.data),
		"Make them, restore them with --globals, or give everything to the restoring role with --no-owner.");
}

static Error *
check_extensions(const UndumpRun *run, const UndumpChoice *choice)
{
	AUTO_STRLIST there = {0};
	AUTO_BUF(missing, NAMES_MAX + 100);

	TRY(ask_names(run->server, "SELECT name FROM pg_catalog.pg_available_extensions", &there));
	for (size_t i = 0; i < choice->facts->n_extensions; i++)
		add_missing(&missing, &there, choice->facts->extensions[i].name);
	if (missing.size == 0)
		return NULL;
	return error_hint(error_new(ERR_USAGE,
	                            "database \"%s\" needs extensions that are not installed for the server: %s",
	                            choice->facts->name, missing.data),
	                  "Install their packages on the server's machine.");
}

/* Of users: what an extension brought along does not count. */
static Error *
check_empty(const UndumpRun *run, const UndumpChoice *choice)
{
	static const char sql[] =
		"SELECT quote_ident(nspname) || '.' || quote_ident(name) FROM (SELECT oid, relnamespace, relname, "
		"'pg_class'::regclass::oid FROM pg_class WHERE relkind <> 't' UNION ALL SELECT oid, pronamespace, proname, "
		"'pg_proc'::regclass::oid FROM pg_proc UNION ALL SELECT oid, typnamespace, typname, "
		"'pg_type'::regclass::oid FROM pg_type) o (oid, namespace, name, class) JOIN pg_namespace n ON n.oid = "
		"namespace WHERE o.oid >= 16384 AND nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT EXISTS "
		"(SELECT FROM pg_depend d WHERE d.classid = class AND d.objid = o.oid AND d.deptype = 'e') UNION ALL "
		"SELECT 'large object ' || oid FROM pg_largeobject_metadata LIMIT 1";
	AUTO(Server) inside = NULL;
	AUTO_STRLIST found = {0};

	TRY(server_connect_to(run->options->conninfo, choice->target, &inside));
	TRY(ask_names(inside, sql, &found));
	if (found.count == 0)
		return NULL;
	return error_hint(
		error_new(ERR_EXISTS, "database \"%s\" is not empty: it has %s, for one", choice->target,
	              found.items[0]),
		"Restore into another one: --create --to \"dbname=NAME\". To replace what is there: --clean.");
}

/* One table: its owner, and whether there is room for it.  A schema that is not there is made. */
static Error *
check_table(UndumpRun *run, const UndumpChoice *choice, bool exists)
{
	AUTO(Server) inside = NULL;
	AUTO_STRLIST roles = {0};
	AUTO_STRLIST schemas = {0};
	AUTO_STRLIST there = {0};

	TRY(ask_names(run->server, "SELECT rolname FROM pg_catalog.pg_roles", &roles));
	if (exists)
	{
		TRY(server_connect_to(run->options->conninfo, choice->target, &inside));
		TRY(ask_names(inside, "SELECT nspname FROM pg_namespace", &schemas));
		TRY(ask_names(
			inside,
			"SELECT nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace",
			&there));
	}
	run->with_schema = exists ? !strlist_contains(&schemas, run->tables.tables[0]->schema)
	                          : strcmp(run->tables.tables[0]->schema, "public") != 0;
	for (size_t i = 0; i < run->tables.n_tables; i++)
	{
		const DumpTableFacts *table = run->tables.tables[i];
		AUTO_FREE char *name = mem_printf("%s.%s", table->schema, table->name);

		if (!run->options->clean && strlist_contains(&there, name))
			return error_hint(
				error_new(ERR_EXISTS, "database \"%s\" has a table \"%s\"", choice->target, name),
				"Restore into another database: --create --to \"dbname=NAME\". To replace the "
				"table: --clean.");
		if (!run->options->no_owner && !strlist_contains(&roles, table->owner))
			return error_hint(error_new(ERR_USAGE,
			                            "table \"%s\" belongs to role \"%s\", which the server does not have",
			                            name, table->owner),
			                  "Make it, or give the table to the restoring role with --no-owner.");
	}
	return NULL;
}

static Error *
check_database(UndumpRun *run, const UndumpChoice *choice, const StrList *there)
{
	bool exists = strlist_contains(there, choice->target);

	if (choice->create && exists)
		return error_hint(
			error_new(ERR_EXISTS, "database \"%s\" exists already", choice->target),
			"Restore it under another name: --create --to \"dbname=NAME\"; or into it, without --create, "
			"if it is empty.");
	if (!choice->create && !exists)
		return error_hint(error_new(ERR_USAGE, "there is no database \"%s\" on the server", choice->target),
		                  "To make it, say --create.");
	if (run->options->clean && choice->objects->n_tables > 0 && run->tables.n_tables == 0)
		return error_hint(
			error_new(
				ERR_USAGE,
				"database \"%s\" has large tables, which are restored one by one: --clean cannot be used",
				choice->facts->name),
			"Drop the database, and restore it with --create.");
	if (run->tables.n_tables > 0)
		return check_table(run, choice, exists);
	TRY(check_roles(run, choice));
	TRY(check_extensions(run, choice));
	return exists && !run->options->clean ? check_empty(run, choice) : NULL;
}

Error *
undump_check(UndumpRun *run)
{
	AUTO_STRLIST there = {0};

	TRY(check_server(run));
	TRY(ask_names(run->server, "SELECT datname FROM pg_catalog.pg_database", &there));
	for (size_t i = 0; i < run->n_choices; i++)
	{
		UndumpChoice choice = run->choices[i];

		TRY(check_database(run, &choice, &there));
	}
	return NULL;
}
