/* The server's part of a set-up: what it says of itself, and what it is told. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/dir.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pg/server.h"
#include "walship/upkeep/init.h"

#define CONNECT_MS   10000
#define STATEMENT_MS 30000
#define RELOAD_MS    10000
#define POLL_MS      50
#define HBA_MAX      (4 * 1024 * 1024)

void
server_facts_release(ServerFacts *facts)
{
	free(facts->data_directory);
	free(facts->config_file);
	free(facts->hba_file);
	free(facts->role);
	free(facts->no_backups);
	for (size_t i = 0; i < SERVER_SETTINGS; i++)
	{
		free(facts->settings[i].running);
		free(facts->settings[i].next);
	}
	*facts = (ServerFacts){0};
}

/*
 * reset_val: SHOW and "setting" say "(disabled)" of an archive_command while archive_mode is off.  The last line of
 * the files wins.  What is wrong there is left out by the server, so here, too.
 */
static Error *
ask_settings(Server *server, ServerFacts *facts)
{
	static const char *const names[SERVER_SETTINGS] = {
		[SERVER_ARCHIVE_MODE] = "archive_mode",
		[SERVER_ARCHIVE_COMMAND] = "archive_command",
		[SERVER_ARCHIVE_LIBRARY] = "archive_library",
		[SERVER_ARCHIVE_TIMEOUT] = "archive_timeout",
		[SERVER_WAL_LEVEL] = "wal_level",
		[SERVER_MAX_WAL_SENDERS] = "max_wal_senders",
	};

	for (size_t i = 0; i < SERVER_SETTINGS; i++)
	{
		ServerSetting *setting = &facts->settings[i];
		AUTO_RESULTS results = {0};
		AUTO_FREE char *sql = mem_printf(
			"SELECT coalesce(s.reset_val, ''), s.source = 'command line',"
			" coalesce((SELECT f.setting FROM pg_catalog.pg_file_settings f WHERE f.name = s.name"
			" ORDER BY f.seqno DESC LIMIT 1), s.boot_val, '') FROM pg_catalog.pg_settings s WHERE s.name = '%s'",
			names[i]);

		TRY(server_run(server, sql, STATEMENT_MS, &results));

		const ServerRows *rows = &results.items[0];

		/* Before PostgreSQL 15 there is no archive_library. */
		if (results.count != 1 || rows->count != 1)
		{
			setting->running = mem_strdup("");
			setting->next = mem_strdup("");
			continue;
		}
		setting->running = mem_strdup(rows->values[0]);
		setting->fixed = rows->values[1][0] == 't';
		setting->next = mem_strdup(setting->fixed ? rows->values[0] : rows->values[2]);
	}
	return NULL;
}

static Error *
ask_identity(Server *server, ServerFacts *facts)
{
	static const char sql[] =
		"SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()),"
		" pg_catalog.current_setting('data_directory'), pg_catalog.current_setting('config_file'),"
		" pg_catalog.current_setting('hba_file'), current_user,"
		" (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),"
		" pg_catalog.pg_is_in_recovery(), coalesce(pg_catalog.current_setting('allow_alter_system', true), 'on')";
	AUTO_STRLIST row = {0};

	TRY(server_row(server, sql, 8, &row));
	if (!str_to_uint64(row.items[0], &facts->system_identifier))
		return error_new(ERR_TRANSIENT, "unexpected answer of the server: no system identifier");
	facts->version = server_version(server);
	facts->data_directory = mem_strdup(row.items[1]);
	facts->config_file = mem_strdup(row.items[2]);
	facts->hba_file = mem_strdup(row.items[3]);
	facts->role = mem_strdup(row.items[4]);
	facts->is_superuser = row.items[5][0] == 't';
	facts->in_recovery = row.items[6][0] == 't';
	facts->no_alter_system = strcmp(row.items[7], "off") == 0;
	return NULL;
}

/* As "walship backup" connects.  That it is refused is an answer. */
static Error *
try_replication(const char *conninfo, char **ret_reason)
{
	AUTO(Server) server = NULL;
	ServerIdentity identity;
	Error *error = server_connect(conninfo, &server);

	if (error == NULL)
		error = server_identify(server, &identity);
	if (error_is(error, ERR_CANCELLED))
		return error;
	*ret_reason = error == NULL ? NULL : mem_strdup(error_message(error));
	error_free(error);
	return NULL;
}

Error *
init_ask_server(const char *conninfo, ServerFacts *ret_facts)
{
	AUTO(Server) server = NULL;

	TRY(server_connect_sql_within(conninfo, CONNECT_MS, &server));
	TRY(error_hint(
		error_context(ask_identity(server, ret_facts), "could not ask the server what it is"),
		"Connect as a superuser, such as postgres: what a server's files are it tells no other role."));
	TRY(error_context(ask_settings(server, ret_facts), "could not ask the server for its settings"));
	return try_replication(conninfo, &ret_facts->no_backups);
}

