/* Which counts of rows a drill is compared with, and what came of it. */
#include <inttypes.h>
#include <string.h>

#include "drill_steps.h"
#include "walship/base/mem.h"
#include "walship/upkeep/row_counting.h"
#include "walship/wal/name.h"

#define NOTES_MAX      20
#define ESTIMATE_SLACK 100 /* rows */

void
drill_counts_release(DrillCounts *counts)
{
	row_counts_release(&counts->counts);
	strlist_release(&counts->names);
	free(counts->seen);
	free(counts->named);
	*counts = (DrillCounts){0};
}

static void
begin_comparison(DrillCounts *counts)
{
	counts->seen = NEW_ARRAY(bool, counts->counts.count + 1);
	counts->named = NEW_ARRAY(bool, counts->names.count + 1);
}

#define HUNDREDTHS_OF_ALL 10000 /* of a percent */

/* "5", "0.25": up to two digits behind the point. */
static bool
parse_hundredths(const char *text, size_t length, uint64_t *ret_hundredths)
{
	AUTO_FREE char *whole = mem_strndup(text, length);
	char *point = strchr(whole, '.');
	size_t digits = point == NULL ? 0 : strlen(point + 1);
	uint64_t fraction = 0;
	uint64_t number;

	if (point != NULL)
		*point = '\0';
	if (!str_to_uint64(whole, &number) || number > 100 || digits > 2 ||
	    (point != NULL && !str_to_uint64(point + 1, &fraction)))
		return false;
	*ret_hundredths = number * 100 + (digits == 1 ? fraction * 10 : fraction);
	return *ret_hundredths <= HUNDREDTHS_OF_ALL;
}

Error *
drill_tolerance_parse(const char *text, DrillTolerance *ret_tolerance)
{
	DrillTolerance tolerance = {.text = text};
	size_t length = strlen(text);

	if (length > 1 && text[length - 1] == '%' ? parse_hundredths(text, length - 1, &tolerance.hundredths)
	                                          : str_to_uint64(text, &tolerance.rows))
	{
		*ret_tolerance = tolerance;
		return NULL;
	}
	return error_hint(error_new(ERR_USAGE, "\"%s\" is no tolerance", text),
	                  "It is a number of rows, such as 100, or a percentage, such as 5%% or 0.25%%.");
}

bool
drill_tolerance_allows(const DrillTolerance *tolerance, uint64_t counted, uint64_t rows)
{
	uint64_t apart = rows > counted ? rows - counted : counted - rows;

	return apart <= tolerance->rows ||
	       (double) apart <= (double) counted * (double) tolerance->hundredths / HUNDREDTHS_OF_ALL;
}

Error *
drill_counts_now(const char *conninfo, uint64_t system_identifier, DrillCounts *counts)
{
	RowCounting counting;

	TRY(error_context(
		row_counting_run(conninfo, system_identifier, &counts->names, false, &counts->counts, &counting),
		"the live server's rows could not be counted"));
	begin_comparison(counts);
	return NULL;
}

/* Its segment is there: behind the place at which was counted there is a record, at which the server stops. */
static bool
can_be_target(const void *context, const RowCounts *counts)
{
	const Recovery *recovery = context;
	TimeLineID timeline = recovery->request.timeline;

	return (timeline == 0 || timeline == counts->timeline) &&
	       catalog_has_segment(recovery->catalog, counts->timeline,
	                           counts->lsn / recovery->catalog->segment_size);
}

Error *
drill_counts_as_target(Recovery *recovery, DrillCounts *counts)
{
	RecoveryRequest *request = &recovery->request;
	Error *error;

	request->timeline = catalog_resolve_timeline(recovery->catalog, request->timeline);
	error = recovery->catalog->segment_size == 0
	            ? error_new(ERR_NOT_FOUND, "store \"%s\" has no WAL", store_url(recovery->store))
	            : row_counts_read(recovery->store, recovery->catalog->system_identifier, can_be_target,
	                              recovery, &recovery->notices, &counts->counts);
	recovery->unreachable = error_is(error, ERR_NOT_FOUND);
	TRY(error);

	/* The place is where the next record begins, and that one is not counted. */
	request->timeline = counts->counts.timeline;
	request->target = (RecoveryTarget){.kind = TARGET_LSN, .inclusive = false, .lsn = counts->counts.lsn};
	counts->exact = true;
	begin_comparison(counts);
	return NULL;
}

/* The end of what the plan replays, as near as it is known. */
static XLogRecPtr
end_of(const RecoveryPlan *plan)
{
	const XLogRecPtr places[] = {plan->target.kind == TARGET_LATEST ? plan->end_lsn : InvalidXLogRecPtr,
	                             plan->stop.lsn, plan->last.lsn, plan->end_record};

	for (size_t i = 0; i < lengthof(places); i++)
		if (places[i] != InvalidXLogRecPtr)
			return places[i];
	return plan->backup->stop_lsn;
}

static bool
is_before_target(const void *context, const RowCounts *counts)
{
	const RecoveryPlan *plan = context;
	XLogRecPtr end;

	return timeline_history_end_of(plan->history, counts->timeline, &end) && counts->lsn <= end &&
	       counts->lsn <= end_of(plan);
}

Error *
drill_counts_before_target(Recovery *recovery, DrillCounts *counts)
{
	const RecoveryPlan *plan = recovery->plan;
	Error *error = row_counts_read(recovery->store, recovery->catalog->system_identifier, is_before_target,
	                               plan, &recovery->notices, &counts->counts);

	recovery->unreachable = error_is(error, ERR_NOT_FOUND);
	TRY(error);
	counts->exact = plan->target.kind == TARGET_LSN && !plan->target.inclusive &&
	                plan->target.lsn == counts->counts.lsn && plan->timeline == counts->counts.timeline;
	begin_comparison(counts);
	return NULL;
}

