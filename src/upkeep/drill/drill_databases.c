/* Every database of a drill's server: can it be entered, read, and is its structure right? */
#include <string.h>

#include "drill_steps.h"
#include "walship/base/cancel.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/plan/recovery_conf.h"

#define FINDINGS_MAX 20 /* of one level; more are only counted */
#define CONF_MAX     (1024 * 1024)

/* What the server itself says is a finding, whatever its kind: that it is gone, too. */
static Error *
take_server_error(DrillReport *report, DrillLevel level, Error *error, const char *database,
                  const char *object)
{
	if (error == NULL || error_is(error, ERR_CANCELLED))
		return error;
	drill_finding(report, level, "database \"%s\"%s%s: %s", database, object[0] == '\0' ? "" : ", ", object,
	              error_message(error));
	error_free(error);
	return NULL;
}

static bool
has_enough(const DrillReport *report, DrillLevel level)
{
	return report->checks[level].findings.count >= FINDINGS_MAX;
}

/*
 * A plain scan reads every page, whose checksum the server compares.  What is
 * unlogged has no contents before the recovery has ended.
 */
static Error *
read_tables(Server *connection, uint32_t oid, const char *database, DrillCounts *counts, DrillReport *report)
{
	AUTO_RESULTS tables = {0};

	TRY(take_server_error(
		report, DRILL_TABLES,
		server_run(
			connection,
			"SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; "
			"SELECT c.oid, nspname, relname, format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = "
			"relnamespace WHERE relkind IN ('r', 'm', 't') AND relpersistence = 'p' ORDER BY c.oid",
			-1, &tables),
		database, ""));
	for (size_t i = 0; tables.count == 4 && i < tables.items[3].count && !has_enough(report, DRILL_TABLES);
	     i++)
	{
		char **row = &tables.items[3].values[i * 4];
		AUTO_FREE char *sql = mem_printf("SELECT count(*) FROM ONLY %s", row[3]);
		CountedTable table = {.database_oid = oid, .database = database, .schema = row[1], .name = row[2]};
		AUTO_RESULTS count = {0};
		uint64_t relation;

		TRY(cancel_check());
		TRY(take_server_error(report, DRILL_TABLES, server_run(connection, sql, -1, &count), database,
		                      row[3]));
		report->checks[DRILL_TABLES].checked++;
		if (count.count != 1 || !str_to_uint64(row[0], &relation) ||
		    !str_to_uint64(count.items[0].values[0], &table.rows))
			continue;
		table.relation_oid = (uint32_t) relation;
		drill_compare_count(counts, &table, report);
	}
	return NULL;
}

/* "check" is SQL up to the parenthesis of the function that gets the relation.
 *
 * An index on text is ordered by a collation of the system's C library or of ICU.
 * Where that has another version than on the server, another order is no damage.
 */
static const char comparable[] =
	"NOT EXISTS (SELECT FROM unnest(i.indcollation) u (oid) JOIN pg_collation co ON co.oid = u.oid "
	"WHERE co.collversion <> pg_collation_actual_version(co.oid))";
static const char default_comparable[] =
	" AND NOT (100 = ANY (i.indcollation) AND EXISTS (SELECT FROM pg_database d WHERE d.datname = "
	"current_database() AND d.datcollversion <> pg_database_collation_actual_version(d.oid)))";

static Error *
check_relations(Server *connection, const char *database, const char *list, const char *check,
                DrillReport *report)
{
	AUTO_RESULTS relations = {0};

	TRY(take_server_error(report, DRILL_STRUCTURE, server_run(connection, list, -1, &relations), database,
	                      ""));
	for (size_t i = 0; relations.count == 1 && i < relations.items[0].count; i++)
	{
		char **row = &relations.items[0].values[i * 3];
		AUTO_FREE char *sql = mem_printf("%s(%s::oid::regclass)", check, row[0]);
		AUTO_RESULTS found = {0};

		TRY(cancel_check());
		if (has_enough(report, DRILL_STRUCTURE))
			break;
		if (strcmp(row[2], "t") != 0)
		{
			drill_note(report, DRILL_STRUCTURE,
			           "database \"%s\", index %s: not comparable, its collation has another version here",
			           database, row[1]);
			continue;
		}
		TRY(take_server_error(report, DRILL_STRUCTURE, server_run(connection, sql, -1, &found), database,
		                      row[1]));
		report->checks[DRILL_STRUCTURE].checked++;
		if (found.count == 1 && found.items[0].count > 0 && found.items[0].values[0] != NULL &&
		    found.items[0].values[0][0] != '\0')
			drill_finding(report, DRILL_STRUCTURE, "database \"%s\", table %s: %s", database, row[1],
			              found.items[0].values[0]);
	}
	return NULL;
}

