/* Finds the command, understands its line, runs it, and makes an exit status of what came of it. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "context.h"
#include "help.h"
#include "invocation.h"
#include "other_tools.h"
#include "outcome.h"
#include "signals.h"
#include "table.h"
#include "walship/base/dir.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pg/pgdata.h"

#define PROGRAM_PATH_MAX  4096
#define SECOND_STORE_FLAG "second-store"

/* The contract: docs/operations.md, "Exit codes". */
static int
status_of_kind(ErrorKind kind)
{
	static const int statuses[] = {
		[ERR_NOT_FOUND] = 1, [ERR_USAGE] = 2,     [ERR_EXISTS] = 3, [ERR_TRANSIENT] = 4, [ERR_DENIED] = 5,
		[ERR_CORRUPT] = 6,   [ERR_UNTRUSTED] = 6, [ERR_SYSTEM] = 7, [ERR_CANCELLED] = 4,
	};

	return statuses[kind];
}

/* Where there is no /proc. */
static char *
program_in_path(const char *argv0)
{
	const char *directories = getenv("PATH");

	if (strchr(argv0, '/') != NULL)
		return path_absolute(argv0);
	while (directories != NULL && *directories != '\0')
	{
		size_t length = strcspn(directories, ":");
		AUTO_FREE char *directory = mem_strndup(directories, length);
		AUTO_FREE char *path = path_join(directory, argv0);

		if (directory[0] == '/' && access(path, X_OK) == 0)
			return MOVE(path);
		directories += length + (directories[length] == ':');
	}
	return mem_strdup(argv0);
}

