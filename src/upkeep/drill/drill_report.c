/* What a drill found, as evidence. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "drill_steps.h"
#include "walship/archive/layout.h"
#include "walship/base/mem.h"
#include "walship/wal/json.h"

#define TRIES_MAX 100

static const char *const outcomes[] = {[DRILL_NOT_MADE] = "not made",
                                       [DRILL_PASSED] = "passed",
                                       [DRILL_SKIPPED] = "skipped",
                                       [DRILL_FAILED] = "failed"};

static const char *const aheads[] = {[DRILL_AHEAD_NOT_ASKED] = "not asked",
                                     [DRILL_AHEAD_UNKNOWN] = "not known",
                                     [DRILL_NOT_AHEAD] = "no",
                                     [DRILL_AHEAD] = "yes"};

static const char *const levels[N_DRILL_LEVELS] = {
	[DRILL_RESTORED] = "restored", [DRILL_CONFIGURED] = "configured", [DRILL_CONSISTENT] = "consistent",
	[DRILL_TARGET] = "target",     [DRILL_DATABASES] = "databases",   [DRILL_TABLES] = "tables",
	[DRILL_COUNTS] = "counts",     [DRILL_STRUCTURE] = "structure",   [DRILL_SQL] = "sql",
	[DRILL_IN_TIME] = "in time",   [DRILL_RECENT] = "recent",         [DRILL_DUMP] = "dump",
	[DRILL_PAGES] = "pages",
};

static void add_sentence(StrList *list, const char *format, va_list arguments) PRINTF_LIKE(2, 0);

static void
add_sentence(StrList *list, const char *format, va_list arguments)
{
	AUTO_FREE char *text = mem_vprintf(format, arguments);

	strlist_add(list, text);
}

void
drill_finding(DrillReport *report, DrillLevel level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_sentence(&report->checks[level].findings, format, arguments);
	va_end(arguments);
}

void
drill_note(DrillReport *report, DrillLevel level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_sentence(&report->checks[level].notes, format, arguments);
	va_end(arguments);
}

Error *
drill_take_error(DrillReport *report, DrillLevel level, Error *error)
{
	if (error == NULL || error_is(error, ERR_CANCELLED) || error_is(error, ERR_TRANSIENT) ||
	    error_is(error, ERR_DENIED))
		return error;
	drill_finding(report, level, "%s", error_message(error));
	error_free(error);
	return NULL;
}

const char *
drill_level_text(DrillLevel level)
{
	return levels[level];
}

static const JsonField check_fields[] = {
	{"outcome", &json_enum, JSON_AT(DrillCheck, outcome), .names = outcomes, .n_names = lengthof(outcomes)},
	{"duration_ms", &json_natural, JSON_AT(DrillCheck, duration_ms)},
	{"checked", &json_uint, JSON_AT(DrillCheck, checked)},
	{"findings", &json_list, JSON_AT(DrillCheck, findings.items), .of = &json_strings,
     .count = offsetof(DrillCheck, findings.count)},
	{"notes", &json_list, JSON_AT(DrillCheck, notes.items), .of = &json_strings,
     .count = offsetof(DrillCheck, notes.count)},
};
static const JsonTable check_table = JSON_TABLE(DrillCheck, check_fields);

static const JsonField report_fields[] = {
	{"format", &json_constant, .text = "walship drill 1"},
	{"passed", &json_bool, JSON_AT(DrillReport, passed)},
	{"time", &json_time, JSON_AT(DrillReport, time)},
	{"system_id", &json_decimal, JSON_AT(DrillReport, system_identifier)},
	{"walship", &json_string, JSON_AT(DrillReport, walship_version)},
	{"backup", &json_string, JSON_AT(DrillReport, backup), .flags = JSON_MAYBE},
	{"dump", &json_string, JSON_AT(DrillReport, dump), .flags = JSON_OPTIONAL},
	{"schema_only", &json_bool, JSON_AT(DrillReport, schema_only), .flags = JSON_OPTIONAL},
	{"server_version", &json_natural, JSON_AT(DrillReport, server_version)},
	{"timeline", &json_uint, JSON_AT(DrillReport, timeline)},
	{"target", &json_string, JSON_AT(DrillReport, target)},
	{"random", &json_bool, JSON_AT(DrillReport, random)},
	{"seed", &json_decimal, JSON_AT(DrillReport, seed), .flags = JSON_OPTIONAL},
	{"stop_lsn", &json_lsn, JSON_AT(DrillReport, stop_lsn), .flags = JSON_MAYBE},
	{"planned_time", &json_time, JSON_AT(DrillReport, planned_time), .flags = JSON_MAYBE},
	{"planned_xid", &json_uint, JSON_AT(DrillReport, planned_xid), .flags = JSON_OPTIONAL},
	{"replay_lsn", &json_lsn, JSON_AT(DrillReport, replay_lsn), .flags = JSON_MAYBE},
	{"counts_lsn", &json_lsn, JSON_AT(DrillReport, counts_lsn), .flags = JSON_OPTIONAL},
	{"counts_exact", &json_bool, JSON_AT(DrillReport, counts_exact), .flags = JSON_OPTIONAL},
	{"counts_tolerance", &json_string, JSON_AT(DrillReport, counts_tolerance), .flags = JSON_OPTIONAL},
	{"last_transaction", &json_string, JSON_AT(DrillReport, last_transaction), .flags = JSON_MAYBE},
	{"network_taken_away", &json_bool, JSON_AT(DrillReport, no_network)},
	{"network_left_because", &json_string, JSON_AT(DrillReport, fence_reason), .flags = JSON_MAYBE},
	{"fetched_bytes", &json_uint, JSON_AT(DrillReport, fetched_size)},
	{"wal_window_bytes", &json_uint, JSON_AT(DrillReport, wal_window), .flags = JSON_OPTIONAL},
	{"restore_ms", &json_natural, JSON_AT(DrillReport, restore_ms)},
	{"replay_ms", &json_natural, JSON_AT(DrillReport, replay_ms)},
	{"checks_ms", &json_natural, JSON_AT(DrillReport, checks_ms)},
	{"rto_ms", &json_natural, JSON_AT(DrillReport, total_ms)},
	{"rto_target_ms", &json_natural, JSON_AT(DrillReport, rto_target_ms)},
	{"rpo_ms", &json_uint, JSON_AT(DrillReport, rpo_ms), .flags = JSON_MAYBE},
	{"rpo_target_ms", &json_natural, JSON_AT(DrillReport, rpo_target_ms), .flags = JSON_OPTIONAL},
	{"server_ahead", &json_enum, JSON_AT(DrillReport, server_ahead), .names = aheads,
     .n_names = lengthof(aheads), .flags = JSON_OPTIONAL},
	{"missing_transactions", &json_uint, JSON_AT(DrillReport, missing_transactions), .flags = JSON_OPTIONAL},
};
static const JsonTable report_table = JSON_TABLE(DrillReport, report_fields);

void
drill_report_put(const DrillReport *report, Json *into)
{
	Json *checks;

	json_put(into, &report_table, report);
	checks = json_add_object(into, "checks");
	for (int level = 0; level < N_DRILL_LEVELS; level++)
		json_put(json_add_object(checks, levels[level]), &check_table, &report->checks[level]);
}

Error *
drill_report_take(const Json *json, DrillReport *report)
{
	const Json *checks = json_get(json, "checks");

	*report = (DrillReport){.planned_time = TIME_NONE};
	TRY(json_take(json, &report_table, report));
	for (int level = 0; level < N_DRILL_LEVELS; level++)
	{
		const Json *check = checks == NULL ? NULL : json_get(checks, levels[level]);

		/* Older ones have fewer. */
		if (check != NULL)
			TRY(json_take(check, &check_table, &report->checks[level]));
	}
	return NULL;
}

