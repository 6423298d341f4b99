/* Is there a key for every segment that a plan needs?  Asked before anything is touched. */
#pragma once

#include "walship/age/age.h"
#include "walship/archive/catalog.h"
#include "walship/base/error.h"
#include "walship/plan/recover.h"
#include "walship/store/store.h"

/*
 * ERR_DENIED, naming the segment and the fingerprints, when one is encrypted for other keys.  Of each
 * range of segments the ends are looked at, and between two that differ the places where the recipients change.
 */
Error *planning_check_keys(Store *store, const Catalog *catalog, const AgeIdentities *identities,
                           const RecoveryPlan *plan) MUST_CHECK;
