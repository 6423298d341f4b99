/* Sets of files, as an expire sees them. */
#include "expire_steps.h"
#include "walship/archive/layout.h"
#include "walship/backup/files_record.h"
#include "walship/base/mem.h"

static Error *
add_sets(ExpireRecords *expire, ExpireGroup *group, const RecordList *sets)
{
	for (size_t i = 0; i < sets->count; i++)
	{
		const FilesRecord *record = sets->records[i];

		TRY(expire_add_record(expire, group, record->id, record->stop_time, files_record_new_stored(record)));
		for (size_t j = 0; j < record->n_parts; j++)
			expire_add_need(group, record->parts[j].set, record->parts[j].name, record->parts[j].stored_size);
		expire_add_need(group, record->id, record->list.name, record->list.stored_size);
	}
	for (size_t i = 0; i < sets->count; i++)
		for (size_t j = 0; j < sets->count; j++)
			if (str_equal(group->records[j].id, ((const FilesRecord *) sets->records[i])->since))
				group->records[i].base = j;
	return NULL;
}

static Error *
read_name(ExpireRecords *expire, const char *name)
{
	Expire *common = &expire->common;
	uint64_t system = common->system_identifier;
	ExpireGroup *group = expire_add_group(expire, name, layout_files_name_prefix(system, name));
	AUTO_RECORD_LIST sets = {0};
	Error *error = files_sets_read(common->store, system, name, common->jobs, &sets);

	if (error == NULL)
		error = add_sets(expire, group, &sets);
	for (size_t i = 0; i < sets.count; i++)
		files_record_free(sets.records[i]);
	TRY(error);
	for (size_t i = 0; i < sets.damaged.count; i++)
	{
		/* It may need parts of any other one. */
		free(group->untouched);
		group->untouched = mem_printf("the record of set \"%s\" cannot be read", sets.damaged.items[i]);
		notice_of_error(&common->notices, LOG_WARNING, sets.reasons[i]);
	}
	return expire_look_at_objects(expire, group, &sets.unfinished);
}

static Error *
read_files(Expire *common)
{
	AUTO_STRLIST names = {0};

	TRY(files_list_names(common->store, common->system_identifier, &names));
	for (size_t i = 0; i < names.count; i++)
		TRY(read_name((ExpireRecords *) common, names.items[i]));
	return NULL;
}

static const JsonField evidence_fields[] = {
	{"retention", &json_string, JSON_AT(ExpireEvidence, retention)},
	{"time", &json_time, JSON_AT(ExpireEvidence, time)},
	{"finished", &json_bool, JSON_AT(ExpireEvidence, finished)},
	{"removed_sets", &json_uint, JSON_AT(ExpireEvidence, removed)},
	{"kept_sets", &json_uint, JSON_AT(ExpireEvidence, kept)},
	{"freed_size", &json_uint, JSON_AT(ExpireEvidence, freed)},
};
static const JsonTable evidence_table = JSON_TABLE(ExpireEvidence, evidence_fields);

const ExpireKind expire_of_files = {
	.evidence = "expire-files",
	.evidence_table = &evidence_table,
	.unreadable_lease_keeps = true, /* whatever there is of files */
	.read = read_files,
	.decide = expire_records_decide,
	.refusal = expire_records_refusal,
	.sum = expire_records_sum,
	.removals = expire_records_removals,
	.remove_objects = expire_records_remove_objects,
	.noun = "set of files",
	.record = "files.json",
	.unfinished_today = "unfinished for less than a day",
	.unfinished = "unfinished",
};
