/* From the candidate that was chosen to the plan that is carried out. */
#pragma once

#include "planner.h"

RecoveryPlan *recovery_plan_build(const Planner *planner, const Candidate *candidate);
