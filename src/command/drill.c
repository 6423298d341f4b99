/* walship drill: proves that a backup can be recovered.  What that is, step by step: walship/upkeep/drill.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "context.h"
#include "drill_dump.h"
#include "keys.h"
#include "print_drill.h"
#include "print_plan.h"
#include "progress.h"
#include "recover_options.h"
#include "table.h"
#include "walship/base/crypto.h"
#include "walship/base/file.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/upkeep/drill.h"
#include "walship/upkeep/row_counting.h"

#define STATUS_CHECKS_FAILED 8
#define STATUS_NOT_REACHABLE 9

static const CommandOption options[] = {
	{"target-time", OPTION_VALUE, "TIME",
     "recover up to this time (default: to the end of the WAL in the store)"},
	{"target-lsn", OPTION_VALUE, "LSN", "recover up to the record at this place in the WAL"},
	{"target-xid", OPTION_VALUE, "XID", "recover up to the end of this transaction"},
	{"target-name", OPTION_VALUE, "NAME", "recover up to this restore point"},
	{"immediate", OPTION_FLAG, NULL, "recover up to the end of the backup"},
	{"latest", OPTION_FLAG, NULL, "recover to the end of the WAL in the store, also with --count"},
	{"random", OPTION_MAYBE, "SEED", "recover to a random place that can be recovered; the seed is recorded"},
	{"exclusive", OPTION_FLAG, NULL, "stop just before the target instead of just after it"},
	{"timeline", OPTION_VALUE, "N", "along this timeline"},
	{"backup", OPTION_VALUE, "ID",
     "from this backup, or oldest, newest or random (default: the newest that ended before the target)"},
	{"dump", OPTION_MAYBE, "ID",
     "restore a dump (default: the newest) instead of a backup: into a new server, with all checks that it allows"},
	{"schema-only", OPTION_FLAG, NULL, "with --dump: without its rows"},
	{WITHOUT_SECOND_STORE, OPTION_FLAG, NULL, WITHOUT_SECOND_STORE_HELP},
	{"count", OPTION_VALUE, "TABLES",
     "compare all tables, or these (TABLE,SCHEMA.TABLE,...), with what was counted on the live server; without a "
     "target that is the moment of the newest counts, and they must be met exactly"},
	{"tolerance", OPTION_VALUE, "N",
     "with --count: compare with what the live server (setting \"conninfo\") has now, and let it differ by so much: "
     "100 (rows), 5%"},
	{"record-counts", OPTION_FLAG, NULL,
     "count them on the live server, for such a drill, and do nothing else"},
	{"dump-check", OPTION_FLAG, NULL, "also dump every database with pg_dumpall, to nowhere"},
	{"network-fence", OPTION_VALUE, "WHEN",
     "no network for the server: auto (where the kernel allows it; default), require or off"},
	{"preload-libraries", OPTION_VALUE, "LIST", "what the server may load at its start (default: nothing)"},
	{"keep", OPTION_FLAG, NULL, "leave the server running, and say how to end it"},
	{"plan", OPTION_FLAG, NULL, "print what would be recovered and fetched, and touch nothing"},
	{"history", OPTION_MAYBE, "TIME",
     "print what the drills in the store came to, or all of one (20261129T094208Z), and do nothing else"},
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
	{"progress", OPTION_VALUE, "MODE", PROGRESS_OPTION_HELP},
};

static const OptionHeading headings[] = {
	{"target-time", "Up to what, one of"},
	{"exclusive", "How exactly"},
	{"timeline", "From what"},
	{"count", "What is checked besides"},
	{"network-fence", "The server of the drill"},
	{"plan", "What is shown"},
};

/* The seed of --random: as given, or any. */
static Error *
read_seed(const Invocation *invocation, uint64_t *ret_seed)
{
	const char *given = invocation_value(invocation, "random");

	random_bytes(ret_seed, sizeof(*ret_seed));
	if (given != NULL && !str_to_uint64(given, ret_seed))
		return error_hint(
			error_new(ERR_USAGE, "\"%s\" is no seed: it is a whole number", given),
			"The report of a drill has the seed of its target; without one a new target is chosen.");
	return NULL;
}

