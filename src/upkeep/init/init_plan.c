/* What "walship init" is to do: values in, values out. */
#include <stdarg.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/upkeep/init.h"

#define ARCHIVE_TIMEOUT "60s"
#define SENDERS         "10"
#define SENDERS_LEAST   2 /* of a backup: its copy, and its WAL */

const char *
init_step_name(InitStepId id)
{
	static const char *const names[INIT_STEPS] = {
		[INIT_SERVER] = "server",         [INIT_STATE] = "state directory", [INIT_STORE] = "store",
		[INIT_KEY] = "encryption",        [INIT_SECRET] = "credentials",    [INIT_SETTINGS] = "settings",
		[INIT_TRY_STORE] = "store works", [INIT_ACCESS] = "access",         [INIT_ARCHIVING] = "archiving",
		[INIT_RESTART] = "restart",       [INIT_BACKUP] = "first backup",   [INIT_CHECK] = "check",
		[INIT_TIMER] = "timers",
	};

	return names[id];
}

void
init_plan_release(InitPlan *plan)
{
	for (int id = 0; id < INIT_STEPS; id++)
	{
		free(plan->steps[id].detail);
		free(plan->steps[id].hint);
	}
	*plan = (InitPlan){0};
}

/* "detail" and "hint" are given away; "hint" may be NULL. */
static InitStep
step(InitState state, char *detail, char *hint)
{
	return (InitStep){.state = state, .detail = detail, .hint = hint};
}

static InitStep
refused(ErrorKind kind, char *detail, char *hint)
{
	return (InitStep){.state = INIT_REFUSED, .kind = kind, .detail = detail, .hint = hint};
}

bool
init_command_is_placeholder(const char *command)
{
	static const char *const nothing[] = {"", "true", "/bin/true", "/usr/bin/true", ":", "exit 0"};

	for (size_t i = 0; i < lengthof(nothing); i++)
		if (strcmp(command, nothing[i]) == 0)
			return true;
	return false;
}

/* PostgreSQL: config.sgml, the forms of a boolean; archive_mode takes them beside "always". */
static bool
is_off(const char *mode)
{
	static const char *const forms[] = {"off", "false", "no", "0", "f", "n"};

	for (size_t i = 0; i < lengthof(forms); i++)
		if (strcmp(mode, forms[i]) == 0)
			return true;
	return false;
}

static bool
too_few_senders(const char *senders)
{
	uint64_t count;

	return str_to_uint64(senders, &count) && count < SENDERS_LEAST;
}

static const char *const setting_names[SERVER_SETTINGS] = {
	[SERVER_ARCHIVE_MODE] = "archive_mode",
	[SERVER_ARCHIVE_COMMAND] = "archive_command",
	[SERVER_ARCHIVE_LIBRARY] = "archive_library",
	[SERVER_ARCHIVE_TIMEOUT] = "archive_timeout",
	[SERVER_WAL_LEVEL] = "wal_level",
	[SERVER_MAX_WAL_SENDERS] = "max_wal_senders",
};

/* What this setting is to be instead; NULL: it is right. */
static const char *
wanted_value(ServerSettingId id, const char *value, const char *command, bool command_is_ours)
{
	switch (id)
	{
		case SERVER_ARCHIVE_MODE:
			return is_off(value) ? "on" : NULL;
		case SERVER_ARCHIVE_COMMAND:
			return command_is_ours || strcmp(value, command) == 0 ? NULL : command;
		case SERVER_ARCHIVE_LIBRARY:
			return value[0] == '\0' ? NULL : "";
		case SERVER_ARCHIVE_TIMEOUT:
			return strcmp(value, "0") == 0 ? ARCHIVE_TIMEOUT : NULL;
		case SERVER_WAL_LEVEL:
			return strcmp(value, "minimal") == 0 ? "replica" : NULL;
		default:
			return too_few_senders(value) ? SENDERS : NULL;
	}
}

/* archive_mode comes last: a server that is killed in between does not archive by a command that is not there. */
static const ServerSettingId order[] = {SERVER_ARCHIVE_COMMAND, SERVER_ARCHIVE_LIBRARY,
                                        SERVER_ARCHIVE_TIMEOUT, SERVER_MAX_WAL_SENDERS,
                                        SERVER_WAL_LEVEL,       SERVER_ARCHIVE_MODE};