static Error *
store_once(const DrillReport *report, Store *store)
{
	AUTO_FREE char *key = layout_proof_key(report->system_identifier, report->time,
	                                       report->dump != NULL ? DRILL_OF_DUMP : DRILL_OF_BACKUP);
	AUTO(Json) json = json_new_object();
	AUTO_BUF(text, DRILL_REPORT_MAX);

	drill_report_put(report, json);
	json_print(json, false, &text);

	Slice slice = slice_of_memory(text.data, text.size);

	return store_put(store, key, &slice, 1, PUT_IF_ABSENT);
}

Error *
drill_report_store(DrillReport *report, Store *store)
{
	for (int tries = 0;; tries++)
	{
		Error *error = store_once(report, store);

		if (!error_is(error, ERR_EXISTS) || tries == TRIES_MAX)
			return error;
		error_free(error);
		report->time += 1000000;
	}
}

void
drill_report_release(DrillReport *report)
{
	free(report->walship_version);
	free(report->backup);
	free(report->dump);
	free(report->target);
	free(report->last_transaction);
	free(report->counts_tolerance);
	free(report->fence_reason);
	for (int level = 0; level < N_DRILL_LEVELS; level++)
	{
		strlist_release(&report->checks[level].findings);
		strlist_release(&report->checks[level].notes);
	}
	*report = (DrillReport){0};
}
