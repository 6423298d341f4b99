/* The server that "walship init" is for, the settings that there are, and the store that is meant. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init_machine.h"
#include "walship/base/crypto.h"
#include "walship/base/dir.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"

#define DEBIAN_CLUSTERS "/etc/postgresql"
#define DEFAULT_USER    "postgres"
#define LIST_MAX        (256 * 1024)

void
init_machine_release(InitMachine *machine)
{
	settings_free(machine->given);
	settings_free(machine->file);
	init_user_release(&machine->user);
	server_facts_release(&machine->server);
	strlist_release(&machine->restart.words);
	free(machine->restart.directory);
	for (size_t i = 0; i < machine->n_wanted; i++)
	{
		free(machine->wanted[i].name);
		free(machine->wanted[i].value);
	}
	free(machine->wanted);
	free(machine->conninfo);
	free(machine->data_directory);
	free(machine->restart_command);
	free(machine->config);
	free(machine->directory);
	free(machine->config_wrong);
	free(machine->config_hint);
	free(machine->config_lacks);
	free(machine->store);
	free(machine->store_directory);
	free(machine->state_dir);
	free(machine->access_key_id);
	if (machine->secret != NULL)
		secret_free(machine->secret);
	free(machine->secret_file);
	free(machine->key_file);
	free(machine->backup);
	free(machine->command);
	free(machine->timers_names);
	*machine = (InitMachine){0};
}

/* The server */

/* A value of a connection string (libpq: "Keyword/Value Connection Strings"). */
static void
add_word(Buf *into, const char *keyword, const char *value)
{
	buf_printf(into, "%s%s=", into->size > 0 ? " " : "", keyword);
	if (value[0] != '\0' && strpbrk(value, " '\\") == NULL)
	{
		buf_puts(into, value);
		return;
	}
	buf_putc(into, '\'');
	for (; *value != '\0'; value++)
		buf_printf(into, *value == '\'' || *value == '\\' ? "\\%c" : "%c", *value);
	buf_putc(into, '\'');
}

static char *
conninfo_of(const FoundServer *server)
{
	const char *role = getenv("PGUSER");
	AUTO_FREE char *port = mem_printf("%d", server->port);
	AUTO_BUF(text, LIST_MAX);

	add_word(&text, "host", server->socket_directory);
	add_word(&text, "port", port);
	if (role != NULL && role[0] != '\0')
		add_word(&text, "user", role);
	return buf_steal(&text);
}

static Error *
none_runs(void)
{
	AUTO_STRLIST clusters = {0};
	AUTO_BUF(text, LIST_MAX);
	Error *error = error_new(ERR_TRANSIENT, "no PostgreSQL server was found that runs on this machine");

	init_list_debian_clusters(DEBIAN_CLUSTERS, &clusters);
	for (size_t i = 0; i < clusters.count; i++)
		buf_printf(&text, "%s%s", i > 0 ? ", " : "", clusters.items[i]);
	if (clusters.count > 0)
		return error_hint(error, "There are the clusters %s: start the one that is meant (pg_ctlcluster).",
		                  text.data);
	return error_hint(
		error, "Sockets were looked for in /var/run/postgresql and /tmp. Start the server, or say where "
			   "it is: --pgdata DIR, --conninfo, or PGHOST and PGPORT.");
}

static Error *
several_run(const FoundServers *servers)
{
	AUTO_BUF(text, LIST_MAX);

	for (size_t i = 0; i < servers->count; i++)
		buf_printf(&text, "%s--pgdata %s (port %d)", i > 0 ? ", or " : "", servers->items[i].data_directory,
		           servers->items[i].port);
	return error_hint(error_new(ERR_USAGE, "%zu PostgreSQL servers run on this machine", servers->count),
	                  "Say which one: %s.", text.data);
}

/* By PGHOST, where that is a directory, and PGPORT; else where sockets usually are. */
static void
find_servers(FoundServers *servers)
{
	const char *host = getenv("PGHOST");
	const char *given_port = getenv("PGPORT");
	const char *const directories[] = {host, NULL};
	uint64_t port;
	size_t kept = 0;

	init_find_servers(host != NULL && host[0] == '/' ? directories : NULL, servers);
	if (given_port == NULL || !str_to_uint64(given_port, &port))
		return;
	for (size_t i = 0; i < servers->count; i++)
	{
		FoundServer server = servers->items[i];

		if ((uint64_t) server.port == port)
		{
			servers->items[i] = servers->items[kept];
			servers->items[kept++] = server;
		}
	}
	for (size_t i = kept; i < servers->count; i++)
	{
		free(servers->items[i].data_directory);
		free(servers->items[i].socket_directory);
	}
	servers->count = kept;
}

