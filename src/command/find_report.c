/* What "walship find" found; see find_report.h.  The JSON object is described in docs/json.md. */
#include "find_report.h"

#include <inttypes.h>
#include <string.h>

#include "report.h"
#include "walship/base/json.h"
#include "walship/base/mem.h"
#include "walship/recovery/drop.h"

#define FIND_FORMAT 1
#define LINE_MAX    (16 * 1024)

static const char *const kinds[] = {
	[SEARCH_DROPS] = "drops",     [SEARCH_REWRITES] = "rewrites",
	[SEARCH_LOSSES] = "losses",   [SEARCH_RESTORE_POINTS] = "restore_points",
	[SEARCH_COMMITS] = "commits",
};
static const char *const losses[] = {
	[LOSS_DROP] = "drop",
	[LOSS_REWRITE] = "rewrite",
	[LOSS_DATABASE] = "database",
};

static bool
are_losses(const FindReport *report)
{
	return report->request->kind <= SEARCH_LOSSES;
}

/* Was this restore point's name, or this transaction id, found only once? */
static bool
is_unique(const FindReport *report, const Finding *finding)
{
	size_t count = 0;

	if (finding->name == NULL)
		return true;
	for (size_t i = 0; i < report->findings->count; i++)
		count += str_equal(report->findings->items[i].name, finding->name);
	return count == 1;
}

/* Is this the whole truth of a restore point's name?  A '?' may stand for what could not be shown. */
static bool
is_exact(const Finding *finding)
{
	return finding->name == NULL || (*finding->name != '\0' && strchr(finding->name, '?') == NULL);
}

/* "walship recover --before-drop xid:745 --pgdata DIR" */
static void
append_recover(const FindReport *report, const Finding *finding, Buf *into)
{
	char lsn[LSN_TEXT_SIZE];

	buf_puts(into, "walship recover");
	if (are_losses(report))
		buf_printf(into, " --before-drop xid:%" PRIu32, finding->xid);
	else if (!is_unique(report, finding) || !is_exact(finding))
		buf_printf(into, " --target-lsn %s", lsn_format(finding->lsn, lsn));
	else if (finding->name != NULL)
	{
		AUTO_FREE char *name = str_shell_quote(finding->name);

		buf_printf(into, " --target-name %s", name);
	}
	else
		buf_printf(into, " --target-xid %" PRIu32, finding->xid);
	if (report->catalog->n_timelines > 1)
		buf_printf(into, " --timeline %" PRIu32, finding->timeline);
	buf_printf(into, "%s --pgdata DIR", report->flags);
}

static void
print_losses(const FindReport *report, Buf *into)
{
	for (size_t i = 0; i < report->findings->count; i++)
	{
		const Finding *finding = &report->findings->items[i];
		char time[TIME_TEXT_SIZE];
		char lsn[LSN_TEXT_SIZE];

		buf_printf(into, "%s%4zu  %s  transaction %" PRIu32 ", LSN %s, timeline %" PRIu32 "\n      ",
		           i == 0 ? "" : "\n", i + 1,
		           finding->time == TIME_NONE ? "time not known" : time_format_postgres(finding->time, time),
		           finding->xid, lsn_format(finding->lsn, lsn), finding->timeline);
		drop_describe(&finding->loss, into);
		buf_puts(into, "\n      ");
		append_recover(report, finding, into);
		buf_putc(into, '\n');
	}
}

static void
print_places(const FindReport *report, Buf *into)
{
	bool points = report->request->kind == SEARCH_RESTORE_POINTS;
	AUTO(Table) table = table_new(points ? "time|>timeline|LSN|name|to recover up to it"
	                                     : "time|>timeline|LSN|>transaction|to recover up to it");

	for (size_t i = 0; i < report->findings->count; i++)
	{
		const Finding *finding = &report->findings->items[i];
		AUTO_BUF(line, LINE_MAX);

		append_recover(report, finding, &line);
		table_time(table, finding->time);
		table_cell(table, "%" PRIu32, finding->timeline);
		table_lsn(table, finding->lsn);
		if (points)
			table_cell(table, "%s", finding->name);
		else
			table_cell(table, "%" PRIu32, finding->xid);
		table_cell(table, "%s", line.data);
	}
	table_print(table, "", into);
}

