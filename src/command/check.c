/* walship check: is everything in place, before it is needed at night? */
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_archiver.h"
#include "check_encryption.h"
#include "check_postgres.h"
#include "check_reserves.h"
#include "check_server.h"
#include "check_store.h"
#include "commands.h"
#include "context.h"
#include "notify_context.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/recovery/recover.h"

#define STATUS_CHECKS_FAILED 8
#define SUMMARY_MAX          4096

static void
check_settings(const Settings *settings, CheckReport *report)
{
	const char *path = settings_config_path(settings);
	Compression compression;

	check_report_error(report, "settings", context_compression(settings, COMPRESS_WAL, &compression),
	                   path == NULL ? "no settings file; environment and options only" : path);
}

static void
check_keys(const Settings *settings, CheckReport *report)
{
	AUTO_FREE char *detail = NULL;
	Error *error = check_encryption(settings, &detail);

	check_report_error(report, "encryption", error, detail);
}

/* "*ret_system" stays as it is when the directory does not tell it. */
static void
check_data_directory(const Settings *settings, const char *directory, CheckReport *report,
                     uint64_t *ret_system)
{
	AUTO_FREE char *detail = NULL;
	PgControl control;
	Error *error = pgdata_read_control(directory, &control);

	if (error == NULL)
		error = context_system(settings, directory, ret_system);
	if (error == NULL && control.major != 0)
		detail = mem_printf("%s: PostgreSQL %d, system %" PRIu64 ", segments of %" PRIu32 " MB", directory,
		                    control.major, control.system_identifier, control.segment_size / (1024 * 1024));
	else if (error == NULL)
		detail = mem_printf("%s: system %" PRIu64, directory, control.system_identifier);

	bool known = error == NULL;

	check_report_error(report, "data directory", error, detail);
	if (known)
	{
		VersionNote version = check_postgres_server(&control, clock_now());

		check_report_add(report, "server version", version.hint != NULL ? CHECK_WARN : CHECK_OK,
		                 version.detail, version.hint);
	}
}

/* Without it everything works, but every push on a later timeline looks at all its ancestors again. */
static Error *
try_state_directory(const char *directory)
{
	AUTO_FREE char *probe = path_join(directory, "walship-check");

	TRY(file_replace(probe, "", 0, 0600));
	return file_remove(probe);
}

/* Notes of others are not believed; but they can remove ours, and put links where files are made. */
static void
check_state_owner(const char *directory, CheckReport *report)
{
	struct stat status;

	if (stat(directory, &status) != 0)
		return;
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		check_report_add(
			report, "state directory", CHECK_WARN,
			mem_printf("%s has mode %04o: others may write there", directory, status.st_mode & 07777),
			mem_printf("Run: chmod go-w '%s'", directory));
	else if (status.st_uid != geteuid() && status.st_uid != 0)
		check_report_add(report, "state directory", CHECK_WARN,
		                 mem_printf("%s belongs to another user", directory),
		                 mem_printf("Run: chown %u '%s'", (unsigned) geteuid(), directory));
}

static void
check_state_directory(const Settings *settings, CheckReport *report)
{
	const char *directory = settings_text(settings, SETTING_state_dir);

	check_report_error(report, "state directory",
	                   error_hint(try_state_directory(directory),
	                              "Create it for the server's user: install -d -o postgres %s", directory),
	                   directory);
	check_state_owner(directory, report);
}

/* Nothing is sent: that is for "walship notify test". */
static void
check_notify(const Settings *settings, CheckReport *report)
{
	AUTO_NOTIFY_CONTEXT notify = {0};
	size_t troubles = 0;
	Error *error;

	if (!settings_is_set(settings, SETTING_notify))
		return;
	error = notify_context_init(settings, &notify);
	if (error == NULL)
		notify_context_prepare(settings, &notify);
	for (size_t i = 0; i < notify.targets.count; i++)
		if (notify.troubles.errors[i] != NULL)
		{
			troubles++;
			check_report_error(report, "notify", MOVE(notify.troubles.errors[i]), NULL);
		}
	if (error != NULL)
		check_report_error(report, "notify", error, NULL);
	else if (troubles == 0)
		check_report_add(report, "notify", CHECK_OK,
		                 mem_printf("%zu target%s; \"walship notify test\" asks %s", notify.targets.count,
		                            notify.targets.count == 1 ? "" : "s",
		                            notify.targets.count == 1 ? "it" : "them"),
		                 NULL);
}

/* In the order in which a segment goes: settings, server, store; and then one does. */
static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	const char *given = invocation_value(invocation, "pgdata");
	AUTO_FREE char *directory = given != NULL ? mem_strdup(given) : context_pgdata(settings);
	bool with_server = !invocation_flag(invocation, "store-only");
	CheckReport report = {0};
	CheckedServer server = {0};
	AUTO_BUF(summary, SUMMARY_MAX);
	uint64_t system = 0;

	/* What root may do says nothing of what the server's user may, and what root makes is of no use to it. */
	TRY(recovery_check_user("check"));
	if (invocation_flag(invocation, "create"))
		TRY(context_create_store(settings));

	check_settings(settings, &report);
	check_keys(settings, &report);
	if (directory != NULL)
		check_data_directory(settings, directory, &report, &system);
	if (with_server)
		check_server(settings, invocation_program(invocation), directory, &report, &server);
	if (server.replication != NULL)
		system = server.identity.system_identifier;
	check_state_directory(settings, &report);
	check_notify(settings, &report);
	check_store(settings, directory, system, &report);
	check_second_store(settings, &report);
	if (!invocation_flag(invocation, "no-wait"))
		check_segment(settings, &server, &report);
	if (server.sql != NULL && server.archives)
		check_archiver(server.sql, &report);
	check_reserves(&server, &report);

	if (invocation_flag(invocation, "json"))
		check_report_print_json(&report);
	else
		check_report_print_text(&report);
	check_report_summarize(&report, &summary);
	invocation_set_summary(invocation, "%s", summary.data);
	if (check_report_failed(&report))
		invocation_set_status(invocation, STATUS_CHECKS_FAILED);
	checked_server_release(&server);
	check_report_release(&report);
	return NULL;
}

static const CommandOption options[] = {
	{"create", OPTION_FLAG, NULL, "make the store's directory and its marker first"},
	{"pgdata", OPTION_VALUE, "DIR",
     "the server's data directory (default: the working directory, or what the server says)"},
	{"no-wait", OPTION_FLAG, NULL, "do not switch WAL and wait for that segment to arrive in the store"},
	{"store-only", OPTION_FLAG, NULL, "without a server: look at the rest"},
	{"json", OPTION_FLAG, NULL, "print the results as JSON"},
};

const Command command_check = {
	.name = "check",
	.summary = "looks whether settings, server, archiving and store are as they must be",
	.arguments = "",
	.description =
		"Connects to the server as a backup does, tries what the store can do, ends a segment of WAL, and waits up\n"
		"to 60 s until just that one is in the store. Each result is OK, WARN or FAIL, with the reason and a remedy.\n"
		"Exit 0: nothing failed. Exit 8: something did. Run it as the user that runs the server.",
	.examples = "  runuser -u postgres -- walship check\n"
				"  walship check --create --store-only\n",
	.statuses = "0 2 7 8",
	.options = options,
	.n_options = lengthof(options),
	.tells = TELLS_OUTCOME,
	.tells_more = "check",
	.tells_apart = "store-only no-wait pgdata",
	.run = run,
};
