/* What the facts mean: a report of items, and the verdict.  See walship/upkeep/status.h. */
#include "status_items.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/retention.h"
#include "walship/base/size.h"

#define VERDICT_MAX 4096

const char *
status_state_text(StatusState state)
{
	static const char *const texts[] = {
		[STATUS_OK] = "OK", [STATUS_WARN] = "WARN", [STATUS_FAIL] = "FAIL", [STATUS_UNKNOWN] = "UNKNOWN"};

	return texts[state];
}

StatusState
status_worse(StatusState a, StatusState b)
{
	static const int rank[] = {[STATUS_OK] = 0, [STATUS_UNKNOWN] = 1, [STATUS_WARN] = 2, [STATUS_FAIL] = 3};

	return rank[a] >= rank[b] ? a : b;
}

void
status_report_release(StatusReport *report)
{
	for (size_t i = 0; i < report->count; i++)
	{
		free(report->items[i].value);
		free(report->items[i].threshold);
		free(report->items[i].reason);
		free(report->items[i].remedy);
	}
	free(report->items);
	free(report->verdict);
	*report = (StatusReport){0};
}

/* The value is given away.  The item is there until the next one is added. */
StatusItem *
status_add(Decision *decision, const char *name, char *value)
{
	StatusReport *report = decision->report;

	GROW(report->items, report->count, report->capacity);
	report->items[report->count] = (StatusItem){.name = name, .value = value};
	return &report->items[report->count++];
}

/* Not well, or not known: with a reason and a remedy (NULL: there is none to be named). */
void
status_judge(StatusItem *item, StatusState state, const char *remedy, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	item->state = state;
	item->reason = mem_vprintf(format, arguments);
	item->remedy = mem_strdup(remedy);
	va_end(arguments);
}

void
status_threshold(StatusItem *item, const char *setting, int64_t ms)
{
	AUTO_FREE char *text = ms > 0 ? retention_duration_text(ms) : NULL;

	if (text != NULL)
		item->threshold = mem_printf("%s = %s", setting, text);
}

/* More than so long ago; a limit of 0 is none. */
bool
status_is_older(const Decision *decision, TimeUs time, int64_t limit_ms)
{
	return limit_ms > 0 && (time == TIME_NONE || (decision->facts->now - time) / 1000 > limit_ms);
}

bool
status_server_answers(const StatusFacts *facts)
{
	return facts->server.asked && facts->server.error == NULL;
}

/* The reasons of everything that is in this state. */
static void
put_reasons(const StatusReport *report, StatusState state, Buf *into)
{
	for (size_t i = 0; i < report->count; i++)
		if (report->items[i].state == state && report->items[i].reason != NULL)
			buf_printf(into, "%s: %s; ", report->items[i].name, report->items[i].reason);
}

static void
decide_verdict(Decision *decision)
{
	const StatusFacts *facts = decision->facts;
	StatusReport *report = decision->report;
	AUTO_BUF(text, VERDICT_MAX);
	char age[AGE_TEXT_SIZE];
	char took[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < report->count; i++)
		report->state = status_worse(report->state, report->items[i].state);
	if (report->state != STATUS_OK)
		put_reasons(report, report->state, &text);
	if (facts->store_error != NULL)
		buf_puts(&text, "nothing is known of what can be recovered");
	else
		status_put_window(facts, &text);
	if (facts->store_error == NULL && facts->drill.time != TIME_NONE && facts->drill.passed)
		buf_printf(&text, "; last drill %s took %s", age_format(facts->drill.time, facts->now, age),
		           duration_format(facts->drill.rto_ms, took));
	report->verdict = text.overflowed ? mem_strdup("much is wrong") : buf_steal(&text);
}

void
status_decide(const StatusFacts *facts, const StatusLimits *limits, StatusReport *ret_report)
{
	Decision decision = {.facts = facts, .limits = limits, .report = ret_report};

	*ret_report = (StatusReport){.state = STATUS_OK};
	status_decide_store(&decision);
	status_decide_server(&decision);
	if (facts->store_error == NULL)
	{
		status_decide_archiving(&decision);
		status_decide_window(&decision);
		status_decide_gaps(&decision);
		status_decide_backup(&decision);
		status_decide_backup_faults(&decision);
		status_decide_backup_size(&decision);
		status_decide_drill(&decision);
		status_decide_verify(&decision);
		status_decide_dumps(&decision);
		status_decide_files(&decision);
		status_decide_storage(&decision);
		status_decide_second(&decision);
		status_decide_room(&decision);
		status_decide_clocks(&decision);
	}
	status_decide_ends(&decision);
	status_decide_jobs(&decision);
	decide_verdict(&decision);
}
