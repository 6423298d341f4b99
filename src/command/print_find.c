/* What "walship find" found; see print_find.h. */
#include "print_find.h"

#include <inttypes.h>
#include <string.h>

#include "table.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/recovery/drop.h"

#define FIND_FORMAT  1
#define SENTENCE_MAX 1024 /* a few names and numbers */

static bool
are_drops(const FindReport *report)
{
	return report->request->kind <= SEARCH_DROPS_AND_REWRITES;
}

/*
 * Does its name, or else its transaction id, lead to it alone?  Not a restore point's name that was found more than
 * once, nor one that is not the whole truth: a '?' may stand for what could not be shown.
 */
static bool
is_found_by_name(const FindReport *report, const Finding *finding)
{
	size_t count = 0;

	if (finding->name == NULL)
		return true;
	for (size_t i = 0; i < report->findings->count; i++)
		count += str_equal(report->findings->items[i].name, finding->name);
	return count == 1 && *finding->name != '\0' && strchr(finding->name, '?') == NULL;
}

/* "walship recover --target-xid 745 --timeline 2 --pgdata DIR".  The caller frees. */
static char *
command_line(const FindReport *report, const Finding *finding, const char *target)
{
	AUTO_FREE char *timeline = report->catalog->n_timelines > 1
	                               ? mem_printf(" --timeline %" PRIu32, finding->timeline)
	                               : mem_strdup("");

	return mem_printf("walship recover %s%s%s --pgdata DIR", target, timeline, report->flags);
}

/* To just before a drop, up to a restore point or a commit.  The caller frees. */
static char *
recover_command(const FindReport *report, const Finding *finding)
{
	AUTO_FREE char *target = NULL;
	char lsn[LSN_TEXT_SIZE];

	if (are_drops(report))
		target = mem_printf("--before-drop xid:%" PRIu32, finding->xid);
	else if (!is_found_by_name(report, finding))
		target = mem_printf("--target-lsn %s", lsn_format(finding->lsn, lsn));
	else if (finding->name != NULL)
	{
		AUTO_FREE char *name = str_shell_quote(finding->name);

		target = mem_printf("--target-name %s", name);
	}
	else
		target = mem_printf("--target-xid %" PRIu32, finding->xid);
	return command_line(report, finding, target);
}

/* To just before a commit.  The caller frees. */
static char *
before_command(const FindReport *report, const Finding *finding)
{
	AUTO_FREE char *target = mem_printf("--before xid:%" PRIu32, finding->xid);

	return command_line(report, finding, target);
}

static void
print_drops(const FindReport *report, FILE *into)
{
	for (size_t i = 0; i < report->findings->count; i++)
	{
		const Finding *finding = &report->findings->items[i];
		AUTO_FREE char *command = recover_command(report, finding);
		AUTO_BUF(dropped, SENTENCE_MAX);
		char time[TIME_TEXT_SIZE];
		char lsn[LSN_TEXT_SIZE];

		drop_describe(&finding->dropped, &dropped);
		(void) fprintf(
			into, "%s%4zu  %s  transaction %" PRIu32 ", LSN %s, timeline %" PRIu32 "\n      %s\n      %s\n",
			i == 0 ? "" : "\n", i + 1,
			finding->time == TIME_NONE ? "time not known" : time_format_postgres(finding->time, time),
			finding->xid, lsn_format(finding->lsn, lsn), finding->timeline, dropped.data, command);
	}
}

static void
print_points(const FindReport *report, FILE *into)
{
	AUTO(Table) table = table_new("time|>timeline|LSN|name|to recover up to it");

	for (size_t i = 0; i < report->findings->count; i++)
	{
		const Finding *finding = &report->findings->items[i];
		AUTO_FREE char *command = recover_command(report, finding);

		table_time(table, finding->time);
		table_cell(table, "%" PRIu32, finding->timeline);
		table_lsn(table, finding->lsn);
		table_cell(table, "%s", finding->name);
		table_cell(table, "%s", command);
	}
	table_print(table, "", into);
}

/* The lines of the commit that wrote the most: whoever looks for an accident mostly means it. */
static void
print_commits(const FindReport *report, FILE *into)
{
	AUTO(Table) table = table_new("time|>timeline|LSN|>transaction|>WAL|>records");
	const Finding *largest = &report->findings->items[0];
	char size[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < report->findings->count; i++)
	{
		const Finding *finding = &report->findings->items[i];

		table_time(table, finding->time);
		table_cell(table, "%" PRIu32, finding->timeline);
		table_lsn(table, finding->lsn);
		table_cell(table, "%" PRIu32, finding->xid);
		table_cell(table, "%s", size_format(finding->written.bytes, size));
		table_cell(table, "%" PRIu64, finding->written.records);
		if (finding->written.bytes > largest->written.bytes)
			largest = finding;
	}
	table_print(table, "", into);

	AUTO_FREE char *before = before_command(report, largest);
	AUTO_FREE char *including = recover_command(report, largest);

	(void) fprintf(into, "\n%s\n      %s\n%s\n      %s\n",
	               report->findings->count == 1
	                   ? "To recover to just before it:"
	                   : "To recover to just before one of them, here the one that wrote most:",
	               before, "To recover up to it, and including it:", including);
}

static void
print_none(const FindReport *report, FILE *into)
{
	static const char *const nothing[] = {
		[SEARCH_DROPS] = "No table, index or database was dropped",
		[SEARCH_REWRITES] = "Nothing was rewritten or truncated",
		[SEARCH_DROPS_AND_REWRITES] = "Nothing was dropped, rewritten or truncated",
		[SEARCH_RESTORE_POINTS] = "There is no restore point",
		[SEARCH_COMMITS] = "There is no commit",
	};
	bool limited = report->request->since != TIME_NONE || report->request->until != TIME_NONE;

	(void) fprintf(into, "%s in the WAL of the store%s.\n", nothing[report->request->kind],
	               limited ? " within that time" : "");
}

