/* The steps of an expire: what a kind of it has of its own, and what it uses. */
#pragma once

#include "walship/base/json_fields.h"
#include "walship/upkeep/expire.h"
#include "walship/upkeep/expire_records.h"

/* What a run did, in proof/<TIME>-<evidence>.json. */
typedef struct ExpireEvidence
{
	char *retention; /* in its one form */
	TimeUs time;
	bool finished;
	uint64_t removed; /* records */
	uint64_t removed_segments;
	uint64_t kept;
	uint64_t freed; /* bytes */
} ExpireEvidence;

struct ExpireKind
{
	const char *evidence;
	const JsonTable *evidence_table;

	/* A lease that cannot be read may be of anything: nothing is removed while it may hold, and that is an error; or it keeps. */
	bool unreadable_lease_keeps;

	/* All that is there, and what is known of it. */
	Error *(*read)(Expire *expire);

	/* By pins and leases as they were read last. */
	Error *(*decide)(Expire *expire);

	/* Why the decision must not be carried out; NULL: it may. */
	Error *(*refusal)(const Expire *expire);

	/* Of the decision: "removed" and what follows. */
	void (*sum)(const Expire *expire, ExpireEvidence *evidence);

	/* Ids of what goes, and the keys of their records, in the same order. */
	void (*removals)(const Expire *expire, StrList *ret_ids, StrList *ret_keys);

	/* All but the records. */
	Error *(*remove_objects)(Expire *expire);

	/* For expire_records.c: */
	const char *noun;             /* "dump" */
	const char *record;           /* "dump.json" */
	const char *unfinished_today; /* why what has no record stays, or goes */
	const char *unfinished;
};

extern const JsonTable expire_evidence_table; /* of backups, and of dumps, which are counted in their place */

/* expire.c */

const char *expire_zone(const Expire *expire);
void expire_release(Expire *expire); /* by the release of what it is the first member of */

/* expire_stuck.c: the store did not remove this object, and why */

void expire_add_stuck(Expire *expire, const char *key, const Error *error);

/* expire_remove.c */

/* These keys; of those that are still there the keys are added. */
Error *expire_remove_keys(Expire *expire, const StrList *keys, StrList *ret_stuck_keys) MUST_CHECK;

/*
 * Everything below a prefix, unless the record is there: it may have come back, from a copy, or because what wrote
 * it ended after all.
 */
Error *expire_remove_without_record(Expire *expire, const char *prefix, const char *record_key) MUST_CHECK;

/*
 * What is listed below a prefix, behind a key (NULL: all), and "goes" says so; *ret_enough ends it.  The memory does not
 * grow with the archive.
 */
typedef bool (*ExpireGoes)(const void *context, const StoreEntry *entry, bool *ret_enough);
Error *expire_remove_listed(Expire *expire, const char *prefix, const char *start_after, ExpireGoes goes,
                            const void *context) MUST_CHECK;

/* expire_runs.c: what runs under the same policy did, so that one that would do far more is noticed */

Error *expire_runs_read_last(Expire *expire) MUST_CHECK;
Error *expire_runs_begin(Expire *expire) MUST_CHECK;
Error *expire_runs_end(Expire *expire) MUST_CHECK;

/* expire_records.c: what is read into groups, by those who know the records; the pointer holds until the next group */

ExpireGroup *expire_add_group(ExpireRecords *expire, const char *name, char *prefix); /* takes the prefix */
Error *expire_add_record(ExpireRecords *expire, ExpireGroup *group, const char *id, TimeUs stop_time,
                         uint64_t stored_size) MUST_CHECK;
void expire_add_need(ExpireGroup *group, const char *id, const char *name,
                     uint64_t stored_size); /* of the last record */

/* At the end: is what the records need there, and what do unfinished ones hold? */
Error *expire_look_at_objects(ExpireRecords *expire, ExpireGroup *group, const StrList *unfinished)
	MUST_CHECK;

/* Of an ExpireKind, for both. */
Error *expire_records_decide(Expire *common) MUST_CHECK;
Error *expire_records_refusal(const Expire *common) MUST_CHECK;
void expire_records_sum(const Expire *common, ExpireEvidence *evidence);
void expire_records_removals(const Expire *common, StrList *ret_ids, StrList *ret_keys);
Error *expire_records_remove_objects(Expire *common) MUST_CHECK;
