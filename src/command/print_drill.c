/* See print_drill.h. */
#include "print_drill.h"

#include <inttypes.h>

#include "table.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

#define FAILED_MAX 256

static void
print_checks(const DrillReport *report, FILE *into)
{
	static const char *const outcomes[] = {[DRILL_NOT_MADE] = "not made",
	                                       [DRILL_PASSED] = "passed",
	                                       [DRILL_SKIPPED] = "skipped",
	                                       [DRILL_FAILED] = "FAILED"};
	AUTO(Table) table = table_new("check|result|>ms|>checked");

	for (int level = 0; level < N_DRILL_LEVELS; level++)
	{
		const DrillCheck *check = &report->checks[level];

		table_cell(table, "%s", drill_level_text((DrillLevel) level));
		table_cell(table, "%s", outcomes[check->outcome]);
		table_cell(table, "%" PRId64, check->duration_ms);
		table_cell(table, "%" PRIu64, check->checked);
	}
	table_print(table, "", into);
	for (int level = 0; level < N_DRILL_LEVELS; level++)
	{
		const DrillCheck *check = &report->checks[level];
		const char *name = drill_level_text((DrillLevel) level);

		for (size_t i = 0; i < check->findings.count; i++)
			print_line(into, "FAILED %s: %s", name, check->findings.items[i]);
		for (size_t i = 0; i < check->notes.count; i++)
			print_line(into, "note %s: %s", name, check->notes.items[i]);
	}
}

/* How long a server would be missing, and what of it would be. */
static void
print_times(const DrillReport *report, FILE *into)
{
	char size[SIZE_TEXT_SIZE];
	char text[SIZE_TEXT_SIZE];
	char restored[SIZE_TEXT_SIZE];
	char replayed[SIZE_TEXT_SIZE];
	char checked[SIZE_TEXT_SIZE];

	if (report->dump != NULL)
	{
		print_line(into, "time: %s (%s fetched and restored in %s, checked in %s)",
		           duration_format(report->total_ms, text), size_format(report->fetched_size, size),
		           duration_format(report->restore_ms, restored),
		           duration_format(report->checks_ms, checked));
		return;
	}
	print_line(into, "recovery time: %s (%s fetched and restored in %s, replayed in %s, checked in %s)",
	           duration_format(report->total_ms, text), size_format(report->fetched_size, size),
	           duration_format(report->restore_ms, restored), duration_format(report->replay_ms, replayed),
	           duration_format(report->checks_ms, checked));
	if (report->rpo_ms > 0)
		print_line(into, "last commit: %s before the drill began%s",
		           duration_format((int64_t) report->rpo_ms, text),
		           report->server_ahead == DRILL_NOT_AHEAD ? ", and the server has no newer one"
		           : report->server_ahead == DRILL_AHEAD   ? ", and the server has newer ones"
		                                                   : "");
}

void
print_drill_text(const DrillReport *report, FILE *into)
{
	char time[TIME_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];

	AUTO_FREE char *what =
		report->dump != NULL
			? mem_printf("dump %s, restored%s", report->dump, report->schema_only ? " without its rows" : "")
			: mem_printf("backup %s, recovered to %s", report->backup, report->target);

	print_line(into, "%s: %s, in %" PRId64 ".%01d s", report->passed ? "PASSED" : "FAILED", what,
	           report->total_ms / 1000, (int) (report->total_ms % 1000 / 100));
	print_checks(report, into);
	print_times(report, into);
	print_line(into, "database system %" PRIu64 ", PostgreSQL %d, timeline %u; begun %s by walship %s",
	           report->system_identifier, report->server_version / 10000, report->timeline,
	           time_format_postgres(report->time, time), report->walship_version);
	if (report->counts_lsn != InvalidXLogRecPtr)
		print_line(into, "rows were counted at %s: %s", lsn_format(report->counts_lsn, lsn),
		           report->counts_exact ? "the target"
		           : report->counts_tolerance != NULL
		               ? "by the live server, when the drill began"
		               : "before the target, so only what is empty or gone is a finding");
	if (report->random)
		print_line(into, "the same again: --random %" PRIu64, report->seed);
	if (report->no_network)
		print_line(into, "network: none, but for its Unix socket");
	else
		print_line(into, "network: not taken away (%s)",
		           report->fence_reason != NULL ? report->fence_reason : "--network-fence off");
}

