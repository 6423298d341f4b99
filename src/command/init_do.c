/* The steps of walship init, done.  Each looks again at what it makes: it may have been ended in the middle the last time. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init_machine.h"
#include "keys.h"
#include "table.h"
#include "walship/base/cancel.h"
#include "walship/base/child.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/dir.h"
#include "walship/base/file.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/config/describe.h"
#include "walship/config/secret_file.h"
#include "walship/config/settings_file.h"
#include "walship/store/file_store.h"

#define KEY_TEXT_SIZE 512
#define OUTPUT_MAX    (256 * 1024)
#define RESTART_MS    180000
#define SYSTEMCTL     "/bin/systemctl"
#define UNITS_FOLDER  "/etc/walship"

/*
 * Files.  Where root makes them they are root's, who alone may change them, and of the group of the server's user, when that
 * is its own: of one that others are in, too, they would be everybody's.  Else they are the user's alone.
 */
static bool
is_roots(const InitMachine *machine)
{
	return machine->is_root && machine->user.has_own_group;
}

static mode_t
file_mode(const InitMachine *machine)
{
	return is_roots(machine) ? 0640 : 0600;
}

/* Whole or not at all.  "only_new": one that is there meanwhile is ERR_EXISTS. */
static Error *
write_file(const InitMachine *machine, const char *path, const char *text, size_t size, bool only_new)
{
	AUTO_TEMPORARY_FILE file = {0};
	AUTO_FREE char *directory = path_parent(path);

	TRY(temporary_file_open(path, file_mode(machine), &file));
	if (machine->is_root &&
	    fchown(file.fd, is_roots(machine) ? 0 : machine->user.uid, machine->user.gid) != 0)
		return error_errno("could not give file \"%s\" to its owner", file.temporary);
	TRY(file_write(file.fd, file.temporary, text, size));
	if (!only_new)
		return temporary_file_rename(&file, true);
	TRY(file_sync(file.fd, file.temporary));
	if (link(file.temporary, path) != 0)
		return errno == EEXIST ? error_new(ERR_EXISTS, "file \"%s\" exists already", path)
		                       : error_errno("could not create file \"%s\"", path);
	return dir_sync(directory);
}

/* What is missing on the way to it is root's, and lets everybody pass, where root makes it. */
static Error *
make_directory(const InitMachine *machine, const char *path, mode_t mode)
{
	AUTO_FREE char *parent = path_parent(path);

	if (machine->is_root && !file_exists(parent))
		TRY(dir_make(parent, 0755));
	TRY(dir_make(path, mode));
	if (machine->is_root && chown(path, machine->user.uid, machine->user.gid) != 0)
		return error_errno("could not give directory \"%s\" to user \"%s\"", path, machine->user.name);
	return NULL;
}

/* Beside the settings: they are for the server's user, and its home is nobody else's. */
static Error *
make_own_directory(const InitMachine *machine)
{
	return file_exists(machine->directory) ? NULL
	                                       : dir_make(machine->directory, machine->is_root ? 0755 : 0700);
}

static Error *
do_store(const InitMachine *machine)
{
	if (machine->is_root && machine->facts.store_place == INIT_PLACE_CAN_BE_MADE)
	{
		struct stat status;

		/* What is the user's stays as it is. */
		if (stat(machine->store_directory, &status) != 0 || status.st_uid == 0)
			TRY(make_directory(machine, machine->store_directory, 0750));
	}
	TRY(init_user_enter(&machine->user));

	Error *error = file_store_create(machine->store_directory);

	TRY(init_user_leave());
	return error;
}

/* As age-keygen writes it. */
static Error *
do_key(const InitMachine *machine, char **ret_detail)
{
	char created[TIME_TEXT_SIZE];
	char text[KEY_TEXT_SIZE];
	AUTO_FREE char *public_key = NULL;
	char *secret;
	Error *error;

	TRY(keys_prepare());
	TRY(make_own_directory(machine));
	age_generate(&secret, &public_key);
	time_format_utc(clock_now(), created);
	(void) snprintf(text, sizeof(text), "# created: %s\n# public key: %s\n%s\n", created, public_key, secret);
	secret_free(secret);
	error = write_file(machine, machine->key_file, text, strlen(text), true);
	secret_clear(text, sizeof(text));
	TRY(error);
	*ret_detail =
		mem_printf("%s: keep copies of it away from this machine and from the store; without it what is "
	               "stored is lost",
	               machine->key_file);
	return NULL;
}

