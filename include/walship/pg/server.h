/*
 * A replication connection to a live server (PostgreSQL: protocol.sgml,
 * "Streaming Replication Protocol"), or one for SQL.  Where and as whom to
 * connect is libpq's own business: PG* variables, service files, ~/.pgpass.  Of
 * several hosts each has its own connect_timeout.
 *
 * A Server belongs to one thread.  Everything that waits is ended by SIGINT and
 * SIGTERM with ERR_CANCELLED.
 *
 * Kinds of error: not reachable, going down or out of connections is
 * ERR_TRANSIENT, as is every failure that the server reports without a better
 * word for it; refused by authentication, pg_hba.conf or a missing attribute of
 * the role ERR_DENIED; a command that the server does not know ERR_USAGE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/strs.h"
#include "walship/wal/lsn.h"
#include "walship/wal/name.h"

typedef struct Server Server;

/* What IDENTIFY_SYSTEM tells. */
typedef struct ServerIdentity
{
	uint64_t system_identifier;
	TimeLineID timeline;
	XLogRecPtr position; /* flushed on a primary; received or replayed on a standby */
} ServerIdentity;

/* Called about once a second while nothing arrives; may be NULL. */
typedef struct ServerTick
{
	void (*call)(void *context);
	void *context;
} ServerTick;

/*
 * By "conninfo" (NULL or what it does not say: by PGHOST, PGPORT and so on).  A server older than pg_major_oldest() is ERR_USAGE; a newer one than is
 * known is let in.
 */
Error *server_connect(const char *conninfo, Server **ret_server) MUST_CHECK;

/* For SQL, in database "postgres", which is where functions are granted.  A role that only replicates may be refused. */
Error *server_connect_sql(const char *conninfo, Server **ret_server) MUST_CHECK;

/* The same, and a host whose connect_timeout is not set is given up after so long. */
Error *server_connect_sql_within(const char *conninfo, int64_t timeout_ms, Server **ret_server) MUST_CHECK;

/*
 * For SQL, in this database, whose owner may be anybody: its search_path is empty here, so that names without a schema
 * are PostgreSQL's own (CVE-2018-1058).
 */
Error *server_connect_to(const char *conninfo, const char *database, Server **ret_server) MUST_CHECK;

/* For SQL, in "postgres" or, where that is not there or lets nobody in, in "template1". */
Error *server_connect_somewhere(const char *conninfo, Server **ret_server) MUST_CHECK;

/*
 * A connection string with which another program gets to the same server as this connection, and there into
 * "database": the host it is connected to, of several, and no password; that comes from the environment or
 * ~/.pgpass, as here.  The caller frees.
 */
char *server_conninfo(const Server *server, const char *database);

/*
 * What a connection string of the command line says; ERR_USAGE when it is none, or holds a password, which everybody
 * on the machine could see there.  The database that it names, or NULL; the caller frees.
 */
Error *conninfo_check(const char *conninfo, char **ret_database) MUST_CHECK;

/* The first row of a query, a NULL as "".  Only over a connection for SQL. */
Error *server_row(Server *server, const char *sql, int columns, StrList *ret_values) MUST_CHECK;
/* A server of our own, for SQL. */
typedef struct ServerAddress
{
	const char *directory; /* of its Unix socket */
	int port;
	const char *user;
	const char *database;
	const char *options; /* "-c name=value ...": wins over what the server has for role and database */
} ServerAddress;

/* There, and nowhere else: what the environment says of hosts does not count. */
Error *server_connect_at(const ServerAddress *address, Server **ret_server) MUST_CHECK;

/* A command still under way is cancelled on the server, so that no checkpoint and no copy goes on for nobody. */
void server_free(Server *server);
AUTO_DEFINE(Server, server_free);

int server_version(const Server *server); /* 150020; 130023 */
int server_major(const Server *server);

Error *server_identify(Server *server, ServerIdentity *ret_identity) MUST_CHECK;
Error *server_show(Server *server, const char *name, char **ret_value) MUST_CHECK;
Error *server_segment_size(Server *server, uint32_t *ret_size) MUST_CHECK;

/*
 * PostgreSQL 13 has no word for it but "transaction_read_only", which
 * default_transaction_read_only can set on a primary: then a primary is taken
 * for a standby, whose way of backing up works there as well.
 */
