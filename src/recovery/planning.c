/* Reads for the pure planner what it asks for. */
#include "walship/recovery/planning.h"

#include "planning_keys.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"

/* So many results are kept at once: a few MB. */
#define BATCH 128

typedef struct Planning
{
	Store *store;
	const Catalog *catalog;
	int jobs;
	const AgeIdentities *identities;
	WalFacts facts;
	WalNeeds needs;
} Planning;

/* One request; the result is added to the facts when all of its batch are there. */
typedef struct Reading
{
	const Planning *planning;
	TimeLineID timeline;
	XLogSegNo segno;
	bool whole; /* the segment itself, not only its index */
	bool readable;
	WalIndex index;
	SegmentDetail *detail; /* owned */
} Reading;

/* A damaged object is a fact, too; an unreachable store is none. */
static Error *
judge(Reading *reading, Error *error)
{
	reading->readable = error == NULL;
	if (!error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return NULL;
}

static Error *
read_index(Reading *reading)
{
	const Catalog *catalog = reading->planning->catalog;
	WalName name = wal_name_of_segment(reading->timeline, reading->segno, catalog->segment_size);
	AUTO_FREE char *key = layout_wal_key(catalog->system_identifier, &name, NULL);

	return wal_object_index(reading->planning->store, key, &reading->index);
}

/* Of the record that goes on in the next segment the two indexes hold what a planner needs. */
static Error *
join_next(Reading *reading)
{
	AUTO_FREE Reading *next = NEW(Reading);

	*next =
		(Reading){.planning = reading->planning, .timeline = reading->timeline, .segno = reading->segno + 1};
	if (!catalog_has_segment(reading->planning->catalog, next->timeline, next->segno))
		return NULL;
	TRY(read_index(reading));
	TRY(judge(next, read_index(next)));
	if (next->readable)
		(void) wal_index_join(&reading->index, &next->index, segment_detail_join, reading->detail);
	return NULL;
}

static Error *
read_detail(Reading *reading)
{
	const Catalog *catalog = reading->planning->catalog;
	WalName name = wal_name_of_segment(reading->timeline, reading->segno, catalog->segment_size);
	WalArchive archive = {.store = reading->planning->store,
	                      .system_identifier = catalog->system_identifier,
	                      .identities = reading->planning->identities};
	WalWalkResult result;

	reading->detail = segment_detail_new();
	TRY(wal_object_walk(&archive, &name, segment_detail_add, reading->detail, &result));
	return result.continues ? join_next(reading) : NULL;
}

static Error *
read_one(void *argument)
{
	Reading *reading = argument;

	TRY(cancel_check());
	return judge(reading, reading->whole ? read_detail(reading) : read_index(reading));
}

static Error *
read_batch(const Planning *planning, Reading *readings, size_t count)
{
	AUTO(Workers) workers = NULL;

	if (count == 1)
		return read_one(&readings[0]);
	workers = workers_new(planning->jobs < (int) count ? planning->jobs : (int) count);
	for (size_t i = 0; i < count; i++)
		workers_submit(workers, read_one, &readings[i], NULL);
	return workers_wait(workers);
}

static void
add_facts(Planning *planning, Reading *readings, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		Reading *reading = &readings[i];

		if (!reading->readable)
			wal_facts_add_unreadable(&planning->facts, reading->timeline, reading->segno);
		else if (reading->whole)
			wal_facts_add_detail(&planning->facts, reading->timeline, reading->segno, MOVE(reading->detail));
		else
			wal_facts_add(&planning->facts, reading->segno, &reading->index);
	}
}

/* Reads what is there, adds it, and begins anew. */
static Error *
finish_batch(Planning *planning, Reading *readings, size_t *count)
{
	Error *error = *count == 0 ? NULL : read_batch(planning, readings, *count);

	if (error == NULL)
		add_facts(planning, readings, *count);
	for (size_t i = 0; i < *count; i++)
		segment_detail_free(readings[i].detail);
	*count = 0;
	return error;
}

static Error *
read_ranges(Planning *planning, const WalRange *ranges, size_t n_ranges, bool whole)
{
	AUTO_FREE Reading *readings = NEW_ARRAY(Reading, BATCH);
	size_t count = 0;

	for (size_t i = 0; i < n_ranges; i++)
		for (XLogSegNo segno = ranges[i].first; segno <= ranges[i].last; segno++)
		{
			readings[count++] = (Reading){
				.planning = planning, .timeline = ranges[i].timeline, .segno = segno, .whole = whole};
			if (count == BATCH)
				TRY(finish_batch(planning, readings, &count));
		}
	return finish_batch(planning, readings, &count);
}

static Error *
read_needs(Planning *planning)
{
	TRY(read_ranges(planning, planning->needs.indexes, planning->needs.n_indexes, false));
	return read_ranges(planning, planning->needs.details, planning->needs.n_details, true);
}

static Error *
plan_in_steps(Planning *planning, const RecoveryRequest *request, RecoveryPlan **ret_plan)
{
	for (;;)
	{
		TRY(plan_recover(planning->catalog, request, &planning->facts, &planning->needs, ret_plan));
		if (wal_needs_nothing(&planning->needs))
			return NULL;
		TRY(read_needs(planning));
	}
}

Error *
planning_run(Store *store, int jobs, const Catalog *catalog, const AgeIdentities *identities,
             const RecoveryRequest *request, RecoveryPlan **ret_plan)
{
	Planning planning = {.store = store, .catalog = catalog, .jobs = jobs, .identities = identities};
	AUTO(RecoveryPlan) plan = NULL;
	Error *error = plan_in_steps(&planning, request, &plan);

	if (error == NULL)
		error = planning_check_keys(store, catalog, identities, plan);
	if (error == NULL)
		*ret_plan = MOVE(plan);
	wal_facts_release(&planning.facts);
	wal_needs_release(&planning.needs);
	return error;
}

static Error *
windows_in_steps(Planning *planning, WindowList *list)
{
	for (;;)
	{
		plan_windows(planning->catalog, &planning->facts, &planning->needs, list);
		if (wal_needs_nothing(&planning->needs))
			return NULL;
		window_list_release(list);
		TRY(read_needs(planning));
	}
}

Error *
planning_windows(Store *store, int jobs, const Catalog *catalog, WindowList *ret_list)
{
	Planning planning = {.store = store, .catalog = catalog, .jobs = jobs};
	WindowList list = {0};
	Error *error = windows_in_steps(&planning, &list);

	wal_facts_release(&planning.facts);
	wal_needs_release(&planning.needs);
	if (error == NULL)
		*ret_list = list;
	return error;
}
