/* libpq as this folder sees it: the functions of <libpq-fe.h>, once pq_library_load() has succeeded. */
#pragma once

#include "walship/base/error.h"

/* Loads libpq, the first time; any thread. */
Error *pq_library_load(void) MUST_CHECK;
