/* See walship/upkeep/row_counting.h. */
#include "walship/upkeep/row_counting.h"

#include <inttypes.h>
#include <string.h>

#include "replay_pause.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/pg/server.h"

#define LOCK_MS                 100 /* one that does not come is given up; */
#define LONG_LOCK_MS            500 /* later on, when there is none in so short a time */
#define SHORT_LOCKS_S           20
#define LOCKS_WITHIN_S          60
#define STATEMENT_MAX           (4 * 1024 * 1024)
#define PAUSE_MS                200
#define STATEMENTS_BEFORE_LOCKS 2
#define REPLY_MS                60000
#define DATABASES_MAX           200 /* each takes two connections of the server */

/* Of one database, in which there are tables to be counted. */
typedef struct CountedDatabase
{
	char *name;
	Server *locking;
	Server *counting;
	StrList tables;     /* as SQL names them, in the order of its counts */
	const char **order; /* the same, as they are locked */
	size_t first;       /* of these */
} CountedDatabase;

typedef struct CountedDatabases
{
	CountedDatabase *items;
	size_t count;
	size_t capacity;
} CountedDatabases;

static void
databases_release(CountedDatabases *databases)
{
	for (size_t i = 0; i < databases->count; i++)
	{
		free(databases->items[i].name);
		server_free(databases->items[i].locking);
		server_free(databases->items[i].counting);
		strlist_release(&databases->items[i].tables);
		free(databases->items[i].order);
	}
	free(databases->items);
	*databases = (CountedDatabases){0};
}

Error *
table_names_parse(const char *text, StrList *ret_names)
{
	if (strcmp(text, "all") == 0)
		return NULL;
	for (const char *at = text;; at++)
	{
		size_t length = strcspn(at, ",");
		AUTO_FREE char *name = mem_strndup(at, length);

		if (length == 0 || name[0] == '.' || name[length - 1] == '.' || strpbrk(name, " \t\n\"") != NULL)
			return error_hint(error_new(ERR_USAGE, "\"%s\" does not name tables", text),
			                  "It is \"all\", or names such as orders,public.customers,shop.public.items.");
		strlist_add(ret_names, name);
		at += length;
		if (*at == '\0')
			return NULL;
	}
}

bool
table_names_match(const StrList *names, const char *database, const char *schema, const char *table,
                  size_t *ret_index)
{
	AUTO_FREE char *full = mem_printf(".%s.%s.%s", database, schema, table);

	if (names->count == 0)
		return true;
	for (size_t i = 0; i < names->count; i++)
	{
		AUTO_FREE char *end = mem_printf(".%s", names->items[i]);

		if (!str_ends_with(full, end))
			continue;
		*ret_index = i;
		return true;
	}
	return false;
}

static Error *
add_tables(const char *conninfo, uint32_t oid, const char *name, const StrList *names, bool *found,
           CountedDatabases *databases, RowCounts *counts)
{
	static const char sql[] =
		"SELECT c.oid, pg_catalog.format('%I.%I', nspname, relname), nspname, relname FROM "
		"pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' "
		"AND relpersistence = 'p' AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%' ORDER BY "
		"c.oid";
	AUTO(Server) server = NULL;
	AUTO_RESULTS tables = {0};
	CountedDatabase database = {.first = counts->count};

	TRY(error_context(server_connect_to(conninfo, name, &server), "database \"%s\"", name));
	TRY(server_run(server, sql, REPLY_MS, &tables));
	for (size_t i = 0; tables.count == 1 && i < tables.items[0].count; i++)
	{
		char **row = &tables.items[0].values[i * 4];
		size_t index = 0;
		uint64_t relation;

		if (!table_names_match(names, name, row[2], row[3], &index) || !str_to_uint64(row[0], &relation))
			continue;
		if (names->count > 0)
			found[index] = true;
		strlist_add(&database.tables, row[1]);
		GROW(counts->items, counts->count, counts->capacity);
		counts->items[counts->count++] = (RowCount){.database = oid, .relation = (uint32_t) relation};
	}
	if (database.tables.count == 0)
		return NULL;
	database.name = mem_strdup(name);
	database.order = NEW_ARRAY(const char *, database.tables.count);
	memcpy(database.order, database.tables.items, database.tables.count * sizeof(*database.order));
	database.locking = MOVE(server);
	GROW(databases->items, databases->count, databases->capacity);
	databases->items[databases->count++] = database;
	return error_context(server_connect_to(conninfo, name, &databases->items[databases->count - 1].counting),
	                     "database \"%s\"", name);
}

