/* Making and ending a connection. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"
#include "walship/base/buf.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/wal/majors.h"

#define CONNECT_TIMEOUT_MS 30000 /* when connect_timeout says nothing */
#define CANCEL_TIMEOUT_S   1
#define HOSTS_MAX          (64 * 1024) /* bytes of a list of hosts */

#define DENIED_HINT                                                                                                \
	"pg_hba.conf needs a line for the database \"replication\" (\"all\" does not include it), and the role needs " \
	"the attribute REPLICATION."

#define PASSWORD_HINT \
	"Put the right password into ~/.pgpass (database name \"replication\") or into a service file."

#define ROOT_HINT "Run it as the server's own user: runuser -u postgres -- walship ..."

#define PEER_HINT                                                                                             \
	"Peer authentication wants the operating system's user to have the role's name: run it as that user, or " \
	"choose the role with PGUSER, or map one to the other in pg_ident.conf."

#define SENDERS_HINT                                                                                       \
	"Raise max_wal_senders (a backup takes two, each standby one), or max_connections: the server has no " \
	"place left."

#define SQLSTATE_BAD_PASSWORD "28P01"
#define SQLSTATE_TOO_MANY     "53300"

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

	if (strcmp(sqlstate, SQLSTATE_TOO_MANY) == 0)
		return error_hint(error, SENDERS_HINT);
	if (kind != ERR_DENIED)
		return error;
	if (strcmp(sqlstate, SQLSTATE_BAD_PASSWORD) == 0)
		return error_hint(error, PASSWORD_HINT);
	if (geteuid() == 0 && str_equal(PQuser(conn), "root"))
		return error_hint(error, ROOT_HINT);

	/* The server's words may be in any language, but not this one: it is the method's name in pg_hba.conf. */
	return error_hint(error, "%s", strcasestr(words, "peer") != NULL ? PEER_HINT : DENIED_HINT);
}

static void
keep_notice(void *argument, const PGresult *result)
{
	Server *server = argument;
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (message != NULL && server->notices.count < SERVER_NOTICES_MAX)
		strlist_add(&server->notices, message);
}

static char *
conninfo_value(PGconn *conn, const char *keyword)
{
	PQconninfoOption *options = PQconninfo(conn);
	char *value = NULL;

	for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
		if (strcmp(option->keyword, keyword) == 0 && option->val != NULL)
			value = mem_strdup(option->val);
	PQconninfoFree(options);
	return value;
}

/* connect_timeout, of one host: libpq itself heeds it only in its blocking call */
static int64_t
host_timeout_ms(PGconn *conn, int64_t fallback_ms)
{
	AUTO_FREE char *text = conninfo_value(conn, "connect_timeout");
	uint64_t seconds = 0;

	if (text == NULL || !str_to_uint64(text, &seconds) || seconds == 0 || seconds >= 86400)
		return fallback_ms;
	return (int64_t) seconds * 1000;
}

/* "*ret_mute": the host that libpq is at neither answered nor refused in its time. */
static Error *
wait_connected(PGconn *conn, int64_t fallback_ms, bool *ret_mute)
{
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;
	int64_t timeout_ms = host_timeout_ms(conn, fallback_ms);
	int64_t deadline = 0;
	AUTO_FREE char *at = NULL;

	*ret_mute = false;
	while (state != PGRES_POLLING_OK)
	{
		AUTO_FREE char *now_at = mem_printf("%s:%s", PQhost(conn), PQport(conn));

		if (state == PGRES_POLLING_FAILED)
			return connect_error(conn);

		/* Where a host refuses, libpq goes on to the next one by itself. */
		if (!str_equal(at, now_at))
		{
			deadline = clock_monotonic_ms() + timeout_ms;
			free(at);
			at = MOVE(now_at);
		}

		int64_t left = deadline - clock_monotonic_ms();
		Error *error = cancel_poll(PQsocket(conn), state == PGRES_POLLING_READING ? POLLIN : POLLOUT,
		                           left > 0 ? left : 0);

		*ret_mute = error_is(error, ERR_TRANSIENT);
		TRY(error_context(error, "could not connect to server \"%s\"", PQhost(conn)));
		state = PQconnectPoll(conn);
	}
	return NULL;
}

