/* The server of a data directory, asked over the connection that a backup uses. */
#include "check_archiving.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/buf.h"
#include "walship/base/dir.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/plan/recovery_conf.h"

#define WAITING_MAX           100 /* segments; docs/operations.md, "What to watch" */
#define FLAGS_MAX             (256 * 1024)
#define FIRST_ARCHIVE_LIBRARY 15

Error *
check_server(uint64_t system_identifier, Server **ret_server, char **ret_detail)
{
	AUTO(Server) server = NULL;
	ServerIdentity identity;

	TRY(server_connect(&server));
	TRY(server_identify(server, &identity));
	if (identity.system_identifier != system_identifier)
		return error_hint(
			error_new(ERR_USAGE,
		              "the server that answers is system %" PRIu64
		              ", not that of the data directory, %" PRIu64,
		              identity.system_identifier, system_identifier),
			"Set PGHOST and PGPORT, or give another --pgdata: a backup would be of the wrong server.");
	*ret_detail = mem_printf("PostgreSQL %d, timeline %" PRIu32 ", lets this role take backups",
	                         server_major(server), identity.timeline);
	*ret_server = MOVE(server);
	return NULL;
}

/* Compared as text: it is walship's, and where these settings have a file or a section, it names the same. */
static bool
is_ours(const Settings *settings, const char *command)
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
	if (is_ours(settings, command))
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
	if (server_major(server) < FIRST_ARCHIVE_LIBRARY)
		return NULL;
	TRY(server_show(server, "archive_library", &library));
	if (library[0] == '\0')
		return NULL;
	return error_hint(error_new(ERR_USAGE, "archive_library is \"%s\": it archives, not walship", library),
	                  "Set archive_library = '' and archive_command, or let it be.");
}

Error *
check_archiving(const Settings *settings, Server *server, const char *program, const char *data_directory,
                char **ret_detail)
{
	AUTO_FREE char *status = path_join(data_directory, "pg_wal/archive_status");
	AUTO_STRLIST waiting = {0};

	TRY(check_modes(server));
	TRY(check_command(settings, server, program));
	TRY(dir_list_ending(status, ".ready", &waiting));
	if (waiting.count > WAITING_MAX)
		return error_hint(error_new(ERR_TRANSIENT, "%zu files wait in pg_wal to be archived", waiting.count),
		                  "Why is in the server's log, in lines that begin with \"walship:\".");
	*ret_detail =
		mem_printf("archive_mode and archive_command are set for these settings; %zu files wait in pg_wal",
	               waiting.count);
	return NULL;
}
