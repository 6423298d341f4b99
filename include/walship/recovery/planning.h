/* Plans a recovery from what lies in the store, and sees that all of it can be opened. */
#pragma once

#include "walship/age/age.h"
#include "walship/base/error.h"
#include "walship/plan/recover.h"

/*
 * As plan_recover(), with a backup of which every object is there (but for
 * request->restored): one listing tells it, and what it finds is noted in the
 * catalog.  ERR_DENIED, naming the segment and the fingerprints, when
 * what the plan needs is encrypted and none of the identities (NULL: there are
 * none) opens it; ERR_UNTRUSTED when it is not encrypted and should be.
 */
Error *planning_run(Store *store, WalFacts *facts, Catalog *catalog, const AgeIdentities *identities,
                    const RecoveryRequest *request, RecoveryPlan **ret_plan) MUST_CHECK;