static Error *
run_statement(Server *server, const char *sql)
{
	AUTO_RESULTS results = {0};

	return server_run(server, sql, STATEMENT_MS, &results);
}

/* As a literal whatever standard_conforming_strings is. */
static Error *
alter_system(Server *server, const char *name, const char *value)
{
	AUTO_BUF(sql, 256 * 1024);

	buf_printf(&sql, "ALTER SYSTEM SET %s = E'", name);
	for (const char *at = value; *at != '\0'; at++)
	{
		if (*at == '\'' || *at == '\\')
			buf_putc(&sql, '\\');
		buf_putc(&sql, *at);
	}
	buf_puts(&sql, "'");
	return error_context(run_statement(server, sql.data), "ALTER SYSTEM SET %s", name);
}

/* The postmaster hears of it first, and this session after that. */
static Error *
wait_for_command(Server *server, const char *command)
{
	int64_t until_ms = clock_monotonic_ms() + RELOAD_MS;

	for (;;)
	{
		AUTO_FREE char *running = NULL;

		TRY(server_value(
			server, "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'archive_command'", &running));
		if (strcmp(running, command) == 0)
			return NULL;
		if (clock_monotonic_ms() >= until_ms)
			return error_hint(error_new(ERR_TRANSIENT, "the server does not take archive_command over"),
			                  "Its log says why: is there an error in its settings?");
		TRY(cancel_sleep_ms(POLL_MS));
	}
}

Error *
init_set_archiving(const char *conninfo, const ServerFacts *facts, const char *command, bool command_is_ours)
{
	AUTO(Server) server = NULL;
	AUTO_STRLIST names = {0};
	AUTO_STRLIST values = {0};

	init_list_settings(facts, command, command_is_ours, &names, &values);
	TRY(server_connect_sql_within(conninfo, CONNECT_MS, &server));
	for (size_t i = 0; i < names.count; i++)
		TRY(alter_system(server, names.items[i], values.items[i]));
	TRY(run_statement(server, "SELECT pg_catalog.pg_reload_conf()"));
	return wait_for_command(server, command_is_ours ? facts->settings[SERVER_ARCHIVE_COMMAND].next : command);
}

char *
init_hba_line(const char *role)
{
	AUTO_BUF(quoted, 4096);

	/* PostgreSQL: client-auth.sgml: in quotes a name is only a name. */
	for (const char *at = role; *at != '\0'; at++)
		buf_printf(&quoted, *at == '"' ? "\"%c" : "%c", *at);
	return mem_printf("local replication \"%s\" peer", quoted.size > 0 ? quoted.data : "");
}

void
init_hba_text(const char *text, size_t size, const char *line, Buf *into)
{
	size_t at = 0;

	/* The first line that fits counts, so it stands before the first that is no comment. */
	while (at < size)
	{
		size_t blank = strspn(text + at, " \t\r\n");
		const char *end;

		if (at + blank < size && text[at + blank] != '#')
			break;
		end = memchr(text + at, '\n', size - at);
		at = end == NULL ? size : (size_t) (end - text) + 1;
	}
	buf_append(into, text, at);
	if (at > 0 && text[at - 1] != '\n')
		buf_putc(into, '\n');
	buf_printf(into, "# walship takes backups by this line; written by \"walship init\"\n%s\n", line);
	buf_append(into, text + at, size - at);
}

static Error *
wait_for_replication(const char *conninfo)
{
	int64_t until_ms = clock_monotonic_ms() + RELOAD_MS;

	for (;;)
	{
		AUTO_FREE char *reason = NULL;

		TRY(try_replication(conninfo, &reason));
		if (reason == NULL)
			return NULL;
		if (clock_monotonic_ms() >= until_ms)
			return error_new(ERR_DENIED,
			                 "the role may not take backups, also with its line in pg_hba.conf: %s", reason);
		TRY(cancel_sleep_ms(POLL_MS));
	}
}

Error *
init_add_hba_line(const char *conninfo, const ServerFacts *facts)
{
	AUTO(Server) server = NULL;
	AUTO_BUF(text, HBA_MAX);
	AUTO_BUF(changed, HBA_MAX);
	AUTO_FREE char *line = init_hba_line(facts->role);
	AUTO_FREE char *path = realpath(facts->hba_file, NULL); /* a link stays one */
	struct stat status;

	if (path == NULL || stat(path, &status) != 0)
		return error_errno("could not look at file \"%s\"", facts->hba_file);
	TRY(file_read_all(path, &text));
	buf_puts(&text, "");

	/* One that was ended before the reload has written it. */
	if (strstr(text.data, line) == NULL)
	{
		init_hba_text(text.data, text.size, line, &changed);
		if (changed.overflowed)
			return error_new(ERR_USAGE, "file \"%s\" is too large", path);
		TRY(file_replace(path, changed.data, changed.size, status.st_mode & 07777));
	}
	TRY(server_connect_sql_within(conninfo, CONNECT_MS, &server));
	TRY(run_statement(server, "SELECT pg_catalog.pg_reload_conf()"));
	return wait_for_replication(conninfo);
}
