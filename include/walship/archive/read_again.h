/* Objects that fail their checks: the network may have done it. */
#pragma once

#include <stdbool.h>

#include "walship/base/error.h"

/*
 * After a read, for the condition of a loop: true when it failed with ERR_CORRUPT
 * and may be better next time; frees the error, then, and pauses.  "reads" counts
 * them, from 0.  What lies damaged in the store is found so the third time, too.
 */
bool read_again(Error **error, int *reads);
