/* walship expire: removes what no rule of the setting "retention" keeps; walship/upkeep/expire.h has the order. */
#include "commands.h"
#include "context.h"
#include "expire_settings.h"

static const CommandOption options[] = {
	{"dry-run", OPTION_FLAG, NULL,
     "only print what would be kept and removed, with the exit code of the run"},
	{"force", OPTION_FLAG, NULL, "also the first time, and when much more goes than the last time"},
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
};

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO(Store) store = NULL;
	uint64_t system;

	TRY(expire_check_settings(settings));
	TRY(context_open_store(settings, &store));
	TRY(context_system_in_store(settings, store, &system));
	return expire_by_settings(invocation, store, system,
	                          invocation_flag(invocation, "json") ? EXPIRE_SAYS_JSON : EXPIRE_SAYS_PLAN);
}

const Command command_expire = {
	.name = "expire",
	.summary = "removes backups and WAL that the setting \"retention\" does not keep",
	.arguments = "",
	.description =
		"Prints for each backup and each range of WAL why it stays or goes, then removes what goes: records first,\n"
		"then parts, then WAL. What is pinned or in use stays. Exit 8: nothing was removed, for there is no complete\n"
		"backup, the newest is older than backup_max_age, a clock is wrong, or it is the first run under this\n"
		"retention or would remove far more than the last one: then look, and add --force.\n"
		"Examples: walship expire --dry-run; walship expire --retention 'window 7d, weekly 4' --dry-run",
	.options = options,
	.n_options = lengthof(options),
	.tells = TELLS_OUTCOME,
	.tells_more = "expire --dry-run",
	.run = run,
};
