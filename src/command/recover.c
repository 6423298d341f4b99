/*
 * walship recover: brings a database back to a chosen moment.  What that is,
 * step by step: walship/recovery/recover.h.
 */
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "context.h"
#include "keys.h"
#include "print_plan.h"
#include "progress.h"
#include "recover_options.h"
#include "table.h"
#include "walship/base/mem.h"
#include "walship/recovery/start_line.h"

#define STATUS_NOT_REACHABLE 9
#define FLAGS_MAX            (256 * 1024)
#define COLUMNS_MAX          100 /* of a terminal; what is read by a program is not broken */

static Error *
print_plan(const Invocation *invocation, const Recovery *recovery)
{
	PlanReport report = {.plan = recovery->plan,
	                     .zone = settings_text(invocation_settings(invocation), SETTING_timezone),
	                     .spaces = recovery->spaces,
	                     .n_spaces = recovery->n_spaces,
	                     .tablespaces = recovery->tablespaces,
	                     .n_tablespaces = recovery->n_tablespaces,
	                     .created = recovery->created,
	                     .n_created = recovery->n_created,
	                     .settings = recovery->settings,
	                     .verbose = invocation_flag(invocation, "verbose"),
	                     .columns = isatty(STDOUT_FILENO) ? COLUMNS_MAX : 0};

	if (invocation_flag(invocation, "json"))
		print_plan_json(&report, stdout);
	else
		print_plan_text(&report, stdout);

	/* Before the work begins, for it may take hours. */
	return print_flush();
}

/* How to undo and how to go on; the last line is what must not be overlooked. */
static void
print_result(const Invocation *invocation, const Recovery *recovery)
{
	/* With --json standard output is one object and nothing else. */
	FILE *talk = invocation_flag(invocation, "json") ? stderr : stdout;
	bool copy = recovery->plan->purpose == PURPOSE_COPY;
	AUTO_START_LINE line = {0};

	start_line_make(recovery->pgdata, recovery->plan->backup->server_version / 10000, copy,
	                recovery->start_options, NULL, &line);

	for (size_t i = 0; i < recovery->moved.count; i++)
	{
		AUTO_FREE char *aside = mem_printf("%s%s", recovery->moved.items[i], recovery->suffix);
		AUTO_FREE char *from = str_shell_quote(aside);
		AUTO_FREE char *to = str_shell_quote(recovery->moved.items[i]);

		print_line(talk, "moved aside; to undo: rm -rf %s && mv %s %s", to, from, to);
	}
	if (recovery->archives_itself)
		print_line(
			talk,
			"archives on: archive_mode and archive_command are in postgresql.auto.conf, which wins over "
			"postgresql.conf (to change them later: ALTER SYSTEM)");
	for (size_t i = 0; i < recovery->start_warnings.count; i++)
		print_line(talk, "WARNING: %s", recovery->start_warnings.items[i]);
	if (line.no_settings)
		print_line(
			talk,
			"NO postgresql.conf: it lay outside of the data directory. Put one there, and pg_hba.conf, or "
			"start with -c config_file=");
	print_line(talk, "ready: start the server with  %s", line.command);
	if (copy && line.port != 0 && recovery->plan->action == ACTION_PAUSE &&
	    recovery->plan->target.kind != TARGET_LATEST)
		print_line(talk, "then wait until this says t:  psql -p %d -c 'SELECT pg_is_wal_replay_paused()'",
		           line.port);
	if (copy)
		print_line(talk, "NOT ARCHIVED: this is a copy");
	if (recovery->archive_library != NULL)
		print_line(talk,
		           "ARCHIVING IS NOT SET: the restored settings have archive_library = '%s', beside which "
		           "archive_command is an error",
		           recovery->archive_library);
}

static void
add_progress(void *progress, uint64_t bytes)
{
	progress_add(progress, bytes);
}

static Error *
run_with_progress(const Invocation *invocation, Recovery *recovery)
{
	AUTO(Progress) progress = NULL;

	TRY(progress_new(invocation_value(invocation, "progress"), "recover", &progress));
	if (!recovery->config_only)
		progress_set(progress, "restoring", 0, recovery->plan->backup->files_size);
	recovery->on_bytes = add_progress;
	recovery->on_bytes_context = progress;
	recovery->notices = progress_notices(progress);
	return recovery_run(recovery);
}

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	bool plan_only = invocation_flag(invocation, "plan");
	AUTO(AgeIdentities) identities = NULL;
	AUTO(Store) store = NULL;
	AUTO(Catalog) catalog = NULL;
	AUTO_BUF(flags, FLAGS_MAX);
	AUTO_RECOVERY recovery = {0};
	uint64_t system;

	TRY(recover_options_parse(invocation, &recovery));
	if (!plan_only)
		TRY(recovery_check_user());
	TRY(keys_identities(settings, &identities));
	TRY(context_open_store(settings, &store));
	TRY(context_system_in_store(settings, store, &system));
	TRY(catalog_read(store, system, (int) settings_integer(settings, SETTING_jobs), &catalog));

	/* What overflows is longer than a setting of the server may be, and is refused as that. */
	buf_puts(&flags, "");
	settings_append_flags(settings, &flags);
	recovery.store = store;
	recovery.catalog = catalog;
	recovery.identities = identities;
	recovery.program = invocation_program(invocation);
	recovery.flags = flags.data;
	recovery.jobs = (int) settings_integer(settings, SETTING_jobs);

	Error *error = recovery_make_plan(&recovery);

	if (recovery.unreachable)
		invocation_set_status(invocation, STATUS_NOT_REACHABLE);
	TRY(error);
	TRY(print_plan(invocation, &recovery));
	if (plan_only)
		return recovery_check(&recovery);
	TRY(run_with_progress(invocation, &recovery));
	print_result(invocation, &recovery);
	return NULL;
}

const Command command_recover = {
	.name = "recover",
	.summary = "plans a recovery, restores a backup and writes the settings that lead to the target",
	.arguments = "",
	.description =
		"Chooses the newest backup that ended before the target, checks that every WAL segment from there to the\n"
		"target is in the store, prints the plan, restores the backup into DIR and configures the server. What\n"
		"cannot be recovered is refused before anything is touched: exit 9 says how far one can go. With --plan\n"
		"nothing else is done, and the exit code is the one that the run would have.",
	.examples = "  walship recover --before-drop --pgdata /var/lib/postgresql/copy --plan\n"
				"  walship recover --latest --rejoin --pgdata /var/lib/postgresql/15/main --move-aside\n",
	.statuses = "0 1 2 3 4 5 6 7 9",
	.options = recover_command_options,
	.n_options = N_RECOVER_OPTIONS,
	.run = run,
};
