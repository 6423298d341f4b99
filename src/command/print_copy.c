/* A copy from store to store, as a table and as an object. */
#include "print_copy.h"

#include <inttypes.h>
#include <string.h>

#include "table.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

#define COPY_FORMAT 1

static const char *const kinds[N_STORE_COPY_KINDS] = {[STORE_COPY_WAL] = "wal",
                                                      [STORE_COPY_PARTS] = "parts",
                                                      [STORE_COPY_RECORDS] = "records",
                                                      [STORE_COPY_PINS] = "pins"};

static const char *const problems[] = {
	[STORE_COPY_DAMAGED] = "damaged", [STORE_COPY_LACKING] = "lacking", [STORE_COPY_DIFFERS] = "differs"};

static const char *const marks[] = {[STORE_COPY_DAMAGED] = "DAMAGED at the source, not copied",
                                    [STORE_COPY_LACKING] = "LACKING at the source",
                                    [STORE_COPY_DIFFERS] = "DIFFERS in the target, left as it is"};

void
print_copy_text(const StoreCopy *copy, bool dry_run, FILE *into)
{
	AUTO(Table) table = table_new(dry_run ? "|>to copy|>size" : "|>missing|>copied|>size");
	char size[SIZE_TEXT_SIZE];

	print_line(into, "from %s to %s", store_url(copy->source), store_url(copy->target));
	for (int kind = 0; kind < N_STORE_COPY_KINDS; kind++)
	{
		table_cell(table, "%s", kinds[kind]);
		table_cell(table, "%" PRIu64, copy->lacking[kind].objects);
		if (!dry_run)
			table_cell(table, "%" PRIu64, copy->sent[kind].objects);
		table_cell(table, "%s",
		           size_format(dry_run ? copy->lacking[kind].size : copy->sent[kind].size, size));
	}
	table_print(table, "", into);
	print_line(into, "there already: %" PRIu64 " objects, %s", copy->present.objects,
	           size_format(copy->present.size, size));
	if (copy->gone > 0)
		print_line(into, "removed at the source meanwhile: %" PRIu64, copy->gone);
	if (copy->unfinished > 0)
		print_line(into, "not copied, without a record: %" PRIu64 " backups", copy->unfinished);
	for (size_t i = 0; i < copy->n_findings; i++)
		print_line(into, "%s: %s: %s", marks[copy->findings[i].problem], copy->findings[i].key,
		           copy->findings[i].reason);
}

static void
put_counts(Json *root, const char *member, const StoreCopyCount *counts)
{
	Json *object = json_add_object(root, member);

	for (int kind = 0; kind < N_STORE_COPY_KINDS; kind++)
	{
		Json *item = json_add_object(object, kinds[kind]);

		json_add_int(item, "objects", (int64_t) counts[kind].objects);
		json_add_int(item, "stored_size", (int64_t) counts[kind].size);
	}
}

void
print_copy_json(const StoreCopy *copy, bool dry_run, FILE *into)
{
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *system = mem_printf("%" PRIu64, copy->system_identifier);
	Json *present;
	Json *findings;

	json_add_int(root, "format", COPY_FORMAT);
	json_add_string(root, "system", system);
	json_add_string(root, "source", store_url(copy->source));
	json_add_string(root, "target", store_url(copy->target));
	json_add_bool(root, "dry_run", dry_run);
	put_counts(root, "missing", copy->lacking);
	put_counts(root, "copied", copy->sent);
	present = json_add_object(root, "present");
	json_add_int(present, "objects", (int64_t) copy->present.objects);
	json_add_int(present, "stored_size", (int64_t) copy->present.size);
	json_add_int(root, "removed_meanwhile", (int64_t) copy->gone);
	json_add_int(root, "unfinished_backups", (int64_t) copy->unfinished);
	findings = json_add_array(root, "findings");
	for (size_t i = 0; i < copy->n_findings; i++)
	{
		Json *item = json_add_object(findings, NULL);

		json_add_string(item, "problem", problems[copy->findings[i].problem]);
		json_add_string(item, "key", copy->findings[i].key);
		json_add_string(item, "reason", copy->findings[i].reason);
	}
	print_object(root, into);
}

static bool
is_failure(const Heal *heal, const char *key)
{
	for (size_t i = 0; i < heal->n_failures; i++)
		if (strcmp(heal->failures[i].key, key) == 0)
			return true;
	return false;
}

void
print_heal_text(const Heal *heal, FILE *into)
{
	const FindingList *left = &heal->verify.findings;

	for (size_t i = 0; i < heal->healed.count; i++)
		print_line(into, "%s: %s", heal->dry_run ? "would be healed" : "healed", heal->healed.items[i]);
	for (size_t i = 0; i < heal->n_failures; i++)
		print_line(into, "NOT HEALED: %s: %s", heal->failures[i].key, heal->failures[i].reason);
	for (size_t i = 0; i < left->count && !heal->dry_run; i++)
		if (!is_failure(heal, left->items[i].key))
			print_line(into, "LEFT: %s %s: %s: %s. %s", finding_kind_text(left->items[i].kind),
			           finding_object_text(left->items[i].object), left->items[i].key, left->items[i].reason,
			           left->items[i].remedy);
	print_line(into, "%zu objects from %s to %s", heal->healed.count, store_url(heal->other),
	           store_url(heal->store));
}

void
print_heal_json(const Heal *heal, FILE *into)
{
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *system = mem_printf("%" PRIu64, heal->system_identifier);
	Json *healed;
	Json *failures;
	Json *left;

	json_add_int(root, "format", COPY_FORMAT);
	json_add_string(root, "system", system);
	json_add_string(root, "source", store_url(heal->other));
	json_add_string(root, "target", store_url(heal->store));
	json_add_bool(root, "dry_run", heal->dry_run);
	healed = json_add_array(root, "healed");
	for (size_t i = 0; i < heal->healed.count; i++)
		json_add_string(healed, NULL, heal->healed.items[i]);
	failures = json_add_array(root, "not_healed");
	for (size_t i = 0; i < heal->n_failures; i++)
	{
		Json *item = json_add_object(failures, NULL);

		json_add_string(item, "key", heal->failures[i].key);
		json_add_string(item, "reason", heal->failures[i].reason);
	}
	left = json_add_array(root, "left");
	for (size_t i = 0; i < heal->verify.findings.count; i++)
	{
		const Finding *finding = &heal->verify.findings.items[i];
		Json *item = json_add_object(left, NULL);

		json_add_string(item, "kind", finding_kind_text(finding->kind));
		json_add_string(item, "object", finding_object_text(finding->object));
		json_add_string(item, "key", finding->key);
		json_add_string(item, "reason", finding->reason);
	}
	print_object(root, into);
}
