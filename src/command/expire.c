/* walship expire: removes what no rule of the setting "retention" keeps; walship/upkeep/expire.h has the order. */
#include "commands.h"
#include "context.h"
#include "expire_settings.h"
#include "progress.h"
#include "table.h"
#include "walship/base/log.h"

#define EXPIRE_FORMAT 1

static const CommandOption options[] = {
	{"dry-run", OPTION_FLAG, NULL,
     "only print what would be kept and removed, with the exit code of the run"},
	{"force", OPTION_FLAG, NULL, "also the first time, and when much more goes than the last time"},
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
	{"progress", OPTION_VALUE, "MODE", PROGRESS_OPTION_HELP},
};

/* Each by its own retention; what one of them refuses does not keep the others. */
static Error *
expire_all(Invocation *invocation, Store *store, uint64_t system, ExpireSays says, Json *root)
{
	AUTO(Error) first = NULL;
	bool began = false;

	for (ExpireOf of = 0; of < EXPIRE_KINDS && !error_is(first, ERR_CANCELLED); of++)
	{
		if (!expire_has_retention(invocation_settings(invocation), of))
			continue;
		if (says == EXPIRE_SAYS_PLAN && began)
			print_line(stdout, "%s", "");
		began = true;

		AUTO(Error) error = expire_by_settings(invocation, store, system, of, says, root);

		if (first == NULL)
			first = MOVE(error);
		else if (error != NULL)
			log_of_error(LOG_ERROR, error);
	}
	return MOVE(first);
}

static bool
has_retention(const Settings *settings)
{
	for (ExpireOf of = 0; of < EXPIRE_KINDS; of++)
		if (expire_has_retention(settings, of))
			return true;
	return false;
}

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	bool json = invocation_flag(invocation, "json");
	AUTO(Json) root = json_new_object();
	AUTO(Store) store = NULL;
	uint64_t system;

	if (!has_retention(settings))
		return expire_check_settings(settings);
	TRY(context_open_store(settings, &store));
	TRY(context_system_to_change(settings, store, &system));
	json_add_int(root, "format", EXPIRE_FORMAT);

	Error *error = expire_all(invocation, store, system, json ? EXPIRE_SAYS_JSON : EXPIRE_SAYS_PLAN, root);

	/* Of what could not even be planned there is nothing to be printed. */
	if (json && (json_has(root, "retention") || json_has(root, "dumps") || json_has(root, "files_sets")))
		print_object(root, stdout);
	return error;
}

const Command command_expire = {
	.name = "expire",
	.summary = "removes backups, WAL, dumps and files that the settings of retention do not keep",
	.arguments = "",
	.description =
		"Prints for each backup, range of WAL, dump and set of files why it stays or goes, then removes what goes:\n"
		"records first, then parts, then WAL. What is pinned or in use stays. Exit 8: nothing was removed, for there\n"
		"is no complete backup, the newest is older than backup_max_age, a clock is wrong, or it is the first run\n"
		"under this retention or would remove far more than the last one: then look, and add --force. Dumps and\n"
		"files have retentions of their own, \"dump_retention\" and \"files_retention\".",
	.examples = "  walship expire --dry-run\n"
				"  walship expire --retention 'window 7d, weekly 4' --dry-run\n",
	.statuses = "0 2 4 5 6 7 8",
	.options = options,
	.n_options = lengthof(options),
	.tells = TELLS_OUTCOME,
	.tells_more = "expire --dry-run",
	.run = run,
};
