/* The small questions to a server. */
#include "walship/pg/server.h"

#include <string.h>

#include "connection.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

int
server_version(const Server *server)
{
	return PQserverVersion(server->conn);
}

int
server_major(const Server *server)
{
	return PQserverVersion(server->conn) / 10000;
}

const StrList *
server_notices(const Server *server)
{
	return &server->notices;
}

Error *
server_identify(Server *server, ServerIdentity *ret_identity)
{
	AUTO_RESULT *result = NULL;
	ServerIdentity identity;
	uint64_t timeline;

	TRY(error_context(server_query(server, "IDENTIFY_SYSTEM", 3, &result), "could not identify the server"));
	if (!str_to_uint64(PQgetvalue(result, 0, 0), &identity.system_identifier) ||
	    !str_to_uint64(PQgetvalue(result, 0, 1), &timeline) || timeline == 0 || timeline > UINT32_MAX ||
	    !lsn_parse(PQgetvalue(result, 0, 2), &identity.position))
		return error_new(ERR_TRANSIENT,
		                 "unexpected answer of the server to IDENTIFY_SYSTEM: \"%s\", \"%s\", \"%s\"",
		                 PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 2));
	identity.timeline = (TimeLineID) timeline;
	*ret_identity = identity;
	return NULL;
}

Error *
server_show(Server *server, const char *name, char **ret_value)
{
	AUTO_RESULT *result = NULL;
	AUTO_FREE char *sql = mem_printf("SHOW %s", name);

	TRY(error_context(server_query(server, sql, 1, &result), "could not read the server's setting \"%s\"",
	                  name));
	*ret_value = mem_strdup(PQgetvalue(result, 0, 0));
	return NULL;
}

Error *
server_row(Server *server, const char *sql, int columns, StrList *ret_values)
{
	AUTO_RESULT *result = NULL;

	TRY(server_query(server, sql, columns, &result));
	for (int i = 0; i < columns; i++)
		strlist_add(ret_values, PQgetvalue(result, 0, i));
	return NULL;
}

Error *
server_segment_size(Server *server, uint32_t *ret_size)
{
	AUTO_FREE char *text = NULL;
	uint64_t size;

	TRY(server_show(server, "wal_segment_size", &text));
	if (!size_parse(text, &size) || !wal_segment_size_is_valid(size))
		return error_new(ERR_TRANSIENT,
		                 "unexpected value \"%s\" of the server's setting \"wal_segment_size\"", text);
	*ret_size = (uint32_t) size;
	return NULL;
}

Error *
server_in_recovery(Server *server, bool *ret_in_recovery)
{
	const char *reported = PQparameterStatus(server->conn, "in_hot_standby");
	AUTO_FREE char *shown = NULL;

	if (reported == NULL)
		TRY(server_show(server, "transaction_read_only", &shown));
	*ret_in_recovery = strcmp(reported != NULL ? reported : shown, "on") == 0;
	return NULL;
}

Error *
server_timeline_history(Server *server, TimeLineID timeline, char **ret_text, size_t *ret_size)
{
	AUTO_RESULT *result = NULL;
	AUTO_FREE char *sql = mem_printf("TIMELINE_HISTORY %u", timeline);

	TRY(error_context(server_query(server, sql, 2, &result), "could not read the history of timeline %u",
	                  timeline));
	*ret_size = (size_t) PQgetlength(result, 0, 1);
	*ret_text = mem_strndup(PQgetvalue(result, 0, 1), *ret_size);
	return NULL;
}