void
init_list_settings(const ServerFacts *server, const char *command, bool command_is_ours, StrList *ret_names,
                   StrList *ret_values)
{
	for (size_t i = 0; i < lengthof(order); i++)
	{
		const char *value = wanted_value(order[i], server->settings[order[i]].next, command, command_is_ours);

		if (value == NULL)
			continue;
		strlist_add(ret_names, setting_names[order[i]]);
		strlist_add(ret_values, value);
	}
}

bool
init_needs_restart(const ServerFacts *server)
{
	return is_off(server->settings[SERVER_ARCHIVE_MODE].running) ||
	       strcmp(server->settings[SERVER_WAL_LEVEL].running, "minimal") == 0 ||
	       too_few_senders(server->settings[SERVER_MAX_WAL_SENDERS].running);
}

static InitStep
plan_server(const InitFacts *facts, const InitOptions *options)
{
	const ServerFacts *server = facts->server;

	if (!facts->program_runs)
		return refused(ERR_DENIED,
		               mem_printf("the server's user \"%s\" may not run %s", facts->user, facts->program),
		               mem_strdup("Install it where everybody may: install -m 755 walship /usr/local/bin/"));
	if (facts->store_has_others && !options->shares_store && !options->new_system)
		return refused(
			ERR_EXISTS,
			mem_printf("the store holds other database systems, and not this one, %llu",
		               (unsigned long long) server->system_identifier),
			mem_strdup("Give it a prefix of its own. When it is to share this one: --new-system."));
	return step(INIT_KEPT,
	            mem_printf("PostgreSQL %d, system %llu, in %s, run by \"%s\"%s", server->version / 10000,
	                       (unsigned long long) server->system_identifier, server->data_directory,
	                       facts->user, server->in_recovery ? "; a standby" : ""),
	            NULL);
}

static InitStep
plan_state(const InitFacts *facts)
{
	switch (facts->state_dir_place)
	{
		case INIT_PLACE_THERE:
			return step(INIT_KEPT, mem_strdup(facts->state_dir), NULL);
		case INIT_PLACE_CAN_BE_MADE:
			return step(INIT_TO_DO, mem_printf("%s, for \"%s\" alone", facts->state_dir, facts->user), NULL);
		default:
			return refused(
				ERR_DENIED, mem_printf("%s can be made by root only", facts->state_dir),
				mem_printf("As root: install -d -o '%s' -m 0700 '%s'", facts->user, facts->state_dir));
	}
}

static InitStep
plan_store(const InitFacts *facts)
{
	if (facts->store == NULL)
		return step(INIT_TO_DO, mem_strdup("asks for its URL"), NULL);
	if (!facts->store_is_directory)
		return step(INIT_KEPT, mem_printf("%s: a bucket, in which nothing has to be made", facts->store),
		            NULL);
	switch (facts->store_place)
	{
		case INIT_PLACE_THERE:
			return step(INIT_KEPT, mem_printf("%s: has its marker", facts->store), NULL);
		case INIT_PLACE_CAN_BE_MADE:
			return step(INIT_TO_DO, mem_printf("%s: makes the directory's marker", facts->store), NULL);
		case INIT_PLACE_LOST:
			return refused(ERR_TRANSIENT,
			               mem_printf("%s has no marker, and the settings name it already: is it mounted?",
			                          facts->store),
			               mem_strdup("When it is really new: walship check --create --store-only"));
		default:
			return refused(ERR_DENIED,
			               mem_printf("%s: \"%s\" may not write there", facts->store, facts->user),
			               mem_printf("As root: install -d -o '%s' -m 0750 DIRECTORY", facts->user));
	}
}

static InitStep
plan_key(const InitFacts *facts)
{
	if (facts->encrypts)
		return step(INIT_KEPT, mem_strdup("public keys are set"), NULL);
	if (facts->key_file == NULL)
		return step(INIT_LEFT_OUT, mem_strdup("what is stored is not encrypted (--encrypt)"), NULL);
	if (facts->key_exists)
		return step(INIT_KEPT, mem_strdup(facts->key_file), NULL);
	return step(INIT_TO_DO, mem_printf("makes a key: %s", facts->key_file), NULL);
}

static InitStep
plan_secret(const InitFacts *facts)
{
	if (facts->secret_file == NULL)
		return step(INIT_LEFT_OUT, mem_strdup("none are needed, or they are this machine's own"), NULL);
	return step(facts->secret_exists ? INIT_KEPT : INIT_TO_DO, mem_strdup(facts->secret_file), NULL);
}

