/* walship files: trees of files that no database holds, to the store and back.  How: walship/backup/files.h. */
#include <inttypes.h>
#include <stdio.h>

#include "commands.h"
#include "context.h"
#include "keys.h"
#include "print_files.h"
#include "progress.h"
#include "table.h"
#include "walship/archive/layout.h"
#include "walship/backup/files.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

#define EXIT_CHECKS_FAILED 8
#define CPU_THREADS_MAX    16
#define DIRECTORIES_MAX    60

static const CommandOption options[] = {
	{"exclude", OPTION_MANY, "PATTERN",
     "leave out what matches: a name, or with a '/' the whole path; repeatable"},
	{"one-file-system", OPTION_FLAG, NULL, "do not go into other file systems that are mounted below"},
	{"since", OPTION_VALUE, "ID", "store only what has changed since this set (default: since the newest)"},
	{"full", OPTION_FLAG, NULL, "store everything, whatever earlier sets hold"},
	{"restore", OPTION_FLAG, NULL, "bring set ID of NAME, or its newest, back"},
	{"into", OPTION_VALUE, "DIR", "with --restore: where to; a directory that is empty, or is made"},
	{"only", OPTION_MANY, "PATH", "with --restore: this path and what is below it; repeatable"},
	{"list", OPTION_FLAG, NULL, "show the sets, of NAME alone, or what is in set ID"},
	{"verify", OPTION_FLAG, NULL, "read and check everything that a restore would"},
	{"json", OPTION_FLAG, NULL, "print JSON instead of text"},
	{"progress", OPTION_VALUE, "MODE", PROGRESS_OPTION_HELP},
};

static const OptionHeading headings[] = {
	{"exclude", "To store"},
	{"restore", "To bring back"},
	{"list", "To look"},
	{"json", "What is shown"},
};

typedef enum FilesMode
{
	MODE_TAKE = -1,
	MODE_RESTORE,
	MODE_LIST,
	MODE_VERIFY,
} FilesMode;

static void
read_many(const Invocation *invocation, const char *option, StrList *ret_values)
{
	for (size_t i = 0; i < invocation_count(invocation, option); i++)
		strlist_add(ret_values, invocation_nth(invocation, option, i));
}

/* What an option is good for; elsewhere it would be passed over in silence. */
static Error *
check_options(const Invocation *invocation, FilesMode mode)
{
	static const struct
	{
		const char *option;
		FilesMode mode;
		const char *goes_with;
	} rules[] = {
		{"exclude", MODE_TAKE, "directories to store"},
		{"one-file-system", MODE_TAKE, "directories to store"},
		{"since", MODE_TAKE, "directories to store"},
		{"full", MODE_TAKE, "directories to store"},
		{"into", MODE_RESTORE, "--restore"},
		{"only", MODE_RESTORE, "--restore"},
	};
	static const char *const exclusive[] = {"since", "full"};
	const char *name = invocation_argument(invocation, 0);
	const char *id = invocation_argument(invocation, 1);
	int choice;

	for (size_t i = 0; i < lengthof(rules); i++)
		if (rules[i].mode != mode && invocation_flag(invocation, rules[i].option))
			return error_new(ERR_USAGE, "option \"--%s\" goes with %s", rules[i].option, rules[i].goes_with);
	TRY(invocation_choice(invocation, exclusive, lengthof(exclusive), &choice));
	if (name != NULL && !files_name_is_valid(name))
		return error_hint(error_new(ERR_USAGE, "\"%s\" is no name for a tree of files", name),
		                  "Up to %d letters, digits, '.', '_' and '-'; the first is no '.'.", FILES_NAME_MAX);
	if (mode == MODE_TAKE && (name == NULL || id == NULL))
		return error_hint(error_new(ERR_USAGE, "missing argument"),
		                  "Usage: walship files NAME DIRECTORY..., or --restore, --list or --verify.");
	if (mode == MODE_TAKE)
		return NULL;
	if (mode != MODE_LIST && name == NULL)
		return error_new(ERR_USAGE, "missing argument: the name of a tree");
	if (id != NULL && (!layout_is_backup_id(id) || invocation_argument(invocation, 2) != NULL))
		return error_hint(error_new(ERR_USAGE, "\"%s\" is no id of a set", id),
		                  "\"walship files --list %s\" shows them.", name);
	if (mode == MODE_RESTORE && invocation_value(invocation, "into") == NULL)
		return error_hint(
			error_new(ERR_USAGE, "--restore needs --into DIR"),
			"A directory that is empty or does not exist: the paths of the set come to lie in it.");
	return NULL;
}

