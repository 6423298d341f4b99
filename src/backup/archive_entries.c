/* Which entries of an archive are a table's; see archive_entries.h. */
#include "archive_entries.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"

void
table_choice_release(TableChoice *choice)
{
	free(choice->tables);
	*choice = (TableChoice){0};
}

static bool
is_named(const DumpTableFacts *table, const char *name)
{
	size_t length = strlen(table->schema);

	return strcmp(table->name, name) == 0 ||
	       (strncmp(table->schema, name, length) == 0 && name[length] == '.' &&
	        strcmp(table->name, name + length + 1) == 0);
}

static bool
is_chosen(const TableChoice *choice, uint32_t oid)
{
	for (size_t i = 0; i < choice->n_tables; i++)
		if (choice->tables[i]->oid == oid)
			return true;
	return false;
}

Error *
table_choice_make(const DumpDatabaseFacts *database, const char *name, TableChoice *ret_choice)
{
	TableChoice choice = {.tables = NEW_ARRAY(const DumpTableFacts *, database->n_tables + 1)};
	size_t before;

	for (size_t i = 0; i < database->n_tables; i++)
		if (is_named(&database->tables[i], name))
			choice.tables[choice.n_tables++] = &database->tables[i];
	if (choice.n_tables != 1)
	{
		Error *error = choice.n_tables == 0
		                   ? error_new(ERR_NOT_FOUND, "database \"%s\" of the dump has no table \"%s\"",
		                               database->name, name)
		                   : error_new(ERR_USAGE, "database \"%s\" of the dump has %zu tables \"%s\"",
		                               database->name, choice.n_tables, name);

		table_choice_release(&choice);
		return error_hint(error, "\"walship undump --list --database NAME\" shows them; write SCHEMA.TABLE.");
	}

	/* The rows of a partitioned table are its partitions'; a partition may have some, too. */
	do
	{
		before = choice.n_tables;
		for (size_t i = 0; i < database->n_tables; i++)
			if (is_chosen(&choice, database->tables[i].parent) &&
			    !is_chosen(&choice, database->tables[i].oid))
				choice.tables[choice.n_tables++] = &database->tables[i];
	} while (choice.n_tables > before);
	*ret_choice = choice;
	return NULL;
}

/* In such lists a line end in a name is a blank (PostgreSQL: pg_backup_archiver.c, sanitize_line). */
static char *
on_one_line(const char *text)
{
	char *line = mem_strdup(text);

	for (char *at = line; *at != '\0'; at++)
		if (*at == '\n' || *at == '\r')
			*at = ' ';
	return line;
}

/* "ACL public TABLE orders ...": what has no OID is known by its words. */
static bool
begins_with(const char *entry, const char *kind, const char *schema, const char *of, const char *name,
            const char *end)
{
	AUTO_FREE char *raw = mem_printf("%s %s %s%s%s", kind, schema, of, name, end);
	AUTO_FREE char *words = on_one_line(raw);

	return str_starts_with(entry, words);
}

static bool
is_about(const char *entry, const DumpTableFacts *table)
{
	const char *schema = table->schema;
	bool found = begins_with(entry, "ACL", schema, "TABLE ", table->name, " ") ||
	             begins_with(entry, "ACL", schema, "COLUMN ", table->name, ".") ||
	             begins_with(entry, "COMMENT", schema, "TABLE ", table->name, " ") ||
	             begins_with(entry, "COMMENT", schema, "COLUMN ", table->name, ".") ||
	             begins_with(entry, "STATISTICS DATA", schema, "", table->name, " ") ||
	             begins_with(entry, "TABLE ATTACH", schema, "", table->name, " ");

	for (size_t i = 0; i < table->n_parts && !found; i++)
	{
		const char *part = table->parts[i].name;

		found = part != NULL && (begins_with(entry, "INDEX ATTACH", schema, "", part, " ") ||
		                         begins_with(entry, "STATISTICS DATA", schema, "", part, " ") ||
		                         begins_with(entry, "SEQUENCE OWNED BY", schema, "", part, " ") ||
		                         begins_with(entry, "SEQUENCE SET", schema, "", part, " ") ||
		                         begins_with(entry, "ACL", schema, "SEQUENCE ", part, " ") ||
		                         begins_with(entry, "COMMENT", schema, "SEQUENCE ", part, " ") ||
		                         begins_with(entry, "COMMENT", schema, "INDEX ", part, " "));
	}
	return found;
}

/* OIDs are unique only within a catalog: pg_class, pg_attrdef, pg_constraint, pg_statistic_ext; 0 is rows. */
static bool
may_be_a_part(uint64_t catalog)
{
	return catalog == 0 || catalog == 1259 || catalog == 2604 || catalog == 2606 || catalog == 3381;
}

static bool
is_part(const DumpTableFacts *table, uint64_t oid)
{
	if (table->oid == oid)
		return true;
	for (size_t i = 0; i < table->n_parts; i++)
		if (table->parts[i].oid == oid)
			return true;
	return false;
}

/* "215; 1259 16386 TABLE public orders shop": number, OID of the catalog, OID in it, and words. */
static bool
is_selected(const char *line, const TableChoice *choice, bool with_schema)
{
	uint64_t catalog;
	uint64_t oid;
	int at = 0;

	if (sscanf(line, "%*u; %" SCNu64 " %" SCNu64 " %n", &catalog, &oid, &at) < 2 || at == 0)
		return false;
	for (size_t i = 0; i < choice->n_tables; i++)
	{
		const DumpTableFacts *table = choice->tables[i];

		if (oid != 0 && may_be_a_part(catalog) && is_part(table, oid))
			return true;
		if (oid == 0 && is_about(line + at, table))
			return true;
		if (with_schema && begins_with(line + at, "SCHEMA", "-", "", table->schema, " "))
			return true;
	}
	return false;
}

void
archive_entries_select(const char *list, const TableChoice *choice, bool with_schema, Buf *into,
                       size_t *ret_count)
{
	*ret_count = 0;
	while (*list != '\0')
	{
		size_t length = strcspn(list, "\n");
		AUTO_FREE char *line = mem_strndup(list, length);

		if (*line != ';' && is_selected(line, choice, with_schema))
		{
			buf_printf(into, "%s\n", line);
			(*ret_count)++;
		}
		list += length + (list[length] == '\n');
	}
}
