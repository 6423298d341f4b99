/*
 * walship push PATH: the archive_command.  Success means that the bytes are
 * durable under their own name; until then the server keeps the file and asks
 * again, so one honest attempt is enough.
 */
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "context.h"
#include "keys.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/ship/push.h"

static Error *
open_archive(const Settings *settings, PushOptions *options)
{
	Patience patience = push_patience(options);
	WalArchive *archive = &options->archive;

	TRY(context_system(settings, options->data_directory, &archive->system_identifier));
	TRY(context_compression(settings, COMPRESS_WAL, &archive->compression));
	TRY(context_compression(settings, COMPRESS_BACKLOG, &options->hurried));
	archive->spool_directory = options->state_dir;
	archive->refuse_damaged = strcmp(settings_text(settings, SETTING_wal_check), "strict") == 0;
	return context_open_store_within(settings, &patience, &archive->store);
}

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	int64_t now_ms = clock_monotonic_ms();
	AUTO_FREE char *data_directory = pgdata_of(invocation_argument(invocation, 0));
	AUTO(AgeRecipients) recipients = NULL;
	AUTO(Store) store = NULL;
	PushOptions options = {.path = invocation_argument(invocation, 0),
	                       .data_directory = data_directory,
	                       .called_by = getppid(),
	                       .state_dir = settings_text(settings, SETTING_state_dir),
	                       .opener = context_store_opener(settings),
	                       .start_ms = now_ms,
	                       .deadline_ms = now_ms + settings_ms(settings, SETTING_push_deadline),
	                       .ahead = (int) settings_integer(settings, SETTING_push_ahead),
	                       .jobs = (int) settings_integer(settings, SETTING_jobs),
	                       .notices = log_notices()};

	TRY(wal_name_parse(path_leaf(options.path), &options.name));
	TRY(open_archive(settings, &options));
	store = options.archive.store;

	/* Most calls of a backlog end here: they cost neither keys nor libcurl. */
	if (push_is_safe(&options))
		return NULL;
	TRY(keys_recipients(settings, &recipients));
	options.archive.recipients = recipients;

	Error *error = push(&options);

	/* archive_command may say %p, where the file lies, or %f, its name alone. */
	if (error != NULL && strchr(options.path, '/') == NULL && !file_exists(options.path))
		return error_hint(error,
		                  "There is no such file here: archive_command must say \"walship push %%p\".");
	return error;
}

/* The archiver takes a death by signal for its own end: it would not come back for ten seconds. */
static int
error_status(const Invocation *invocation, const Error *error)
{
	(void) invocation;
	return error_is(error, ERR_CANCELLED) ? 4 : -1;
}

const Command command_push = {
	.name = "push",
	.summary = "stores one WAL file: archive_command = 'walship push %p'",
	.arguments = "PATH",
	.description =
		"Checks the WAL segment, partial, history or backup file at PATH, and stores it. Exit 0 means that it is\n"
		"durable in the store. Storing the same file again is success; other contents under the same name are\n"
		"refused with exit 3, and nothing is overwritten. Segments that wait behind it are stored along with it\n"
		"(setting push_ahead); the exit status is that of PATH alone.",
	.examples = "  archive_command = 'walship push %p'\n"
				"  walship push pg_wal/000000010000000000000005\n",
	.statuses = "0 2 3 4 5 6 7",
	.n_arguments = 1,
	.error_status = error_status,
	.tells = TELLS_LATER,
	.tells_more = "check",
	.in_servers_log = true,
	.run = run,
};
