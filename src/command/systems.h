/* Which of several database systems in one store is which? */
#pragma once

#include "walship/base/strs.h"
#include "walship/store/store.h"

/* ERR_USAGE, with a hint that tells of each its version, newest backup and last commit. */
Error *systems_choose(Store *store, const StrList *systems, int jobs) MUST_CHECK;
