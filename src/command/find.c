/* walship find: what happened in the archived WAL, and how to get back to just before it. */
#include <stdio.h>

#include "commands.h"
#include "context.h"
#include "keys.h"
#include "option_values.h"
#include "print_find.h"
#include "walship/archive/wal_reader.h"
#include "walship/base/mem.h"
#include "walship/recovery/search.h"

#define FLAGS_MAX (4 * 1024 * 1024) /* quoted, more than a command line can have */

static const CommandOption options[] = {
	{"drops", OPTION_FLAG, NULL, "dropped tables, indexes and databases (default)"},
	{"rewrites", OPTION_FLAG, NULL, "relations that were truncated or rewritten, which loses rows, too"},
	{"restore-points", OPTION_FLAG, NULL, "restore points"},
	{"commits", OPTION_FLAG, NULL, "commits; mostly together with --since"},
	{"since", OPTION_VALUE, "TIME", "not before this time, such as \"2026-11-20 14:00+01\""},
	{"until", OPTION_VALUE, "TIME", "not after this time"},
	{"timeline", OPTION_VALUE, "N",
     "only on the way to this timeline, or to latest (default: all timelines)"},
	{WITHOUT_SECOND_STORE, OPTION_FLAG, NULL, WITHOUT_SECOND_STORE_HELP},
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
};

static const OptionHeading headings[] = {
	{"drops", "What"},
	{"since", "Which of them"},
	{WITHOUT_SECOND_STORE, "From where"},
	{"json", "What is shown"},
};

static const char *const searches[] = {
	[SEARCH_DROPS] = "drops",
	[SEARCH_REWRITES] = "rewrites",
	[SEARCH_RESTORE_POINTS] = "restore-points",
	[SEARCH_COMMITS] = "commits",
};

static Error *
parse(const Invocation *invocation, SearchRequest *request)
{
	int kind;

	TRY(invocation_choice(invocation, searches, lengthof(searches), &kind));
	request->kind = kind < 0 ? SEARCH_DROPS : (SearchKind) kind;
	TRY(option_time(invocation, "since", &request->since));
	TRY(option_time(invocation, "until", &request->until));
	if (request->since != TIME_NONE && request->until != TIME_NONE && request->until < request->since)
		return error_new(ERR_USAGE, "\"--until\" is before \"--since\"");
	request->jobs = (int) settings_integer(invocation_settings(invocation), SETTING_jobs);
	return option_timeline(invocation, &request->timeline);
}

static Error *
search(const Settings *settings, SearchRequest *request, Catalog **ret_catalog, Findings *findings)
{
	AUTO(AgeIdentities) identities = NULL;
	AUTO(Store) store = NULL;
	uint64_t system;

	TRY(keys_identities(settings, &identities));
	TRY(context_open_stores(settings, &store));
	TRY(context_system_in_store(settings, store, &system));
	int jobs = (int) settings_integer(settings, SETTING_jobs);

	TRY(catalog_read(store, system, jobs, ret_catalog));

	request->timeline = catalog_resolve_timeline(*ret_catalog, request->timeline);

	AUTO(WalFacts) facts = wal_reader_facts_kept(store, *ret_catalog, identities, jobs,
	                                             settings_text(settings, SETTING_state_dir));

	return search_run(facts, *ret_catalog, request, findings);
}

static Error *
run(Invocation *invocation)
{
	AUTO(Catalog) catalog = NULL;
	AUTO_BUF(flags, FLAGS_MAX);
	SearchRequest request = {0};
	Findings findings = {0};
	Error *error = parse(invocation, &request);

	buf_puts(&flags, "");
	invocation_append_flags(invocation, &flags);
	if (error == NULL)
		error = search(invocation_settings(invocation), &request, &catalog, &findings);

	FindReport report = {.catalog = catalog,
	                     .request = &request,
	                     .findings = &findings,
	                     .now = clock_now(),
	                     .flags = flags.data};

	if (error == NULL && invocation_flag(invocation, "json"))
		print_find_json(&report, stdout);
	else if (error == NULL)
		print_find_text(&report, stdout);
	findings_release(&findings);
	return error;
}

const Command command_find = {
	.name = "find",
	.summary = "finds drops, restore points and commits in the archived WAL",
	.arguments = "",
	.description =
		"Looks through the WAL in the store, with no server needed, and prints for everything that it finds the\n"
		"command that recovers to just before a drop or rewrite, up to a restore point, or up to a commit and to just\n"
		"before it; of commits also how much WAL each wrote. It ends with where the WAL in the store ends. Oldest first;\n"
		"times are UTC. Relations and databases are shown by OID: what they were called stands in a copy that is\n"
		"recovered to just before (SELECT 16385::regclass).",
	.examples = "  walship find\n"
				"  walship find --commits --since \"2026-11-20 14:00+01\" --until \"2026-11-20 14:05+01\"\n",
	.statuses = "0 1 2 4 5 6 7",
	.options = options,
	.n_options = lengthof(options),
	.headings = headings,
	.n_headings = lengthof(headings),
	.run = run,
};
