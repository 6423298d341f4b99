/* walship expire: removes what no rule of the setting "retention" keeps; walship/upkeep/expire.h has the order. */
#include "commands.h"
#include "context.h"
#include "expire_settings.h"
#include "table.h"
#include "walship/base/log.h"

#define EXPIRE_FORMAT 1

static const CommandOption options[] = {
	{"dry-run", OPTION_FLAG, NULL,
     "only print what would be kept and removed, with the exit code of the run"},
	{"force", OPTION_FLAG, NULL, "also the first time, and when much more goes than the last time"},
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
};

/* Each by its own retention; what one of them refuses does not keep the other. */
static Error *
expire_both(Invocation *invocation, Store *store, uint64_t system, ExpireSays says, Json *root)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO(Error) error = NULL;

	if (settings_text(settings, SETTING_retention) != NULL)
		error = expire_by_settings(invocation, store, system, says, root);
	if (error_is(error, ERR_CANCELLED) || settings_text(settings, SETTING_dump_retention) == NULL)
		return MOVE(error);
	if (says == EXPIRE_SAYS_PLAN && settings_text(settings, SETTING_retention) != NULL)
		print_line(stdout, "%s", "");

	Error *of_dumps = expire_dumps_by_settings(invocation, store, system, says, root);

	if (error == NULL)
		return of_dumps;
	if (of_dumps != NULL)
		log_of_error(LOG_ERROR, of_dumps);
	error_free(of_dumps);
	return MOVE(error);
}

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	bool json = invocation_flag(invocation, "json");
	AUTO(Json) root = json_new_object();
	AUTO(Store) store = NULL;
	uint64_t system;

	if (settings_text(settings, SETTING_dump_retention) == NULL)
		TRY(expire_check_settings(settings));
	TRY(context_open_store(settings, &store));
	TRY(context_system_in_store(settings, store, &system));
	json_add_int(root, "format", EXPIRE_FORMAT);

	Error *error = expire_both(invocation, store, system, json ? EXPIRE_SAYS_JSON : EXPIRE_SAYS_PLAN, root);

	/* Of what could not even be planned there is nothing to be printed. */
	if (json && (json_has(root, "retention") || json_has(root, "dumps")))
		print_object(root, stdout);
	return error;
}

const Command command_expire = {
	.name = "expire",
	.summary = "removes backups, WAL and dumps that the settings of retention do not keep",
	.arguments = "",
	.description =
		"Prints for each backup and each range of WAL why it stays or goes, then removes what goes: records first,\n"
		"then parts, then WAL. What is pinned or in use stays. Exit 8: nothing was removed, for there is no complete\n"
		"backup, the newest is older than backup_max_age, a clock is wrong, or it is the first run under this\n"
		"retention or would remove far more than the last one: then look, and add --force. Dumps have a retention\n"
		"of their own, \"dump_retention\".\n"
		"Examples: walship expire --dry-run; walship expire --retention 'window 7d, weekly 4' --dry-run",
	.options = options,
	.n_options = lengthof(options),
	.tells = TELLS_OUTCOME,
	.tells_more = "expire --dry-run",
	.run = run,
};
