/* Retention of dumps and trees of files; see walship/plan/retain_records.h. */
#include "walship/plan/retain_records.h"

#include "retain_dated.h"
#include "walship/base/mem.h"

typedef struct Item
{
	Dated dated; /* first: the rules know it by this */
	const RetainRecord *record;
} Item;

void
retain_records_plan_free(RetainRecordsPlan *plan)
{
	if (plan == NULL)
		return;
	for (size_t i = 0; i < plan->n_records; i++)
		free(plan->records[i].reason);
	free(plan->records);
	free(plan);
}

/* Its own, or that of something in the chain below it: a chain is as good as its worst part. */
static char *
objection(void *context, const Dated *dated)
{
	const RetainRecordsRequest *request = context;
	const RetainRecord *record = ((const Item *) dated)->record;

	if (record->objection != NULL)
		return mem_strdup(record->objection);

	/* A chain cannot be longer than there are records, unless it bites its own tail. */
	for (size_t steps = 0; record->base != RETAIN_NO_BASE; steps++)
	{
		if (record->base >= request->n_records || steps == request->n_records)
			return mem_strdup("goes on from one that is not there");
		record = &request->records[record->base];
		if (record->objection != NULL)
			return mem_printf("goes on from \"%s\", which %s", record->id, record->objection);
	}
	return NULL;
}

static void
keep_window(const DatedRules *rules)
{
	TimeUs begin = rules->now - rules->policy->window_ms * 1000;

	for (size_t i = 0; i < rules->count && rules->policy->window_ms > 0; i++)
	{
		Dated *dated = rules->newest_first[i];

		if (dated->time > begin)
			dated_reason(dated, "in the window");
		else if (dated_is_complete(rules, dated))
		{
			dated_reason(dated, "the window begins with it");
			return;
		}
	}
}

/* What is kept can be read: so its base stays, whatever the rules say of that. */
static void
keep_bases(const RetainRecordsRequest *request, Item *items)
{
	for (size_t i = 0; i < request->n_records; i++)
	{
		const char *id = request->records[i].id;
		size_t base = request->records[i].base;

		if (items[i].dated.reasons.size == 0)
			continue;
		for (size_t steps = 0; base < request->n_records && steps < request->n_records; steps++)
		{
			if (items[base].dated.reasons.size == 0)
				dated_reason(&items[base].dated, "\"%s\" goes on from it", id);
			base = request->records[base].base;
		}
	}
}

static RetainRecordsPlan *
conclude(const RetainRecordsRequest *request, Item *items, const Dated *newest)
{
	RetainRecordsPlan *plan = NEW(RetainRecordsPlan);

	plan->records = NEW_ARRAY(RetainedRecord, request->n_records);
	plan->n_records = request->n_records;
	plan->newest = newest == NULL ? NULL : ((const Item *) newest)->record;
	for (size_t i = 0; i < request->n_records; i++)
	{
		RetainedRecord *retained = &plan->records[i];

		retained->record = &request->records[i];
		retained->keep = dated_conclude(&items[i].dated, &retained->reason);
		dated_release(&items[i].dated);
		if (retained->keep)
			continue;
		plan->removed++;
		plan->freed += retained->record->stored_size;
	}
	return plan;
}

RetainRecordsPlan *
plan_retain_records(const RetainRecordsRequest *request)
{
	AUTO_FREE Item *items = NEW_ARRAY(Item, request->n_records);
	AUTO_FREE Dated **newest_first = NEW_ARRAY(Dated *, request->n_records);
	DatedRules rules = {.noun = request->noun,
	                    .policy = &request->policy,
	                    .now = request->now,
	                    .pins = request->pins,
	                    .n_pins = request->n_pins,
	                    .leases = request->leases,
	                    .n_leases = request->n_leases,
	                    .newest_first = newest_first,
	                    .count = request->n_records,
	                    .objection = objection,
	                    .context = (void *) request};
	const Dated *newest;

	for (size_t i = 0; i < request->n_records; i++)
	{
		items[i].record = &request->records[i];
		dated_init(&items[i].dated, items[i].record->id, items[i].record->time, items[i].record->local_time);
		newest_first[i] = &items[i].dated;
	}
	dated_sort(newest_first, request->n_records);
	keep_window(&rules);
	dated_keep(&rules);
	newest = dated_keep_least(&rules);
	keep_bases(request, items);
	return conclude(request, items, newest);
}
