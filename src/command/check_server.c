/* The server, asked over the connections that a backup and a superuser have. */
#include "check_server.h"

#include <inttypes.h>
#include <string.h>

#include "context.h"
#include "walship/base/buf.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/plan/recovery_conf.h"
#include "walship/wal/majors.h"

#define FLAGS_MAX (256 * 1024)

void
checked_server_release(CheckedServer *server)
{
	server_free(server->replication);
	server_free(server->sql);
	free(server->data_directory);
}

/* Which system is it to be?  0: whichever answers. */
static uint64_t
expected_system(const Settings *settings, const char *data_directory)
{
	uint64_t system = 0;

	/* What is wrong with the data directory is said of the data directory. */
	AUTO(Error) ignored = context_system(settings, data_directory, &system);

	return ignored == NULL ? system : 0;
}

static Error *
connect_to_server(const char *conninfo, uint64_t system, CheckedServer *server, char **ret_detail)
{
	AUTO(Server) replication = NULL;
	ServerIdentity *identity = &server->identity;

	TRY(server_connect(conninfo, &replication));
	TRY(server_identify(replication, identity));
	if (system != 0 && identity->system_identifier != system)
		return error_hint(
			error_new(ERR_USAGE,
		              "the server that answers is system %" PRIu64 ", not the one that is meant, %" PRIu64,
		              identity->system_identifier, system),
			"Set PGHOST and PGPORT, or give another --pgdata: a backup would be of the wrong server.");
	TRY(server_in_recovery(replication, &server->in_recovery));
	*ret_detail =
		mem_printf("PostgreSQL %d, system %" PRIu64 ", timeline %" PRIu32 ", lets this role take backups%s",
	               server_major(replication), identity->system_identifier, identity->timeline,
	               server->in_recovery ? "; a standby" : "");
	server->replication = MOVE(replication);
	return NULL;
}

/* A role that only replicates is not told, and a server elsewhere has it elsewhere: then there is none. */
static char *
directory_of_server(const CheckedServer *server)
{
	AUTO_FREE char *path = NULL;
	AUTO(Error) error = server_show(server->replication, "data_directory", &path);
	PgControl control = {0};

	if (error == NULL)
		error = pgdata_read_control(path, &control);
	return error == NULL && control.system_identifier == server->identity.system_identifier ? MOVE(path)
	                                                                                        : NULL;
}

bool
check_command_is_ours(const Settings *settings, const char *command)
{
	const char *config = settings_config_path(settings);
	const char *cluster = settings_cluster(settings);

	if (strstr(command, "walship") == NULL || strstr(command, " push") == NULL ||
	    strstr(command, "%p") == NULL)
		return false;
	if (strstr(command, "--config") != NULL && (config == NULL || strstr(command, config) == NULL))
		return false;
	if (cluster == NULL)
		return strstr(command, "--cluster") == NULL;
	return strstr(command, "WALSHIP_CLUSTER") != NULL ||
	       (strstr(command, "--cluster") != NULL && strstr(command, cluster) != NULL);
}

static Error *
check_command(const Settings *settings, Server *server, const char *program)
{
	AUTO_FREE char *command = NULL;
	AUTO_FREE char *ours = NULL;
	AUTO_BUF(flags, FLAGS_MAX);

	TRY(server_show(server, "archive_command", &command));
	if (check_command_is_ours(settings, command))
		return NULL;
	buf_puts(&flags, "");
	settings_append_flags(settings, &flags);
	ours = recovery_archive_command(program, flags.data);
	return error_hint(
		error_new(ERR_USAGE, "archive_command is not that of walship with these settings: %s", command),
		"It would be: %s", ours == NULL ? "walship push %p" : ours);
}

static Error *
check_modes(Server *server)
{
	AUTO_FREE char *level = NULL;
	AUTO_FREE char *mode = NULL;
	AUTO_FREE char *library = NULL;

	TRY(server_show(server, "wal_level", &level));
	if (strcmp(level, "minimal") == 0)
		return error_hint(error_new(ERR_USAGE, "wal_level is minimal"),
		                  "Set wal_level = replica, restart the server, and take a new backup.");
	TRY(server_show(server, "archive_mode", &mode));
	if (strcmp(mode, "off") == 0)
		return error_hint(
			error_new(ERR_USAGE, "archive_mode is off: nothing is archived"),
			"Set archive_mode = on and restart the server. A line in postgresql.auto.conf (of a copy "
			"that was promoted) wins over postgresql.conf: ALTER SYSTEM.");

	const PgMajor *major = pg_major(server_major(server));

	if (major != NULL && !major->has_archive_library)
		return NULL;
	TRY(server_show(server, "archive_library", &library));
	if (library[0] == '\0')
		return NULL;
	return error_hint(error_new(ERR_USAGE, "archive_library is \"%s\": it archives, not walship", library),
	                  "Set archive_library = '' and archive_command, or let it be.");
}

/* How much of what it is to do is done, by wal_level, archive_mode and archive_command. */
static Error *
check_archiving(const Settings *settings, Server *server, const char *program)
{
	TRY(check_modes(server));
	return check_command(settings, server, program);
}

void
check_server(const Settings *settings, const char *program, const char *data_directory, CheckReport *report,
             CheckedServer *server)
{
	AUTO_FREE char *detail = NULL;
	Error *error = connect_to_server(settings_text(settings, SETTING_conninfo),
	                                 expected_system(settings, data_directory), server, &detail);

	if (error_is(error, ERR_TRANSIENT))
	{
		AUTO_FREE char *hint = mem_strdup(error_get_hint(error));

		error = error_hint(error, "%s%sWithout a server, --store-only looks at the rest.",
		                   hint == NULL ? "" : hint, hint == NULL ? "" : " ");
	}
	check_report_error(report, "server", error, detail);
	if (server->replication == NULL)
		return;
	server->data_directory =
		data_directory != NULL ? mem_strdup(data_directory) : directory_of_server(server);

	error = check_archiving(settings, server->replication, program);
	server->archives = error == NULL;
	check_report_error(report, "archiving", error,
	                   "archive_mode and archive_command are set for these settings");
	error = server_connect_sql(settings_text(settings, SETTING_conninfo), &server->sql);
	if (error != NULL)
		check_report_unknown(report, "statistics", error,
		                     "What the server counts, and whether a segment arrives, is seen by a role that "
		                     "pg_hba.conf lets into the database postgres.");
}
