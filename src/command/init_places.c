/* The places that "walship init" works on, and whether what is to be there is there. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_server.h"
#include "context.h"
#include "init_machine.h"
#include "walship/archive/catalog.h"
#include "walship/base/crypto.h"
#include "walship/base/dir.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/plan/recovery_conf.h"
#include "walship/store/file_store.h"

#define LIST_MAX          (256 * 1024)
#define STORE_PATIENCE_MS 10000

/* Places */

static InitPlace
look_at_directory(const InitMachine *machine, const char *path)
{
	AUTO_STRLIST above = {0};

	if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) == 0)
		return INIT_PLACE_THERE;
	if (machine->is_root)
		return INIT_PLACE_CAN_BE_MADE;

	/* In the nearest one that exists. */
	AUTO(Error) error =
		file_exists(path) ? error_new(ERR_DENIED, "it is another user's") : dir_list_above(path, &above);

	return error == NULL && above.count > 0 &&
	               faccessat(AT_FDCWD, above.items[0], W_OK | X_OK, AT_EACCESS) == 0
	           ? INIT_PLACE_CAN_BE_MADE
	           : INIT_PLACE_NEEDS_ROOT;
}

/* Only an empty one that is root's is given away: what somebody else has in it is theirs. */
static InitPlace
look_at_store_directory(const InitMachine *machine)
{
	AUTO_FREE char *marker = path_join(machine->store_directory, FILE_STORE_MARKER);
	InitPlace place = look_at_directory(machine, machine->store_directory);
	AUTO_STRLIST names = {0};
	struct stat status;

	if (file_exists(marker))
		return place == INIT_PLACE_THERE ? INIT_PLACE_THERE : INIT_PLACE_NEEDS_ROOT;
	if (machine->file != NULL && settings_is_set(machine->file, SETTING_store) &&
	    str_equal(settings_text(machine->file, SETTING_store), machine->store))
		return INIT_PLACE_LOST;
	if (place == INIT_PLACE_THERE)
		return INIT_PLACE_CAN_BE_MADE;
	if (place == INIT_PLACE_NEEDS_ROOT || stat(machine->store_directory, &status) != 0)
		return place;

	AUTO(Error) error = dir_list(machine->store_directory, &names);

	return status.st_uid == 0 && (error != NULL || names.count == 0) ? INIT_PLACE_CAN_BE_MADE
	                                                                 : INIT_PLACE_NEEDS_ROOT;
}

/* What the store has, as far as it can be read with the settings that there are. */
static Error *
look_into_store(InitMachine *machine)
{
	Patience patience = {.retry_until_ms = clock_monotonic_ms() + STORE_PATIENCE_MS, .quiet = true};
	uint64_t system = machine->server.system_identifier;
	AUTO_FREE char *ours = mem_printf("%" PRIu64, system);
	AUTO(Settings) other = NULL;
	const Settings *settings = machine->given;
	AUTO(Store) store = NULL;
	AUTO_STRLIST systems = {0};
	AUTO_STRLIST ids = {0};

	if (machine->file != NULL && settings_is_set(machine->file, SETTING_store) &&
	    str_equal(settings_text(machine->file, SETTING_store), machine->store))
		settings = machine->file;
	else
	{
		TRY(settings_of_store(machine->given, machine->store, &other));
		settings = other;
	}
	TRY(context_open_store_within(settings, &patience, &store));
	TRY(catalog_systems(store, &systems));
	machine->facts.store_has_others = systems.count > 0 && !strlist_contains(&systems, ours);
	if (!strlist_contains(&systems, ours))
		return NULL;
	TRY(catalog_backup_ids(store, system, &ids));
	for (size_t i = ids.count; i-- > 0 && machine->backup == NULL;)
	{
		AUTO(BackupRecord) record = NULL;
		AUTO(Error) unfinished = catalog_read_record(store, system, ids.items[i], &record);

		if (unfinished == NULL)
			machine->backup = mem_printf("backup \"%s\"", ids.items[i]);
	}
	return NULL;
}

/* Timers */

static bool
any_exists(const char *const *directories, const char *name)
{
	for (; *directories != NULL; directories++)
	{
		AUTO_FREE char *path = path_join(*directories, name);

		if (file_exists(path))
			return true;
	}
	return false;
}

static const char *const jobs[] = {"backup", "check", "verify", "drill"};

/* Minutes differ from machine to machine, and are always alike on one: not all of them ask a store at once. */
static char *
cron_lines(const InitMachine *machine)
{
	unsigned minute = (unsigned) (machine->server.system_identifier % 60);
	AUTO_FREE char *flags =
		mem_printf(" --config %s%s%s", machine->config, machine->cluster != NULL ? " --cluster " : "",
	               machine->cluster != NULL ? machine->cluster : "");
	const char *user = machine->user.name;
	const char *program = machine->facts.program;

	return mem_printf("%u 2 * * * %s %s backup --expire --progress none%s\n"
	                  "%u * * * * %s %s check --no-wait%s >/dev/null\n"
	                  "%u 6 * * * %s %s verify --rotate 30%s >/dev/null\n"
	                  "%u 8 * * 0 %s %s drill --progress none%s >/dev/null",
	                  minute, user, program, flags, (minute + 20) % 60, user, program, flags,
	                  (minute + 30) % 60, user, program, flags, (minute + 40) % 60, user, program, flags);
}

