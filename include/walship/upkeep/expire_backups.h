/* Retention of backups and WAL; the order is that of walship/upkeep/expire.h. */
#pragma once

#include "walship/archive/catalog.h"
#include "walship/upkeep/expire.h"

extern const ExpireKind expire_of_backups;

typedef struct ExpireBackups
{
	Expire common; /* its kind is &expire_of_backups */
	Catalog *catalog;
	RetainPlan *plan;

	/* For the run itself. */
	RetainUnfinished *unfinished;
	int64_t *local_times;
	RetainRequest request;
} ExpireBackups;

void expire_backups_release(ExpireBackups *expire);
#define AUTO_EXPIRE_BACKUPS __attribute__((cleanup(expire_backups_release))) ExpireBackups

/* The retention line of the last expire of backups that left evidence; *ret_any: there is one. */
Error *expire_last_policy(Store *store, uint64_t system_identifier, RetentionPolicy *ret_policy,
                          bool *ret_any) MUST_CHECK;
