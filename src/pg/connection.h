/* What the files of this folder share: libpq, the connection and how to wait on it. */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "walship/base/error.h"
#include "walship/base/strs.h"
#include "walship/pg/server.h"

/* Loads libpq, the first time; any thread.  Before, none of its functions may be called. */
Error *pq_library_load(void) MUST_CHECK;

struct Server
{
	PGconn *conn;
	StrList notices;
	bool cancel_on_free; /* a command is under way that must not go on without us */
	char slot[64];       /* of this connection; "" when there is none */
	char *message;       /* of the WAL stream, given out last; PQfreemem() */
};

static inline void
pgresult_auto(PGresult **result)
{
	PQclear(*result);
}

#define AUTO_RESULT __attribute__((cleanup(pgresult_auto))) PGresult

static inline void
pgmem_auto(char **memory)
{
	if (*memory != NULL)
		PQfreemem(*memory);
}

#define AUTO_PGMEM __attribute__((cleanup(pgmem_auto))) char

#define SERVER_REPLY_TIMEOUT_MS 60000 /* of commands that answer at once */
#define SERVER_NO_TIMEOUT       (-1)

/* The kind for an SQLSTATE; NULL (the connection broke) is ERR_TRANSIENT. */
ErrorKind server_error_kind(const char *sqlstate);

/* From a failed result, or from the connection when "result" is NULL or says nothing. */
Error *server_error(Server *server, const PGresult *result) MUST_CHECK;

/* Finds the SQLSTATE in the verbose text of a failed connection attempt; false when there is none. */
bool server_find_sqlstate(const char *text, char ret_sqlstate[6]);

/* Reads what has come; waits for more when nothing has, ticking once a second.  ERR_TRANSIENT after timeout_ms. */
Error *server_wait_input(Server *server, int64_t timeout_ms, const ServerTick *tick) MUST_CHECK;

Error *server_send(Server *server, const char *sql) MUST_CHECK;
Error *server_flush(Server *server) MUST_CHECK;

/* The next result, *ret_result == NULL after the last one.  A failed one is returned like any other. */
Error *server_next_result(Server *server, int64_t timeout_ms, const ServerTick *tick, PGresult **ret_result)
	MUST_CHECK;

/* Reads and drops results up to the last one; the first failed one is the error. */
Error *server_drain(Server *server) MUST_CHECK;

/* Sends one command and returns its one result, which has at least one row and "columns" columns. */
Error *server_query(Server *server, const char *sql, int columns, PGresult **ret_result) MUST_CHECK;