/* A unit's instance is a settings file in /etc/walship: see contrib/systemd. */
static void
look_at_timers(InitMachine *machine)
{
	static const char *const units[] = {"/etc/systemd/system", "/usr/local/lib/systemd/system",
	                                    "/usr/lib/systemd/system", "/lib/systemd/system", NULL};
	static const char *const enabled[] = {"/etc/systemd/system/timers.target.wants", NULL};
	const char *leaf = path_leaf(machine->config);
	AUTO_FREE char *instance = machine->cluster != NULL
	                               ? mem_strdup(machine->cluster)
	                               : mem_strndup(leaf, strlen(leaf) - (str_ends_with(leaf, ".conf") ? 5 : 0));
	bool fits = str_ends_with(leaf, ".conf") && strcmp(machine->directory, "/etc/walship") == 0;
	bool systemd = file_exists("/run/systemd/system");
	AUTO_BUF(names, LIST_MAX);
	AUTO_BUF(cron, LIST_MAX);
	size_t on = 0;

	for (size_t i = 0; i < lengthof(jobs); i++)
	{
		AUTO_FREE char *name = mem_printf("walship-%s@%s.timer", jobs[i], instance);

		on += any_exists(enabled, name);
		buf_printf(&names, "%s%s", i > 0 ? " " : "", name);
	}
	AUTO(Error) none = file_read_all("/etc/cron.d/walship", &cron);

	if (none == NULL && cron.size > 0 && strstr(cron.data, machine->config) != NULL &&
	    (machine->cluster == NULL || strstr(cron.data, machine->cluster) != NULL))
	{
		machine->facts.timers = INIT_TIMERS_ON;
		machine->timers_names = mem_strdup("/etc/cron.d/walship");
		return;
	}
	machine->facts.timers = !systemd                                               ? INIT_TIMERS_CRON
	                        : !fits || !any_exists(units, "walship-backup@.timer") ? INIT_TIMERS_NO_UNITS
	                        : on == lengthof(jobs)                                 ? INIT_TIMERS_ON
	                                                                               : INIT_TIMERS_SYSTEMD;
	machine->timers_names =
		machine->facts.timers == INIT_TIMERS_CRON || machine->facts.timers == INIT_TIMERS_NO_UNITS
			? cron_lines(machine)
			: buf_steal(&names);
}

/* All of it */

static void
choose_files(InitMachine *machine)
{
	const Settings *given = machine->given;
	const char *config = invocation_config(machine->invocation);
	AUTO_FREE char *of_user = path_join(machine->directory, "state");
	bool at_home = config == NULL && strcmp(machine->config, SETTINGS_DEFAULT_PATH) != 0;
	bool encrypts = settings_is_given(given, SETTING_recipients) ||
	                settings_is_given(given, SETTING_recipients_file) ||
	                settings_is_given(given, SETTING_passphrase_file) ||
	                (machine->file != NULL && (settings_is_set(machine->file, SETTING_recipients) ||
	                                           settings_is_set(machine->file, SETTING_recipients_file) ||
	                                           settings_is_set(machine->file, SETTING_passphrase_file)));

	if (machine->file != NULL && settings_is_set(machine->file, SETTING_state_dir))
		machine->state_dir = mem_strdup(settings_text(machine->file, SETTING_state_dir));
	else if (at_home && !settings_is_given(given, SETTING_state_dir))
		machine->state_dir = mem_strdup(of_user);
	else
		machine->state_dir = mem_strdup(settings_text(given, SETTING_state_dir));

	machine->facts.encrypts = encrypts;
	if (!encrypts && invocation_flag(machine->invocation, "encrypt"))
	{
		const char *named = settings_is_given(given, SETTING_identity_file)
		                        ? settings_text(given, SETTING_identity_file)
		                    : machine->file != NULL ? settings_text(machine->file, SETTING_identity_file)
		                                            : NULL;

		machine->key_file = named != NULL ? mem_strdup(named) : path_join(machine->directory, "key.txt");
	}
	if (machine->secret != NULL && str_starts_with(machine->store, S3_SCHEME))
	{
		AUTO_FREE char *leaf =
			machine->cluster == NULL ? mem_strdup("s3-secret") : mem_printf("s3-secret.%s", machine->cluster);

		machine->secret_file = path_join(machine->directory, leaf);
	}
	if (str_starts_with(machine->store, FILE_SCHEME))
		machine->store_directory = mem_strdup(machine->store + strlen(FILE_SCHEME));
}

