/*
 * walship prefetcher DATADIR: the process that gets segments ahead of a recovery;
 * started by fetch.
 */
#include "walship/ship/prefetcher.h"
#include "commands.h"
#include "context.h"
#include "keys.h"
#include "walship/base/mem.h"

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO_FREE char *store = context_store_identity(settings);
	AUTO(AgeIdentities) identities = NULL;
	FetchSource source;

	TRY(context_fetch_source(settings, invocation_argument(invocation, 0), &source));
	source.store = store;
	TRY(keys_identities(settings, &identities));
	source.identities = identities;
	return prefetcher_run(&source);
}

/* Never a death by signal, and never more than 1: whoever has adopted it must not take it for a crash. */
static int
error_status(const Invocation *invocation, const Error *error)
{
	(void) invocation;
	return error_is(error, ERR_CANCELLED) ? 0 : 1;
}

const Command command_prefetcher = {
	.name = "prefetcher",
	.summary = "gets segments ahead of a recovery; started by fetch",
	.arguments = "DATADIR",
	.description =
		"Started by \"walship fetch\" while the server in DATADIR recovers. It gets the segments that the\n"
		"server will ask for next, and leaves by itself: docs/operations.md, \"Fetched ahead\".",
	.n_arguments = 1,
	.hidden = true,
	.error_status = error_status,
	.run = run,
};
