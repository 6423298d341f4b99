/* SQL: statements, and the rows that they return. */
#include "connection.h"

#include <errno.h>
#include <poll.h>

#include "walship/base/clock.h"
#include "walship/base/mem.h"

void
server_results_release(ServerResults *results)
{
	for (size_t i = 0; i < results->count; i++)
	{
		ServerRows *rows = &results->items[i];

		for (size_t j = 0; j < rows->count * rows->columns; j++)
			free(rows->values[j]);
		free(rows->values);
	}
	free(results->items);
	*results = (ServerResults){0};
}

static void
add_result(ServerResults *results, const PGresult *result)
{
	ServerRows rows = {.columns = (size_t) PQnfields(result), .count = (size_t) PQntuples(result)};

	rows.values = NEW_ARRAY(char *, rows.count *rows.columns + 1);
	for (size_t row = 0; row < rows.count; row++)
		for (size_t column = 0; column < rows.columns; column++)
			if (!PQgetisnull(result, (int) row, (int) column))
				rows.values[row * rows.columns + column] =
					mem_strdup(PQgetvalue(result, (int) row, (int) column));
	GROW(results->items, results->count, results->capacity);
	results->items[results->count++] = rows;
}

Error *
server_run(Server *server, const char *sql, int64_t timeout_ms, ServerResults *ret_results)
{
	AUTO_RESULTS results = {0};

	server->cancel_on_free = true;
	TRY(server_send(server, sql));
	for (;;)
	{
		AUTO_RESULT *result = NULL;
		ExecStatusType status;

		TRY(server_next_result(server, timeout_ms, NULL, &result));
		if (result == NULL)
			break;
		status = PQresultStatus(result);
		if (status == PGRES_EMPTY_QUERY)
			continue;
		if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		{
			Error *error = status == PGRES_FATAL_ERROR
			                   ? server_error(server, result)
			                   : error_new(ERR_USAGE, "a statement that copies data cannot be run here");

			error_free(server_drain(server));
			server->cancel_on_free = false;
			server_results_release(ret_results);
			*ret_results = results;
			results = (ServerResults){0};
			return error;
		}
		add_result(&results, result);
	}
	server->cancel_on_free = false;
	server_results_release(ret_results);
	*ret_results = results;
	results = (ServerResults){0};
	return NULL;
}

/* Until all has come; the first failed one is the error.  No cancellation ends it. */
static Error *
wait_out(Server *server, int64_t deadline_ms)
{
	Error *error = NULL;

	for (;;)
	{
		struct pollfd polled = {.fd = PQsocket(server->conn), .events = POLLIN};
		int64_t left = deadline_ms - clock_monotonic_ms();
		AUTO_RESULT *result = NULL;

		if (PQflush(server->conn) <= 0 && !PQisBusy(server->conn))
		{
			result = PQgetResult(server->conn);
			if (result == NULL)
				return error;
			if (error == NULL && PQresultStatus(result) == PGRES_FATAL_ERROR)
				error = server_error(server, result);
			continue;
		}
		if (error == NULL && left <= 0)
			error = error_new(ERR_TRANSIENT, "server did not answer in time");
		if (error == NULL && poll(&polled, 1, (int) left) < 0 && errno != EINTR)
			error = error_errno("could not wait for the server");
		if (error == NULL && !PQconsumeInput(server->conn))
			error = server_error(server, NULL);
		if (error != NULL)
			return error;
	}
}

Error *
server_run_cleanup(Server *server, const char *sql, int timeout_ms)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;

	error_free(wait_out(server, deadline));
	if (!PQsendQuery(server->conn, sql))
		return server_error(server, NULL);
	TRY(wait_out(server, deadline));
	server->cancel_on_free = false;
	return NULL;
}

Error *
server_value(Server *server, const char *sql, char **ret_value)
{
	AUTO_RESULTS results = {0};

	TRY(server_run(server, sql, SERVER_REPLY_TIMEOUT_MS, &results));
	if (results.count != 1 || results.items[0].count != 1 || results.items[0].columns != 1)
		return error_new(ERR_TRANSIENT, "unexpected answer of the server to \"%s\"", sql);

	const char *value = results.items[0].values[0];

	*ret_value = mem_strdup(value != NULL ? value : "");
	return NULL;
}