void
print_drill_json(const DrillReport *report, FILE *into)
{
	AUTO(Json) json = json_new_object();

	drill_report_put(report, json);
	print_object(json, into);
}

static void
print_trend(const DrillHistory *history, FILE *into)
{
	DrillTrend trend = drill_trend(history->reports, history->count);
	const DrillReport *newest = &history->reports[history->count - 1];
	char time[TIME_TEXT_SIZE];
	char rto[SIZE_TEXT_SIZE];
	char median[SIZE_TEXT_SIZE];

	print_line(into, "%zu drills; the last one, of %s, %s", history->count + history->more,
	           time_format_postgres(newest->time, time), newest->passed ? "PASSED" : "FAILED");
	if (trend.last == NULL)
		print_line(into, "none passed");
	else if (trend.compared > 0)
		print_line(
			into, "recovery time: %s, and the median of the %zu that passed before is %s (%+" PRId64 " %%)",
			duration_format(trend.last->total_ms, rto), trend.compared,
			duration_format(trend.median_ms, median),
			trend.median_ms == 0 ? 0 : (trend.last->total_ms - trend.median_ms) * 100 / trend.median_ms);
}

static char *
failed_checks(const DrillReport *report)
{
	AUTO_BUF(names, FAILED_MAX);

	buf_puts(&names, "");
	for (int level = 0; level < N_DRILL_LEVELS; level++)
		if (report->checks[level].outcome == DRILL_FAILED)
			buf_printf(&names, "%s%s", names.size > 0 ? ", " : "", drill_level_text((DrillLevel) level));
	return buf_steal(&names);
}

void
print_drill_history_text(const DrillHistory *history, FILE *into)
{
	AUTO(Table) table = table_new("time|result|backup|target|>recovery|>last commit|failed");
	char text[SIZE_TEXT_SIZE];
	char time[TIME_TEXT_SIZE];

	if (history->count == 0)
	{
		print_line(into, "no drill was made yet: \"walship drill\" makes one");
		return;
	}
	print_trend(history, into);
	for (size_t i = 0; i < history->count; i++)
	{
		const DrillReport *report = &history->reports[i];
		AUTO_FREE char *failed = failed_checks(report);

		table_cell(table, "%s", time_format_compact(report->time, time));
		table_cell(table, "%s", report->passed ? "passed" : "FAILED");
		table_cell(table, "%s%s", report->dump != NULL ? "dump " : "",
		           report->dump != NULL     ? report->dump
		           : report->backup != NULL ? report->backup
		                                    : "?");
		table_cell(table, "%s", report->target);
		table_cell(table, "%s", duration_format(report->total_ms, text));
		table_cell(table, "%s", report->rpo_ms == 0 ? "-" : duration_format((int64_t) report->rpo_ms, text));
		table_cell(table, "%s", failed);
	}
	table_print(table, "", into);
}

void
print_drill_history_json(const DrillHistory *history, FILE *into)
{
	DrillTrend trend = drill_trend(history->reports, history->count);
	AUTO(Json) json = json_new_object();
	Json *drills;

	json_add_int(json, "older", (int64_t) history->more);
	json_add_int(json, "compared", (int64_t) trend.compared);
	if (trend.compared > 0)
		json_add_int(json, "median_rto_ms", trend.median_ms);
	drills = json_add_array(json, "drills");
	for (size_t i = 0; i < history->count; i++)
		drill_report_put(&history->reports[i], json_add_object(drills, NULL));
	print_object(json, into);
}
