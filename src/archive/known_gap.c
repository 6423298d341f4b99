/* Gaps that are known; see walship/archive/known_gap.h. */
#include "walship/archive/known_gap.h"

#include <stdlib.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

static const JsonField gap_fields[] = {
	{"first", &json_string, JSON_AT(KnownGap, first)},
	{"last", &json_string, JSON_AT(KnownGap, last)},
	{"time", &json_time, JSON_AT(KnownGap, time)},
	{"note", &json_string, JSON_AT(KnownGap, note), .flags = JSON_MAYBE},
};
static const JsonTable gap_table = JSON_TABLE(KnownGap, gap_fields);

static void
gap_release(KnownGap *gap)
{
	free(gap->first);
	free(gap->last);
	free(gap->note);
}

void
known_gap_list_release(KnownGapList *gaps)
{
	for (size_t i = 0; i < gaps->count; i++)
		gap_release(&gaps->items[i]);
	free(gaps->items);
	strlist_release(&gaps->damaged);
	*gaps = (KnownGapList){0};
}

Error *
known_gap_write(Store *store, uint64_t system_identifier, const KnownGap *gap)
{
	AUTO_FREE char *key = layout_known_gap_key(system_identifier, gap->first, gap->last);

	return error_context(sealed_json_put(store, key, &gap_table, gap),
	                     "could not acknowledge the gap from \"%s\" to \"%s\"", gap->first, gap->last);
}

Error *
known_gap_list_read(Store *store, uint64_t system_identifier, KnownGapList *ret_gaps)
{
	AUTO_FREE char *prefix = layout_known_gap_prefix(system_identifier);
	AUTO_STRLIST keys = {0};

	TRY(store_list_keys(store, prefix, ".json", &keys));
	for (size_t i = 0; i < keys.count; i++)
	{
		KnownGap gap = {.time = TIME_NONE};
		AUTO(Error) error = sealed_json_get(store, keys.items[i], &gap_table, &gap);

		if (error == NULL)
		{
			AUTO_FREE char *key = layout_known_gap_key(system_identifier, gap.first, gap.last);

			if (strcmp(key, keys.items[i]) != 0)
				error = error_new(ERR_CORRUPT, "it is of the gap from \"%s\" to \"%s\"", gap.first, gap.last);
		}
		if (error == NULL)
		{
			GROW(ret_gaps->items, ret_gaps->count, ret_gaps->capacity);
			ret_gaps->items[ret_gaps->count++] = gap;
			continue;
		}
		gap_release(&gap);
		if (error_is(error, ERR_CORRUPT))
		{
			strlist_add(&ret_gaps->damaged, keys.items[i]);
			strlist_add(&ret_gaps->damaged, error_message(error));
		}
		if (!error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
			return MOVE(error);
	}
	return NULL;
}