static Error *
find_tables(const char *conninfo, Server *server, const StrList *names, CountedDatabases *databases,
            RowCounts *counts)
{
	AUTO_FREE bool *found = NEW_ARRAY(bool, names->count + 1);
	AUTO_RESULTS list = {0};

	TRY(server_run(
		server,
		"SELECT oid, datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY oid",
		REPLY_MS, &list));
	for (size_t i = 0; list.count == 1 && i < list.items[0].count; i++)
	{
		char **row = &list.items[0].values[i * 2];
		uint64_t oid = 0;

		(void) str_to_uint64(row[0], &oid);
		TRY(add_tables(conninfo, (uint32_t) oid, row[1], names, found, databases, counts));
		if (databases->count > DATABASES_MAX)
			return error_hint(
				error_new(ERR_USAGE, "more than %d databases have tables to be counted", DATABASES_MAX),
				"Name the tables: --count DATABASE.SCHEMA.TABLE,...");
	}
	for (size_t i = 0; i < names->count; i++)
		if (!found[i])
			return error_hint(error_new(ERR_USAGE, "the server has no table \"%s\"", names->items[i]),
			                  "A name is TABLE, SCHEMA.TABLE or DATABASE.SCHEMA.TABLE, written as in "
			                  "pg_class, without quotes.");
	if (counts->count > ROW_COUNTS_MAX)
		return error_hint(error_new(ERR_USAGE, "the server has %zu tables, and %d can be counted together",
		                            counts->count, ROW_COUNTS_MAX),
		                  "Name those that matter: --count TABLE,TABLE,...");
	if (databases->count == 0)
		return error_new(ERR_USAGE, "the server has no tables that could be counted");
	return NULL;
}

/*
 * Who waited for a table that we have not locked yet holds one that we have: that is a
 * transaction that wrote to the former first.  Locked in the order in which transactions
 * write to them, new ones wait for the first table, and those under way come to their end.
 * That order nobody knows, so a table for which a lock did not come is the first one the
 * next time.
 */
static void
lock_first(CountedDatabase *database, size_t index)
{
	const char *table = database->order[index];

	memmove(database->order + 1, database->order, index * sizeof(*database->order));
	database->order[0] = table;
}

static Error *
lock_database(CountedDatabase *database, int timeout_ms)
{
	AUTO_BUF(sql, STATEMENT_MAX);
	AUTO_RESULTS results = {0};
	Error *error;

	/* Far below deadlock_timeout: else the server would end the transaction of others that waits for us. */
	buf_printf(&sql,
	           "BEGIN; SELECT pg_catalog.set_config('lock_timeout', least(%d, setting::int / 2)::text, true) "
	           "FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'",
	           timeout_ms);
	for (size_t i = 0; i < database->tables.count; i++)
		buf_printf(&sql, "; LOCK TABLE ONLY %s IN SHARE MODE", database->order[i]);
	if (sql.overflowed)
		return error_new(ERR_USAGE, "database \"%s\" has too many tables to be locked together",
		                 database->name);
	error = server_run(database->locking, sql.data, REPLY_MS, &results);
	if (error != NULL && results.count > STATEMENTS_BEFORE_LOCKS &&
	    results.count - STATEMENTS_BEFORE_LOCKS < database->tables.count)
		lock_first(database, results.count - STATEMENTS_BEFORE_LOCKS);
	return error_context(error, "database \"%s\"", database->name);
}

static Error *
lock_once(CountedDatabases *databases, int timeout_ms)
{
	for (size_t i = 0; i < databases->count; i++)
		TRY(lock_database(&databases->items[i], timeout_ms));
	return NULL;
}

static Error *
end_locks(CountedDatabases *databases)
{
	for (size_t i = 0; i < databases->count; i++)
	{
		AUTO_RESULTS results = {0};

		TRY(server_run(databases->items[i].locking, "ROLLBACK", REPLY_MS, &results));
	}
	return NULL;
}