static Error *
record_counts(const Invocation *invocation, Store *store, uint64_t system)
{
	const char *conninfo = settings_text(invocation_settings(invocation), SETTING_conninfo);
	const char *tables = invocation_value(invocation, "count");
	AUTO_STRLIST names = {0};
	AUTO_ROW_COUNTS counts = {0};
	RowCounting counting;
	char lsn[LSN_TEXT_SIZE];

	TRY(table_names_parse(tables == NULL ? "all" : tables, &names));
	TRY(row_counting_run(conninfo, system, &names, true, &counts, &counting));
	TRY(row_counts_write(store, system, &counts));
	TRY(row_counting_end_segment(conninfo));

	AUTO_FREE char *how = row_counting_text(&counting);

	print_line(stdout, "counted the rows of %zu tables at %s of timeline %u; %s", counts.count,
	           lsn_format(counts.lsn, lsn), counts.timeline, how);
	if (counting.by == COUNTED_PAUSED)
		print_line(
			stdout,
			"a drill can meet them once the primary has archived that place: pg_switch_wal(), or archive_timeout");
	return print_flush();
}

static Error *
print_history(const Invocation *invocation, Store *store, uint64_t system)
{
	const char *time = invocation_value(invocation, "history");
	int jobs = (int) settings_integer(invocation_settings(invocation), SETTING_jobs);
	bool json = invocation_flag(invocation, "json");
	Notices notices = log_notices();
	AUTO_DRILL_HISTORY history = {0};

	TRY(drill_history_read(store, system, time, jobs, &notices, &history));
	if (time == NULL && json)
		print_drill_history_json(&history, stdout);
	else if (time == NULL)
		print_drill_history_text(&history, stdout);
	else if (json)
		print_drill_json(history.reports, stdout);
	else
		print_drill_text(history.reports, stdout);
	return print_flush();
}

static void
summarize(Invocation *invocation, const DrillReport *report)
{
	const char *finding = "";

	AUTO_FREE char *what = report->dump != NULL
	                           ? mem_printf("dump \"%s\", restored", report->dump)
	                           : mem_printf("backup \"%s\", recovered to %s", report->backup, report->target);

	for (int level = N_DRILL_LEVELS - 1; level >= 0; level--)
		if (report->checks[level].findings.count > 0)
			finding = report->checks[level].findings.items[0];
	invocation_set_summary(invocation, "%s in %" PRId64 " s, %s%s%s", what, report->total_ms / 1000,
	                       report->passed ? "passed" : "did not pass", finding[0] == '\0' ? "" : ": ",
	                       finding);
}

static void
add_progress(void *progress, uint64_t bytes)
{
	progress_add(progress, bytes);
}

static void
begin_phase(void *progress, const char *phase)
{
	progress_set(progress, phase, 0, 0);
}

/* What is kept must not be cleared by the next drill. */
Error *
drill_end_scratch(const Invocation *invocation, const char *directory, const PrivateServer *server, bool keep)
{
	AUTO_FREE char *kept = path_join(directory, DRILL_KEPT);
	AUTO_FREE char *pgdata = server->pgdata == NULL ? NULL : str_shell_quote(server->pgdata);
	AUTO_FREE char *quoted = str_shell_quote(directory);

	if (!keep)
		return drill_scratch_remove(directory);
	TRY(file_replace(kept, "", 0, 0600));
	print_line(
		invocation_flag(invocation, "json") ? stderr : stdout,
		"it runs: psql -h %s -U %s postgres; to end it: walship recover --stop --remove --pgdata %s && rm -rf %s",
		server->note.sockets, server->user, pgdata, quoted);
	return NULL;
}

Error *
drill_options_read(const Invocation *invocation, const char *directory, DrillOptions *ret_options)
{
	const Settings *settings = invocation_settings(invocation);

	*ret_options = (DrillOptions){
		.directory = directory,
		.sql_directory = settings_text(settings, SETTING_drill_dir),
		.walship_version = WALSHIP_VERSION,
		.conninfo = settings_text(settings, SETTING_conninfo),
		.rto_target_ms =
			settings_is_set(settings, SETTING_rto_target) ? settings_ms(settings, SETTING_rto_target) : 0,
		.rpo_target_ms =
			settings_is_set(settings, SETTING_rpo_target) ? settings_ms(settings, SETTING_rpo_target) : 0,
		.dump = invocation_flag(invocation, "dump-check"),
		.keep = invocation_flag(invocation, "keep")};

	TRY(copy_options_parse(invocation, &ret_options->copy));
	ret_options->copy.programs = settings_text(settings, SETTING_pg_bindir);
	ret_options->copy.kept = ret_options->keep;
	ret_options->copy.wal_max = settings_bytes(settings, SETTING_drill_wal_max);
	return NULL;
}