static Error *
do_secret(const InitMachine *machine)
{
	AUTO_SECRET_BUF(line, SETTING_FILE_MAX);

	TRY(make_own_directory(machine));
	buf_printf(&line, "%s\n", machine->secret);
	return write_file(machine, machine->secret_file, line.data, line.size, false);
}

/* The file of a key is read by the server's user. */
static Error *
read_public_key(const InitMachine *machine, char **ret_public)
{
	AUTO(AgeIdentities) identities = age_identities_new();

	TRY(init_user_enter(&machine->user));

	Error *error = keys_read_identities(machine->key_file, identities);

	TRY(init_user_leave());
	TRY(error);
	if (age_identities_count(identities) == 0)
		return error_new(ERR_USAGE, "file \"%s\" holds no key", machine->key_file);
	*ret_public = mem_strdup(age_identities_public(identities, 0));
	return NULL;
}

/* A new one says what it is; one that is there keeps its owner and mode, and a link stays one. */
static Error *
do_settings(const InitMachine *machine)
{
	AUTO_SECRET_BUF(text, SETTING_FILE_MAX);
	AUTO_SECRET_BUF(changed, SETTING_FILE_MAX);
	AUTO_FREE SettingLine *lines = NEW_ARRAY(SettingLine, machine->n_wanted + 1);
	AUTO_FREE char *public_key = NULL;
	AUTO_FREE char *path = realpath(machine->config, NULL);
	size_t count = machine->n_wanted;
	struct stat status;

	for (size_t i = 0; i < count; i++)
		lines[i] = (SettingLine){machine->wanted[i].name, machine->wanted[i].value};
	if (machine->key_file != NULL)
	{
		TRY(read_public_key(machine, &public_key));
		lines[count++] = (SettingLine){"recipients", public_key};
	}
	if (path != NULL)
		TRY(file_read_all(path, &text));
	else
		buf_puts(
			&text,
			"# Settings of walship, written by \"walship init\".  walship.conf(5), or docs/configuration.md, has all of them.\n");
	TRY(settings_file_add(text.size > 0 ? text.data : "", text.size, machine->cluster, lines, count,
	                      &changed));
	if (changed.overflowed)
		return error_new(ERR_USAGE, "file \"%s\" would be larger than 1 MiB", machine->config);
	if (path == NULL)
	{
		TRY(make_own_directory(machine));
		return write_file(machine, machine->config, changed.data, changed.size, false);
	}

	AUTO_TEMPORARY_FILE file = {0};

	if (stat(path, &status) != 0)
		return error_errno("could not look at file \"%s\"", path);
	TRY(temporary_file_open(path, status.st_mode & 07777, &file));
	if (machine->is_root && fchown(file.fd, status.st_uid, status.st_gid) != 0)
		return error_errno("could not give file \"%s\" to its owner", file.temporary);
	TRY(file_write(file.fd, file.temporary, changed.data, changed.size));
	return temporary_file_rename(&file, true);
}

/* The server */

static Error *
as_user(const InitMachine *machine, Error *(*tell)(const InitMachine *machine))
{
	TRY(init_user_enter(&machine->user));

	Error *error = tell(machine);

	TRY(init_user_leave());
	return error;
}

static Error *
add_hba_line(const InitMachine *machine)
{
	return init_add_hba_line(machine->conninfo, &machine->server);
}

static Error *
set_archiving(const InitMachine *machine)
{
	return init_set_archiving(machine->conninfo, &machine->server, machine->command,
	                          machine->facts.command_is_ours);
}

/* Other programs */

static Error *
run_words(const InitMachine *machine, const StrList *words, const char *directory, bool user, int *ret_status)
{
	AUTO_FREE const char **argv = NEW_ARRAY(const char *, words->count + 1);
	ChildUser child;
	pid_t pid;

	for (size_t i = 0; i < words->count; i++)
		argv[i] = words->items[i];
	TRY(child_start(&(ChildOptions){.argv = argv,
	                                .directory = directory,
	                                .user = user ? init_user_child(&machine->user, &child) : NULL},
	                &pid));
	return child_wait(pid, RESTART_MS, ret_status);
}

static Error *
ask_again(const InitMachine *machine)
{
	ServerFacts now = {0};
	Error *error = init_ask_server(machine->conninfo, &now);
	bool as_before = error == NULL && init_needs_restart(&now);

	server_facts_release(&now);
	if (as_before)
		return error_new(ERR_SYSTEM, "the server runs as before: it was not restarted by \"%s\"",
		                 machine->restart_command);
	return error_context(error, "the server was restarted, but does not answer");
}