/* What is not here may only not be archived yet.  Of several timelines the newest is the live one. */
static void
print_end(const FindReport *report, FILE *into)
{
	const WalEnd *end;
	char lsn[LSN_TEXT_SIZE];
	char time[TIME_TEXT_SIZE];
	char age[SIZE_TEXT_SIZE];

	if (report->findings->n_ends == 0)
		return;
	end = &report->findings->ends[report->findings->n_ends - 1];
	(void) fprintf(into, "\nThe WAL in the store ends at LSN %s on timeline %" PRIu32,
	               lsn_format(end->lsn, lsn), end->timeline);
	if (end->time != TIME_NONE && end->time <= report->now)
		(void) fprintf(into, ", with a commit of %s, %s ago", time_format_postgres(end->time, time),
		               duration_format((report->now - end->time) / 1000, age));
	else if (end->time != TIME_NONE)
		(void) fprintf(into, ", with a commit of %s, later than this machine's clock",
		               time_format_postgres(end->time, time));
	(void) fputs(
		".\nWhat is newer is not archived yet: SELECT pg_switch_wal() on the server, then look again.\n",
		into);
}

void
print_find_text(const FindReport *report, FILE *into)
{
	const Findings *findings = report->findings;

	if (findings->count == 0)
		print_none(report, into);
	else if (are_drops(report))
		print_drops(report, into);
	else if (report->request->kind == SEARCH_RESTORE_POINTS)
		print_points(report, into);
	else
		print_commits(report, into);
	if (findings->rewrites > 0)
		(void) fprintf(
			into,
			"\n%zu more transaction%s truncated or rewrote relations (TRUNCATE, VACUUM FULL, REINDEX, "
			"...): see --rewrites.\n",
			findings->rewrites, findings->rewrites == 1 ? "" : "s");
	print_end(report, into);
	for (size_t i = 0; i < findings->warnings.count; i++)
	{
		(void) fputs("\n", into);
		print_line(into, "WARNING: %s", findings->warnings.items[i]);
	}
}

static const char *const kinds[] = {
	[SEARCH_DROPS] = "drops",
	[SEARCH_REWRITES] = "rewrites",
	[SEARCH_DROPS_AND_REWRITES] = "drops",
	[SEARCH_RESTORE_POINTS] = "restore_points",
	[SEARCH_COMMITS] = "commits",
};
static const char *const drops[] = {
	[DROPPED_RELATIONS] = "drop",
	[DROPPED_BY_REWRITE] = "rewrite",
	[DROPPED_DATABASE] = "database",
};

static const JsonField file_fields[] = {
	{"tablespace", &json_uint, JSON_AT(WalRelation, tablespace)},
	{"database", &json_uint, JSON_AT(WalRelation, database)},
	{"number", &json_uint, JSON_AT(WalRelation, number)},
};
static const JsonTable file_table = JSON_TABLE(WalRelation, file_fields);

static const JsonField loss_fields[] = {
	{"kind", &json_enum, JSON_AT(DroppedObjects, kind), .names = drops, .n_names = lengthof(drops)},
	{"commit_lsn", &json_lsn, JSON_AT(DroppedObjects, commit_lsn)},
	{"database", &json_uint, JSON_AT(DroppedObjects, database), .flags = JSON_MAYBE},
	{"relation_count", &json_uint, JSON_AT(DroppedObjects, objects)},
	{"relations", &json_list, JSON_AT(DroppedObjects, named_objects), .of = &json_uints,
     .count = offsetof(DroppedObjects, n_named_objects)},
	{"file_count", &json_uint, JSON_AT(DroppedObjects, files)},
	{"files", &json_list, JSON_AT(DroppedObjects, named_files), .of = &file_table,
     .count = offsetof(DroppedObjects, n_named_files)},
};
static const JsonTable loss_table = JSON_TABLE(DroppedObjects, loss_fields);

static const JsonField end_fields[] = {
	{"timeline", &json_uint, JSON_AT(WalEnd, timeline)},
	{"lsn", &json_lsn, JSON_AT(WalEnd, lsn)},
	{"last_commit", &json_time, JSON_AT(WalEnd, time)},
};
static const JsonTable end_table = JSON_TABLE(WalEnd, end_fields);

static void
add_finding(const FindReport *report, size_t number, Json *item)
{
	const Finding *finding = &report->findings->items[number - 1];
	AUTO_FREE char *command = recover_command(report, finding);

	json_add_int(item, "number", (int64_t) number);
	json_add_int(item, "timeline", finding->timeline);
	json_add_time(item, "time", finding->time);
	json_add_lsn(item, "lsn", finding->lsn);
	if (finding->name != NULL)
		json_add_string(item, "name", finding->name);
	else
		json_add_int(item, "xid", finding->xid);
	if (are_drops(report))
	{
		json_put(item, &loss_table, &finding->dropped);
		json_add_bool(item, "complete", !finding->dropped.cut);
	}
	if (report->request->kind == SEARCH_COMMITS)
	{
		AUTO_FREE char *before = before_command(report, finding);

		json_add_int(item, "wal_bytes", (int64_t) finding->written.bytes);
		json_add_int(item, "wal_records", (int64_t) finding->written.records);
		json_add_string(item, "recover_before", before);
	}
	json_add_string(item, "recover", command);
}

void
print_find_json(const FindReport *report, FILE *into)
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
	json_put_list(root, "wal_ends", &end_table, findings->ends, findings->n_ends);
	json_put_list(root, "warnings", &json_strings, findings->warnings.items, findings->warnings.count);
	print_object(root, into);
}
