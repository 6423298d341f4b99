/* An expire as settings and options have it: for "walship expire" and "walship backup --expire". */
#pragma once

#include "command.h"
#include "walship/base/json.h"
#include "walship/store/store.h"

typedef enum ExpireSays
{
	EXPIRE_SAYS_PLAN,    /* what is kept and what goes, and then what was done */
	EXPIRE_SAYS_JSON,    /* the same, as members of "into" */
	EXPIRE_SAYS_SUMMARY, /* what was done; the plan only when it is refused */
	EXPIRE_SAYS_NOTHING,
} ExpireSays;

/* What has a retention of its own. */
typedef enum ExpireOf
{
	EXPIRE_BACKUPS, /* and WAL */
	EXPIRE_DUMPS,
	EXPIRE_FILES,
	EXPIRE_KINDS,
} ExpireOf;

bool expire_has_retention(const Settings *settings, ExpireOf of);

/* ERR_USAGE when there is no retention; of dumps: no dump_retention. */
Error *expire_check_settings(const Settings *settings) MUST_CHECK;
Error *expire_check_dump_settings(const Settings *settings) MUST_CHECK;

/*
 * By its retention, which is set, and --dry-run and --force, of commands that have them; a refusal sets exit status 8.
 * "into" may be NULL but with JSON.
 */
Error *expire_by_settings(Invocation *invocation, Store *store, uint64_t system_identifier, ExpireOf of,
                          ExpireSays says, Json *into) MUST_CHECK;
