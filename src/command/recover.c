/*
 * walship recover: brings a database back to a chosen moment.  Everything is
 * decided and checked before the target directory is touched.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "context.h"
#include "keys.h"
#include "progress.h"
#include "recover_options.h"
#include "report_plan.h"
#include "walship/archive/catalog.h"
#include "walship/backup/restore.h"
#include "walship/base/cancel.h"
#include "walship/base/json.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/recovery/directories.h"
#include "walship/recovery/planning.h"
#include "walship/recovery/settings_file.h"
#include "walship/recovery/space.h"

#define STATUS_NOT_REACHABLE 9
#define PLAN_TEXT_MAX        (1024 * 1024)
#define FLAGS_MAX            (256 * 1024)

typedef struct Recover
{
	Invocation *invocation;
	const Settings *settings;
	RecoverOptions options;
	Store *store;
	Catalog *catalog;
	AgeIdentities *identities; /* NULL: nothing can be decrypted */
	RecoveryPlan *plan;
	RestoreTablespace *tablespaces; /* paths belong to the options or the record */
	size_t n_tablespaces;
	DiskSpace *spaces; /* NULL when nothing will be restored */
	size_t n_spaces;
	const char *flags; /* of this program, for restore_command */
} Recover;

/* The server refuses to run as root, and files of root's would be of no use to it. */
static Error *
check_user(const RecoverOptions *options)
{
	if (options->plan_only || geteuid() != 0)
		return NULL;
	return error_hint(
		error_new(ERR_USAGE, "\"recover\" cannot be run as root"),
		"Run it as the user that will run the server: runuser -u postgres -- walship recover ...");
}

static Error *
read_store(Recover *recover)
{
	uint64_t system;

	TRY(context_open_store(recover->settings, &recover->store));
	TRY(context_system_in_store(recover->settings, recover->store, &system));
	return catalog_read(recover->store, system, &recover->catalog);
}

static Error *
find_and_plan(Recover *recover)
{
	RecoverOptions *options = &recover->options;
	int jobs = (int) settings_integer(recover->settings, SETTING_jobs);
	DropFound found = {0};
	Error *error = NULL;

	if (options->drop.choice != DROP_NOT_ASKED)
		error = recover_drop_find(recover->store, recover->catalog, recover->identities, &options->drop, jobs,
		                          &options->request, &found);
	if (error == NULL)
		error = planning_run(recover->store, jobs, recover->catalog, recover->identities, &options->request,
		                     &recover->plan);
	if (error == NULL)
		recover_drop_explain(&found, recover->plan);
	free(found.note);
	return error;
}

static Error *
make_plan(Recover *recover)
{
	Error *error = find_and_plan(recover);

	if (error_is(error, ERR_NOT_FOUND))
		invocation_set_status(recover->invocation, STATUS_NOT_REACHABLE);
	TRY(error);
	return recover->options.config_only ? NULL
	                                    : restore_check_keys(recover->plan->backup, recover->identities);
}

static const char *
mapped_path(const RecoverOptions *options, const char *path)
{
	for (size_t i = 0; i < options->n_mappings; i++)
		if (strcmp(options->mappings[i].from, path) == 0)
			return options->mappings[i].to;
	return path;
}

static Error *
check_mappings(const Recover *recover)
{
	const BackupRecord *record = recover->plan->backup;

	for (size_t i = 0; i < recover->options.n_mappings; i++)
	{
		const char *from = recover->options.mappings[i].from;
		bool known = false;

		for (size_t j = 0; j < record->n_tablespaces && !known; j++)
			known = strcmp(record->tablespaces[j].path, from) == 0;
		if (!known)
			return error_hint(
				error_new(ERR_USAGE, "backup \"%s\" has no tablespace in \"%s\"", record->id, from),
				"The plan lists its tablespaces: walship recover ... --plan");
	}
	return NULL;
}

static Error *
place_tablespaces(Recover *recover)
{
	const BackupRecord *record = recover->plan->backup;

	TRY(check_mappings(recover));
	recover->tablespaces = NEW_ARRAY(RestoreTablespace, record->n_tablespaces);
	for (size_t i = 0; i < record->n_tablespaces; i++)
	{
		const BackupTablespace *tablespace = &record->tablespaces[i];

		recover->tablespaces[recover->n_tablespaces++] =
			(RestoreTablespace){tablespace->oid, mapped_path(&recover->options, tablespace->path)};
	}
	return NULL;
}

