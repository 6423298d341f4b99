/* Counts of rows in the store; see walship/archive/row_counts.h. */
#include "walship/archive/row_counts.h"

#include "walship/archive/evidence.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/mem.h"
#include "walship/wal/json.h"

#define KIND "counts"

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

Error *
row_counts_write(Store *store, uint64_t system_identifier, const RowCounts *counts)
{
	return evidence_put(store, system_identifier, counts->time, KIND, &counts_table, counts);
}

Error *
row_counts_read(Store *store, uint64_t system_identifier, RowCountsSuit *suit, const void *context,
                const Notices *notices, RowCounts *ret_counts)
{
	AUTO_STRLIST keys = {0};

	TRY(evidence_keys(store, system_identifier, KIND, &keys));
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