static InitStep
plan_settings(const InitFacts *facts)
{
	if (facts->config_wrong != NULL)
		return refused(ERR_EXISTS, mem_strdup(facts->config_wrong), mem_strdup(facts->config_hint));
	if (facts->config_lacks == NULL)
		return step(INIT_KEPT, mem_strdup(facts->config), NULL);
	if (!facts->config_can_be_written)
		return refused(ERR_DENIED, mem_printf("%s can be written by root only", facts->config),
		               mem_strdup("Run \"walship init\" as root, or name another file with --config."));
	return step(INIT_TO_DO,
	            mem_printf("%s %s: %s", facts->config_exists ? "adds to" : "writes", facts->config,
	                       facts->config_lacks),
	            NULL);
}

static InitStep
plan_access(const InitFacts *facts)
{
	const ServerFacts *server = facts->server;
	AUTO_FREE char *line = init_hba_line(server->role);

	/* That none is left is what a restart is for. */
	if (server->no_backups == NULL || too_few_senders(server->settings[SERVER_MAX_WAL_SENDERS].running))
		return step(INIT_KEPT, mem_printf("role \"%s\" may take backups", server->role), NULL);
	if (!server->is_superuser || strcmp(server->role, facts->user) != 0)
		return refused(ERR_DENIED,
		               mem_printf("role \"%s\" may not take backups: %s", server->role, server->no_backups),
		               mem_printf("pg_hba.conf needs such a line, and the role REPLICATION: %s", line));
	return step(INIT_TO_DO, mem_printf("adds to %s: %s", server->hba_file, line), NULL);
}

/* Who archives now is not us. */
static char *
other_archiver(const InitFacts *facts)
{
	const ServerSetting *settings = facts->server->settings;
	const char *command = settings[SERVER_ARCHIVE_COMMAND].next;

	if (settings[SERVER_ARCHIVE_LIBRARY].next[0] != '\0')
		return mem_printf("archive_library is '%s'", settings[SERVER_ARCHIVE_LIBRARY].next);
	if (facts->command_is_ours || strcmp(command, facts->command) == 0 ||
	    init_command_is_placeholder(command))
		return NULL;
	return mem_printf("archive_command is '%s'", command);
}

static InitStep
plan_archiving(const InitFacts *facts, const InitOptions *options)
{
	const ServerSetting *settings = facts->server->settings;
	AUTO_FREE char *other = other_archiver(facts);
	AUTO_STRLIST names = {0};
	AUTO_STRLIST values = {0};
	AUTO_BUF(lines, 256 * 1024);

	if (other != NULL && !options->replace_archive_command)
		return refused(ERR_EXISTS, mem_printf("the server archives already: %s", other),
		               mem_strdup("When walship is to take its place: --replace-archive-command."));
	init_list_settings(facts->server, facts->command, facts->command_is_ours, &names, &values);
	for (size_t i = 0; i < names.count; i++)
		buf_printf(&lines, "%s%s = '%s'", i > 0 ? ", " : "", names.items[i], values.items[i]);
	for (size_t i = 0; i < SERVER_SETTINGS; i++)
		if (settings[i].fixed && strlist_contains(&names, setting_names[i]))
			return refused(ERR_USAGE,
			               mem_printf("%s stands on the server's command line, where nothing else counts",
			                          setting_names[i]),
			               mem_printf("Start it with: %s", lines.data));
	if (names.count > 0 && (facts->server->no_alter_system || !facts->server->is_superuser))
		return refused(
			ERR_DENIED,
			facts->server->no_alter_system
				? mem_strdup("ALTER SYSTEM is not allowed (allow_alter_system = off)")
				: mem_printf("role \"%s\" is no superuser, so it may not ALTER SYSTEM", facts->server->role),
			mem_printf("Write into the server's settings, and run \"walship init\" again: %s", lines.data));
	if (names.count > 0)
		return step(INIT_TO_DO,
		            mem_printf("ALTER SYSTEM: %s%s%s", lines.data, other != NULL ? "; until now " : "",
		                       other != NULL ? other : ""),
		            NULL);

	/* They stand in the files, and have not been read: the last run was ended just there. */
	for (ServerSettingId id = 0; id <= SERVER_ARCHIVE_LIBRARY; id++)
		if (id != SERVER_ARCHIVE_MODE && strcmp(settings[id].running, settings[id].next) != 0)
			return step(INIT_TO_DO, mem_strdup("has the server read its settings"), NULL);
	return step(INIT_KEPT, mem_printf("archive_command = '%s'", settings[SERVER_ARCHIVE_COMMAND].next), NULL);
}