static void
add_progress(void *progress, uint64_t bytes)
{
	progress_add(progress, bytes);
}

static Error *
restore_files(const Recover *recover)
{
	AUTO(Progress) progress = NULL;
	const BackupRecord *record = recover->plan->backup;

	TRY(progress_new(invocation_value(recover->invocation, "progress"), "recover", &progress));
	progress_set(progress, "restoring", 0, record->files_size);

	RestoreOptions options = {
		.store = recover->store,
		.record = record,
		.identities = recover->identities,
		.pgdata = recover->options.pgdata,
		.tablespaces = recover->tablespaces,
		.n_tablespaces = recover->n_tablespaces,
		.with_wal = recover->plan->uses_backup_wal,
		.jobs = (int) settings_integer(recover->settings, SETTING_jobs),
		.on_bytes = add_progress,
		.on_bytes_context = progress,
	};

	return restore_backup(&options);
}

static RecoverConfig
config_of(const Recover *recover)
{
	return (RecoverConfig){
		.program = invocation_program(recover->invocation),
		.flags = recover->flags,
		.plan = recover->plan,
		.pgdata = recover->options.pgdata,
		.tablespaces = recover->tablespaces,
		.n_tablespaces = recover->n_tablespaces,
		.primary_conninfo = recover->options.primary_conninfo,
		.primary_slot_name = recover->options.primary_slot_name,
	};
}

static Error *
configure(const Recover *recover)
{
	RecoverConfig config = config_of(recover);

	return recover_config_write(&config);
}

static Error *
restore_and_configure(const Recover *recover, const RecoverDirectories *directories)
{
	TRY(restore_files(recover));
	TRY(configure(recover));
	TRY(cancel_check());
	TRY(restore_complete(recover->options.pgdata));
	recover_directories_finish(directories);
	return NULL;
}

static void
undo(RecoverDirectories *directories)
{
	AUTO(Error) error = recover_directories_undo(directories);

	if (error != NULL)
		log_line(LOG_WARNING, "The next \"walship recover\" into it clears it first.",
		         "directory \"%s\" is left unfinished: %s", directories->pgdata, error_message(error));
}

/* With --json standard output is one object and nothing else. */
static FILE *
talk(const Recover *recover)
{
	return recover->options.json ? stderr : stdout;
}

static void
print_undo(const Recover *recover, const RecoverDirectories *directories)
{
	for (size_t i = 0; i < directories->moved.count; i++)
	{
		AUTO_FREE char *aside = mem_printf("%s%s", directories->moved.items[i], directories->suffix);
		AUTO_FREE char *from = str_shell_quote(aside);
		AUTO_FREE char *to = str_shell_quote(directories->moved.items[i]);

		(void) fprintf(talk(recover), "moved aside; to undo: rm -rf %s && mv %s %s\n", to, from, to);
	}
}

/* ".before-20261120T023007.123Z": two within a second must not meet. */
static char *
aside_suffix(TimeUs now)
{
	char text[TIME_TEXT_SIZE];

	return mem_printf(".before-%.15s.%03dZ", time_format_compact(now, text), (int) (now / 1000 % 1000));
}

static Error *
recover_into_directories(const Recover *recover)
{
	AUTO_FREE const char **paths = NEW_ARRAY(const char *, recover->n_tablespaces);
	AUTO_FREE char *suffix = aside_suffix(recover->options.request.now);
	RecoverDirectories directories = {.pgdata = recover->options.pgdata,
	                                  .tablespaces = paths,
	                                  .n_tablespaces = recover->n_tablespaces,
	                                  .move_aside = recover->options.move_aside,
	                                  .suffix = suffix,
	                                  .lock = -1};

	for (size_t i = 0; i < recover->n_tablespaces; i++)
		paths[i] = recover->tablespaces[i].path;

	Error *error = recover_directories_check(&directories);

	if (error == NULL)
	{
		error = recover_directories_prepare(&directories);
		if (error == NULL)
			error = restore_and_configure(recover, &directories);
		if (error != NULL)
			undo(&directories);
		else
			print_undo(recover, &directories);
	}
	recover_directories_release(&directories);
	return error;
}