Error *server_in_recovery(Server *server, bool *ret_in_recovery) MUST_CHECK;

/* The history file of a timeline above 1, as it lies in pg_wal.  The caller frees. */
Error *server_timeline_history(Server *server, TimeLineID timeline, char **ret_text, size_t *ret_size)
	MUST_CHECK;

typedef struct ServerDatabase
{
	uint32_t oid;
	uint32_t tablespace; /* OID of its default one */
	char *name;
} ServerDatabase;

/*
 * All databases of the server, by OID, over a session of its own: a replication
 * connection knows no SQL.  ERR_TRANSIENT when that led to another database system
 * than "system_identifier": PGHOST may name several servers.
 */
Error *server_databases(const char *conninfo, uint64_t system_identifier, ServerDatabase **ret_databases,
                        size_t *ret_count) MUST_CHECK;
void server_databases_free(ServerDatabase *databases, size_t count);

/* OIDs of tablespaces that are directories in pg_tblspc (allow_in_place_tablespaces), ascending; the caller frees. */
Error *server_in_place_tablespaces(const char *conninfo, uint64_t system_identifier, uint32_t **ret_oids,
                                   size_t *ret_count) MUST_CHECK;

/*
 * The configuration files outside its data directory, as absolute paths: postgresql.conf, what it includes,
 * pg_hba.conf and pg_ident.conf.  None when the server may be on another machine.  ERR_DENIED when the role may
 * not see them.
 */
Error *server_config_files(const char *conninfo, uint64_t system_identifier, StrList *ret_files) MUST_CHECK;

/* What a server says of its archiver.  Times are by its clock; TIME_NONE and "": never. */
typedef struct ServerArchiving
{
	uint64_t system_identifier;
	bool in_recovery;
	bool archives;       /* archive_mode is not off */
	XLogRecPtr position; /* the end of its WAL; of a standby what was replayed */
	TimeUs now;
	uint64_t archived;
	char last_archived[WAL_NAME_SIZE];
	TimeUs archived_at;
	uint64_t failed;
	char last_failed[WAL_NAME_SIZE];
	TimeUs failed_at;
} ServerArchiving;

/* Over a connection for SQL, in one question. */
Error *server_archiving(Server *server, ServerArchiving *ret_archiving) MUST_CHECK;

/*
 * Files that wait to be archived, and since when the first of them does (TIME_NONE: none waits).
 * ERR_DENIED where the role is neither a superuser nor a member of pg_monitor.
 */
Error *server_waiting(Server *server, uint64_t *ret_count, TimeUs *ret_since) MUST_CHECK;

/* When the password ends with which this connection's role was let in (VALID UNTIL); TIME_NONE: never, or there was none. */
Error *server_password_end(Server *server, TimeUs *ret_end) MUST_CHECK;

/* Warnings that the server sent, the first SERVER_NOTICES_MAX of them. */
#define SERVER_NOTICES_MAX 20
const StrList *server_notices(const Server *server);

/* What one statement returned, as text. */
typedef struct ServerRows
{
	size_t columns; /* 0: the statement returns no rows */
	size_t count;
	char **values; /* row by row; NULL is NULL */
} ServerRows;

typedef struct ServerResults
{
	ServerRows *items; /* one for each statement */
	size_t count;
	size_t capacity;
} ServerResults;

void server_results_release(ServerResults *results);
#define AUTO_RESULTS __attribute__((cleanup(server_results_release))) ServerResults

/*
 * Runs SQL, which may be several statements: then they are one transaction.  The
 * first that fails is the error, whose kind is as above, and the results are those
 * of the statements before it; -1 as timeout: none.
 */
Error *server_run(Server *server, const char *sql, int64_t timeout_ms, ServerResults *ret_results) MUST_CHECK;

/*
 * One last statement that clears away what this process made, also while everything is being given up: nothing ends
 * it but the time.  The answer to another one that is under way is waited for and dropped.
 */
Error *server_run_cleanup(Server *server, const char *sql, int timeout_ms) MUST_CHECK;

/* Of SQL that returns one row with one column; NULL is "".  The caller frees. */
Error *server_value(Server *server, const char *sql, char **ret_value) MUST_CHECK;