static void
compare_rows(const DrillCounts *counts, const CountedTable *table, uint64_t expected, DrillReport *report)
{
	uint64_t rows = table->rows;
	char lsn[LSN_TEXT_SIZE];

	report->checks[DRILL_COUNTS].checked++;
	if (rows == expected ||
	    (counts->tolerance.text != NULL && drill_tolerance_allows(&counts->tolerance, expected, rows)))
		return;
	if (counts->tolerance.text != NULL)
	{
		drill_finding(report, DRILL_COUNTS,
		              "database \"%s\", table %s.%s: %" PRIu64 " rows, and the live server has %" PRIu64
		              ": more than %s apart",
		              table->database, table->schema, table->name, rows, expected, counts->tolerance.text);
		return;
	}
	if (rows == 0)
		drill_finding(report, DRILL_COUNTS,
		              "database \"%s\", table %s.%s: it is empty, and %" PRIu64
		              " rows were counted on the server",
		              table->database, table->schema, table->name, expected);
	else if (counts->exact)
		drill_finding(report, DRILL_COUNTS,
		              "database \"%s\", table %s.%s: %" PRIu64 " rows, and %" PRIu64
		              " were counted on the server",
		              table->database, table->schema, table->name, rows, expected);
	else
		drill_note(report, DRILL_COUNTS,
		           "database \"%s\", table %s.%s: %" PRIu64 " rows, and %" PRIu64
		           " were counted at %s, before the target: not exact, %s%" PRIu64,
		           table->database, table->schema, table->name, rows, expected,
		           lsn_format(counts->counts.lsn, lsn), rows > expected ? "+" : "-",
		           rows > expected ? rows - expected : expected - rows);
}

/* Of the database's own tables; restored in that order, or nearly, they are found where the last one was. */
static const DumpTableFacts *
find_estimate(const DumpDatabaseFacts *facts, const CountedTable *table, size_t *near)
{
	if (facts == NULL || str_starts_with(table->schema, "pg_"))
		return NULL;
	for (size_t i = 0; i < facts->n_tables; i++)
	{
		size_t at = (*near + i) % facts->n_tables;

		if (strcmp(facts->tables[at].name, table->name) == 0 &&
		    strcmp(facts->tables[at].schema, table->schema) == 0)
		{
			*near = at + 1;
			return &facts->tables[at];
		}
	}
	return NULL;
}

/* The server's statistics are old, or there are none (0): only what is far from them is worth a word. */
static void
compare_estimate(DrillCounts *counts, const CountedTable *table, DrillReport *report)
{
	const DumpTableFacts *facts =
		find_estimate(dump_contents_database(counts->estimates, table->database), table, &counts->near);
	uint64_t rows = table->rows;
	uint64_t expected = facts == NULL || counts->no_rows ? 0 : facts->rows;

	if (expected == 0)
		return;
	report->checks[DRILL_COUNTS].checked++;
	if ((rows > expected ? rows - expected : expected - rows) > expected / 10 + ESTIMATE_SLACK &&
	    report->checks[DRILL_COUNTS].notes.count < NOTES_MAX)
		drill_note(report, DRILL_COUNTS,
		           "database \"%s\", table %s.%s: %" PRIu64
		           " rows, and the server's estimate had been %" PRIu64,
		           table->database, table->schema, table->name, rows, expected);
}

void
drill_compare_count(DrillCounts *counts, const CountedTable *table, DrillReport *report)
{
	size_t name = 0;

	if (counts == NULL)
		return;
	if (counts->estimates != NULL)
	{
		compare_estimate(counts, table, report);
		return;
	}
	for (size_t i = 0; i < counts->counts.count; i++)
	{
		const RowCount *counted = &counts->counts.items[i];

		if (counted->database != table->database_oid || counted->relation != table->relation_oid)
			continue;
		counts->seen[i] = true;
		if (!table_names_match(&counts->names, table->database, table->schema, table->name, &name))
			return;
		counts->named[name] = true;
		compare_rows(counts, table, counted->rows, report);
		return;
	}
}

/* Of what is named only names can be missed: those of tables that are not here nobody knows. */
void
drill_close_counts(DrillCounts *counts, DrillReport *report)
{
	if (counts != NULL && counts->estimates != NULL)
	{
		drill_note(report, DRILL_COUNTS, "%s",
		           counts->no_rows
		               ? "only the schema was restored: there are no rows to be compared"
		               : "a dump knows no numbers of rows but the server's estimates: differences are "
		                 "no findings");
		return;
	}
	if (counts == NULL)
	{
		drill_note(report, DRILL_COUNTS, "\"--count\" was not given: numbers of rows are not compared");
		return;
	}
	for (size_t i = 0; i < counts->names.count; i++)
		if (!counts->named[i])
			drill_finding(report, DRILL_COUNTS, "of what was counted on the server no table is \"%s\" here",
			              counts->names.items[i]);
	for (size_t i = 0; i < counts->counts.count && counts->names.count == 0; i++)
		if (!counts->seen[i] &&
		    !(counts->tolerance.text != NULL &&
		      drill_tolerance_allows(&counts->tolerance, counts->counts.items[i].rows, 0)))
			drill_finding(report, DRILL_COUNTS,
			              "database %" PRIu32 ", table %" PRIu32 " (OIDs): not here, and %" PRIu64
			              " rows were counted on the server",
			              counts->counts.items[i].database, counts->counts.items[i].relation,
			              counts->counts.items[i].rows);
}
