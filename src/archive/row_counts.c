/* Counts of rows in the store; see walship/archive/row_counts.h. */
#include "walship/archive/row_counts.h"

#include "walship/archive/layout.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/wal/json.h"

#define KIND      "counts"
#define SUFFIX    "-" KIND ".json"
#define TRIES_MAX 100

static const JsonField count_fields[] = {
	{"database", &json_uint, JSON_AT(RowCount, database)},
	{"relation", &json_uint, JSON_AT(RowCount, relation)},
	{"rows", &json_uint, JSON_AT(RowCount, rows)},
};
static const JsonTable count_table = JSON_TABLE(RowCount, count_fields);

static const JsonField counts_fields[] = {
	{"time", &json_time, JSON_AT(RowCounts, time)},
	{"timeline", &json_uint, JSON_AT(RowCounts, timeline)},
	{"lsn", &json_lsn, JSON_AT(RowCounts, lsn)},
	{"backup", &json_string, JSON_AT(RowCounts, backup), .flags = JSON_MAYBE},
	{"tables", &json_list, JSON_AT(RowCounts, items), .of = &count_table,
     .count = offsetof(RowCounts, count)},
};
static const JsonTable counts_table = JSON_TABLE(RowCounts, counts_fields);

void
row_counts_release(RowCounts *counts)
{
	free(counts->backup);
	free(counts->items);
	*counts = (RowCounts){0};
}

/* A key is a second: the second within one has the next one's. */
Error *
row_counts_write(Store *store, uint64_t system_identifier, const RowCounts *counts)
{
	for (int tries = 0;; tries++)
	{
		AUTO_FREE char *key =
			layout_proof_key(system_identifier, counts->time + tries * INT64_C(1000000), KIND);
		Error *error = sealed_json_put(store, key, &counts_table, counts);

		if (!error_is(error, ERR_EXISTS) || tries == TRIES_MAX)
			return error;
		error_free(error);
	}
}

static Error *
add_key(void *keys, const StoreEntry *entry)
{
	if (str_ends_with(entry->key, SUFFIX))
		strlist_add(keys, entry->key);
	return NULL;
}

Error *
row_counts_read(Store *store, uint64_t system_identifier, RowCountsSuit *suit, const void *context,
                const Notices *notices, RowCounts *ret_counts)
{
	AUTO_FREE char *prefix = layout_proof_prefix(system_identifier);
	AUTO_STRLIST keys = {0};

	TRY(store_list(store, prefix, LIST_LEVEL, NULL, add_key, &keys));
	for (size_t i = keys.count; i-- > 0;)
	{
		AUTO_ROW_COUNTS counts = {.time = TIME_NONE};
		Error *error = sealed_json_get(store, keys.items[i], &counts_table, &counts);

		if (error_is(error, ERR_CORRUPT))
		{
			notice_of_error(notices, LOG_WARNING, error);
			error_free(error);
			continue;
		}
		TRY(error);
		if (!suit(context, &counts))
			continue;
		*ret_counts = counts;
		counts = (RowCounts){0};
		return NULL;
	}
	return error_hint(
		error_new(ERR_NOT_FOUND, "store \"%s\" has no counts of rows that suit", store_url(store)),
		"\"walship drill --record-counts\" takes them on the live server; they can be used once the WAL that was written "
		"then has been archived.");
}
