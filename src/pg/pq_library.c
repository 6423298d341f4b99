/*
 * Loads libpq when the first connection is about to be made (walship/base/library.h): only a backup and a look at the
 * server need it.
 */
#include "connection.h"

#include <pthread.h>

#include "walship/base/attributes.h"
#include "walship/base/library.h"

LIBRARY_NOTE(WALSHIP_PQ_SONAME, "backup", "base backups and questions to a running server");

/* clang-format off */
#define FUNCTIONS(VALUE, NOTHING) \
	VALUE(PGconn *, PQconnectStartParams, (const char *const *names, const char *const *values, int expand), \
	      (names, values, expand)) \
	VALUE(PostgresPollingStatusType, PQconnectPoll, (PGconn *conn), (conn)) \
	VALUE(int, PQconnectionNeedsPassword, (const PGconn *conn), (conn)) \
	VALUE(int, PQconnectionUsedPassword, (const PGconn *conn), (conn)) \
	VALUE(PQconninfoOption *, PQconninfo, (PGconn *conn), (conn)) \
	VALUE(PQconninfoOption *, PQconninfoParse, (const char *conninfo, char **error), (conninfo, error)) \
	NOTHING(PQconninfoFree, (PQconninfoOption *options), (options)) \
	NOTHING(PQfinish, (PGconn *conn), (conn)) \
	VALUE(PGcancel *, PQgetCancel, (PGconn *conn), (conn)) \
	VALUE(int, PQcancel, (PGcancel *cancel, char *reason, int size), (cancel, reason, size)) \
	NOTHING(PQfreeCancel, (PGcancel *cancel), (cancel)) \
	VALUE(ConnStatusType, PQstatus, (const PGconn *conn), (conn)) \
	VALUE(char *, PQerrorMessage, (const PGconn *conn), (conn)) \
	VALUE(char *, PQhost, (const PGconn *conn), (conn)) \
	VALUE(char *, PQhostaddr, (const PGconn *conn), (conn)) \
	VALUE(char *, PQport, (const PGconn *conn), (conn)) \
	VALUE(char *, PQuser, (const PGconn *conn), (conn)) \
	VALUE(int, PQsocket, (const PGconn *conn), (conn)) \
	VALUE(int, PQserverVersion, (const PGconn *conn), (conn)) \
	VALUE(const char *, PQparameterStatus, (const PGconn *conn, const char *name), (conn, name)) \
	VALUE(PGVerbosity, PQsetErrorVerbosity, (PGconn *conn, PGVerbosity verbosity), (conn, verbosity)) \
	VALUE(PQnoticeReceiver, PQsetNoticeReceiver, (PGconn *conn, PQnoticeReceiver receiver, void *argument), \
	      (conn, receiver, argument)) \
	VALUE(int, PQsetnonblocking, (PGconn *conn, int on), (conn, on)) \
	VALUE(int, PQsendQuery, (PGconn *conn, const char *query), (conn, query)) \
	VALUE(int, PQflush, (PGconn *conn), (conn)) \
	VALUE(int, PQconsumeInput, (PGconn *conn), (conn)) \
	VALUE(int, PQisBusy, (PGconn *conn), (conn)) \
	VALUE(PGresult *, PQgetResult, (PGconn *conn), (conn)) \
	VALUE(int, PQgetCopyData, (PGconn *conn, char **buffer, int async), (conn, buffer, async)) \
	VALUE(int, PQputCopyData, (PGconn *conn, const char *data, int size), (conn, data, size)) \
	VALUE(int, PQputCopyEnd, (PGconn *conn, const char *error), (conn, error)) \
	VALUE(ExecStatusType, PQresultStatus, (const PGresult *result), (result)) \
	VALUE(char *, PQresultErrorField, (const PGresult *result, int field), (result, field)) \
	VALUE(int, PQntuples, (const PGresult *result), (result)) \
	VALUE(int, PQnfields, (const PGresult *result), (result)) \
	VALUE(char *, PQgetvalue, (const PGresult *result, int row, int column), (result, row, column)) \
	VALUE(int, PQgetlength, (const PGresult *result, int row, int column), (result, row, column)) \
	VALUE(int, PQgetisnull, (const PGresult *result, int row, int column), (result, row, column)) \
	NOTHING(PQclear, (PGresult *result), (result)) \
	NOTHING(PQfreemem, (void *memory), (memory))

/* Filled before any of the functions is called: there is no connection without pq_library_load(). */
static struct { FUNCTIONS(LIBRARY_POINTER_VALUE, LIBRARY_POINTER_NOTHING) } loaded;

static const LibrarySymbol symbols[] = { FUNCTIONS(LIBRARY_SYMBOL_VALUE, LIBRARY_SYMBOL_NOTHING) };

FUNCTIONS(LIBRARY_DEFINE_VALUE, LIBRARY_DEFINE_NOTHING)
/* clang-format on */

static const LibraryTable table = {
	.soname = WALSHIP_PQ_SONAME,
	.remedy = "To talk to a server, walship needs libpq: install the package libpq5 (Debian, Ubuntu) or "
			  "postgresql-libs (others).",
	.symbols = symbols,
	.n_symbols = lengthof(symbols),
};

Error *
pq_library_load(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static bool done;
	Error *error = NULL;

	(void) pthread_mutex_lock(&mutex);
	if (!done)
		error = library_load(&table);
	done = error == NULL;
	(void) pthread_mutex_unlock(&mutex);
	return error;
}