/* Others' are not ours to set up. */
static Error *
take_user(InitMachine *machine)
{
	if (machine->is_root || machine->user.uid == geteuid())
		return NULL;
	return error_hint(error_new(ERR_DENIED, "the server is run by user \"%s\"", machine->user.name),
	                  "Run \"walship init\" as that user, or as root.");
}

static Error *
take_found(InitMachine *machine, const FoundServer *server)
{
	if (machine->conninfo == NULL)
		machine->conninfo = conninfo_of(server);
	machine->data_directory = mem_strdup(server->data_directory);
	init_user_release(&machine->user);
	TRY(init_user_of(server->owner, &machine->user));
	return take_user(machine);
}

/* Settings */

static bool
may_write(const char *path)
{
	AUTO_FREE char *directory = path_parent(path);

	return access(file_exists(path) ? path : directory, W_OK) == 0 && access(directory, W_OK) == 0;
}

/* For a user that may not write in /etc it is in its home; there, in a directory of its own, is everything else, too. */
static void
choose_config(InitMachine *machine)
{
	const char *given = invocation_config(machine->invocation);

	if (given != NULL)
		machine->config = path_absolute(given);
	else if (machine->is_root || may_write(SETTINGS_DEFAULT_PATH) || machine->user.home == NULL)
		machine->config = mem_strdup(SETTINGS_DEFAULT_PATH);
	else
		machine->config = path_join(machine->user.home, "walship/walship.conf");
	machine->directory = path_parent(machine->config);
}

static Error *
read_settings(InitMachine *machine)
{
	SettingsSources sources = {.config_path = machine->config};

	machine->has_section = machine->cluster == NULL;
	if (!file_exists(machine->config))
		return NULL;
	TRY(settings_load(&sources, &machine->file));
	if (machine->cluster == NULL || !strlist_contains(settings_clusters(machine->file), machine->cluster))
		return NULL;
	machine->has_section = true;
	sources.cluster = machine->cluster;
	settings_free(MOVE(machine->file));
	return settings_load(&sources, &machine->file);
}

/* What the settings file says of this server, not of another one. */
const char *
init_text_in_file(const InitMachine *machine, SettingId id)
{
	return machine->file != NULL && machine->has_section && settings_is_set(machine->file, id)
	           ? settings_text(machine->file, id)
	           : NULL;
}

/* The settings file can tell which of several it is; its secrets are only for the server's user. */
static Error *
choose_server(InitMachine *machine)
{
	const char *pgdata = settings_text(machine->given, SETTING_pgdata);
	const char *conninfo = settings_text(machine->given, SETTING_conninfo);
	AUTO_FOUND_SERVERS servers = {0};

	if (conninfo != NULL)
		machine->conninfo = mem_strdup(conninfo);
	if (pgdata != NULL)
		TRY(init_find_server_in(pgdata, &servers));
	else if (conninfo == NULL)
		find_servers(&servers);

	/* Where it is said how to connect, its data directory is what the server says; until then it is the usual user's. */
	if (servers.count > 0)
		TRY(init_user_of(servers.items[0].owner, &machine->user));
	else if (machine->is_root)
		TRY(init_user_named(DEFAULT_USER, &machine->user));
	else
		TRY(init_user_of(geteuid(), &machine->user));
	choose_config(machine);
	TRY(init_user_enter(&machine->user));

	Error *error = read_settings(machine);

	TRY(init_user_leave());
	TRY(error);
	if (conninfo != NULL && pgdata == NULL)
		return NULL;

	const char *known = init_text_in_file(machine, SETTING_pgdata);

	for (size_t i = 0; known != NULL && i < servers.count; i++)
		if (strcmp(servers.items[i].data_directory, known) == 0)
			return take_found(machine, &servers.items[i]);
	if (servers.count == 0)
		return none_runs();
	return servers.count > 1 ? several_run(&servers) : take_found(machine, &servers.items[0]);
}

static Error *
check_is_here(InitMachine *machine)
{
	PgControl control = {0};
	struct stat status;
	AUTO(Error) error = pgdata_read_control(machine->server.data_directory, &control);

	if (error != NULL || control.system_identifier != machine->server.system_identifier ||
	    stat(machine->server.data_directory, &status) != 0)
		return error_hint(error_new(ERR_USAGE, "the server that answers does not run on this machine"),
		                  "Run \"walship init\" there: it is the server that calls walship.");
	if (status.st_uid != machine->user.uid)
		return error_hint(
			error_new(ERR_DENIED, "the server is run by another user than \"%s\"", machine->user.name),
			"Run \"walship init\" as that user, or as root with --pgdata %s.",
			machine->server.data_directory);
	return NULL;
}

