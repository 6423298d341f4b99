/* Reads for the pure planner what it asks for. */
#include "planning.h"

#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"

typedef struct Planning
{
	Store *store;
	const Catalog *catalog;
	WalFacts facts;
	WalNeeds needs;
} Planning;

/* A damaged object is a fact, too; an unreachable store is none. */
static Error *
add_unreadable(Planning *planning, TimeLineID timeline, XLogSegNo segno, Error *error)
{
	if (!error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	wal_facts_add_unreadable(&planning->facts, timeline, segno);
	return NULL;
}

static Error *
read_index(Planning *planning, TimeLineID timeline, XLogSegNo segno)
{
	WalName name = wal_name_of_segment(timeline, segno, planning->catalog->segment_size);
	AUTO_FREE char *key = layout_wal_key(planning->catalog->system_identifier, &name, NULL);
	WalIndex index;
	Error *error = wal_object_index(planning->store, key, &index);

	if (error != NULL)
		return add_unreadable(planning, timeline, segno, error);
	wal_facts_add(&planning->facts, segno, &index);
	return NULL;
}

static Error *
read_detail(Planning *planning, TimeLineID timeline, XLogSegNo segno)
{
	WalName name = wal_name_of_segment(timeline, segno, planning->catalog->segment_size);
	WalArchive archive = {.store = planning->store,
	                      .system_identifier = planning->catalog->system_identifier};
	AUTO(SegmentDetail) detail = segment_detail_new();
	WalWalkResult result;
	Error *error = wal_object_walk(&archive, &name, segment_detail_add, detail, &result);

	if (error != NULL)
		return add_unreadable(planning, timeline, segno, error);
	wal_facts_add_detail(&planning->facts, timeline, segno, MOVE(detail));
	return NULL;
}

static Error *
read_ranges(Planning *planning, const WalRange *ranges, size_t n_ranges,
            Error *(*read)(Planning *planning, TimeLineID timeline, XLogSegNo segno))
{
	for (size_t i = 0; i < n_ranges; i++)
		for (XLogSegNo segno = ranges[i].first; segno <= ranges[i].last; segno++)
		{
			TRY(cancel_check());
			TRY(read(planning, ranges[i].timeline, segno));
		}
	return NULL;
}

static Error *
read_needs(Planning *planning)
{
	TRY(read_ranges(planning, planning->needs.indexes, planning->needs.n_indexes, read_index));
	return read_ranges(planning, planning->needs.details, planning->needs.n_details, read_detail);
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
planning_run(Store *store, const Catalog *catalog, const RecoveryRequest *request, RecoveryPlan **ret_plan)
{
	Planning planning = {.store = store, .catalog = catalog};
	Error *error = plan_in_steps(&planning, request, ret_plan);

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
planning_windows(Store *store, const Catalog *catalog, WindowList *ret_list)
{
	Planning planning = {.store = store, .catalog = catalog};
	WindowList list = {0};
	Error *error = windows_in_steps(&planning, &list);

	wal_facts_release(&planning.facts);
	wal_needs_release(&planning.needs);
	if (error == NULL)
		*ret_list = list;
	return error;
}