static Error *
drill(const Invocation *invocation, Recovery *recovery, const char *directory, DrillCounts *counts,
      DrillReport *report)
{
	AUTO(Progress) progress = NULL;
	AUTO_PRIVATE_SERVER server = {0};
	DrillOptions drill_options;

	TRY(drill_options_read(invocation, directory, &drill_options));
	drill_options.counts = counts;
	TRY(progress_new(invocation, "drill", &progress));
	progress_set(progress, "recovering", 0, recovery->plan->backup->files_size);
	drill_options.on_phase = begin_phase;
	drill_options.on_phase_context = progress;
	recovery->on_bytes = add_progress;
	recovery->on_bytes_context = progress;
	recovery->notices = progress_notices(progress);

	Error *error = drill_run(recovery, &drill_options, &server, report);

	progress_end(progress);
	if (error != NULL)
		error_free(private_server_stop(&server));

	Error *ended = drill_end_scratch(invocation, directory, &server,
	                                 drill_options.keep && error == NULL && server.pid > 0);

	if (error == NULL)
		return ended;
	error_free(ended);
	return error;
}

/* What it is that is recovered. */
static Error *
choose_target(const Invocation *invocation, Recovery *recovery, DrillCounts *counts, uint64_t seed)
{
	bool random = invocation_flag(invocation, "random");

	TRY(drill_choose_backup(recovery, recovery->request.backup_id, seed));

	bool given = recovery->request.target.kind != TARGET_LATEST || invocation_flag(invocation, "latest");

	if (random && given)
		return error_new(ERR_USAGE, "\"--random\" and another target exclude each other");
	if (random)
		return drill_choose_target(recovery, seed);
	return counts != NULL && counts->tolerance.text == NULL && !given
	           ? drill_counts_as_target(recovery, counts)
	           : NULL;
}

Error *
drill_conclude(Invocation *invocation, Store *store, DrillReport *report)
{
	/* What was found is shown also where it cannot be kept. */
	Error *unstored = drill_report_store(report, store);

	if (invocation_flag(invocation, "json"))
		print_drill_json(report, stdout);
	else
		print_drill_text(report, stdout);
	summarize(invocation, report);
	if (!report->passed)
		invocation_set_status(invocation, STATUS_CHECKS_FAILED);
	return unstored;
}

/* Which tables, and how far their counts may be off. */
static Error *
read_counts(const Invocation *invocation, DrillCounts *counts)
{
	const char *count = invocation_value(invocation, "count");
	const char *tolerance = invocation_value(invocation, "tolerance");

	if (count != NULL)
		TRY(table_names_parse(count, &counts->names));
	if (tolerance == NULL)
		return NULL;
	if (count == NULL || invocation_flag(invocation, "record-counts"))
		return error_new(ERR_USAGE, "\"--tolerance\" goes with \"--count\" of a drill");
	return drill_tolerance_parse(tolerance, &counts->tolerance);
}