static void
show_progress(void *progress, uint64_t done)
{
	progress_set(progress, "storing", done, 0);
}

static Error *
take(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO_STRLIST directories = {0};
	AUTO_STRLIST excludes = {0};
	AUTO(AgeRecipients) recipients = NULL;
	AUTO(AgeIdentities) identities = NULL;
	AUTO(Workers) cpu = workers_new(workers_cpu_count(CPU_THREADS_MAX));
	AUTO(Store) store = NULL;
	AUTO(Progress) progress = NULL;
	AUTO(FilesRecord) record = NULL;
	FilesTakeOptions files = {.name = invocation_argument(invocation, 0),
	                          .directories = &directories,
	                          .excludes = &excludes,
	                          .one_file_system = invocation_flag(invocation, "one-file-system"),
	                          .since = invocation_value(invocation, "since"),
	                          .full = invocation_flag(invocation, "full"),
	                          .part_size = settings_bytes(settings, SETTING_part_size),
	                          .state_dir = settings_text(settings, SETTING_state_dir),
	                          .jobs = (int) settings_integer(settings, SETTING_jobs),
	                          .walship_version = WALSHIP_VERSION,
	                          .progress = show_progress};

	for (int i = 1; invocation_argument(invocation, i) != NULL; i++)
		strlist_add(&directories, invocation_argument(invocation, i));
	read_many(invocation, "exclude", &excludes);
	TRY(context_compression(settings, COMPRESS_FILES, &files.compression));
	TRY(keys_recipients(settings, &recipients));
	TRY(keys_identities(settings, &identities));
	TRY(progress_new(invocation, "files", &progress));
	TRY(context_open_store(settings, &store));
	TRY(context_system_to_change(settings, store, &files.system_identifier));
	files.compression.cpu = cpu;
	files.store = store;
	files.recipients = recipients;
	files.identities = identities;
	files.notices = progress_notices(progress);
	files.context = progress;

	Error *error = files_take(&files, &record);

	progress_end(progress);
	TRY(error);
	if (invocation_flag(invocation, "json"))
	{
		AUTO(Json) json = json_new_object();

		files_record_put(record, json);
		print_object(json, stdout);
	}
	else
		print_files_taken(record, stdout);
	invocation_set_summary(invocation,
	                       "files \"%s\": %" PRIu64 " changed while they were read, %" PRIu64 " are missing",
	                       record->name, record->changed, record->missing);
	if (record->changed + record->missing == 0)
		return NULL;
	if (!invocation_flag(invocation, "json"))
		print_line(stdout, "%" PRIu64 " changed while they were read, %" PRIu64 " are missing",
		           record->changed, record->missing);
	invocation_set_status(invocation, EXIT_CHECKS_FAILED);
	return NULL;
}

static void
set_total(void *progress, uint64_t bytes)
{
	progress_set(progress, "reading", 0, bytes);
}

static void
add_progress(void *progress, uint64_t bytes)
{
	progress_add(progress, bytes);
}

static void
print_restored(const FilesRestoreOptions *files, const FilesRestored *restored, bool json)
{
	char size[SIZE_TEXT_SIZE];

	if (json)
	{
		AUTO(Json) object = json_new_object();

		json_add_string(object, "name", files->record->name);
		json_add_string(object, "id", files->record->id);
		json_add_string(object, "into", files->into);
		json_add_int(object, "entries", (int64_t) restored->entries);
		json_add_int(object, "files", (int64_t) restored->files);
		json_add_int(object, "size", (int64_t) restored->size);
		json_add_int(object, "parts", (int64_t) restored->parts);
		json_add_int(object, "incomplete", (int64_t) restored->incomplete);
		json_add_bool(object, "owners", files->into != NULL && !restored->owners_left);
		print_object(object, stdout);
		return;
	}
	print_line(stdout, "%s %s: %" PRIu64 " files, %s, out of %" PRIu64 " of %zu parts, %s%s",
	           files->record->name, files->record->id, restored->files, size_format(restored->size, size),
	           restored->parts, files->record->n_parts, files->into == NULL ? "are whole" : "restored into ",
	           files->into == NULL ? "" : files->into);
	if (restored->owners_left)
		print_line(stdout, "they belong to this user: only root restores owners");
	if (restored->incomplete > 0)
		print_line(stdout, "%" PRIu64 " of them lack something: see the warnings", restored->incomplete);
}