static void
print_none(const FindReport *report, Buf *into)
{
	static const char *const nothing[] = {
		[SEARCH_DROPS] = "No table, index or database was dropped",
		[SEARCH_REWRITES] = "Nothing was rewritten or truncated",
		[SEARCH_LOSSES] = "Nothing was dropped, rewritten or truncated",
		[SEARCH_RESTORE_POINTS] = "There is no restore point",
		[SEARCH_COMMITS] = "There is no commit",
	};
	bool limited = report->request->since != TIME_NONE || report->request->until != TIME_NONE;

	buf_printf(into, "%s in the WAL of the store%s.\n", nothing[report->request->kind],
	           limited ? " within that time" : "");
}

void
find_report_text(const FindReport *report, Buf *into)
{
	const Findings *findings = report->findings;

	if (findings->count == 0)
		print_none(report, into);
	else if (are_losses(report))
		print_losses(report, into);
	else
		print_places(report, into);
	if (findings->rewrites > 0)
		buf_printf(into,
		           "\n%zu more transaction%s truncated or rewrote relations (TRUNCATE, VACUUM FULL, REINDEX, "
		           "...): see --rewrites.\n",
		           findings->rewrites, findings->rewrites == 1 ? "" : "s");
	for (size_t i = 0; i < findings->warnings.count; i++)
		buf_printf(into, "\nWARNING: %s\n", findings->warnings.items[i]);
}

static void
add_loss(const Loss *loss, Json *item)
{
	Json *array;

	json_add_string(item, "kind", losses[loss->kind]);
	json_add_lsn(item, "commit_lsn", loss->commit_lsn);
	if (loss->database != 0)
		json_add_int(item, "database", loss->database);
	else
		json_add_string(item, "database", NULL);
	json_add_int(item, "relation_count", (int64_t) loss->objects);
	array = json_add_array(item, "relations");
	for (size_t i = 0; i < loss->n_named_objects; i++)
		json_add_int(array, NULL, loss->named_objects[i]);
	json_add_int(item, "file_count", (int64_t) loss->files);
	array = json_add_array(item, "files");
	for (size_t i = 0; i < loss->n_named_files; i++)
	{
		Json *file = json_add_object(array, NULL);

		json_add_int(file, "tablespace", loss->named_files[i].tablespace);
		json_add_int(file, "database", loss->named_files[i].database);
		json_add_int(file, "number", (int64_t) loss->named_files[i].number);
	}
	json_add_bool(item, "complete", !loss->cut);
}

static void
add_finding(const FindReport *report, size_t number, Json *item)
{
	const Finding *finding = &report->findings->items[number - 1];
	AUTO_BUF(line, LINE_MAX);

	append_recover(report, finding, &line);
	json_add_int(item, "number", (int64_t) number);
	json_add_int(item, "timeline", finding->timeline);
	json_add_time(item, "time", finding->time);
	json_add_lsn(item, "lsn", finding->lsn);
	if (finding->name != NULL)
		json_add_string(item, "name", finding->name);
	else
		json_add_int(item, "xid", finding->xid);
	if (are_losses(report))
		add_loss(&finding->loss, item);
	json_add_string(item, "recover", line.data);
}

void
find_report_json(const FindReport *report, Buf *into)
{
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *system = mem_printf("%" PRIu64, report->catalog->system_identifier);
	const Findings *findings = report->findings;
	Json *array;

	json_add_int(root, "format", FIND_FORMAT);
	json_add_string(root, "system", system);
	json_add_string(root, "searched", kinds[report->request->kind]);
	json_add_time(root, "since", report->request->since);
	json_add_time(root, "until", report->request->until);
	array = json_add_array(root, "found");
	for (size_t i = 0; i < findings->count; i++)
		add_finding(report, i + 1, json_add_object(array, NULL));
	if (report->request->kind == SEARCH_DROPS)
		json_add_int(root, "rewrites", (int64_t) findings->rewrites);
	array = json_add_array(root, "warnings");
	for (size_t i = 0; i < findings->warnings.count; i++)
		json_add_string(array, NULL, findings->warnings.items[i]);
	json_print(root, false, into);
}
