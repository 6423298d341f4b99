/* Dumps, as an expire sees them. */
#include "expire_steps.h"
#include "walship/archive/dump_record.h"
#include "walship/archive/layout.h"

/* A DumpObjectVisit. */
static Error *
add_object(void *context, const BackupObject *object)
{
	ExpireGroup *group = context;

	expire_add_need(group, group->records[group->n_records - 1].id, object->name, object->stored_size);
	return NULL;
}

static Error *
read_dumps(Expire *common)
{
	ExpireRecords *expire = (ExpireRecords *) common;
	ExpireGroup *group = expire_add_group(expire, NULL, layout_dump_root(common->system_identifier));
	AUTO_DUMPS dumps = {0};

	TRY(dump_list_read(common->store, common->system_identifier, common->jobs, &dumps));
	for (size_t i = 0; i < dumps.count; i++)
	{
		const DumpRecord *record = dumps.items[i];

		TRY(expire_add_record(expire, group, record->id, record->stop_time, dump_record_stored_size(record)));
		TRY(dump_record_visit(record, add_object, group));
	}
	for (size_t i = 0; i < dumps.damaged.count; i++)
		strlist_add(&expire->damaged, dumps.damaged.items[i]);
	return expire_look_at_objects(expire, group, &dumps.unfinished);
}

const ExpireKind expire_of_dumps = {
	.evidence = "expire-dumps",
	.evidence_table = &expire_evidence_table,
	.read = read_dumps,
	.decide = expire_records_decide,
	.refusal = expire_records_refusal,
	.sum = expire_records_sum,
	.removals = expire_records_removals,
	.remove_objects = expire_records_remove_objects,
	.noun = "dump",
	.record = "dump.json",
	.unfinished_today = "unfinished, of the last day",
	.unfinished = "unfinished, and no object came for a day",
};
