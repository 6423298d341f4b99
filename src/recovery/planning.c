/* A plan, and whether there is a key for everything that it needs. */
#include "walship/recovery/planning.h"

#include <string.h>

#include "walship/archive/readable.h"
#include "walship/base/mem.h"

typedef struct KeyCheck
{
	Store *store;
	WalFacts *facts;
	const AgeIdentities *identities;
	const Catalog *catalog;
} KeyCheck;

/* What cannot be read is the planner's business: for the keys it says nothing. */
static Error *
check_segment(const KeyCheck *check, TimeLineID timeline, XLogSegNo segno, const char **ret_recipients)
{
	const SegmentIndex *segment = wal_facts_index(check->facts, timeline, segno, segno);
	uint32_t segment_size = check->catalog->segment_size;
	char name[WAL_NAME_SIZE];
	AUTO_FREE char *what =
		mem_printf("WAL segment \"%s\"", wal_segment_name(timeline, segno, segment_size, name));

	TRY(wal_facts_error(check->facts));
	*ret_recipients = segment->recipients;
	if (!segment->readable)
		return NULL;
	return readable_check(check->store, check->catalog->system_identifier, check->identities,
	                      &(ReadableClaim){.what = what,
	                                       .recipients = segment->recipients,
	                                       .timeline = timeline,
	                                       .start_lsn = segment_start(segno, segment_size),
	                                       .segment_size = segment_size});
}

/* Recipients change seldom: halves whose ends agree are taken to be alike. */
static Error *
check_between(const KeyCheck *check, const WalRange *range, const char *first, const char *last)
{
	XLogSegNo middle = range->first + (range->last - range->first) / 2;
	const char *recipients;

	if (range->last - range->first < 2 || strcmp(first, last) == 0)
		return NULL;
	TRY(check_segment(check, range->timeline, middle, &recipients));
	TRY(check_between(check, &(WalRange){range->timeline, range->first, middle}, first, recipients));
	return check_between(check, &(WalRange){range->timeline, middle, range->last}, recipients, last);
}

static Error *
check_keys(const KeyCheck *check, const RecoveryPlan *plan)
{
	for (size_t i = 0; i < plan->n_segments; i++)
	{
		const PlanSegments *part = &plan->segments[i];
		const char *first;
		const char *last;

		TRY(check_segment(check, part->timeline, part->first, &first));
		TRY(check_segment(check, part->timeline, part->last, &last));
		TRY(check_between(check, &(WalRange){part->timeline, part->first, part->last}, first, last));
	}
	return NULL;
}

static BackupRecord **
record_in(Catalog *catalog, const BackupRecord *backup)
{
	size_t i = 0;

	while (catalog->backups[i] != backup)
		i++;
	return &catalog->backups[i];
}

/* Only of the backup that was chosen is it looked at whether it is all there; if not, another one is chosen. */
static Error *
plan_with_whole_backup(Store *store, WalFacts *facts, Catalog *catalog, const RecoveryRequest *request,
                       RecoveryPlan **ret_plan)
{
	for (;;)
	{
		AUTO(RecoveryPlan) plan = NULL;

		TRY(plan_recover(catalog, request, facts, &plan));

		BackupRecord **record = record_in(catalog, plan->backup);
		bool known = request->restored || (*record)->missing != NULL;

		if (!known)
			TRY(catalog_look_at_parts(store, catalog->system_identifier, record, 1));
		if (known || (*record)->missing == NULL)
		{
			*ret_plan = MOVE(plan);
			return NULL;
		}
	}
}

Error *
planning_run(Store *store, WalFacts *facts, Catalog *catalog, const AgeIdentities *identities,
             const RecoveryRequest *request, RecoveryPlan **ret_plan)
{
	KeyCheck check = {.store = store, .facts = facts, .identities = identities, .catalog = catalog};
	AUTO(RecoveryPlan) plan = NULL;

	TRY(plan_with_whole_backup(store, facts, catalog, request, &plan));
	TRY(check_keys(&check, plan));
	*ret_plan = MOVE(plan);
	return NULL;
}
