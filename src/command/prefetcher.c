/*
 * walship prefetcher DATADIR: the process that gets segments ahead of a recovery;
 * started by fetch.
 */
#include "commands.h"
#include "context.h"
#include "keys.h"
#include "walship/base/mem.h"
#include "walship/ship/prefetch.h"

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO_FREE char *store = context_store_identity(settings);
	const char *plan_end = invocation_value(invocation, "plan-end");
	AUTO(AgeIdentities) identities = NULL;
	FetchSource source;
	WalName end;

	if (plan_end != NULL)
		TRY(error_context(wal_name_parse(plan_end, &end), "option \"--plan-end\""));
	TRY(context_fetch_source(settings, invocation_argument(invocation, 0), &source));
	source.store = store;
	TRY(keys_identities(settings, &identities));
	source.identities = identities;
	return prefetch_run(&source, plan_end != NULL ? &end : NULL);
}

/* Never a death by signal, and never more than 1: whoever has adopted it must not take it for a crash. */
static int
error_status(const Invocation *invocation, const Error *error)
{
	(void) invocation;
	return error_is(error, ERR_CANCELLED) ? 0 : 1;
}

static const CommandOption command_options[] = {
	{"plan-end", OPTION_VALUE, "SEGMENT", "segments after this one are not wanted"},
};

const Command command_prefetcher = {
	.name = "prefetcher",
	.summary = "gets segments ahead of a recovery; started by fetch",
	.arguments = "DATADIR",
	.description =
		"Started by \"walship fetch\" while the server in DATADIR recovers. It gets the segments that the\n"
		"server will ask for next, and leaves by itself: docs/operations.md, \"Fetched ahead\".",
	.n_arguments = 1,
	.options = command_options,
	.n_options = lengthof(command_options),
	.hidden = true,
	.error_status = error_status,
	.in_servers_log = true,
	.run = run,
};
