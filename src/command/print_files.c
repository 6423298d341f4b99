/* Sets of files, and what is in one: for people and for programs. */
#include "print_files.h"

#include <inttypes.h>

#include "table.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

typedef struct SetList
{
	FilesRecord **records; /* names ascending, of each the oldest first */
	size_t count;
	size_t capacity;
	StrList damaged;    /* "<name>/<id>: why" */
	StrList unfinished; /* "<name>/<id>" */
} SetList;

static void
set_list_release(SetList *sets)
{
	for (size_t i = 0; i < sets->count; i++)
		files_record_free(sets->records[i]);
	free(sets->records);
	strlist_release(&sets->damaged);
	strlist_release(&sets->unfinished);
}

static Error *
read_sets_of(Store *store, uint64_t system_identifier, const char *name, int threads, SetList *sets)
{
	AUTO_RECORD_LIST list = {0};
	Error *error = files_sets_read(store, system_identifier, name, threads, &list);

	for (size_t i = 0; i < list.count; i++)
	{
		GROW(sets->records, sets->count, sets->capacity);
		sets->records[sets->count++] = list.records[i];
	}
	for (size_t i = 0; i < list.unfinished.count; i++)
	{
		AUTO_FREE char *text = mem_printf("%s %s", name, list.unfinished.items[i]);

		strlist_add(&sets->unfinished, text);
	}
	for (size_t i = 0; i < list.damaged.count; i++)
	{
		AUTO_FREE char *text =
			mem_printf("%s %s: %s", name, list.damaged.items[i], error_message(list.reasons[i]));

		strlist_add(&sets->damaged, text);
	}
	return error;
}

static Error *
read_sets(Store *store, uint64_t system_identifier, const char *name, int threads, SetList *sets)
{
	AUTO_STRLIST names = {0};

	if (name != NULL)
		strlist_add(&names, name);
	else
		TRY(files_list_names(store, system_identifier, &names));
	for (size_t i = 0; i < names.count; i++)
		TRY(read_sets_of(store, system_identifier, names.items[i], threads, sets));
	if (name == NULL || sets->count + sets->damaged.count + sets->unfinished.count > 0)
		return NULL;
	return error_hint(error_new(ERR_NOT_FOUND, "there is no set of files \"%s\"", name),
	                  "\"walship files --list\" shows what there is.");
}

/* The newest set of each name, in one sentence. */
static void
print_verdicts(const SetList *sets, TimeUs now, FILE *into)
{
	char age[AGE_TEXT_SIZE];
	char size[SIZE_TEXT_SIZE];
	size_t of_name = 0;

	if (sets->count == 0)
		print_line(into, "No set of files is in the store.");
	for (size_t i = 0; i < sets->count; i++)
	{
		const FilesRecord *record = sets->records[i];

		of_name++;
		if (i + 1 < sets->count && str_equal(sets->records[i + 1]->name, record->name))
			continue;
		print_line(into, "%s: %zu set%s, the newest of %s with %" PRIu64 " files, %s%s", record->name,
		           of_name, of_name == 1 ? "" : "s", age_format(record->stop_time, now, age), record->files,
		           size_format(record->files_size, size),
		           record->missing > 0 ? "; some files are missing in it" : "");
		of_name = 0;
	}
}

static void
print_paragraph(const char *what, const StrList *sets, FILE *into)
{
	if (sets->count > 0)
		(void) fputc('\n', into);
	for (size_t i = 0; i < sets->count; i++)
		print_line(into, "%s: %s", what, sets->items[i]);
}

static void
print_text(const SetList *sets, FILE *into)
{
	AUTO(Table) table = table_new("Name|Set|Time|>Files|>Size|>New|>Stored|>Changed|>Missing|Since");
	char text[TIME_TEXT_SIZE];
	char size[SIZE_TEXT_SIZE];
	TimeUs now = clock_now();

	print_verdicts(sets, now, into);
	for (size_t i = 0; i < sets->count; i++)
	{
		const FilesRecord *record = sets->records[i];

		table_cell(table, "%s", record->name);
		table_cell(table, "%s", record->id);
		table_cell(table, "%s", time_format_utc(record->stop_time / 1000000 * 1000000, text));
		table_cell(table, "%" PRIu64, record->files);
		table_cell(table, "%s", size_format(record->files_size, size));
		table_cell(table, "%s", size_format(record->new_size, size));
		table_cell(table, "%s", size_format(files_record_new_stored(record), size));
		table_cell(table, "%" PRIu64, record->changed);
		table_cell(table, "%" PRIu64, record->missing);
		table_cell(table, "%s", record->since == NULL ? "-" : record->since);
	}
	if (table_rows(table) > 0)
	{
		(void) fputc('\n', into);
		table_print(table, "", into);
	}
	print_paragraph("Unfinished", &sets->unfinished, into);
	print_paragraph("Damaged", &sets->damaged, into);
}