static Error *
restore(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO_STRLIST only = {0};
	AUTO(AgeIdentities) identities = NULL;
	AUTO(Progress) progress = NULL; /* outlives the lease, whose end may have something to say */
	AUTO(Store) store = NULL;
	AUTO(LeaseHold) lease = NULL;
	AUTO(FilesRecord) record = NULL;
	uint64_t system;

	read_many(invocation, "only", &only);
	TRY(keys_identities(settings, &identities));
	TRY(progress_new(invocation, "files", &progress));

	Notices notices = progress_notices(progress);

	TRY(context_open_stores(settings, &store));
	TRY(context_system_in_store(settings, store, &system));
	TRY(files_choose(store, system, invocation_argument(invocation, 0), invocation_argument(invocation, 1),
	                 &notices, &lease, &record));

	FilesRestoreOptions files = {.store = store,
	                             .record = record,
	                             .identities = identities,
	                             .into = invocation_value(invocation, "into"),
	                             .only = &only,
	                             .spool_directory = settings_text(settings, SETTING_state_dir),
	                             .jobs = (int) settings_integer(settings, SETTING_jobs),
	                             .notices = notices,
	                             .on_total = set_total,
	                             .on_bytes = add_progress,
	                             .context = progress};
	FilesRestored restored;

	if (invocation_flag(invocation, "list"))
		return print_files_entries(&files, invocation_flag(invocation, "json"), stdout);

	Error *error = files_restore(&files, &restored);

	progress_end(progress);
	TRY(error);
	print_restored(&files, &restored, invocation_flag(invocation, "json"));
	invocation_set_summary(invocation, "files \"%s\": %" PRIu64 " of %" PRIu64 " files lack something",
	                       record->name, restored.incomplete, restored.files);
	if (restored.incomplete > 0)
		invocation_set_status(invocation, EXIT_CHECKS_FAILED);
	return NULL;
}

static Error *
list(const Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO(Store) store = NULL;
	uint64_t system;

	TRY(context_open_stores(settings, &store));
	TRY(context_system_in_store(settings, store, &system));
	return print_files_sets(store, system, invocation_argument(invocation, 0),
	                        (int) settings_integer(settings, SETTING_jobs),
	                        invocation_flag(invocation, "json"), stdout);
}

static Error *
run(Invocation *invocation)
{
	static const char *const modes[] = {"restore", "list", "verify"};
	int choice;

	TRY(invocation_choice(invocation, modes, lengthof(modes), &choice));

	FilesMode mode = (FilesMode) choice;

	TRY(check_options(invocation, mode));
	if (mode == MODE_TAKE)
		return take(invocation);
	if (mode == MODE_LIST && invocation_argument(invocation, 1) == NULL)
		return list(invocation);
	return restore(invocation);
}

const Command command_files = {
	.name = "files",
	.summary = "stores trees of files, such as uploads or /etc, and brings them back",
	.arguments = "[NAME] [DIRECTORY... | ID]",
	.n_optional = DIRECTORIES_MAX,
	.description =
		"What no database holds, beside the database that it belongs to: owners, modes, times, links, holes, attributes\n"
		"and ACLs, as tar archives in the store. After the first set of a NAME only what changed is stored, and each set\n"
		"restores the whole tree. Exit 8: files changed while they were read, vanished or could not be read; they are\n"
		"named, and the set is kept. --restore writes nothing outside of DIR; owners are restored by root alone.",
	.examples = "  walship files uploads /srv/app/uploads --exclude '*.tmp'\n"
				"  walship files --restore uploads --into /srv/restored --only /srv/app/uploads/2026\n",
	.statuses = "0 1 2 3 4 5 6 7 8",
	.options = options,
	.n_options = lengthof(options),
	.headings = headings,
	.n_headings = lengthof(headings),
	.tells = TELLS_OUTCOME,
	.tells_more = "files --list",
	.tells_apart = "verify",
	.run = run,
};
