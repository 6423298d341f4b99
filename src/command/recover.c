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
#include "walship/base/dir.h"
#include "walship/base/mem.h"
#include "walship/recovery/staged_wal.h"
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
	                     .waldir = recovery->waldir,
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

/* Last of all: where it is, how to go on, how to end it. */
static void
print_copy(const Invocation *invocation, const Recovery *recovery, const PrivateServer *server,
           const ServerProgress *progress)
{
	static const char *const states[] = {[SERVER_STARTING] = "starting",
	                                     [SERVER_REPLAYING] = "replaying",
	                                     [SERVER_PAUSED] = "paused at its target",
	                                     [SERVER_OPEN] = "open",
	                                     [SERVER_ENDED] = "shut down at its target"};
	FILE *talk = invocation_flag(invocation, "json") ? stderr : stdout;

	/* At a target that is an LSN the server stops before it notes the last commit's time: see drill.c. */
	TimeUs planned = recovery->plan->last.time;
	TimeUs last =
		progress->state == SERVER_PAUSED && planned != TIME_NONE ? planned : progress->last_xact_time;
	AUTO_FREE char *pgdata = str_shell_quote(recovery->pgdata);
	AUTO_FREE char *sockets = str_shell_quote(server->note.sockets);
	AUTO_BUF(flags, FLAGS_MAX);
	char lsn[LSN_TEXT_SIZE];
	char time[TIME_TEXT_SIZE];

	buf_puts(&flags, "");
	invocation_append_flags(invocation, &flags);
	print_line(talk, "the copy is %s: it has replayed up to %s, its last transaction is of %s",
	           states[progress->state], lsn_format(progress->replay_lsn, lsn),
	           last == TIME_NONE ? "before the backup" : time_format_postgres(last, time));
	if (server->note.no_network)
		print_line(talk, "network: none, but for its Unix socket");
	else
		print_line(talk, "network: not taken away (%s)",
		           server->fence_reason != NULL ? server->fence_reason : "--network-fence off");
	if (progress->state != SERVER_ENDED)
		print_line(talk, "connect:  psql -h %s -p %llu -U %s postgres", sockets,
		           (unsigned long long) server->note.port, server->user);
	if (progress->state == SERVER_PAUSED)
		print_line(talk, "go on:    walship recover%s --forward --pgdata %s --target-time \"...\"",
		           flags.data, pgdata);
	print_line(talk, "end it:   walship recover --stop --remove --pgdata %s", pgdata);
	if (progress->state == SERVER_PAUSED)
		print_line(talk,
		           "do not call pg_wal_replay_resume(): at a target it promotes, and the copy cannot go on");
	if (recovery->plan->purpose == PURPOSE_COPY)
		print_line(talk, "NOT ARCHIVED: this is a copy");
}

static void
add_progress(void *progress, uint64_t bytes)
{
	progress_add(progress, bytes);
}

/* Where it is started, too, "server" says so; NULL: it is only restored. */
static Error *
run_with_progress(const Invocation *invocation, Recovery *recovery, PrivateServer *server,
                  ServerProgress *server_progress)
{
	bool forward = invocation_flag(invocation, "forward");
	AUTO(Progress) progress = NULL;

	TRY(progress_new(invocation, "recover", &progress));
	if (!recovery->config_only)
		progress_set(progress, "restoring", 0, recovery->plan->backup->files_size);
	recovery->on_bytes = add_progress;
	recovery->on_bytes_context = progress;
	recovery->notices = progress_notices(progress);
	if (forward)
		return copy_forward(recovery, server, server_progress);
	TRY(recovery_run(recovery));
	if (server == NULL)
		return NULL;
	progress_set(progress, "fetching WAL", 0, staged_wal_size(recovery->plan));
	TRY(copy_stage_wal(recovery, 0, server));
	progress_set(progress, "replaying", 0, 0);
	return copy_start(server, server_progress);
}

