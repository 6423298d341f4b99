/* walship verify: is everything in the store that must be there?  walship/upkeep/verify.h has what that is. */
#include <stdio.h>

#include "commands.h"
#include "context.h"
#include "keys.h"
#include "print_verify.h"
#include "table.h"
#include "walship/base/log.h"
#include "walship/upkeep/verify.h"

#define STATUS_CHECKS_FAILED 8

static const CommandOption options[] = {
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
};

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	const char *retention = settings_text(settings, SETTING_retention);
	AUTO(AgeIdentities) identities = NULL;
	AUTO(Store) store = NULL;
	RetentionPolicy policy;
	uint64_t system;

	if (retention != NULL)
		TRY(retention_parse(retention, &policy));
	TRY(keys_identities(settings, &identities));
	TRY(context_open_store(settings, &store));
	TRY(context_system_in_store(settings, store, &system));

	AUTO_VERIFY verify = {.store = store,
	                      .system_identifier = system,
	                      .identities = identities,
	                      .retention = retention == NULL ? NULL : &policy,
	                      .zone = settings_text(settings, SETTING_timezone),
	                      .walship_version = WALSHIP_VERSION,
	                      .jobs = (int) settings_integer(settings, SETTING_jobs),
	                      .notices = log_notices()};

	TRY(error_context(verify_run(&verify), "could not verify"));
	if (invocation_flag(invocation, "json"))
		print_verify_json(&verify, stdout);
	else
		print_verify_text(&verify, stdout);
	if (!verify_passed(&verify))
		invocation_set_status(invocation, STATUS_CHECKS_FAILED);
	TRY(print_flush());
	return verify_store_evidence(&verify);
}

const Command command_verify = {
	.name = "verify",
	.summary = "looks whether everything is in the store that must be there",
	.arguments = "",
	.description =
		"By listings and the small objects: every WAL segment from the oldest that is needed to the newest, history\n"
		"files with their digests, and every object of every backup with its size; records by their seals. One line\n"
		"for each finding, with the remedy; then what can be recovered, with the holes in it. What is needed follows\n"
		"from the setting \"retention\" or, without it, from what the last expire went by: what that removed is not\n"
		"missing. What was looked at, and what came of it, is evidence in the store: proof/<time>-verify.json.",
	.examples = "  walship verify\n"
				"  walship verify --json | jq -r '.findings[].key'\n",
	.statuses = "0 2 4 5 7 8",
	.options = options,
	.n_options = lengthof(options),
	.run = run,
};