static Error *
check_structure(Server *connection, const char *database, DrillReport *report)
{
	AUTO_FREE char *schema = NULL;
	AUTO_FREE char *indexes = NULL;
	AUTO_FREE char *check_index = NULL;
	AUTO_FREE char *check_heap = NULL;
	bool versions = server_major(connection) >= 15;

	TRY(take_server_error(
		report, DRILL_STRUCTURE,
		server_value(connection,
	                 "SELECT coalesce((SELECT quote_ident(nspname) FROM pg_extension e JOIN "
	                 "pg_namespace n ON n.oid = extnamespace WHERE extname = 'amcheck'), '')",
	                 &schema),
		database, ""));
	if (schema == NULL || schema[0] == '\0')
	{
		drill_note(report, DRILL_STRUCTURE,
		           "database \"%s\" has no extension amcheck: its indexes are not checked", database);
		return NULL;
	}
	indexes = mem_printf(
		"SELECT c.oid, format('%%I.%%I', nspname, relname), %s%s FROM pg_index i JOIN pg_class c ON "
		"c.oid = indexrelid JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_am a ON a.oid = "
		"relam WHERE amname = 'btree' AND relkind = 'i' AND relpersistence = 'p' AND indisvalid AND "
		"indisready ORDER BY c.oid",
		comparable, versions ? default_comparable : "");
	check_index = mem_printf("SELECT %s.bt_index_check", schema);
	TRY(check_relations(connection, database, indexes, check_index, report));
	if (server_major(connection) < 14)
		return NULL;
	check_heap = mem_printf("SELECT 'block ' || blkno || ': ' || msg FROM %s.verify_heapam", schema);
	return check_relations(
		connection, database,
		"SELECT c.oid, format('%I.%I', nspname, relname), true FROM pg_class c JOIN pg_namespace n "
		"ON n.oid = relnamespace WHERE relkind IN ('r', 'm', 't') AND relpersistence = 'p' "
		"ORDER BY c.oid",
		check_heap, report);
}

/* "directory": PostgreSQL's own. */
static bool
library_is_here(const char *directory, const char *named)
{
	AUTO_FREE char *path = str_starts_with(named, "$libdir") ? mem_printf("%s%s", directory, named + 7)
	                       : named[0] == '/'                 ? mem_strdup(named)
	                                                         : path_join(directory, named);
	AUTO_FREE char *with_suffix = mem_printf("%s.so", path);

	return file_exists(path) || file_exists(with_suffix);
}

static Error *
ask_library_directory(Server *connection, char **ret_directory)
{
	return server_value(connection, "SELECT setting FROM pg_config() WHERE name = 'PKGLIBDIR'",
	                    ret_directory);
}

/* A library that a function needs and that is not here breaks what calls it. */
static Error *
check_libraries(Server *connection, const char *database, DrillReport *report)
{
	AUTO_RESULTS libraries = {0};
	AUTO_FREE char *directory = NULL;

	TRY(take_server_error(report, DRILL_CONFIGURED, ask_library_directory(connection, &directory), database,
	                      ""));
	TRY(take_server_error(
		report, DRILL_CONFIGURED,
		server_run(connection,
	               "SELECT DISTINCT probin FROM pg_proc WHERE probin IS NOT NULL AND probin <> ''", -1,
	               &libraries),
		database, ""));
	for (size_t i = 0; directory != NULL && libraries.count == 1 && i < libraries.items[0].count; i++)
	{
		const char *named = libraries.items[0].values[i];

		report->checks[DRILL_CONFIGURED].checked++;
		if (!library_is_here(directory, named))
			drill_finding(report, DRILL_CONFIGURED,
			              "database \"%s\" needs library \"%s\", which is not installed here", database,
			              named);
	}
	return NULL;
}

Error *
drill_check_databases(PrivateServer *server, DrillCounts *counts, DrillReport *report)
{
	static const char *const first[] = {"postgres", "template1"};
	AUTO(Server) connection = NULL;
	AUTO_RESULTS databases = {0};
	Error *error = NULL;

	for (size_t i = 0; i < lengthof(first) && connection == NULL; i++)
	{
		error_free(error);
		error = private_server_connect(server, first[i], &connection);
	}
	if (error == NULL)
		error = server_run(connection, "SELECT oid, datname FROM pg_database WHERE datallowconn ORDER BY oid",
		                   60000, &databases);
	TRY(take_server_error(report, DRILL_DATABASES, error, "postgres", ""));
	for (size_t i = 0; databases.count == 1 && i < databases.items[0].count; i++)
	{
		char **row = &databases.items[0].values[i * 2];
		const char *database = row[1];
		AUTO(Server) inside = NULL;
		uint64_t oid = 0;

		(void) str_to_uint64(row[0], &oid);

		TRY(take_server_error(report, DRILL_DATABASES, private_server_connect(server, database, &inside),
		                      database, ""));
		if (inside == NULL)
			continue;
		report->checks[DRILL_DATABASES].checked++;
		TRY(check_libraries(inside, database, report));
		TRY(read_tables(inside, (uint32_t) oid, database, counts, report));
		TRY(check_structure(inside, database, report));
	}
	drill_close_counts(counts, report);
	return NULL;
}