static char *
program_path(const char *argv0)
{
	char path[PROGRAM_PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	return length > 0 ? mem_strndup(path, (size_t) length) : program_in_path(argv0);
}

static LogLevel
log_level_of(const char *name)
{
	static const struct
	{
		const char *name;
		LogLevel level;
	} levels[] = {{"error", LOG_ERROR}, {"warning", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}};

	for (size_t i = 0; i < lengthof(levels); i++)
		if (strcmp(levels[i].name, name) == 0)
			return levels[i].level;
	return LOG_INFO;
}

/* In other words "--second-store none", which goes on to the processes that are started, and into what is written down. */
static Error *
leave_out_second_store(Invocation *invocation)
{
	for (size_t i = 0; i < invocation->n_flags; i++)
		if (strcmp(invocation->flags[i].name, SECOND_STORE_FLAG) == 0)
			return error_new(ERR_USAGE, "options \"--" SECOND_STORE_FLAG "\" and \"--" WITHOUT_SECOND_STORE
			                            "\" exclude each other");
	GROW(invocation->flags, invocation->n_flags, invocation->flags_capacity);
	invocation->flags[invocation->n_flags++] = (SettingFlag){SECOND_STORE_FLAG, NO_SECOND_STORE};
	return NULL;
}

static Error *
load_settings(Invocation *invocation)
{
	if (invocation_flag(invocation, WITHOUT_SECOND_STORE))
		TRY(leave_out_second_store(invocation));
	TRY(invocation_load_cluster(invocation, invocation->cluster, &invocation->settings));

	bool json = strcmp(settings_text(invocation->settings, SETTING_log_format), "json") == 0;

	log_configure(log_level_of(settings_text(invocation->settings, SETTING_log_level)),
	              json ? LOG_JSON : LOG_TEXT);
	return NULL;
}

/* systemd says which stream is its journal's, by device and inode (systemd.exec, JOURNAL_STREAM). */
static bool
is_journal(int fd)
{
	const char *journal = getenv("JOURNAL_STREAM");
	struct stat status;

	if (journal == NULL || fstat(fd, &status) != 0)
		return false;

	AUTO_FREE char *stream = mem_printf("%ju:%ju", (uintmax_t) status.st_dev, (uintmax_t) status.st_ino);

	return strcmp(journal, stream) == 0;
}

/* The server's own lines have time and process; nobody adds them to ours, but for a terminal's reader and the journal. */
static bool
needs_stamp(const Command *command)
{
	return command->in_servers_log && !isatty(STDERR_FILENO) && !is_journal(STDERR_FILENO);
}

static Error *
run_command(Invocation *invocation, int argc, char **argv)
{
	log_stamp(needs_stamp(invocation->command));
	TRY(invocation_parse(invocation, argc, argv));
	if (invocation->help)
	{
		help_print_command(invocation->command);
		return print_flush();
	}
	if (!invocation->command->without_settings)
		TRY(load_settings(invocation));
	TRY(signals_init());
	outcome_begin(invocation);
	TRY(invocation->command->run(invocation));

	return print_flush();
}

/* Says what came of it, and returns the status; does not return when a signal ended the command. */
static int
end_command(Invocation *invocation, const Error *error)
{
	const Command *command = invocation->command;
	bool normal = command->absence_is_normal && error_is(error, ERR_NOT_FOUND);
	int status = -1;
	bool die;

	/* What the command makes of the error, what it has set itself, or else the kind of the error. */
	if (error != NULL && command->error_status != NULL)
		status = command->error_status(invocation, error);
	die = error_is(error, ERR_CANCELLED) && status < 0;
	if (status < 0)
		status = invocation->status;
	if (status < 0)
		status = error == NULL ? 0 : status_of_kind(error_kind(error));
	if (error != NULL)
	{
		(void) fflush(stdout);
		log_of_error(normal ? LOG_DEBUG : LOG_ERROR, error);
	}
	outcome_tell(invocation, error, status);
	invocation_release(invocation);
	if (die && status != 0)
		signals_die();
	return status;
}

/* Whatever was meant: as a restore_command this must not look like the end of the archive. */
static int
status_without_command(void)
{
	return pgdata_in_archive_recovery(".") ? STATUS_STOP_RECOVERY : status_of_kind(ERR_USAGE);
}

static int
unknown_command(int argc, char **argv)
{
	AUTO_STRLIST names = {0};

	for (size_t i = 0; i < n_commands; i++)
		if (!commands[i]->hidden)
			strlist_add(&names, commands[i]->name);

	AUTO_FREE char *hint = other_tools_command(argc, argv);
	const char *nearest = str_nearest(argv[0], (const char *const *) names.items, names.count);

	if (hint == NULL)
		hint = nearest != NULL ? mem_printf("Did you mean \"walship %s\"?", nearest)
		                       : mem_strdup("Try \"walship --help\".");
	log_line(LOG_ERROR, hint, "unknown command \"%s\"", argv[0]);
	return status_without_command();
}

static void
end_out_of_memory(void)
{
	static const char message[] = "walship: ERROR:  out of memory\n";
	ssize_t ignored = write(STDERR_FILENO, message, sizeof(message) - 1);

	(void) ignored;
	_exit(status_of_kind(ERR_SYSTEM));
}

/* For what needs neither settings nor a command. */
static int
print_and_report(Error *(*print)(void) )
{
	AUTO(Error) error = print();

	if (error == NULL)
		error = print_flush();
	if (error == NULL)
		return 0;
	log_of_error(LOG_ERROR, error);
	return status_of_kind(error_kind(error));
}

static Error *
print_version(void)
{
	printf("walship %s\n", WALSHIP_VERSION);
	return NULL;
}

/*
 * Else the next file that is opened takes the number of a stream that is closed, and
 * gets our messages.  Who reads or writes there gets an error, as before.
 */
static void
open_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void) open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/*
 * glibc makes eight heaps for each processor where many threads ask for memory, each with 64 MiB of address space: with
 * the 64 threads that read indexes a GiB on 2 processors, which ulimit -v may not allow.
 */
#define HEAPS_LEAST 4
#define HEAPS_MOST  64

static void
limit_heaps(void)
{
#ifdef M_ARENA_MAX
	int cpus = workers_cpu_count(HEAPS_MOST);

	(void) mallopt(M_ARENA_MAX, cpus < HEAPS_LEAST ? HEAPS_LEAST : cpus);
#endif
}

int
command_main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	const Command *command;

	open_standard_streams();
	mem_on_exhausted(end_out_of_memory);
	limit_heaps();
	if (name == NULL)
	{
		log_line(LOG_ERROR, "Try \"walship --help\".", "no command was given");
		return status_without_command();
	}
	if (strcmp(name, "help") == 0 && argc > 2 && command_by_name(argv[2]) != NULL)
	{
		help_print_command(command_by_name(argv[2]));
		return print_and_report(print_flush);
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
		return print_and_report(help_print_overview);
	if (strcmp(name, "--version") == 0)
		return print_and_report(print_version);
	command = command_by_name(name);
	if (command == NULL)
		return unknown_command(argc - 1, argv + 1);

	Invocation invocation = {.command = command, .status = -1, .program = program_path(argv[0])};
	AUTO(Error) error = run_command(&invocation, argc - 2, argv + 2);

	return end_command(&invocation, error);
}