/* Its output goes nowhere: the server that it starts keeps it open. */
static Error *
do_restart(const InitMachine *machine)
{
	int status = 0;

	TRY(run_words(machine, &machine->restart.words,
	              machine->restart.directory == NULL ? "/" : machine->restart.directory,
	              machine->restart.as_user, &status));
	if (status == 0)
		return as_user(machine, ask_again);
	return error_hint(
		error_new(ERR_SYSTEM, "the server was not restarted: \"%s\" ended with exit code %d",
	              machine->restart_command, status),
		"It may be down now. Its log says why; start it as usual, then run \"walship init\" again.");
}

/* As the archiver and timers will run it: nothing of this environment says where store and server are. */
static void
list_environment(const InitMachine *machine, StrList *ret_environment)
{
	static const char *const not_theirs[] = {"WALSHIP_", "AWS_", "PG"};
	static const char *const of_root[] = {"HOME=", "USER=", "LOGNAME=", "MAIL="};

	for (char *const *entry = environ; entry != NULL && *entry != NULL; entry++)
	{
		bool left_out = false;

		for (size_t i = 0; i < lengthof(not_theirs); i++)
			left_out = left_out || str_starts_with(*entry, not_theirs[i]);
		for (size_t i = 0; machine->is_root && i < lengthof(of_root); i++)
			left_out = left_out || str_starts_with(*entry, of_root[i]);
		if (!left_out)
			strlist_add(ret_environment, *entry);
	}
	if (!machine->is_root)
		return;

	AUTO_FREE char *home = mem_printf("HOME=%s", machine->user.home);
	AUTO_FREE char *user = mem_printf("USER=%s", machine->user.name);

	strlist_add(ret_environment, home);
	strlist_add(ret_environment, user);
}

typedef struct Output
{
	Buf lines; /* of standard output */
} Output;

static void
take_line(void *context, bool is_error, const char *line)
{
	Output *output = context;

	if (is_error)
		print_line(stderr, "%s", line);
	else
		buf_printf(&output->lines, "%s\n", line);
}

/* A command of walship; what it says of itself goes on to stderr. */
static Error *
run_walship(const InitMachine *machine, const char *const *arguments, Buf *ret_output, int *ret_status)
{
	AUTO_STRLIST environment = {0};
	const char *argv[16] = {machine->facts.program, arguments[0], "--config", machine->config};
	size_t count = 4;
	Output output = {.lines = {.cap = OUTPUT_MAX}};
	ChildUser child;

	if (machine->cluster != NULL)
	{
		argv[count++] = "--cluster";
		argv[count++] = machine->cluster;
	}
	for (size_t i = 1; arguments[i] != NULL && count + 1 < lengthof(argv); i++)
		argv[count++] = arguments[i];
	list_environment(machine, &environment);

	AUTO_FREE const char **variables = NEW_ARRAY(const char *, environment.count + 1);

	for (size_t i = 0; i < environment.count; i++)
		variables[i] = environment.items[i];

	Error *error = child_run_lines(&(ChildOptions){.argv = argv,
	                                               .environment = variables,
	                                               .directory = "/",
	                                               .death_signal = SIGTERM,
	                                               .user = init_user_child(&machine->user, &child)},
	                               take_line, &output, ret_status);

	*ret_output = output.lines;
	return error;
}

/* The lines of what failed, with their remedies, to stderr; of everything else nobody needs to hear now. */
static void
tell_failures(const char *lines)
{
	bool failed = false;

	while (lines != NULL && *lines != '\0')
	{
		size_t length = strcspn(lines, "\n");

		if (length > 0 && lines[0] != ' ')
			failed = strncmp(lines, "FAIL", 4) == 0;
		if (failed)
			print_line(stderr, "  %.*s", (int) length, lines);
		lines += length + (lines[length] == '\n');
	}
}

static Error *
run_and_judge(const InitMachine *machine, const char *const *arguments, char **ret_detail, int *ret_status)
{
	AUTO_BUF(output, OUTPUT_MAX);

	TRY(run_walship(machine, arguments, &output, ret_status));
	if (*ret_status == 0)
	{
		size_t length = output.size == 0 ? 0 : strcspn(output.data, "\n");

		if (length > 0)
			*ret_detail = mem_strndup(output.data, length);
		return NULL;
	}
	tell_failures(output.data);
	return error_hint(
		error_new(ERR_SYSTEM, "\"walship %s\" ended with exit code %d", arguments[0], *ret_status),
		"Correct what it says, in %s where it is a setting, and run \"walship init\" again.",
		machine->config);
}