/* For a shell it is one word as it stands. */
static bool
is_plain_word(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+:,@")] ==
	       '\0';
}

static void
append_option(Buf *flags, const char *name, const char *value)
{
	AUTO_FREE char *quoted = is_plain_word(value) ? mem_strdup(value) : str_shell_quote(value);

	buf_printf(flags, " --%s=%s", name, quoted);
}

/* "/usr/bin/walship push --config=... --cluster=... %p", with quotes only where they are needed: people read it. */
static char *
archive_command(const InitMachine *machine)
{
	AUTO_BUF(flags, LIST_MAX);

	buf_puts(&flags, "");
	if (strcmp(machine->config, SETTINGS_DEFAULT_PATH) != 0)
		append_option(&flags, "config", machine->config);
	if (machine->cluster != NULL)
		append_option(&flags, "cluster", machine->cluster);
	if (is_plain_word(machine->facts.program) && strchr(flags.data, '%') == NULL)
		return mem_printf("%s push%s %%p", machine->facts.program, flags.data);
	return recovery_archive_command(machine->facts.program, flags.data);
}

/* It may have been written by hand, and with other words.  The file that is the usual one needs not be named. */
static bool
names_these_settings(const InitMachine *machine, const char *command)
{
	return machine->file != NULL && machine->has_section && check_command_is_ours(machine->file, command) &&
	       (strcmp(machine->config, SETTINGS_DEFAULT_PATH) == 0 || strstr(command, machine->config) != NULL);
}

/* The same as was given: a secret that was wrong the last time is not kept. */
static bool
secret_is_there(const InitMachine *machine)
{
	AUTO_BUF(text, 64 * 1024);
	AUTO(Error) error = machine->secret_file == NULL ? NULL : file_read_all(machine->secret_file, &text);
	size_t length = machine->secret == NULL ? 0 : strlen(machine->secret);
	bool same = error == NULL && text.size == length + 1 && strncmp(text.data, machine->secret, length) == 0;

	if (text.data != NULL)
		secret_clear(text.data, text.size);
	return same;
}

static void
join_words(InitMachine *machine)
{
	AUTO_BUF(text, LIST_MAX);

	init_find_restart(&machine->server, machine->is_root, &machine->restart);
	for (size_t i = 0; i < machine->restart.words.count; i++)
		buf_printf(&text, "%s%s", i > 0 ? " " : "", machine->restart.words.items[i]);
	if (text.size > 0)
		machine->restart_command = buf_steal(&text);
}

/* With the rights of the server's user, who will use it all. */
static Error *
look_as_user(InitMachine *machine)
{
	InitFacts *facts = &machine->facts;
	struct stat status;

	facts->program_runs = faccessat(AT_FDCWD, facts->program, X_OK, AT_EACCESS) == 0;
	facts->state_dir_place = look_at_directory(machine, machine->state_dir);
	if (machine->store_directory != NULL)
		facts->store_place = look_at_store_directory(machine);
	facts->secret_exists = secret_is_there(machine);
	facts->key_exists =
		machine->key_file != NULL && stat(machine->key_file, &status) == 0 && status.st_size > 0;

	/* A store that cannot be read is found again when it is tried. */
	AUTO(Error) error = look_into_store(machine);

	return error_is(error, ERR_CANCELLED) ? MOVE(error) : NULL;
}

Error *
init_look_at_machine(InitMachine *machine)
{
	InitFacts *facts = &machine->facts;

	facts->program = invocation_program(machine->invocation);
	choose_files(machine);
	if (!init_settings_contradict(machine))
		init_want_settings(machine);
	init_list_what_lacks(machine);
	machine->command = archive_command(machine);
	if (machine->command == NULL)
		return error_new(ERR_USAGE, "archive_command would be too long");
	join_words(machine);
	look_at_timers(machine);
	facts->config_can_be_written =
		machine->is_root || look_at_directory(machine, machine->directory) != INIT_PLACE_NEEDS_ROOT;
	TRY(init_user_enter(&machine->user));

	Error *error = look_as_user(machine);

	TRY(init_user_leave());
	TRY(error);

	facts->is_root = machine->is_root;
	facts->user = machine->user.name;
	facts->server = &machine->server;
	facts->command = machine->command;
	facts->command_is_ours =
		names_these_settings(machine, machine->server.settings[SERVER_ARCHIVE_COMMAND].next);
	facts->config = machine->config;
	facts->config_exists = machine->file != NULL;
	facts->config_wrong = machine->config_wrong;
	facts->config_hint = machine->config_hint;
	facts->config_lacks = machine->config_lacks;
	facts->state_dir = machine->state_dir;
	facts->store = machine->store;
	facts->store_is_directory = machine->store_directory != NULL;
	facts->secret_file = machine->secret_file;
	facts->key_file = machine->key_file;
	facts->has_backup = machine->backup != NULL;
	facts->backup = machine->backup;
	facts->restart_command = machine->restart_command;
	facts->timers_names = machine->timers_names;
	return NULL;
}
