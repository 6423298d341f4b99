/* Plans a recovery from what lies in the store: reads for the pure planner what it asks for. */
#pragma once

#include "walship/age/age.h"
#include "walship/archive/catalog.h"
#include "walship/base/error.h"
#include "walship/plan/recover.h"
#include "walship/plan/windows.h"
#include "walship/store/store.h"

/*
 * As plan_recover(); errors of the store come as they are.  "jobs": requests at a
 * time.  "catalog" must outlive the plan.  ERR_DENIED, naming the object and the
 * fingerprints, when what the plan needs is encrypted and none of the identities
 * (NULL: there are none) opens it.
 */
Error *planning_run(Store *store, int jobs, const Catalog *catalog, const AgeIdentities *identities,
                    const RecoveryRequest *request, RecoveryPlan **ret_plan) MUST_CHECK;

/* As plan_windows(), complete.  Release the list. */
Error *planning_windows(Store *store, int jobs, const Catalog *catalog, WindowList *ret_list) MUST_CHECK;