static Error *
lock(CountedDatabases *databases, int64_t *ret_since_ms)
{
	int64_t deadline = clock_monotonic_ms() + LOCKS_WITHIN_S * 1000;

	for (;;)
	{
		bool first = clock_monotonic_ms() < deadline - (LOCKS_WITHIN_S - SHORT_LOCKS_S) * 1000;

		*ret_since_ms = clock_monotonic_ms();

		Error *error = lock_once(databases, first ? LOCK_MS : LONG_LOCK_MS);

		if (error == NULL)
			return NULL;
		if (!error_is(error, ERR_TRANSIENT))
			return error_hint(error, "To count exactly the role must own the tables or be superuser: for a "
			                         "moment nobody may write to them.");
		if (clock_monotonic_ms() > deadline)
			return error_hint(error, "Something writes to the table in a long transaction: "
			                         "pg_stat_activity shows it. Count later, or name other tables.");
		error_free(error);
		TRY(end_locks(databases));
		TRY(cancel_sleep_ms(PAUSE_MS));
	}
}

static Error *
take_snapshots(CountedDatabases *databases)
{
	for (size_t i = 0; i < databases->count; i++)
	{
		AUTO_RESULTS results = {0};

		TRY(server_run(databases->items[i].counting,
		               "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL row_security = off; "
		               "SET LOCAL statement_timeout = 0; SELECT 1",
		               REPLY_MS, &results));
	}
	return NULL;
}

/* The start of the next record: what begins there or later is not counted. */
static Error *
take_place(Server *server, RowCounts *counts)
{
	AUTO_STRLIST row = {0};
	uint64_t timeline;
	uint64_t time;

	TRY(server_row(
		server,
		"SELECT l, ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(l), 1, 8))::bit(32)::bigint, "
		"(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint "
		"FROM pg_catalog.pg_current_wal_insert_lsn() l",
		3, &row));
	if (!lsn_parse(row.items[0], &counts->lsn) || !str_to_uint64(row.items[1], &timeline) ||
	    !str_to_uint64(row.items[2], &time))
		return error_new(ERR_TRANSIENT, "unexpected answer of the server: no place in the WAL");
	counts->timeline = (TimeLineID) timeline;
	counts->time = (TimeUs) time;
	return NULL;
}

static Error *
count_rows(CountedDatabase *database, RowCounts *counts)
{
	for (size_t i = 0; i < database->tables.count; i++)
	{
		AUTO_FREE char *sql = mem_printf("SELECT count(*) FROM ONLY %s", database->tables.items[i]);
		AUTO_RESULTS results = {0};

		TRY(cancel_check());
		TRY(error_context(server_run(database->counting, sql, -1, &results), "database \"%s\"",
		                  database->name));
		if (results.count != 1 || results.items[0].count != 1 ||
		    !str_to_uint64(results.items[0].values[0], &counts->items[database->first + i].rows))
			return error_new(ERR_TRANSIENT, "unexpected answer of the server to \"%s\"", sql);
	}
	return NULL;
}

static Error *
check_server(Server *server, uint64_t system_identifier, bool *ret_standby)
{
	AUTO_STRLIST row = {0};
	uint64_t identifier;

	TRY(server_row(
		server,
		"SELECT system_identifier, pg_catalog.pg_is_in_recovery() FROM pg_catalog.pg_control_system()", 2,
		&row));
	if (!str_to_uint64(row.items[0], &identifier) || identifier != system_identifier)
		return error_hint(
			error_new(ERR_EXISTS,
		              "the server is of database system %s, and the counts are to be kept for %" PRIu64,
		              row.items[0], system_identifier),
			"Is \"conninfo\" that of this cluster, and \"store\" its store?");
	*ret_standby = strcmp(row.items[1], "t") == 0;
	return NULL;
}

static Error *
snapshots_with_locks(CountedDatabases *databases, RowCounts *counts, int64_t *ret_held_ms)
{
	int64_t since;

	TRY(lock(databases, &since));
	TRY(take_snapshots(databases));
	TRY(take_place(databases->items[0].locking, counts));
	TRY(end_locks(databases));
	*ret_held_ms = clock_monotonic_ms() - since;
	return NULL;
}

