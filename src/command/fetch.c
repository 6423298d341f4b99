/*
 * walship fetch NAME DEST: the restore_command.  In archive recovery the server
 * takes every exit status up to 125 for the end of the archive and goes live,
 * so there only a certain absence may be 1; everything else is 200.
 */
#include "walship/ship/fetch.h"
#include "commands.h"
#include "context.h"
#include "keys.h"
#include "option_values.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"

/* This program again, with the same settings; ended by NULL. */
static void
list_prefetcher_words(const Invocation *invocation, const char *plan_end, const char *data_directory,
                      StrList *words)
{
	strlist_add(words, "walship");
	strlist_add(words, "prefetcher");
	invocation_list_sources(invocation, words);
	if (plan_end != NULL)
	{
		strlist_add(words, "--plan-end");
		strlist_add(words, plan_end);
	}
	strlist_add(words, "--");
	strlist_add(words, data_directory);
	GROW(words->items, words->count, words->capacity);
	words->items[words->count] = NULL;
}

static Error *
parse_tablespaces(const Invocation *invocation, TablespaceMappings *mappings, TablespaceRules *rules)
{
	const char *rule = invocation_value(invocation, "tablespaces");

	TRY(option_mappings(invocation, mappings));
	rules->mappings = mappings;
	if (str_equal(rule, "mapped"))
		rules->rule = TABLESPACES_MAPPED;
	else if (str_equal(rule, "empty"))
		rules->rule = TABLESPACES_EMPTY;
	else if (rule != NULL)
		return error_hint(error_new(ERR_USAGE, "\"%s\" is nothing to do with tablespaces", rule),
		                  "It is mapped or empty.");
	if (mappings->count > 0 && rules->rule != TABLESPACES_MAPPED)
		return error_new(ERR_USAGE, "\"--tablespace-map\" goes with \"--tablespaces mapped\"");
	return NULL;
}

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	const char *dest = invocation_argument(invocation, 1);
	const char *plan_end = invocation_value(invocation, "plan-end");
	int64_t now_ms = clock_monotonic_ms();
	AUTO_FREE char *data_directory = pgdata_of(dest);
	AUTO_FREE char *store = NULL;
	AUTO(AgeIdentities) identities = NULL;
	AUTO_STRLIST prefetcher_words = {0};
	AUTO_MAPPINGS mappings = {0};
	FetchOptions options = {.dest = dest,
	                        .bounded = plan_end != NULL,
	                        .mode = fetch_mode_of(data_directory),
	                        .start_ms = now_ms,
	                        .deadline_ms = now_ms + settings_ms(settings, SETTING_fetch_deadline),
	                        .notices = log_notices()};

	TRY(wal_name_parse(invocation_argument(invocation, 0), &options.name));
	if (*dest == '\0')
		return error_new(ERR_USAGE, "the name of the file to write is empty");
	if (plan_end != NULL)
		TRY(error_context(wal_name_parse(plan_end, &options.plan_end), "option \"--plan-end\""));
	TRY(parse_tablespaces(invocation, &mappings, &options.tablespaces));
	TRY(fetch_check_name(&options));

	TRY(context_fetch_source(settings, data_directory, &options.source));
	options.source.store = store = context_store_identity(settings);
	TRY(keys_identities(settings, &identities));
	options.source.identities = identities;
	if (data_directory != NULL)
		list_prefetcher_words(invocation, plan_end, data_directory, &prefetcher_words);
	options.prefetcher_argv = prefetcher_words.items;
	return fetch(&options);
}

static int
error_status(const Invocation *invocation, const Error *error)
{
	AUTO_FREE char *data_directory = pgdata_of(invocation_argument(invocation, 1));

	if (error_is(error, ERR_NOT_FOUND) || (error_is(error, ERR_CANCELLED) && cancel_requested()))
		return -1;
	return fetch_mode_of(data_directory) == FETCH_RECOVERY ? STATUS_STOP_RECOVERY : -1;
}

static const CommandOption command_options[] = {
	{"plan-end", OPTION_VALUE, "SEGMENT", "segments after this one are absent, without asking the store"},
	{WITHOUT_SECOND_STORE, OPTION_FLAG, NULL, WITHOUT_SECOND_STORE_HELP},
	{"tablespaces", OPTION_VALUE, "WHERE",
     "where the server may create tablespaces: mapped (in a copy, by --tablespace-map only), or empty (in "
     "directories that are)"},
	{"tablespace-map", OPTION_MANY, "OLD=NEW", "one that is created in OLD goes into NEW; may be repeated"},
};

const Command command_fetch = {
	.name = "fetch",
	.summary = "brings one WAL file back: restore_command = 'walship fetch %f %p'",
	.arguments = "NAME DEST",
	.description =
		"Reads the WAL file NAME from the store, checks it, and puts it at DEST. Exit 1 means that it certainly is\n"
		"not there. During archive recovery (recovery.signal and no standby.signal in the data directory) any other\n"
		"failure is exit 200, which stops the server instead of letting it go live without the missing WAL.",
	.examples = "  restore_command = 'walship fetch %f %p'\n"
				"  walship fetch 000000010000000000000005 /tmp/000000010000000000000005\n",
	.statuses = "0 1 2 4 5 6 7 200",
	.n_arguments = 2,
	.options = command_options,
	.n_options = lengthof(command_options),
	.error_status = error_status,
	.absence_is_normal = true,
	.in_servers_log = true,
	.run = run,
};
