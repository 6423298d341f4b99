/* Dumps, and what is in one. */
#include "print_dumps.h"

#include <inttypes.h>
#include <string.h>

#include "print_pin.h"
#include "table.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

#define DUMPS_SHOWN 10
#define NAMES_SHOWN 60 /* characters of a list of names */
#define LIST_FORMAT 1

static bool
can_open(const AgeIdentities *identities, const DumpRecord *record)
{
	AUTO(Error) error = age_check_identities(identities, record->recipients, "");

	return error == NULL;
}

/* "crm, shop"; only numbers where the names are encrypted. */
static char *
name_databases(const DumpRecord *record)
{
	AUTO_BUF(names, 4096);

	buf_puts(&names, "");
	for (size_t i = 0; i < record->n_databases; i++)
	{
		const DumpDatabase *database = &record->databases[i];

		if (names.size > NAMES_SHOWN)
		{
			buf_printf(&names, " and %zu more", record->n_databases - i);
			break;
		}
		buf_puts(&names, i > 0 ? ", " : "");
		if (database->name != NULL)
			buf_puts(&names, database->name);
		else
			buf_printf(&names, "OID %" PRIu32, database->oid);
	}
	return buf_steal(&names);
}

static void
print_remarks(const DumpRecord *record, const AgeIdentities *identities, FILE *into)
{
	AUTO_FREE char *names = name_databases(record);

	print_line(into, "    %s", names);
	if (!can_open(identities, record))
		print_line(into, "    NO KEY HERE for %s", record->recipients);
	if (!record->role_passwords)
		print_line(into, "    WITHOUT PASSWORDS of roles");
	if (!record->read_back)
		print_line(into, "    not read again after it was stored");
	if (record->from_standby)
		print_line(into, "    from standby");
	if (record->note != NULL)
		print_line(into, "    note: %s", record->note);
}

static void
print_newest(const DumpList *dumps, TimeUs now, FILE *into)
{
	char age[AGE_TEXT_SIZE];
	const DumpRecord *newest = dumps->count == 0 ? NULL : dumps->items[dumps->count - 1];

	if (newest == NULL)
		print_line(into, "There is no dump.");
	else
		print_line(into, "%zu dump%s, the newest %s with %zu database%s.", dumps->count,
		           dumps->count == 1 ? "" : "s", age_format(newest->stop_time, now, age), newest->n_databases,
		           newest->n_databases == 1 ? "" : "s");
}

void
print_dumps_text(const DumpList *dumps, const PinList *pins, const AgeIdentities *identities, TimeUs now,
                 bool verbose, FILE *into)
{
	size_t first = verbose || dumps->count <= DUMPS_SHOWN ? 0 : dumps->count - DUMPS_SHOWN;
	char text[SIZE_TEXT_SIZE];
	char time[TIME_TEXT_SIZE];
	char age[AGE_TEXT_SIZE];

	print_newest(dumps, now, into);
	if (dumps->count > 0)
		(void) fprintf(into, "\n%-21s  %-22s  %-11s %9s  %9s  %s\n", "dump", "began", "", "raw", "stored",
		               "PostgreSQL");
	for (size_t i = first; i < dumps->count; i++)
	{
		const DumpRecord *record = dumps->items[i];

		(void) fprintf(into, "%-21s  %-22s  %-11s", record->id,
		               time_format_postgres(record->start_time / 1000000 * 1000000, time),
		               age_format(record->start_time, now, age));
		(void) fprintf(into, " %9s", size_format(dump_record_raw_size(record), text));
		(void) fprintf(into, "  %9s  %d\n", size_format(dump_record_stored_size(record), text),
		               record->server_version / 10000);
		print_remarks(record, identities, into);
		print_pin(pins, record->id, into);
	}
	if (first > 0)
		print_line(into, "and %zu older ones: --verbose", first);
	for (size_t i = 0; i < dumps->unfinished.count; i++)
		print_line(into, "Unfinished: %s, of a dump that runs or was ended", dumps->unfinished.items[i]);
	for (size_t i = 0; i < dumps->damaged.count; i++)
		print_line(into, "DAMAGED: %s", dumps->damaged.items[i]);
}

