/* Making and ending a connection. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "connection.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/wal/majors.h"

#define CONNECT_TIMEOUT_MS 30000 /* when connect_timeout says nothing */
#define CANCEL_TIMEOUT_S   1

#define DENIED_HINT                                                                                                \
	"pg_hba.conf needs a line for the database \"replication\" (\"all\" does not include it), and the role needs " \
	"the attribute REPLICATION."

#define PASSWORD_HINT \
	"Put the right password into ~/.pgpass (database name \"replication\") or into a service file."

#define SQLSTATE_BAD_PASSWORD "28P01"

/*
 * libpq shows no SQLSTATE of a failed connection attempt, and the message may
 * be in any language.  With verbose errors the text reads "...: FATAL:  28000:
 * no pg_hba.conf entry ...", whatever "FATAL" is called.
 */
bool
server_find_sqlstate(const char *text, char ret_sqlstate[6])
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (const char *at = strstr(text, ":  "); at != NULL; at = strstr(at + 1, ":  "))
	{
		if (strspn(at + 3, digits) == 5 && at[8] == ':')
		{
			memcpy(ret_sqlstate, at + 3, 5);
			ret_sqlstate[5] = '\0';
			return true;
		}
	}
	return false;
}

/* "connection to server ... failed: FATAL:  28000: no entry" without code and LOCATION line. */
static Error *
connect_error(PGconn *conn)
{
	const char *text = PQerrorMessage(conn);
	char sqlstate[6];

	if (!server_find_sqlstate(text, sqlstate))
	{
		if (PQconnectionNeedsPassword(conn))
			return error_hint(error_new(ERR_DENIED, "%.*s", (int) strcspn(text, "\n"), text), PASSWORD_HINT);
		if (*text == '\0')
			text = "could not connect to the server";
		return error_hint(error_new(ERR_TRANSIENT, "%.*s", (int) strcspn(text, "\n"), text),
		                  "Where to connect is said by PGHOST, PGPORT, PGUSER, PGSERVICE and so on.");
	}

	ErrorKind kind = server_error_kind(sqlstate);
	const char *code = strstr(text, sqlstate);
	const char *words = code + strlen(sqlstate) + strlen(": ");
	Error *error = error_new(kind == ERR_DENIED ? ERR_DENIED : ERR_TRANSIENT, "%.*s%.*s", (int) (code - text),
	                         text, (int) strcspn(words, "\n"), words);

	if (kind != ERR_DENIED)
		return error;
	return error_hint(error, "%s",
	                  strcmp(sqlstate, SQLSTATE_BAD_PASSWORD) == 0 ? PASSWORD_HINT : DENIED_HINT);
}

static void
keep_notice(void *argument, const PGresult *result)
{
	Server *server = argument;
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (message != NULL && server->notices.count < SERVER_NOTICES_MAX)
		strlist_add(&server->notices, message);
}

static Error *
wait_connected(PGconn *conn)
{
	PQconninfoOption *options = PQconninfo(conn);
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;
	int64_t deadline = clock_monotonic_ms();
	uint64_t seconds = 0;

	/* connect_timeout: what libpq itself heeds only in its blocking call */
	for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
	{
		if (strcmp(option->keyword, "connect_timeout") == 0 && option->val != NULL)
			(void) str_to_uint64(option->val, &seconds);
	}
	PQconninfoFree(options);
	deadline += seconds > 0 && seconds < 86400 ? (int64_t) seconds * 1000 : CONNECT_TIMEOUT_MS;

	while (state != PGRES_POLLING_OK)
	{
		int64_t left = deadline - clock_monotonic_ms();

		if (state == PGRES_POLLING_FAILED)
			return connect_error(conn);
		TRY(error_context(cancel_poll(PQsocket(conn), state == PGRES_POLLING_READING ? POLLIN : POLLOUT,
		                              left > 0 ? left : 0),
		                  "could not connect to server \"%s\"", PQhost(conn) != NULL ? PQhost(conn) : ""));
		state = PQconnectPoll(conn);
	}
	return NULL;
}

static Error *
connect_by(const char *const *keywords, const char *const *values, Server **ret_server)
{
	AUTO(Server) server = NULL;

	TRY(pq_library_load());
	server = NEW(Server);
	server->conn = PQconnectStartParams(keywords, values, 0);
	if (server->conn == NULL)
		return error_new(ERR_SYSTEM, "out of memory in libpq");
	if (PQstatus(server->conn) == CONNECTION_BAD)
		return connect_error(server->conn);
	(void) PQsetErrorVerbosity(server->conn, PQERRORS_VERBOSE);
	(void) PQsetNoticeReceiver(server->conn, keep_notice, server);

	TRY(wait_connected(server->conn));
	(void) PQsetErrorVerbosity(server->conn, PQERRORS_DEFAULT);
	if (PQsetnonblocking(server->conn, 1) != 0)
		return server_error(server, NULL);
	if (server_major(server) < pg_major_oldest()->major)
		return error_new(ERR_USAGE, "PostgreSQL %d is not supported: walship needs %d or later",
		                 server_major(server), pg_major_oldest()->major);
	*ret_server = MOVE(server);
	return NULL;
}

Error *
server_connect(Server **ret_server)
{
	/* A connection that dies without a word must be noticed: a backup may wait long for nothing but bytes. */
	static const char *const keywords[] = {
		"replication",      "dbname", "application_name", "keepalives_idle", "keepalives_interval",
		"keepalives_count", NULL};
	static const char *const values[] = {"true", "replication", "walship", "60", "10", "6", NULL};

	return connect_by(keywords, values, ret_server);
}

Error *
server_connect_to(const char *database, Server **ret_server)
{
	/* Names of databases are bytes in no encoding that could be known: SQL_ASCII leaves them as they are. */
	static const char *const keywords[] = {"dbname", "application_name", "client_encoding", NULL};
	const char *const values[] = {database, "walship", "SQL_ASCII", NULL};

	return connect_by(keywords, values, ret_server);
}

/* A thread's start: owns the PGcancel. */
static void *
send_cancel(void *argument)
{
	PGcancel *cancel = argument;
	char reason[256];

	(void) PQcancel(cancel, reason, sizeof(reason));
	PQfreeCancel(cancel);
	return NULL;
}

/*
 * Closing the socket alone is noticed by a server only when it writes next: one
 * that waits for a spread checkpoint would go on for minutes.  PQcancel() makes
 * a connection and waits for the server to close it, without a limit of its own:
 * should the machine hang, that is left behind in its thread.
 */
static void
cancel_command(PGconn *conn)
{
	PGcancel *cancel = PQgetCancel(conn);
	struct timespec deadline;
	pthread_t thread;

	AUTO(Error) error = cancel == NULL ? NULL : thread_start(send_cancel, cancel, &thread);

	if (cancel == NULL || error != NULL)
	{
		PQfreeCancel(cancel);
		return;
	}
	(void) clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += CANCEL_TIMEOUT_S;
	if (pthread_timedjoin_np(thread, NULL, &deadline) != 0)
		(void) pthread_detach(thread);
}

void
server_free(Server *server)
{
	if (server == NULL)
		return;
	if (server->conn != NULL)
	{
		if (server->cancel_on_free && PQstatus(server->conn) == CONNECTION_OK)
			cancel_command(server->conn);
		PQfinish(server->conn);
	}
	PQfreemem(server->message);
	strlist_release(&server->notices);
	free(server);
}
