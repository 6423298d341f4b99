/* The steps of an expire, for expire.c alone, which has their order. */
#pragma once

#include "walship/upkeep/expire.h"

/* expire.c */

/* From leases and, NULL: none, backups whose records the store would not remove. */
void expire_list_leases(Expire *expire, const StrList *stuck_backups);
Error *expire_decide(Expire *expire) MUST_CHECK;

Error *expire_read_pins(Expire *expire) MUST_CHECK;

/* A lease that cannot be read may be of anything: nothing is removed while it may hold. */
Error *expire_refuse_unreadable(const Expire *expire) MUST_CHECK;
Error *expire_remove_ended_leases(const Expire *expire) MUST_CHECK;

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

/* Records of what goes; ids of those that are still there are added. */
Error *expire_remove_records(Expire *expire, StrList *ret_stuck_backups) MUST_CHECK;

/* Parts of what goes, and what unfinished backups left; multipart uploads that never ended. */
Error *expire_remove_parts(Expire *expire) MUST_CHECK;
Error *expire_remove_wal(Expire *expire) MUST_CHECK;

/* expire_runs.c: what runs under the same policy did, so that one that would do far more is noticed */

Error *expire_runs_read_last(Expire *expire) MUST_CHECK;
Error *expire_runs_begin(Expire *expire) MUST_CHECK;
Error *expire_runs_end(Expire *expire) MUST_CHECK;

/* Of verify: the retention line of the last expire that left evidence; *ret_any: there is one. */
Error *expire_last_policy(Store *store, uint64_t system_identifier, RetentionPolicy *ret_policy,
                          bool *ret_any) MUST_CHECK;
