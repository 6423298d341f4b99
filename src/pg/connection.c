/* Sending, waiting and failing on a replication connection. */
#include "connection.h"

#include <poll.h>
#include <string.h>

#include "walship/base/cancel.h"
#include "walship/base/clock.h"

#define TICK_MS 1000

typedef struct KindOfState
{
	const char *prefix;
	ErrorKind kind;
} KindOfState;

/* First match wins (PostgreSQL: errcodes.txt). */
static const KindOfState kinds_of_states[] = {
	{"28", ERR_DENIED},    /* invalid authorization: pg_hba.conf, password, no REPLICATION */
	{"42501", ERR_DENIED}, /* insufficient privilege */
	{"42", ERR_USAGE},     /* syntax error or unknown object */
	{"0A", ERR_USAGE},     /* feature not supported */
	{"22", ERR_USAGE},     /* invalid value */
	{"XX001", ERR_CORRUPT}, {"XX002", ERR_CORRUPT},
};

ErrorKind
server_error_kind(const char *sqlstate)
{
	for (size_t i = 0; sqlstate != NULL && i < lengthof(kinds_of_states); i++)
	{
		if (str_starts_with(sqlstate, kinds_of_states[i].prefix))
			return kinds_of_states[i].kind;
	}
	return ERR_TRANSIENT;
}

Error *
server_error(Server *server, const PGresult *result)
{
	const char *sqlstate = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const char *message = result != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;

	if (message != NULL)
	{
		const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
		const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
		Error *error =
			error_new(server_error_kind(sqlstate), "server says: %s%s%s%s", message,
		              detail != NULL ? " (" : "", detail != NULL ? detail : "", detail != NULL ? ")" : "");

		return hint != NULL ? error_hint(error, "%s", hint) : error;
	}

	message = PQerrorMessage(server->conn);
	if (*message == '\0')
		message = "connection lost";
	return error_new(ERR_TRANSIENT, "%.*s", (int) strcspn(message, "\r\n"), message);
}

Error *
server_wait_input(Server *server, int64_t timeout_ms, const ServerTick *tick)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;

	for (;;)
	{
		int64_t left = timeout_ms < 0 ? TICK_MS : deadline - clock_monotonic_ms();
		int64_t pause = left < TICK_MS ? left : TICK_MS;
		Error *error = cancel_poll(PQsocket(server->conn), POLLIN, pause > 0 ? pause : 0);

		if (error == NULL)
			break;
		if (!error_is(error, ERR_TRANSIENT))
			return error;
		error_free(error);

		if (tick != NULL && tick->call != NULL)
			tick->call(tick->context);
		if (timeout_ms >= 0 && clock_monotonic_ms() >= deadline)
			return error_new(ERR_TRANSIENT, "server did not answer for %lld s",
			                 (long long) (timeout_ms / 1000));
	}
	if (!PQconsumeInput(server->conn))
		return server_error(server, NULL);
	return NULL;
}

Error *
server_flush(Server *server)
{
	int rest;

	while ((rest = PQflush(server->conn)) > 0)
	{
		/* The server may be waiting for us to read before it reads on. */
		TRY(error_context(cancel_poll(PQsocket(server->conn), POLLIN | POLLOUT, SERVER_REPLY_TIMEOUT_MS),
		                  "could not send to the server"));
		if (!PQconsumeInput(server->conn))
			return server_error(server, NULL);
	}
	return rest < 0 ? server_error(server, NULL) : NULL;
}

Error *
server_send(Server *server, const char *sql)
{
	if (!PQsendQuery(server->conn, sql))
		return server_error(server, NULL);
	return server_flush(server);
}

Error *
server_next_result(Server *server, int64_t timeout_ms, const ServerTick *tick, PGresult **ret_result)
{
	while (PQisBusy(server->conn))
		TRY(server_wait_input(server, timeout_ms, tick));
	*ret_result = PQgetResult(server->conn);
	return NULL;
}

static bool
result_failed(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || status == PGRES_NONFATAL_ERROR;
}

Error *
server_drain(Server *server)
{
	AUTO(Error) first = NULL;

	for (;;)
	{
		AUTO_RESULT *result = NULL;

		TRY(server_next_result(server, SERVER_REPLY_TIMEOUT_MS, NULL, &result));
		if (result == NULL)
			return MOVE(first);
		if (first == NULL && result_failed(result))
			first = server_error(server, result);

		/* A connection that broke in the middle of a copy would repeat that copy's result for ever. */
		if (PQstatus(server->conn) == CONNECTION_BAD)
			return first != NULL ? MOVE(first) : server_error(server, NULL);
	}
}

Error *
server_query(Server *server, const char *sql, int columns, PGresult **ret_result)
{
	AUTO_RESULT *result = NULL;

	TRY(server_send(server, sql));
	TRY(server_next_result(server, SERVER_REPLY_TIMEOUT_MS, NULL, &result));
	if (result == NULL)
		return server_error(server, NULL);
	if (result_failed(result))
	{
		Error *error = server_error(server, result);

		error_free(server_drain(server));
		return error;
	}
	TRY(server_drain(server));
	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) < 1 || PQnfields(result) < columns)
		return error_new(ERR_TRANSIENT, "unexpected answer of the server to \"%s\"", sql);
	*ret_result = MOVE(result);
	return NULL;
}