static void
print_json(const SetList *sets, FILE *into)
{
	AUTO(Json) root = json_new_object();
	Json *list = json_add_array(root, "sets");

	for (size_t i = 0; i < sets->count; i++)
		files_record_put(sets->records[i], json_add_object(list, NULL));
	list = json_add_array(root, "unfinished");
	for (size_t i = 0; i < sets->unfinished.count; i++)
		json_add_string(list, NULL, sets->unfinished.items[i]);
	list = json_add_array(root, "damaged");
	for (size_t i = 0; i < sets->damaged.count; i++)
		json_add_string(list, NULL, sets->damaged.items[i]);
	print_object(root, into);
}

Error *
print_files_sets(Store *store, uint64_t system_identifier, const char *name, int threads, bool json,
                 FILE *into)
{
	SetList sets = {0};
	Error *error = read_sets(store, system_identifier, name, threads, &sets);

	if (error == NULL && json)
		print_json(&sets, into);
	else if (error == NULL)
		print_text(&sets, into);
	set_list_release(&sets);
	return error;
}

static void
print_compact(const Json *line, FILE *into)
{
	AUTO_FREE char *text = json_text(line, true);

	(void) fprintf(into, "%s\n", text);
}

/* FilesEntryCallback */
static Error *
print_entry_json(void *into, const FilesEntry *entry)
{
	AUTO(Json) line = json_new_object();

	files_entry_put(entry, line);
	print_compact(line, into);
	return NULL;
}

/* FilesEntryCallback; the columns of "ls -l", as far as they are known: their widths must not wait for the last entry. */
static Error *
print_entry(void *into, const FilesEntry *entry)
{
	static const char letters[] = {
		[TAR_FILE] = '-', [TAR_DIRECTORY] = 'd',        [TAR_SYMLINK] = 'l',     [TAR_LINK] = 'h',
		[TAR_FIFO] = 'p', [TAR_CHARACTER_DEVICE] = 'c', [TAR_BLOCK_DEVICE] = 'b'};
	char time[TIME_TEXT_SIZE];

	print_line(into, "%c%04o %5u %5u %12" PRIu64 " %s /%s%s%s%s%s%s", letters[entry->type], entry->mode,
	           entry->uid, entry->gid, entry->size, time_format_utc(entry->mtime * 1000000, time),
	           entry->path, entry->target == NULL ? "" : " = /", entry->target == NULL ? "" : entry->target,
	           entry->problem == NULL ? ""
	           : entry->part == NULL  ? " (not in the set: "
	                                  : " (",
	           entry->problem == NULL ? "" : entry->problem, entry->problem == NULL ? "" : ")");
	return NULL;
}

Error *
print_files_entries(const FilesRestoreOptions *options, bool json, FILE *into)
{
	if (json)
	{
		AUTO(Json) line = json_new_object();

		files_record_put(options->record, line);
		print_compact(line, into);
		return files_list_entries(options, print_entry_json, into);
	}
	print_files_taken(options->record, into);
	return files_list_entries(options, print_entry, into);
}

void
print_files_taken(const FilesRecord *record, FILE *into)
{
	char size[SIZE_TEXT_SIZE];
	char new_size[SIZE_TEXT_SIZE];
	char stored[SIZE_TEXT_SIZE];
	char duration[SIZE_TEXT_SIZE];
	AUTO_FREE char *new_files = record->since == NULL
	                                ? mem_strdup("")
	                                : mem_printf(", of which %" PRIu64 " files, %s, were new",
	                                             record->new_files, size_format(record->new_size, new_size));

	print_line(into, "%s %s: %" PRIu64 " files, %s%s; stored %s in %s", record->name, record->id,
	           record->files, size_format(record->files_size, size), new_files,
	           size_format(files_record_new_stored(record), stored),
	           duration_format(record->duration_ms, duration));
}