/* What libpq made of PGHOST and so on: each list has an entry per host or none; one port may be for all. */
static const char *const host_keywords[] = {"host", "hostaddr", "port"};

#define N_HOST_KEYWORDS lengthof(host_keywords)

typedef struct HostLists
{
	StrList lists[N_HOST_KEYWORDS];
} HostLists;

static void
host_lists_release(HostLists *hosts)
{
	for (size_t i = 0; i < N_HOST_KEYWORDS; i++)
		strlist_release(&hosts->lists[i]);
}

static void
host_lists_read(PGconn *conn, HostLists *hosts)
{
	for (size_t i = 0; i < N_HOST_KEYWORDS; i++)
	{
		AUTO_FREE char *value = conninfo_value(conn, host_keywords[i]);

		for (const char *at = value; at != NULL && *value != '\0';)
		{
			AUTO_FREE char *entry = mem_strndup(at, strcspn(at, ","));

			strlist_add(&hosts->lists[i], entry);
			at = strchr(at, ',');
			at = at == NULL ? NULL : at + 1;
		}
	}
}

static const char *
host_entry(const HostLists *hosts, size_t list, size_t n)
{
	return n < hosts->lists[list].count ? hosts->lists[list].items[n] : "";
}

/*
 * libpq's own loop over several hosts, when it is not to block, cannot be told to
 * leave a mute one.  So it begins anew with all the others, and keeps its ways of
 * choosing among them.  False when there is no other.  "values" are the caller's.
 */
static bool
leave_out_host(PGconn *conn, char *values[N_HOST_KEYWORDS])
{
	__attribute__((cleanup(host_lists_release))) HostLists hosts = {0};
	bool found = false;
	size_t count;
	size_t mute;

	host_lists_read(conn, &hosts);
	count = hosts.lists[0].count > 0 ? hosts.lists[0].count : hosts.lists[1].count;
	for (mute = 0; mute < count && !found; mute += !found)
	{
		const char *name = host_entry(&hosts, 0, mute);
		const char *port = hosts.lists[2].count > 1 ? host_entry(&hosts, 2, mute) : "";

		found = str_equal(*name != '\0' ? name : host_entry(&hosts, 1, mute), PQhost(conn)) &&
		        (*port == '\0' || str_equal(port, PQport(conn)));
	}
	if (!found || count < 2)
		return false;
	for (size_t i = 0; i < N_HOST_KEYWORDS; i++)
	{
		AUTO_BUF(others, HOSTS_MAX);
		const StrList *list = &hosts.lists[i];

		buf_puts(&others, "");
		for (size_t j = 0; j < list->count; j++)
			if (j != mute || list->count == 1)
				buf_printf(&others, "%s%s", others.size > 0 ? "," : "", list->items[j]);
		free(values[i]);
		values[i] = mem_strdup(others.data);
	}
	return true;
}

/* "values" of host_keywords, where they are not libpq's own.  Without a database the connection is for replication. */
static Error *
start_connection(const char *conninfo, const char *database, char *const values[N_HOST_KEYWORDS],
                 Server **ret_server)
{
	/*
	 * The first "dbname" is expanded, a second one is taken as it is, and later words win.
	 * A connection that dies without a word must be noticed: a backup may wait long for
	 * nothing but bytes.
	 */
	const char *keywords[16] = {
		"dbname", "dbname", "application_name", "keepalives_idle", "keepalives_interval", "keepalives_count"};
	const char *given[16] = {conninfo, database == NULL ? "replication" : database, "walship", "60", "10",
	                         "6"};
	size_t count = 6;
	AUTO(Server) server = NEW(Server);

	/* Names of databases are bytes in no encoding that could be known: SQL_ASCII leaves them as they are. */
	keywords[count] = database == NULL ? "replication" : "client_encoding";
	given[count++] = database == NULL ? "true" : "SQL_ASCII";
	for (size_t i = 0; i < N_HOST_KEYWORDS; i++)
		if (values[i] != NULL)
		{
			keywords[count] = host_keywords[i];
			given[count++] = values[i];
		}
	server->conn = PQconnectStartParams(keywords, given, 1);
	if (server->conn == NULL)
		return error_new(ERR_SYSTEM, "out of memory in libpq");
	if (PQstatus(server->conn) == CONNECTION_BAD)
		return connect_error(server->conn);
	(void) PQsetErrorVerbosity(server->conn, PQERRORS_VERBOSE);
	(void) PQsetNoticeReceiver(server->conn, keep_notice, server);
	*ret_server = MOVE(server);
	return NULL;
}

