/* The evidence of drills, read again. */
#include <stdlib.h>
#include <string.h>

#include "drill_steps.h"
#include "walship/archive/layout.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pipe/stages.h"

#define SUFFIX       "-" DRILL_OF_BACKUP ".json"
#define DUMP_SUFFIX  "-" DRILL_OF_DUMP ".json"
#define COMPARED_MAX 10

typedef struct ReadJob
{
	Store *store;
	const char *key;
	const Notices *notices;
	DrillReport *report; /* system_identifier 0 afterwards: cannot be read */
} ReadJob;

void
drill_history_release(DrillHistory *history)
{
	for (size_t i = 0; i < history->count; i++)
		drill_report_release(&history->reports[i]);
	free(history->reports);
	*history = (DrillHistory){0};
}

static Error *
add_key(void *keys, const StoreEntry *entry)
{
	if (str_ends_with(entry->key, SUFFIX) || str_ends_with(entry->key, DUMP_SUFFIX))
		strlist_add(keys, entry->key);
	return NULL;
}

static Error *
read_report(const ReadJob *job)
{
	AUTO_BUF(text, DRILL_REPORT_MAX);
	AUTO(Sink) sink = buf_sink_new(&text);
	AUTO(Json) json = NULL;

	TRY(store_get(job->store, job->key, 0, STORE_TO_END, sink));
	TRY(json_parse(text.data, text.size, job->key, &json));
	return error_context(drill_report_take(json, job->report), "could not read \"%s\"", job->key);
}

static Error *
run_job(void *argument)
{
	const ReadJob *job = argument;
	Error *error = read_report(job);

	if (error == NULL || (!error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND)))
		return error;
	notice_of_error(job->notices, LOG_WARNING, error);
	error_free(error);
	drill_report_release(job->report);
	return NULL;
}

/* Those that could be read, in their order. */
static void
close_ranks(DrillHistory *history)
{
	size_t kept = 0;

	for (size_t i = 0; i < history->count; i++)
	{
		DrillReport report = history->reports[i];

		history->reports[i] = (DrillReport){0};
		if (report.system_identifier != 0)
			history->reports[kept++] = report;
	}
	history->count = kept;
}

static Error *
read_reports(Store *store, const StrList *keys, int jobs, const Notices *notices, DrillHistory *history)
{
	AUTO(Workers) workers = workers_new(jobs);

	history->more = keys->count > DRILL_HISTORY_MAX ? keys->count - DRILL_HISTORY_MAX : 0;
	history->count = keys->count - history->more;
	history->reports = NEW_ARRAY(DrillReport, history->count + 1);
	for (size_t i = 0; i < history->count; i++)
	{
		ReadJob *job = NEW(ReadJob);

		*job = (ReadJob){store, keys->items[history->more + i], notices, &history->reports[i]};
		workers_submit(workers, run_job, job, free);
	}
	TRY(workers_wait(workers));
	close_ranks(history);
	return NULL;
}

Error *
drill_history_read(Store *store, uint64_t system_identifier, const char *time, int jobs,
                   const Notices *notices, DrillHistory *ret_history)
{
	AUTO_FREE char *prefix = layout_proof_prefix(system_identifier);
	AUTO_FREE char *key = time == NULL ? NULL : mem_printf("%s%s" SUFFIX, prefix, time);
	AUTO_STRLIST keys = {0};

	TRY(store_list(store, prefix, LIST_LEVEL, NULL, add_key, &keys));
	if (key == NULL)
		return read_reports(store, &keys, jobs, notices, ret_history);

	AUTO_FREE char *dump_key = mem_printf("%s%s" DUMP_SUFFIX, prefix, time);
	bool of_dump = !strlist_contains(&keys, key) && strlist_contains(&keys, dump_key);
	ReadJob job = {store, of_dump ? dump_key : key, notices, NEW(DrillReport)};

	ret_history->reports = job.report;
	ret_history->count = 1;
	if (!strlist_contains(&keys, job.key))
		return error_hint(
			error_new(ERR_NOT_FOUND, "store \"%s\" has no drill \"%s\"", store_url(store), time),
			"\"walship drill --history\" shows them.");
	return read_report(&job);
}

static int
compare_times(const void *a, const void *b)
{
	int64_t left = *(const int64_t *) a;
	int64_t right = *(const int64_t *) b;

	return (left > right) - (left < right);
}

static bool
is_of_dump(const DrillReport *report)
{
	return report->dump != NULL;
}

DrillTrend
drill_trend(const DrillReport *reports, size_t count)
{
	DrillTrend trend = {0};
	int64_t times[COMPARED_MAX];

	for (size_t i = count; i-- > 0 && trend.compared < COMPARED_MAX;)
	{
		if (!reports[i].passed || (trend.last != NULL && is_of_dump(&reports[i]) != is_of_dump(trend.last)))
			continue;
		if (trend.last == NULL)
			trend.last = &reports[i];
		else
			times[trend.compared++] = reports[i].total_ms;
	}
	if (trend.compared == 0)
		return trend;
	qsort(times, trend.compared, sizeof(times[0]), compare_times);
	trend.median_ms = (times[(trend.compared - 1) / 2] + times[trend.compared / 2]) / 2;
	return trend;
}