/* "include 'x'", "include = x": the file's name, without quotes; NULL: the line includes nothing that must be there. */
static char *
included(const char *line)
{
	static const char *const words[] = {"include_dir", "include"};

	line += strspn(line, " \t");
	for (size_t i = 0; i < lengthof(words); i++)
	{
		const char *rest = line + strlen(words[i]);

		if (!str_starts_with(line, words[i]) || strchr(" \t='", *rest) == NULL || *rest == '\0')
			continue;
		rest += strspn(rest, " \t='");
		return mem_strndup(rest, strcspn(rest, "'#\t\r "));
	}
	return NULL;
}

/* The later one wins; includes are not followed. */
static char *
setting_of_backup(const char *pgdata, const char *name)
{
	static const char *const files[] = {"postgresql.auto.conf", "postgresql.conf"};
	char *value = NULL;

	for (size_t i = 0; i < lengthof(files) && value == NULL; i++)
	{
		AUTO_FREE char *path = path_join(pgdata, files[i]);
		AUTO_BUF(text, CONF_MAX);
		AUTO(Error) error = file_read_all(path, &text);

		if (error == NULL && text.size > 0)
			value = recovery_conf_find(text.data, text.size, name);
	}
	return value;
}

/* The drill's own server loads none of them, and would pass where the real one does not start. */
static Error *
check_preloaded(PrivateServer *server, DrillReport *report)
{
	static const char *const names[] = {"shared_preload_libraries", "session_preload_libraries"};
	AUTO(Server) connection = NULL;
	AUTO_FREE char *directory = NULL;
	Error *error = private_server_connect(server, "template1", &connection);

	if (error == NULL)
		error = ask_library_directory(connection, &directory);
	TRY(take_server_error(report, DRILL_CONFIGURED, error, "template1", ""));
	for (size_t i = 0; directory != NULL && i < lengthof(names); i++)
	{
		AUTO_FREE char *value = setting_of_backup(server->pgdata, names[i]);
		char *rest = NULL;

		for (char *library = value == NULL ? NULL : strtok_r(value, ", \t\"", &rest); library != NULL;
		     library = strtok_r(NULL, ", \t\"", &rest))
		{
			report->checks[DRILL_CONFIGURED].checked++;
			if (!library_is_here(directory, library))
				drill_finding(report, DRILL_CONFIGURED,
				              "the backup's %s has \"%s\", which is not installed here: %s", names[i],
				              library, i == 0 ? "a server would not start" : "nobody could connect");
		}
	}
	return NULL;
}

/*
 * The server of the drill has settings of its own.  The real one would read those of
 * the backup, and does not start without a file that they include.
 */
Error *
drill_check_configuration(PrivateServer *server, DrillReport *report)
{
	AUTO_FREE char *path = path_join(server->pgdata, "postgresql.conf");
	AUTO_BUF(text, CONF_MAX);
	Error *error;

	TRY(check_preloaded(server, report));
	error = file_read_all(path, &text);
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		drill_note(report, DRILL_CONFIGURED,
		           "the backup's postgresql.conf lies outside the data directory: keep a copy of it");
		return NULL;
	}
	TRY(drill_take_error(report, DRILL_CONFIGURED, error));
	for (char *line = text.data; line != NULL && *line != '\0';)
	{
		char *end = strchr(line, '\n');

		if (end != NULL)
			*end = '\0';

		AUTO_FREE char *name = included(line);
		AUTO_FREE char *file = name == NULL     ? NULL
		                       : name[0] == '/' ? mem_strdup(name)
		                                        : path_join(server->pgdata, name);

		if (file != NULL && !file_exists(file))
			drill_finding(
				report, DRILL_CONFIGURED,
				"postgresql.conf of the backup includes \"%s\", which is not here: a server would not start",
				name);
		report->checks[DRILL_CONFIGURED].checked += file != NULL;
		line = end == NULL ? NULL : end + 1;
	}
	return NULL;
}