/* The last line is what must not be overlooked. */
static void
print_closing(const Recover *recover)
{
	AUTO_FREE char *pgdata = str_shell_quote(recover->options.pgdata);

	(void) fprintf(talk(recover), "ready: start the server with  pg_ctl -D %s start\n", pgdata);
	if (recover->plan->purpose == PURPOSE_COPY)
		(void) fprintf(talk(recover), "NOT ARCHIVED: this is a copy\n");
}

/* Where nothing is restored, nothing needs to fit. */
static Error *
look_at_space(Recover *recover)
{
	if (recover->options.pgdata == NULL || recover->options.config_only)
		return NULL;
	recover->spaces = NEW_ARRAY(DiskSpace, recover->n_tablespaces + 1);
	TRY(recover_space_look(recover->plan->backup, recover->options.pgdata, recover->plan->uses_backup_wal,
	                       recover->tablespaces, recover->n_tablespaces, recover->spaces));
	recover->n_spaces = recover->n_tablespaces + 1;
	return NULL;
}

/* Before the work begins, for it may take hours. */
static Error *
print_plan(const Recover *recover)
{
	RecoverConfig config = config_of(recover);
	AUTO_BUF(settings, PLAN_TEXT_MAX);
	AUTO_BUF(text, PLAN_TEXT_MAX);

	TRY(recover_config_print(&config, &settings));

	PlanReport report = {.plan = recover->plan,
	                     .zone = settings_text(recover->settings, SETTING_timezone),
	                     .spaces = recover->spaces,
	                     .n_spaces = recover->n_spaces,
	                     .settings = settings.data};

	if (recover->options.json)
	{
		AUTO(Json) object = json_new_object();

		report_plan_json(&report, object);
		json_print(object, false, &text);
	}
	else
		report_plan_text(&report, &text);
	(void) fwrite(text.data, 1, text.size, stdout);
	return command_flush_output();
}

static Error *
execute(Recover *recover)
{
	TRY(recover_options_parse(recover->invocation, &recover->options));
	TRY(check_user(&recover->options));
	TRY(keys_identities(recover->settings, &recover->identities));
	TRY(read_store(recover));
	if (recover->options.config_only)
		TRY(recover_config_find_backup(recover->options.pgdata, recover->catalog, &recover->options.request));
	TRY(make_plan(recover));
	TRY(place_tablespaces(recover));
	TRY(look_at_space(recover));
	TRY(print_plan(recover));
	if (recover->options.plan_only)
		return NULL;
	TRY(recover_space_check(recover->spaces, recover->n_spaces));
	TRY(recover->options.config_only ? configure(recover) : recover_into_directories(recover));
	print_closing(recover);
	return NULL;
}

static Error *
run(Invocation *invocation)
{
	AUTO_BUF(flags, FLAGS_MAX);
	Recover recover = {.invocation = invocation, .settings = invocation_settings(invocation)};

	/* What overflows is longer than a setting of the server may be, and is refused as that. */
	buf_puts(&flags, "");
	settings_append_flags(recover.settings, &flags);
	recover.flags = flags.data;

	Error *error = execute(&recover);

	free(recover.spaces);
	free(recover.tablespaces);
	recovery_plan_free(recover.plan);
	age_identities_free(recover.identities);
	catalog_free(recover.catalog);
	store_free(recover.store);
	recover_options_release(&recover.options);
	return error;
}

extern const Command command_recover;
const Command command_recover = {
	.name = "recover",
	.summary = "plans a recovery, restores a backup and writes the settings that lead to the target",
	.arguments = "",
	.description =
		"Chooses the newest backup that ended before the target, checks that every WAL segment from there to the\n"
		"target is in the store, prints the plan, restores the backup into DIR and configures the server. What\n"
		"cannot be recovered is refused before anything is touched: exit 9 says how far one can go.",
	.options = recover_command_options,
	.n_options = N_RECOVER_OPTIONS,
	.run = run,
};