/* The place is asked for twice: if it moved in between, the snapshots may be of any place there. */
static Error *
snapshots_while_paused(Server *server, CountedDatabases *databases, RowCounts *counts, int64_t *ret_held_ms)
{
	int64_t since = clock_monotonic_ms();
	AUTO_PAUSE pause = {0};
	AUTO_FREE char *time = NULL;
	XLogRecPtr before;
	uint64_t now;

	TRY(replay_pause_begin(server, &pause));
	TRY(replay_pause_place(&pause, &before, &counts->timeline));
	TRY(take_snapshots(databases));
	TRY(replay_pause_place(&pause, &counts->lsn, &counts->timeline));
	if (counts->lsn != before)
		return error_hint(error_new(ERR_TRANSIENT, "the standby went on with its replay while it was paused"),
		                  "Somebody resumed it: count again.");
	TRY(server_value(server, "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint",
	                 &time));
	if (!str_to_uint64(time, &now))
		return error_new(ERR_TRANSIENT, "unexpected answer of the standby: no time");
	counts->time = (TimeUs) now;
	replay_pause_end(&pause);
	*ret_held_ms = clock_monotonic_ms() - since;
	return NULL;
}

static Error *
snapshots_of_now(Server *server, bool standby, CountedDatabases *databases, RowCounts *counts)
{
	AUTO_STRLIST row = {0};
	uint64_t now;

	TRY(take_snapshots(databases));
	TRY(server_row(server,
	               standby ? "SELECT pg_catalog.pg_last_wal_replay_lsn(), (extract(epoch FROM "
	                         "pg_catalog.clock_timestamp()) * 1000000)::bigint"
	                       : "SELECT pg_catalog.pg_current_wal_lsn(), (extract(epoch FROM "
	                         "pg_catalog.clock_timestamp()) * 1000000)::bigint",
	               2, &row));
	if (!lsn_parse(row.items[0], &counts->lsn) || !str_to_uint64(row.items[1], &now))
		return error_new(ERR_TRANSIENT, "unexpected answer of the server: no place in the WAL");
	counts->time = (TimeUs) now;
	return NULL;
}

static Error *
count_all(CountedDatabases *databases, bool standby, RowCounts *counts)
{
	for (size_t i = 0; i < databases->count; i++)
	{
		Error *error = count_rows(&databases->items[i], counts);

		if (standby && error_is(error, ERR_TRANSIENT))
			return error_hint(error,
			                  "On a standby the replay ends a query that is in its way after "
			                  "max_standby_streaming_delay; hot_standby_feedback = on keeps most of them.");
		TRY(error);
	}
	return NULL;
}

char *
row_counting_text(const RowCounting *counting)
{
	static const char *const by[] = {[COUNTED_LOCKED] = "they were locked for",
	                                 [COUNTED_PAUSED] = "on a standby, whose replay was paused for",
	                                 [COUNTED_NOW] = "nothing was locked:"};

	return mem_printf("%s %" PRId64 " ms", by[counting->by], counting->held_ms);
}

Error *
row_counting_run(const char *conninfo, uint64_t system_identifier, const StrList *names, bool exact,
                 RowCounts *ret_counts, RowCounting *ret_counting)
{
	AUTO(Server) server = NULL;
	CountedDatabases databases __attribute__((cleanup(databases_release))) = {0};
	AUTO_ROW_COUNTS counts = {0};
	RowCounting counting = {0};
	bool standby = false;

	TRY(server_connect_sql(conninfo, &server));
	TRY(check_server(server, system_identifier, &standby));
	TRY(find_tables(conninfo, server, names, &databases, &counts));
	counting.by = !exact ? COUNTED_NOW : standby ? COUNTED_PAUSED : COUNTED_LOCKED;
	switch (counting.by)
	{
		case COUNTED_LOCKED:
			TRY(snapshots_with_locks(&databases, &counts, &counting.held_ms));
			break;
		case COUNTED_PAUSED:
			TRY(snapshots_while_paused(server, &databases, &counts, &counting.held_ms));
			break;
		case COUNTED_NOW:
			TRY(snapshots_of_now(server, standby, &databases, &counts));
			break;
	}
	TRY(count_all(&databases, standby, &counts));
	*ret_counting = counting;
	*ret_counts = counts;
	counts = (RowCounts){0};
	return NULL;
}

Error *
row_counting_end_segment(const char *conninfo)
{
	static const char *const statements[] = {
		"SELECT pg_catalog.pg_logical_emit_message(false, 'walship', 'counts')",
		"SELECT pg_catalog.pg_switch_wal()",
	};
	AUTO(Server) server = NULL;

	TRY(server_connect_sql(conninfo, &server));
	for (size_t i = 0; i < lengthof(statements); i++)
	{
		AUTO_RESULTS results = {0};
		Error *error = server_run(server, statements[i], REPLY_MS, &results);

		if (error_is(error, ERR_CANCELLED))
			return error;
		error_free(error);
	}
	return NULL;
}