/* Options that have nothing to do with each other are a mistake about what will happen. */
static Error *
check_copy_options(const Invocation *invocation, const Recovery *recovery)
{
	bool start = invocation_flag(invocation, "start");
	bool forward = invocation_flag(invocation, "forward");

	if (!start)
	{
		static const char *const with_start[] = {"port", "network-fence", "preload-libraries"};

		for (size_t i = 0; i < lengthof(with_start); i++)
			if (invocation_value(invocation, with_start[i]) != NULL)
				return error_new(ERR_USAGE, "\"--%s\" goes with \"--start\"", with_start[i]);
	}
	if (start && forward)
		return error_new(ERR_USAGE, "\"--start\" and \"--forward\" exclude each other");
	if (!start && !forward)
		return NULL;
	if (recovery->request.purpose != PURPOSE_COPY)
		return error_hint(error_new(ERR_USAGE, "only a copy is started here"),
		                  "A server that goes live runs under its own service: start it there.");
	if (recovery->config_only || (forward && recovery->move_aside))
		return error_new(ERR_USAGE, "\"--%s\" does not go with \"--config-only\" and \"--move-aside\"",
		                 start ? "start" : "forward");
	return NULL;
}

static Error *
stop(const Invocation *invocation)
{
	const char *given = invocation_value(invocation, "pgdata");
	AUTO_FREE char *pgdata = given == NULL ? NULL : path_absolute(given);
	bool remove = invocation_flag(invocation, "remove");

	/* Not $PGDATA: what is removed is named. */
	if (pgdata == NULL)
		return error_new(ERR_USAGE, "\"--stop\" needs \"--pgdata DIR\"");
	TRY(recovery_check_user("recover"));
	TRY(copy_stop(pgdata, remove));
	print_line(stdout, remove ? "ended and removed: \"%s\"" : "ended: \"%s\"", pgdata);
	return NULL;
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
	AUTO_PRIVATE_SERVER server = {0};
	ServerProgress server_progress = {0};
	CopyOptions copy;
	bool start = invocation_flag(invocation, "start");
	bool forward = invocation_flag(invocation, "forward");
	uint64_t system;

	if (invocation_flag(invocation, "stop"))
		return stop(invocation);
	if (invocation_flag(invocation, "remove"))
		return error_new(ERR_USAGE, "\"--remove\" goes with \"--stop\"");
	TRY(recover_options_parse(invocation, &recovery));
	TRY(copy_options_parse(invocation, &copy));
	TRY(check_copy_options(invocation, &recovery));
	copy.kept = true;
	copy.programs = settings_text(settings, SETTING_pg_bindir);
	if (!plan_only)
		TRY(recovery_check_user("recover"));
	TRY(keys_identities(settings, &identities));
	TRY(context_open_stores(settings, &store));
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
	recovery.state_dir = settings_text(settings, SETTING_state_dir);
	recovery.jobs = (int) settings_integer(settings, SETTING_jobs);

	if (forward)
		TRY(copy_prepare_forward(&recovery, &server));

	Error *error = recovery_make_plan(&recovery);

	if (error == NULL && forward)
		error = copy_check_forward(&recovery, &server);
	if (error == NULL && start)
		error = copy_prepare(&recovery, &copy, &server);
	if (recovery.unreachable)
		invocation_set_status(invocation, STATUS_NOT_REACHABLE);
	TRY(error);
	TRY(print_plan(invocation, &recovery));
	if (plan_only)
		return recovery_check(&recovery);
	TRY(run_with_progress(invocation, &recovery, start || forward ? &server : NULL, &server_progress));
	if (start || forward)
		print_copy(invocation, &recovery, &server, &server_progress);
	else
		print_result(invocation, &recovery);
	return NULL;
}

static const OptionHeading headings[] = {
	{"target-time", "Up to what, one of"},
	{"exclusive", "How exactly"},
	{"timeline", "From what"},
	{"copy", "For what, one of"},
	{"pgdata", "Where to"},
	{"primary-conninfo", "A standby"},
	{"plan", "Only a plan"},
	{"start", "A copy that walship starts"},
	{"config-only", "Else"},
};

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
	.headings = headings,
	.n_headings = lengthof(headings),
	.run = run,
};
