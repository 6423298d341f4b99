/* What a server tells in SQL only, each question in a session of its own: a replication connection knows none. */
#include <inttypes.h>

#include "connection.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"

void
server_databases_free(ServerDatabase *databases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(databases[i].name);
	free(databases);
}

Error *
server_connect_somewhere(const char *conninfo, Server **ret_server)
{
	AUTO(Error) error = server_connect_to(conninfo, "postgres", ret_server);

	if (error == NULL || error_is(error, ERR_CANCELLED))
		return MOVE(error);

	AUTO(Error) again = server_connect_to(conninfo, "template1", ret_server);

	return again == NULL ? NULL : MOVE(error);
}

/* ERR_TRANSIENT when the session is another database system's: PGHOST may name several servers. */
static Error *
check_system(Server *server, uint64_t system_identifier)
{
	AUTO_RESULT *result = NULL;
	uint64_t identifier;

	TRY(server_query(server, "SELECT system_identifier FROM pg_catalog.pg_control_system()", 1, &result));
	if (!str_to_uint64(PQgetvalue(result, 0, 0), &identifier) || identifier != system_identifier)
		return error_new(ERR_TRANSIENT, "the connection led to another database system");
	return NULL;
}

static bool
read_oid(const PGresult *result, int row, int column, uint32_t *ret_oid)
{
	uint64_t oid;

	if (!str_to_uint64(PQgetvalue(result, row, column), &oid) || oid == 0 || oid > UINT32_MAX)
		return false;
	*ret_oid = (uint32_t) oid;
	return true;
}

Error *
server_databases(const char *conninfo, uint64_t system_identifier, ServerDatabase **ret_databases,
                 size_t *ret_count)
{
	static const char sql[] = "SELECT oid, dattablespace, datname FROM pg_catalog.pg_database ORDER BY oid";
	AUTO(Server) server = NULL;
	AUTO_RESULT *result = NULL;

	TRY(server_connect_somewhere(conninfo, &server));
	TRY(check_system(server, system_identifier));
	TRY(server_query(server, sql, 3, &result));

	int rows = PQntuples(result);
	ServerDatabase *databases = NEW_ARRAY(ServerDatabase, (size_t) rows);

	for (int row = 0; row < rows; row++)
	{
		ServerDatabase *database = &databases[row];

		database->name = mem_strdup(PQgetvalue(result, row, 2));
		if (!read_oid(result, row, 0, &database->oid) || !read_oid(result, row, 1, &database->tablespace))
		{
			server_databases_free(databases, (size_t) rows);
			return error_new(ERR_TRANSIENT, "unexpected answer of the server: no OIDs of databases");
		}
	}
	*ret_databases = databases;
	*ret_count = (size_t) rows;
	return NULL;
}

Error *
server_in_place_tablespaces(const char *conninfo, uint64_t system_identifier, uint32_t **ret_oids,
                            size_t *ret_count)
{
	/* The first row, of no tablespace, is always there. */
	static const char sql[] =
		"SELECT 0 UNION SELECT oid::int8 FROM pg_catalog.pg_tablespace WHERE spcname NOT IN ('pg_default', "
		"'pg_global') AND pg_catalog.pg_tablespace_location(oid) NOT LIKE '/%' ORDER BY 1";
	AUTO(Server) server = NULL;
	AUTO_RESULT *result = NULL;

	TRY(server_connect_somewhere(conninfo, &server));
	TRY(check_system(server, system_identifier));
	TRY(server_query(server, sql, 1, &result));
	*ret_oids = NEW_ARRAY(uint32_t, (size_t) PQntuples(result));
	*ret_count = 0;
	for (int row = 1; row < PQntuples(result); row++)
		if (read_oid(result, row, 0, *ret_oids + *ret_count))
			(*ret_count)++;
	return NULL;
}

/* By a socket in a directory, and its data directory is here: then its other files are this machine's, too. */
static Error *
look_if_local(Server *server, uint64_t system_identifier, bool *ret_local)
{
	const char *host = PQhost(server->conn);
	AUTO_FREE char *data_directory = NULL;
	PgControl control;

	*ret_local = false;
	if (host == NULL || host[0] != '/')
		return NULL;
	TRY(server_show(server, "data_directory", &data_directory));
	TRY(pgdata_read_control(data_directory, &control));
	*ret_local = control.system_identifier == system_identifier;
	return NULL;
}

Error *
server_config_files(const char *conninfo, uint64_t system_identifier, StrList *ret_files)
{
	/* Included files are known by the settings in them.  The first row, which is empty, is always there. */
	static const char all[] =
		"SELECT '' UNION SELECT f FROM (SELECT sourcefile FROM pg_catalog.pg_file_settings"
		" UNION SELECT setting FROM pg_catalog.pg_settings"
		" WHERE name IN ('config_file', 'hba_file', 'ident_file')";
	static const char since_16[] = " UNION SELECT file_name FROM pg_catalog.pg_hba_file_rules"
								   " UNION SELECT file_name FROM pg_catalog.pg_ident_file_mappings";
	static const char outside[] =
		") s (f) WHERE NOT starts_with(f, pg_catalog.current_setting('data_directory') || '/') ORDER BY 1";
	AUTO(Server) server = NULL;
	AUTO_RESULT *result = NULL;
	AUTO_FREE char *sql = NULL;
	bool local;

	TRY(server_connect_somewhere(conninfo, &server));
	TRY(check_system(server, system_identifier));
	TRY(look_if_local(server, system_identifier, &local));
	if (!local)
		return NULL;
	sql = mem_printf("%s%s%s", all, server_major(server) < 16 ? "" : since_16, outside);
	TRY(server_query(server, sql, 1, &result));
	for (int row = 1; row < PQntuples(result); row++)
		strlist_add(ret_files, PQgetvalue(result, row, 0));
	return NULL;
}

/* "infinity" is no number of seconds, so it is left out there as well. */
Error *
server_password_end(Server *server, TimeUs *ret_end)
{
	static const char sql[] =
		"SELECT CASE WHEN isfinite(rolvaliduntil) THEN (extract(epoch FROM rolvaliduntil) * 1000000)::bigint END "
		"FROM pg_catalog.pg_roles WHERE rolname = session_user";
	AUTO_RESULT *result = NULL;
	uint64_t us;

	*ret_end = TIME_NONE;
	if (PQconnectionUsedPassword(server->conn) == 0)
		return NULL;
	TRY(server_query(server, sql, 1, &result));
	if (PQntuples(result) == 1 && str_to_uint64(PQgetvalue(result, 0, 0), &us))
		*ret_end = (TimeUs) us;
	return NULL;
}