static void
print_plan(const Invocation *invocation, const Recovery *recovery)
{
	PlanReport plan = {.plan = recovery->plan,
	                   .zone = settings_text(invocation_settings(invocation), SETTING_timezone),
	                   .settings = recovery->settings};

	if (invocation_flag(invocation, "json"))
		print_plan_json(&plan, stdout);
	else
		print_plan_text(&plan, stdout);
}

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	const char *count = invocation_value(invocation, "count");
	const char *tolerance = invocation_value(invocation, "tolerance");
	AUTO_DRILL_COUNTS counted = {0};
	DrillCounts *counts = count == NULL ? NULL : &counted;
	bool plan_only = invocation_flag(invocation, "plan");
	bool evidence_only =
		invocation_flag(invocation, "record-counts") || invocation_flag(invocation, "history");
	AUTO(AgeIdentities) identities = NULL;
	AUTO(Store) store = NULL;
	AUTO(Catalog) catalog = NULL;
	AUTO_FREE char *directory = NULL;
	AUTO_CLOSE int lock = -1;
	AUTO_RECOVERY recovery = {.program = invocation_program(invocation),
	                          .flags = "",
	                          .primary_conninfo = "",
	                          .primary_slot_name = ""};
	DrillReport report
		__attribute__((cleanup(drill_report_release))) = {.random = invocation_flag(invocation, "random")};
	uint64_t system;
	uint64_t seed;

	if (invocation_flag(invocation, "dump"))
		return drill_of_dump(invocation);
	if (invocation_flag(invocation, "schema-only"))
		return error_new(ERR_USAGE, "\"--schema-only\" goes with \"--dump\"");
	TRY(read_seed(invocation, &seed));
	report.seed = report.random ? seed : 0;
	TRY(drill_request_parse(invocation, &recovery.request));
	TRY(read_counts(invocation, &counted));
	if (!plan_only && !evidence_only)
		TRY(recovery_check_user("drill"));
	TRY(keys_identities(settings, &identities));
	TRY(evidence_only ? context_open_store(settings, &store) : context_open_stores(settings, &store));
	TRY(context_system_in_store(settings, store, &system));
	if (invocation_flag(invocation, "history"))
		return print_history(invocation, store, system);
	if (invocation_flag(invocation, "record-counts"))
		return record_counts(invocation, store, system);
	recovery.jobs = (int) settings_integer(settings, SETTING_jobs);
	TRY(catalog_read(store, system, recovery.jobs, &catalog));
	recovery.store = store;
	recovery.catalog = catalog;
	recovery.identities = identities;

	Error *error = choose_target(invocation, &recovery, counts, seed);

	if (error == NULL && tolerance != NULL && !plan_only)
		error = drill_counts_now(settings_text(settings, SETTING_conninfo), system, &counted);

	if (error == NULL && !plan_only)
	{
		error = drill_scratch_make(settings_text(settings, SETTING_drill_scratch), store, system, &directory,
		                           &lock);
		recovery.pgdata = error == NULL ? path_join(directory, DRILL_PGDATA) : NULL;
	}
	if (error == NULL)
		error = drill_plan(&recovery, directory);
	if (error == NULL && counts != NULL && !counts->exact && tolerance == NULL)
		error = drill_counts_before_target(&recovery, counts);
	if (recovery.unreachable)
		invocation_set_status(invocation, STATUS_NOT_REACHABLE);
	if (error != NULL && directory != NULL)
		error_free(drill_scratch_remove(directory));
	TRY(error);
	if (plan_only)
	{
		print_plan(invocation, &recovery);
		return NULL;
	}
	TRY(drill(invocation, &recovery, directory, counts, &report));
	return drill_conclude(invocation, store, &report);
}

const Command command_drill = {
	.name = "drill",
	.summary = "proves that a backup can be recovered: restores, replays, opens and checks it",
	.arguments = "",
	.description =
		"Restores a backup into a directory of its own, replays its WAL to the target with a server that has no\n"
		"network, archives nothing and runs nothing of the backup's settings, enters every database, reads every\n"
		"table, checks heap and indexes where there is the extension amcheck, and runs the SQL of \"drill_dir\". What\n"
		"came of it, and how long it took, is evidence in the store: proof/<time>-drill.json. With --dump a dump is\n"
		"restored instead, into a new server: proof/<time>-drill-dump.json. Exit 8: something is not well.\n"
		"Exit 4, 5, 9: the drill could not be made. Nothing of it is left on this machine.",
	.examples = "  walship drill --random\n"
				"  walship drill --count all --target-time \"2026-11-20 14:00+01\"\n"
				"  walship drill --dump\n",
	.statuses = "0 2 3 4 5 6 7 8 9",
	.options = options,
	.n_options = lengthof(options),
	.headings = headings,
	.n_headings = lengthof(headings),
	.tells = TELLS_OUTCOME,
	.tells_more = "drill --plan",
	.run = run,
};