/* For a value of the environment that is AWS's; the archiver will not have it. */
const char *
init_variable(const char *name, const char *other)
{
	const char *value = getenv(name);

	if ((value == NULL || value[0] == '\0') && other != NULL)
		value = getenv(other);
	return value == NULL || value[0] == '\0' ? NULL : value;
}

/*
 * From settings that are given, or that are there.  AWS's own variables may be those of whoever sits there for something
 * else: once there are credentials, they say nothing.
 */
static void
take_store(InitMachine *machine)
{
	const Settings *given = machine->given;
	const Settings *file = machine->file;
	const char *secret = settings_text(given, SETTING_s3_secret_access_key);
	const char *id = settings_text(given, SETTING_s3_access_key_id);
	bool has_secret = file != NULL && settings_is_set(file, SETTING_s3_secret_access_key);

	if (settings_text(given, SETTING_store) != NULL)
		machine->store = mem_strdup(settings_text(given, SETTING_store));
	else if (file != NULL && settings_text(file, SETTING_store) != NULL)
		machine->store = mem_strdup(settings_text(file, SETTING_store));
	if (machine->store != NULL && !str_starts_with(machine->store, S3_SCHEME))
		return;
	if (!has_secret && secret == NULL && init_variable("AWS_SESSION_TOKEN", NULL) == NULL)
	{
		secret = init_variable("AWS_SECRET_ACCESS_KEY", NULL);
		if (id == NULL && secret != NULL && init_variable("AWS_ACCESS_KEY_ID", NULL) != NULL)
			machine->access_key_id = mem_strdup(getenv("AWS_ACCESS_KEY_ID"));
	}
	if (secret == NULL ||
	    (has_secret && strcmp(secret, settings_text(file, SETTING_s3_secret_access_key)) == 0))
		return;
	secret_forbid_core_files();
	machine->secret = mem_strdup(secret);
}

/* The settings' own, when they are of this server. */
static void
take_conninfo(InitMachine *machine)
{
	const char *conninfo = init_text_in_file(machine, SETTING_conninfo);
	const char *pgdata = init_text_in_file(machine, SETTING_pgdata);

	if (conninfo == NULL || settings_is_given(machine->given, SETTING_conninfo) ||
	    (pgdata != NULL && machine->data_directory != NULL && strcmp(pgdata, machine->data_directory) != 0))
		return;
	free(machine->conninfo);
	machine->conninfo = mem_strdup(conninfo);
}

Error *
init_look_for_server(const Invocation *invocation, InitMachine *machine)
{
	Error *error;

	machine->invocation = invocation;
	machine->is_root = geteuid() == 0;
	machine->cluster = invocation_cluster(invocation);
	machine->options.shares_store = machine->cluster != NULL;
	TRY(invocation_load_given(invocation, &machine->given));
	TRY(choose_server(machine));
	take_conninfo(machine);
	TRY(init_user_enter(&machine->user));
	error = init_ask_server(machine->conninfo, &machine->server);
	if (error == NULL)
		error = check_is_here(machine);
	TRY(init_user_leave());
	TRY(error);
	take_store(machine);
	return NULL;
}

/* Store and credentials */

bool
init_lacks_store(const InitMachine *machine)
{
	return machine->store == NULL;
}

/* What a profile of the server's user says, its archiver finds by itself. */
static bool
has_profile(const InitMachine *machine)
{
	AUTO_FREE char *path =
		path_join(machine->user.home == NULL ? "" : machine->user.home, ".aws/credentials");

	return file_exists(path);
}

bool
init_lacks_credentials(const InitMachine *machine)
{
	return machine->store != NULL && str_starts_with(machine->store, S3_SCHEME) && machine->secret == NULL &&
	       (machine->file == NULL || !settings_is_set(machine->file, SETTING_s3_secret_access_key)) &&
	       !has_profile(machine);
}

Error *
init_check_answers(const InitMachine *machine)
{
	if (init_lacks_store(machine))
		return error_hint(
			error_new(ERR_USAGE, "there is no store yet"),
			"Give --store s3://BUCKET/PREFIX or --store file:///DIRECTORY. Without a terminal nobody is asked.");
	if (!str_starts_with(machine->store, S3_SCHEME) && !str_starts_with(machine->store, FILE_SCHEME "/"))
		return error_hint(
			error_new(ERR_USAGE, "store \"%s\" is of no known kind", machine->store),
			"A bucket is written s3://bucket/prefix, a directory file:///directory, with three slashes.");
	if (init_lacks_credentials(machine))
		return error_hint(
			error_new(ERR_USAGE, "there are no credentials for store \"%s\"", machine->store),
			"Give --s3-access-key-id, and the secret in the environment: WALSHIP_S3_SECRET_ACCESS_KEY, or "
			"its file in WALSHIP_S3_SECRET_ACCESS_KEY_FILE; or AWS's own variables.");
	return NULL;
}