static Error *
do_try_store(const InitMachine *machine, char **ret_detail, int *ret_status)
{
	const char *const arguments[] = {"check", "--store-only", NULL};

	return run_and_judge(machine, arguments, ret_detail, ret_status);
}

static Error *
do_backup(const InitMachine *machine, char **ret_detail, int *ret_status)
{
	bool shares = machine->options.new_system || machine->options.shares_store;
	const char *const arguments[] = {"backup", "--fast", "--progress", "none", shares ? "--new-system" : NULL,
	                                 NULL};

	return run_and_judge(machine, arguments, ret_detail, ret_status);
}

static Error *
do_check(const InitMachine *machine, char **ret_detail, int *ret_status)
{
	const char *const arguments[] = {"check", NULL};

	return run_and_judge(machine, arguments, ret_detail, ret_status);
}

/* A cluster's instance of the units is its name, behind which there has to be a settings file, and what chooses the section. */
static Error *
make_instance(const InitMachine *machine)
{
	AUTO_FREE char *link_path = mem_printf(UNITS_FOLDER "/%s.conf", machine->cluster);
	AUTO_FREE char *variables = mem_printf(UNITS_FOLDER "/%s.env", machine->cluster);
	AUTO_FREE char *line = mem_printf(CLUSTER_VARIABLE "=%s\n", machine->cluster);

	if (!file_exists(link_path) && symlink(path_leaf(machine->config), link_path) != 0)
		return error_errno("could not create \"%s\"", link_path);
	return file_exists(variables) ? NULL : write_file(machine, variables, line, strlen(line), false);
}

/* What it complains of is the reason. */
static Error *
run_systemctl(const InitMachine *machine, const StrList *words)
{
	AUTO_FREE const char **argv = NEW_ARRAY(const char *, words->count + 1);
	AUTO_BUF(output, OUTPUT_MAX);
	int status = 0;

	for (size_t i = 0; i < words->count; i++)
		argv[i] = words->items[i];
	TRY(child_run(&(ChildOptions){.argv = argv, .directory = "/"}, RESTART_MS, &output, &status));
	if (status == 0)
		return NULL;
	return error_new(ERR_SYSTEM, "\"systemctl enable --now %s\" ended with exit code %d: %.*s",
	                 machine->timers_names, status, output.size == 0 ? 0 : (int) strcspn(output.data, "\n"),
	                 output.size == 0 ? "" : output.data);
}

static Error *
do_timers(const InitMachine *machine)
{
	AUTO_STRLIST words = {0};
	AUTO_FREE char *names = mem_strdup(machine->timers_names);

	if (machine->cluster != NULL)
		TRY(make_instance(machine));
	strlist_add(&words, SYSTEMCTL);
	strlist_add(&words, "enable");
	strlist_add(&words, "--now");
	for (char *name = names; *name != '\0';)
	{
		size_t length = strcspn(name, " ");
		bool more = name[length] != '\0';

		name[length] = '\0';
		strlist_add(&words, name);
		name += length + more;
	}
	return run_systemctl(machine, &words);
}

Error *
init_do(InitMachine *machine, InitStepId id, char **ret_detail, int *ret_status)
{
	TRY(cancel_check());
	switch (id)
	{
		case INIT_STATE:
			return make_directory(machine, machine->state_dir, 0700);
		case INIT_STORE:
			return do_store(machine);
		case INIT_KEY:
			return do_key(machine, ret_detail);
		case INIT_SECRET:
			return do_secret(machine);
		case INIT_SETTINGS:
			return do_settings(machine);
		case INIT_TRY_STORE:
			return do_try_store(machine, ret_detail, ret_status);
		case INIT_ACCESS:
			return as_user(machine, add_hba_line);
		case INIT_ARCHIVING:
			return as_user(machine, set_archiving);
		case INIT_RESTART:
			return do_restart(machine);
		case INIT_BACKUP:
			return do_backup(machine, ret_detail, ret_status);
		case INIT_CHECK:
			return do_check(machine, ret_detail, ret_status);
		case INIT_TIMER:
			return do_timers(machine);
		default:
			return NULL;
	}
}
