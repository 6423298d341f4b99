/* Retention of dumps and of sets of files, as a table and as members of an object. */
#include "print_expire.h"

#include <inttypes.h>

#include "table.h"
#include "walship/base/size.h"

/* What is said differently of the two. */
typedef struct Words
{
	const char *record;
	const char *records;
	const char *setting;
	const char *columns;
	const char *member; /* of the object */
	const char *list;   /* the records in that */
} Words;

static const Words of_dumps = {"dump", "dumps", "retention", "dump|ended|>stored||why", "dumps", "dumps"};
static const Words of_files = {
	"set of files", "sets of files", "files_retention", "files|set|ended|>stored||why", "files_sets", "sets"};

static const Words *
words_of(const ExpireRecords *expire)
{
	return expire->common.kind == &expire_of_files ? &of_files : &of_dumps;
}

static uint64_t
freed(const ExpireRecords *expire)
{
	uint64_t size = 0;

	for (size_t i = 0; i < expire->n_groups; i++)
		size += expire->groups[i].plan->freed;
	return size;
}

static void
print_verdict(const ExpireRecords *expire, FILE *into)
{
	const Words *words = words_of(expire);
	char size[SIZE_TEXT_SIZE];
	size_t removed = 0;
	size_t count = 0;

	for (size_t i = 0; i < expire->n_groups; i++)
	{
		removed += expire->groups[i].plan->removed;
		count += expire->groups[i].n_records;
	}
	if (removed == 0)
		print_line(into, "No %s goes: %zu, %s \"%s\".", words->record, count, words->setting,
		           expire->common.policy_text);
	else
		print_line(into, "%zu of %zu %s go, %s; %s \"%s\".", removed, count, words->records,
		           size_format(freed(expire), size), words->setting, expire->common.policy_text);
}

static void
add_rows(const ExpireGroup *group, Table *table)
{
	char size[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < group->n_records; i++)
	{
		const RetainedRecord *retained = &group->plan->records[i];

		if (group->name != NULL)
			table_cell(table, "%s", group->name);
		table_cell(table, "%s", retained->record->id);
		table_time(table, retained->record->time);
		table_cell(table, "%s", size_format(retained->record->stored_size, size));
		table_cell(table, "%s", expire_mark(retained->keep));
		table_cell(table, "%s", retained->reason);
	}
	for (size_t i = 0; i < group->n_leftovers; i++)
	{
		const ExpireLeftover *leftover = &group->leftovers[i];

		if (group->name != NULL)
			table_cell(table, "%s", group->name);
		table_cell(table, "%s", leftover->id);
		table_cell(table, "unfinished");
		table_cell(table, "%s", size_format(leftover->stored_size, size));
		table_cell(table, "%s", expire_mark(leftover->keep));
		table_cell(table, "%s", leftover->reason);
	}
}

void
print_expire_records_plan(const Expire *common, FILE *into)
{
	const ExpireRecords *expire = (const ExpireRecords *) common;
	AUTO(Table) table = table_new(words_of(expire)->columns);

	print_verdict(expire, into);
	for (size_t i = 0; i < expire->n_groups; i++)
		add_rows(&expire->groups[i], table);
	if (table_rows(table) > 0)
	{
		(void) fputs("\n", into);
		table_print(table, "", into);
	}
	for (size_t i = 0; i < expire->damaged.count; i++)
		print_line(into, "DAMAGED: %s", expire->damaged.items[i]);
}

static void
put_group(const ExpireGroup *group, Json *records, Json *unfinished)
{
	for (size_t i = 0; i < group->n_records; i++)
	{
		const RetainedRecord *retained = &group->plan->records[i];
		Json *item = json_add_object(records, NULL);

		if (group->name != NULL)
			json_add_string(item, "name", group->name);
		json_add_string(item, "id", retained->record->id);
		json_add_time(item, "stop_time", retained->record->time);
		json_add_int(item, "stored_size", (int64_t) retained->record->stored_size);
		json_add_bool(item, "keep", retained->keep);
		json_add_string(item, "reason", retained->reason);
	}
	for (size_t i = 0; i < group->n_leftovers; i++)
	{
		const ExpireLeftover *leftover = &group->leftovers[i];
		Json *item = json_add_object(unfinished, NULL);

		if (group->name != NULL)
			json_add_string(item, "name", group->name);
		json_add_string(item, "id", leftover->id);
		json_add_int(item, "stored_size", (int64_t) leftover->stored_size);
		json_add_bool(item, "keep", leftover->keep);
		json_add_string(item, "reason", leftover->reason);
	}
}

/* Of files in the words that they have had from the beginning: sums. */
static void
put_removed_sums(const Expire *common, Json *into)
{
	uint64_t stuck = 0;

	for (size_t i = 0; i < common->n_stuck; i++)
		stuck += common->stuck[i].objects;
	json_add_int(into, "removed_objects", (int64_t) common->removed_objects);
	json_add_int(into, "removed_size", (int64_t) common->removed_bytes);
	json_add_int(into, "not_removed", (int64_t) stuck);
}

void
expire_records_put(const Expire *common, bool dry_run, Json *root)
{
	const ExpireRecords *expire = (const ExpireRecords *) common;
	const Words *words = words_of(expire);
	Json *into = json_add_object(root, words->member);
	Json *records;
	Json *unfinished;

	json_add_string(into, "retention", common->policy_text);
	json_add_bool(into, "dry_run", dry_run);
	json_add_bool(into, "refused", common->refused);
	if (words == &of_dumps)
		json_add_int(into, "freed_size", (int64_t) freed(expire));
	records = json_add_array(into, words->list);
	unfinished = json_add_array(into, "unfinished");
	for (size_t i = 0; i < expire->n_groups; i++)
		put_group(&expire->groups[i], records, unfinished);
	if (dry_run || common->refused)
		return;
	if (words == &of_dumps)
		expire_put_removed(common, into);
	else
		put_removed_sums(common, into);
}