static void
put_dump(const DumpRecord *record, const PinList *pins, const AgeIdentities *identities, Json *into)
{
	dump_record_put(
		record,
		"id system_id server_version dump_major timeline lsn start_time stop_time duration_ms note "
		"from_standby role_passwords read_back recipients",
		into);
	json_add_int(into, "raw_size", (int64_t) dump_record_raw_size(record));
	json_add_int(into, "stored_size", (int64_t) dump_record_stored_size(record));
	json_add_bool(into, "key_here", can_open(identities, record));
	put_pin(pins, record->id, into);
	dump_record_put(record, "databases", into);
}

void
print_dumps_json(const DumpList *dumps, const PinList *pins, const AgeIdentities *identities, FILE *into)
{
	AUTO(Json) root = json_new_object();
	Json *array;

	json_add_int(root, "format", LIST_FORMAT);
	array = json_add_array(root, "dumps");
	for (size_t i = 0; i < dumps->count; i++)
		put_dump(dumps->items[i], pins, identities, json_add_object(array, NULL));
	json_put_list(root, "unfinished", &json_strings, dumps->unfinished.items, dumps->unfinished.count);
	json_put_list(root, "damaged", &json_strings, dumps->damaged.items, dumps->damaged.count);
	print_object(root, into);
}

static uint64_t
size_of_tables(const DumpDatabaseFacts *database)
{
	uint64_t size = 0;

	for (size_t i = 0; i < database->n_tables; i++)
		size += database->tables[i].size;
	return size;
}

static void
print_databases(const DumpContents *contents, FILE *into)
{
	AUTO(Table) table = table_new("database|>tables|>size|encoding|>large objects|extensions|roles");
	char text[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < contents->n_databases; i++)
	{
		const DumpDatabaseFacts *database = &contents->databases[i];

		table_cell(table, "%s", database->name);
		table_cell(table, "%zu", database->n_tables);
		table_cell(table, "%s", size_format(size_of_tables(database), text));
		table_cell(table, "%s", database->encoding);
		table_cell(table, "%" PRIu64, database->large_objects);
		table_cell(table, "%zu", database->n_extensions);
		table_cell(table, "%zu", database->n_roles);
	}
	table_print(table, "", into);
}

static void
print_tables(const DumpDatabaseFacts *database, FILE *into)
{
	AUTO(Table) table = table_new("schema|table|>rows, about|>size|owner|");
	char text[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < database->n_extensions; i++)
		print_line(into, "extension %s %s", database->extensions[i].name, database->extensions[i].version);
	for (size_t i = 0; i < database->n_roles; i++)
		print_line(into, "role %s", database->roles[i]);
	for (size_t i = 0; i < database->n_tables; i++)
	{
		const DumpTableFacts *facts = &database->tables[i];

		table_cell(table, "%s", facts->schema);
		table_cell(table, "%s", facts->name);
		table_cell(table, "%" PRIu64, facts->rows);
		table_cell(table, "%s", size_format(facts->size, text));
		table_cell(table, "%s", facts->owner);
		table_cell(table, "%s", facts->unlogged ? "unlogged" : "");
	}
	if (table_rows(table) > 0)
		table_print(table, "", into);
}

void
print_contents_text(const DumpRecord *record, const DumpContents *contents, const DumpDatabaseFacts *database,
                    FILE *into)
{
	char digest[SHA256_TEXT_SIZE];
	char time[TIME_TEXT_SIZE];

	if (database == NULL)
	{
		print_line(into, "Dump %s of %s, PostgreSQL %d.%d", record->id,
		           time_format_postgres(record->start_time / 1000000 * 1000000, time),
		           record->server_version / 10000, record->server_version % 10000);
		(void) fputc('\n', into);
		print_databases(contents, into);
		return;
	}
	hex_encode(database->schema_sha256, SHA256_SIZE, digest);
	print_line(into, "Database %s of dump %s; schema %.16s", database->name, record->id, digest);
	(void) fputc('\n', into);
	print_tables(database, into);
}

void
print_contents_json(const DumpRecord *record, const DumpContents *contents, FILE *into)
{
	AUTO(Json) root = json_new_object();
	Json *array;

	json_add_int(root, "format", LIST_FORMAT);
	dump_record_put(record, "id server_version start_time stop_time", root);
	array = json_add_array(root, "databases");
	for (size_t i = 0; i < contents->n_databases; i++)
		dump_contents_put_database(&contents->databases[i], json_add_object(array, NULL));
	print_object(root, into);
}