static InitStep
plan_restart(const InitFacts *facts, const InitOptions *options)
{
	if (!init_needs_restart(facts->server))
		return step(INIT_LEFT_OUT, mem_strdup("not needed"), NULL);
	if (facts->restart_command == NULL)
		return step(
			INIT_WAITS, mem_strdup("the server must be restarted, and what started it has to do that"),
			mem_strdup("Restart it (in a container: the container), then run \"walship init\" again."));
	if (options->restart)
		return step(INIT_TO_DO, mem_strdup(facts->restart_command), NULL);
	return step(INIT_WAITS, mem_strdup("archive_mode needs a restart of the server"),
	            mem_printf("Run \"walship init --restart\", or this and then \"walship init\" again: %s",
	                       facts->restart_command));
}

static InitStep
plan_backup(const InitFacts *facts, const InitOptions *options, bool waits)
{
	if (facts->has_backup)
		return step(INIT_KEPT, mem_printf("the store has %s", facts->backup), NULL);
	if (options->no_backup)
		return step(INIT_LEFT_OUT, mem_strdup("--no-backup"), NULL);
	if (waits)
		return step(INIT_WAITS, mem_strdup("after the restart"), NULL);
	return step(INIT_TO_DO, mem_strdup("walship backup --fast"), NULL);
}

static InitStep
plan_timers(const InitFacts *facts, const InitOptions *options)
{
	if (facts->timers == INIT_TIMERS_ON)
		return step(INIT_KEPT, mem_strdup(facts->timers_names), NULL);
	if (options->no_timers)
		return step(INIT_LEFT_OUT, mem_strdup("--no-timers"), NULL);
	if (facts->timers == INIT_TIMERS_SYSTEMD && facts->is_root)
		return step(INIT_TO_DO, mem_printf("systemctl enable --now %s", facts->timers_names), NULL);
	if (facts->timers == INIT_TIMERS_SYSTEMD)
		return step(INIT_YOURS, mem_strdup("root enables them"),
		            mem_printf("systemctl enable --now %s", facts->timers_names));
	if (facts->timers == INIT_TIMERS_NO_UNITS)
		return step(INIT_YOURS,
		            mem_strdup("systemd does not have walship's units, or not for these settings"),
		            mem_printf("Copy them from contrib/systemd, or let cron run these, as \"%s\":\n%s",
		                       facts->user, facts->timers_names));
	return step(INIT_YOURS, mem_strdup("without systemd, cron or whatever runs things here has to"),
	            mem_printf("For /etc/cron.d/walship:\n%s", facts->timers_names));
}

void
init_plan(const InitFacts *facts, const InitOptions *options, InitPlan *ret_plan)
{
	InitStep *steps = ret_plan->steps;

	*ret_plan = (InitPlan){0};
	steps[INIT_SERVER] = plan_server(facts, options);
	steps[INIT_STATE] = plan_state(facts);
	steps[INIT_STORE] = plan_store(facts);
	steps[INIT_KEY] = plan_key(facts);
	steps[INIT_SECRET] = plan_secret(facts);
	steps[INIT_SETTINGS] = plan_settings(facts);
	steps[INIT_ACCESS] = plan_access(facts);
	steps[INIT_ARCHIVING] = plan_archiving(facts, options);
	steps[INIT_RESTART] = plan_restart(facts, options);

	/* No server is told to archive to a store that nobody has tried.  When it archives already, the check tries it. */
	steps[INIT_TRY_STORE] =
		steps[INIT_ARCHIVING].state == INIT_KEPT && !init_needs_restart(facts->server)
			? step(INIT_LEFT_OUT, mem_strdup("the check tries it"), NULL)
			: step(INIT_TO_DO, mem_strdup("written to, read, listed, nothing overwritten"), NULL);

	bool waits = steps[INIT_RESTART].state == INIT_WAITS;

	steps[INIT_BACKUP] = plan_backup(facts, options, waits);
	steps[INIT_CHECK] = waits ? step(INIT_WAITS, mem_strdup("after the restart"), NULL)
	                          : step(INIT_TO_DO, mem_strdup("walship check"), NULL);
	steps[INIT_TIMER] = plan_timers(facts, options);
	ret_plan->waits = waits;
	for (int id = INIT_STEPS - 1; id >= 0; id--)
	{
		ret_plan->to_do += steps[id].state == INIT_TO_DO;
		if (steps[id].state != INIT_REFUSED)
			continue;
		ret_plan->refused = true;
		ret_plan->refused_by = (InitStepId) id;
	}
	if (steps[INIT_SETTINGS].state == INIT_REFUSED)
		ret_plan->refused_by = INIT_SETTINGS;
}