static Error *
connect_to_any_host(const char *conninfo, const char *database, int64_t timeout_ms,
                    char *values[N_HOST_KEYWORDS], Server **ret_server)
{
	for (;;)
	{
		AUTO(Server) server = NULL;
		bool mute = false;

		TRY(start_connection(conninfo, database, values, &server));

		Error *error = wait_connected(server->conn, timeout_ms, &mute);

		if (error == NULL)
		{
			*ret_server = MOVE(server);
			return NULL;
		}
		if (!mute || !error_is(error, ERR_TRANSIENT) || !leave_out_host(server->conn, values))
			return error;
		error_free(error);
	}
}

static Error *
server_open(const char *conninfo, const char *database, int64_t timeout_ms, Server **ret_server)
{
	char *values[N_HOST_KEYWORDS] = {NULL};
	AUTO(Server) server = NULL;

	TRY(pq_library_load());

	Error *error = connect_to_any_host(conninfo, database, timeout_ms, values, &server);

	for (size_t i = 0; i < N_HOST_KEYWORDS; i++)
		free(values[i]);
	TRY(error);
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
server_connect(const char *conninfo, Server **ret_server)
{
	return server_open(conninfo, NULL, CONNECT_TIMEOUT_MS, ret_server);
}

Error *
server_connect_sql(const char *conninfo, Server **ret_server)
{
	return server_open(conninfo, "postgres", CONNECT_TIMEOUT_MS, ret_server);
}

Error *
server_connect_sql_within(const char *conninfo, int64_t timeout_ms, Server **ret_server)
{
	return server_open(conninfo, "postgres", timeout_ms, ret_server);
}

Error *
server_connect_to(const char *conninfo, const char *database, Server **ret_server)
{
	AUTO(Server) server = NULL;
	AUTO_FREE char *done = NULL;

	TRY(server_open(conninfo, database, CONNECT_TIMEOUT_MS, &server));
	TRY(server_value(server, "SELECT pg_catalog.set_config('search_path', '', false)", &done));
	*ret_server = MOVE(server);
	return NULL;
}

Error *
server_connect_at(const ServerAddress *address, Server **ret_server)
{
	AUTO_FREE char *port = mem_printf("%d", address->port);
	/* An empty value among these counts as none, so that PGHOSTADDR would; in a connection string it stays. */
	const char *const keywords[] = {"dbname",
	                                "host",
	                                "port",
	                                "user",
	                                "dbname",
	                                "options",
	                                "sslmode",
	                                "gssencmode",
	                                "client_encoding",
	                                "application_name",
	                                "target_session_attrs",
	                                NULL};
	const char *const values[] = {"hostaddr=''",
	                              address->directory,
	                              port,
	                              address->user,
	                              address->database,
	                              address->options,
	                              "disable",
	                              "disable",
	                              "UTF8",
	                              "walship",
	                              "any",
	                              NULL};
	AUTO(Server) server = NULL;
	bool mute;

	TRY(pq_library_load());
	server = NEW(Server);
	server->conn = PQconnectStartParams(keywords, values, 1);
	if (server->conn == NULL)
		return error_new(ERR_SYSTEM, "out of memory in libpq");
	if (PQstatus(server->conn) == CONNECTION_BAD)
		return connect_error(server->conn);
	(void) PQsetErrorVerbosity(server->conn, PQERRORS_VERBOSE);
	(void) PQsetNoticeReceiver(server->conn, keep_notice, server);
	TRY(wait_connected(server->conn, CONNECT_TIMEOUT_MS, &mute));
	(void) PQsetErrorVerbosity(server->conn, PQERRORS_DEFAULT);
	if (PQsetnonblocking(server->conn, 1) != 0)
		return server_error(server, NULL);
	*ret_server = MOVE(server);
	return NULL;
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
