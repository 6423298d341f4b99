/* Objects that fail their checks: the network may have done it, or another store has a better one. */
#pragma once

#include <stdbool.h>

#include "walship/base/error.h"
#include "walship/store/store.h"

/*
 * After a read of this object, for the condition of a loop: true when it failed with
 * ERR_CORRUPT and may be better next time; frees the error, then, and pauses.  "reads"
 * counts them, from 0.  What lies damaged in the store is found so the third time, too,
 * unless there is a second store (walship/store/second_store.h): from that comes the next one.
 */
bool read_again(Store *store, const char *key, Error **error, int *reads);
