/* When to read again; see walship/archive/read_again.h. */
#include "walship/archive/read_again.h"

#include <stddef.h>

#include "walship/base/cancel.h"

#define READS_MOST 3
#define PAUSE_MS   50

bool
read_again(Store *store, const char *key, Error **error, int *reads)
{
	if (!error_is(*error, ERR_CORRUPT) || ++*reads >= READS_MOST)
		return false;
	error_free(*error);
	*error = NULL;
	if (store_distrust(store, key))
		return true;
	error_free(cancel_sleep_ms(PAUSE_MS)); /* the next read notices it, too */
	return true;
}
