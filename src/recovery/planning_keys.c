/* Is there a key for everything that a plan needs? */
#include "planning_keys.h"

#include <stdio.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"

typedef struct KeyCheck
{
	Store *store;
	const Catalog *catalog;
	const AgeIdentities *identities;
} KeyCheck;

/* A segment, and for whom it is encrypted. */
typedef struct Encrypted
{
	XLogSegNo segno;
	char recipients[WAL_INDEX_RECIPIENTS_SIZE];
} Encrypted;

/* What cannot be read is the planner's business: for the keys it says nothing. */
static Error *
look_at(const KeyCheck *check, TimeLineID timeline, XLogSegNo segno, Encrypted *ret_segment)
{
	WalName name = wal_name_of_segment(timeline, segno, check->catalog->segment_size);
	AUTO_FREE char *key = layout_wal_key(check->catalog->system_identifier, &name, NULL);
	AUTO_FREE char *what = mem_printf("object \"%s\" in store \"%s\"", key, store_url(check->store));
	WalIndex index;
	Error *error;

	TRY(cancel_check());
	*ret_segment = (Encrypted){.segno = segno};
	error = wal_object_index(check->store, key, &index);
	if (error_is(error, ERR_CORRUPT) || error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	(void) snprintf(ret_segment->recipients, sizeof(ret_segment->recipients), "%s", index.recipients);
	return age_check_identities(check->identities, index.recipients, what);
}

/* Recipients change seldom: halves whose ends agree are taken to be alike. */
static Error *
look_between(const KeyCheck *check, TimeLineID timeline, const Encrypted *first, const Encrypted *last)
{
	Encrypted middle;

	if (last->segno - first->segno < 2 || strcmp(first->recipients, last->recipients) == 0)
		return NULL;
	TRY(look_at(check, timeline, first->segno + (last->segno - first->segno) / 2, &middle));
	TRY(look_between(check, timeline, first, &middle));
	return look_between(check, timeline, &middle, last);
}

Error *
planning_check_keys(Store *store, const Catalog *catalog, const AgeIdentities *identities,
                    const RecoveryPlan *plan)
{
	const KeyCheck check = {store, catalog, identities};

	for (size_t i = 0; i < plan->n_segments; i++)
	{
		const PlanSegments *range = &plan->segments[i];
		Encrypted first;
		Encrypted last;

		TRY(look_at(&check, range->timeline, range->first, &first));
		TRY(look_at(&check, range->timeline, range->last, &last));
		TRY(look_between(&check, range->timeline, &first, &last));
	}
	return NULL;
}
