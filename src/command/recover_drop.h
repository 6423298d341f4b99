/* "walship recover --before-drop": which drop is meant, and where does it lie? */
#pragma once

#include "command.h"
#include "walship/archive/catalog.h"
#include "walship/plan/recover.h"
#include "walship/store/store.h"

typedef enum DropChoice
{
	DROP_NOT_ASKED,
	DROP_ONLY, /* the only one there is */
	DROP_NUMBER,
	DROP_XID, /* or a rewrite */
} DropChoice;

typedef struct DropOptions
{
	DropChoice choice;
	uint64_t number; /* as "walship find" counts, within the same limits */
	TransactionId xid;
	TimeUs since;
	TimeUs until;
} DropOptions;

typedef struct DropFound
{
	char *note;            /* a sentence about it; NULL: none was looked for; the caller's to free */
	XLogRecPtr locked_lsn; /* as in Loss */
} DropFound;

/* --before-drop [N|xid:XID], --since and --until. */
Error *recover_drop_parse(const Invocation *invocation, DropOptions *ret_options) MUST_CHECK;

/*
 * Looks for it, on the way to request->timeline if that is set, and makes the
 * place just before it the target; without a timeline that is the drop's own.
 * ERR_NOT_FOUND when there is none, or when there are several.
 */
Error *recover_drop_find(Store *store, const Catalog *catalog, const AgeIdentities *identities,
                         const DropOptions *options, int jobs, RecoveryRequest *request, DropFound *ret_found)
	MUST_CHECK;

/* Says in the plan what was found, and whether it will be locked where the plan ends. */
void recover_drop_explain(const DropFound *found, RecoveryPlan *plan);
