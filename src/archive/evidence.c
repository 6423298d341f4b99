/* Evidence in the store; see walship/archive/evidence.h. */
#include "walship/archive/evidence.h"

#include "walship/archive/layout.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/mem.h"

Error *
evidence_put(Store *store, uint64_t system_identifier, TimeUs time, const char *kind, const JsonTable *table,
             const void *object)
{
	for (int tries = 0;; tries++)
	{
		AUTO_FREE char *key = layout_proof_key(system_identifier, time + tries * INT64_C(1000000), kind);
		Error *error = sealed_json_put(store, key, table, object);

		if (!error_is(error, ERR_EXISTS) || tries == EVIDENCE_TRIES_MAX)
			return error;
		error_free(error);
	}
}

Error *
evidence_keys(Store *store, uint64_t system_identifier, const char *kind, StrList *ret_keys)
{
	AUTO_FREE char *prefix = layout_proof_prefix(system_identifier);
	AUTO_FREE char *suffix = mem_printf("-%s.json", kind);

	return store_list_keys(store, prefix, suffix, ret_keys);
}
