/* Retention of sets of files, as a table and as members of an object. */
#include "print_expire.h"

#include <inttypes.h>

#include "table.h"
#include "walship/base/size.h"

static const char *
mark(bool keep)
{
	return keep ? "keep" : "REMOVE";
}

static void
print_verdict(const ExpireFiles *expire, FILE *into)
{
	char size[SIZE_TEXT_SIZE];
	uint64_t freed = 0;
	size_t removed = 0;
	size_t count = 0;

	for (size_t i = 0; i < expire->n_trees; i++)
	{
		removed += expire->trees[i].plan->removed;
		count += expire->trees[i].n_records;
		freed += expire->trees[i].plan->freed;
	}
	if (removed == 0)
		print_line(into, "No set of files goes: %zu, files_retention \"%s\".", count, expire->policy_text);
	else
		print_line(into, "%zu of %zu sets of files go, %s; files_retention \"%s\".", removed, count,
		           size_format(freed, size), expire->policy_text);
}

void
print_expire_files_plan(const ExpireFiles *expire, FILE *into)
{
	AUTO(Table) table = table_new("files|set|ended|>stored||why");
	char size[SIZE_TEXT_SIZE];

	print_verdict(expire, into);
	for (size_t i = 0; i < expire->n_trees; i++)
	{
		const ExpireTree *tree = &expire->trees[i];

		for (size_t j = 0; j < tree->n_records; j++)
		{
			const RetainedRecord *retained = &tree->plan->records[j];

			table_cell(table, "%s", tree->name);
			table_cell(table, "%s", retained->record->id);
			table_time(table, retained->record->time);
			table_cell(table, "%s", size_format(retained->record->stored_size, size));
			table_cell(table, "%s", mark(retained->keep));
			table_cell(table, "%s", retained->reason);
		}
		for (size_t j = 0; j < tree->n_leftovers; j++)
		{
			const ExpireLeftover *leftover = &tree->leftovers[j];

			table_cell(table, "%s", tree->name);
			table_cell(table, "%s", leftover->id);
			table_cell(table, "unfinished");
			table_cell(table, "%s", size_format(leftover->stored_size, size));
			table_cell(table, "%s", mark(leftover->keep));
			table_cell(table, "%s", leftover->reason);
		}
	}
	if (table_rows(table) == 0)
		return;
	(void) fputs("\n", into);
	table_print(table, "", into);
}

void
print_expire_files_done(const ExpireFiles *expire, FILE *into)
{
	char size[SIZE_TEXT_SIZE];

	print_line(into, "removed of files: %" PRIu64 " objects, %s", expire->removed_objects,
	           size_format(expire->removed_bytes, size));
	if (expire->stuck_objects > 0)
		print_line(into, "not removed: %" PRIu64 " objects: %s", expire->stuck_objects, expire->stuck_reason);
}

static void
put_tree(const ExpireTree *tree, Json *sets)
{
	for (size_t i = 0; i < tree->n_records; i++)
	{
		const RetainedRecord *retained = &tree->plan->records[i];
		Json *item = json_add_object(sets, NULL);

		json_add_string(item, "name", tree->name);
		json_add_string(item, "id", retained->record->id);
		json_add_time(item, "stop_time", retained->record->time);
		json_add_int(item, "stored_size", (int64_t) retained->record->stored_size);
		json_add_bool(item, "keep", retained->keep);
		json_add_string(item, "reason", retained->reason);
	}
}

void
expire_files_put(const ExpireFiles *expire, bool dry_run, Json *root)
{
	Json *files = json_add_object(root, "files_sets");
	Json *sets;
	Json *unfinished;

	json_add_string(files, "retention", expire->policy_text);
	json_add_bool(files, "dry_run", dry_run);
	json_add_bool(files, "refused", expire->refused);
	sets = json_add_array(files, "sets");
	unfinished = json_add_array(files, "unfinished");
	for (size_t i = 0; i < expire->n_trees; i++)
	{
		const ExpireTree *tree = &expire->trees[i];

		put_tree(tree, sets);
		for (size_t j = 0; j < tree->n_leftovers; j++)
		{
			Json *item = json_add_object(unfinished, NULL);

			json_add_string(item, "name", tree->name);
			json_add_string(item, "id", tree->leftovers[j].id);
			json_add_int(item, "stored_size", (int64_t) tree->leftovers[j].stored_size);
			json_add_bool(item, "keep", tree->leftovers[j].keep);
			json_add_string(item, "reason", tree->leftovers[j].reason);
		}
	}
	if (dry_run || expire->refused)
		return;
	json_add_int(files, "removed_objects", (int64_t) expire->removed_objects);
	json_add_int(files, "removed_size", (int64_t) expire->removed_bytes);
	json_add_int(files, "not_removed", (int64_t) expire->stuck_objects);
}
