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

/* --before-drop [N|xid:XID], --since and --until. */
Error *recover_drop_parse(const Invocation *invocation, DropOptions *ret_options) MUST_CHECK;

/*
 * Looks for it, on the way to request->timeline if that is set, and makes the
 * place just before it the target; without a timeline that is the drop's own.
 * ERR_NOT_FOUND when there is none, or when there are several.  *ret_note is a
 * sentence about it, the caller's to free.
 */
Error *recover_drop_find(Store *store, const Catalog *catalog, const AgeIdentities *identities,
                         const DropOptions *options, int jobs, RecoveryRequest *request, char **ret_note)
	MUST_CHECK;
