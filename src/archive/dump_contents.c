/* contents.json; see docs/format.md. */
#include "walship/archive/dump_contents.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/json_fields.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define DUMP_CONTENTS_FORMAT 1

static const JsonField extension_fields[] = {
	{"name", &json_path, JSON_AT(DumpExtension, name)},
	{"version", &json_path, JSON_AT(DumpExtension, version)},
};
static const JsonTable extension_table = JSON_TABLE(DumpExtension, extension_fields);

static const JsonField part_fields[] = {
	{"oid", &json_uint, JSON_AT(DumpPart, oid), .flags = JSON_NOT_EMPTY},
	{"name", &json_path, JSON_AT(DumpPart, name), .flags = JSON_OPTIONAL},
};
static const JsonTable part_table = JSON_TABLE(DumpPart, part_fields);

static const JsonField table_fields[] = {
	{"oid", &json_uint, JSON_AT(DumpTableFacts, oid), .flags = JSON_NOT_EMPTY},
	{"schema", &json_path, JSON_AT(DumpTableFacts, schema)},
	{"name", &json_path, JSON_AT(DumpTableFacts, name)},
	{"owner", &json_path, JSON_AT(DumpTableFacts, owner)},
	{"rows", &json_uint, JSON_AT(DumpTableFacts, rows)},
	{"size", &json_uint, JSON_AT(DumpTableFacts, size)},
	{"unlogged", &json_bool, JSON_AT(DumpTableFacts, unlogged)},
	{"parent", &json_uint, JSON_AT(DumpTableFacts, parent), .flags = JSON_OPTIONAL},
	{"parts", &json_list, JSON_AT(DumpTableFacts, parts), .flags = JSON_OPTIONAL, .of = &part_table,
     .count = offsetof(DumpTableFacts, n_parts)},
};
static const JsonTable table_table = JSON_TABLE(DumpTableFacts, table_fields);

static const JsonField database_fields[] = {
	{"oid", &json_uint, JSON_AT(DumpDatabaseFacts, oid), .flags = JSON_NOT_EMPTY},
	{"name", &json_path, JSON_AT(DumpDatabaseFacts, name)},
	{"encoding", &json_string, JSON_AT(DumpDatabaseFacts, encoding)},
	{"collate", &json_path, JSON_AT(DumpDatabaseFacts, collate)},
	{"ctype", &json_path, JSON_AT(DumpDatabaseFacts, ctype)},
	{"provider", &json_string, JSON_AT(DumpDatabaseFacts, provider), .flags = JSON_OPTIONAL},
	{"locale", &json_path, JSON_AT(DumpDatabaseFacts, locale), .flags = JSON_OPTIONAL},
	{"icu_rules", &json_path, JSON_AT(DumpDatabaseFacts, icu_rules), .flags = JSON_OPTIONAL},
	{"owner", &json_path, JSON_AT(DumpDatabaseFacts, owner), .flags = JSON_OPTIONAL},
	{"tablespace", &json_path, JSON_AT(DumpDatabaseFacts, tablespace), .flags = JSON_OPTIONAL},
	{"tablespaces", &json_list, JSON_AT(DumpDatabaseFacts, tablespaces), .flags = JSON_OPTIONAL,
     .of = &json_paths, .count = offsetof(DumpDatabaseFacts, n_tablespaces)},
	{"schema_sha256", &json_hex, JSON_AT(DumpDatabaseFacts, schema_sha256)},
	{"entries", &json_uint, JSON_AT(DumpDatabaseFacts, entries)},
	{"large_objects", &json_uint, JSON_AT(DumpDatabaseFacts, large_objects)},
	{"unlogged_left_out", &json_uint, JSON_AT(DumpDatabaseFacts, unlogged_left_out)},
	{"roles", &json_list, JSON_AT(DumpDatabaseFacts, roles), .of = &json_paths,
     .count = offsetof(DumpDatabaseFacts, n_roles)},
	{"extensions", &json_list, JSON_AT(DumpDatabaseFacts, extensions), .of = &extension_table,
     .count = offsetof(DumpDatabaseFacts, n_extensions)},
	{"tables", &json_list, JSON_AT(DumpDatabaseFacts, tables), .of = &table_table,
     .count = offsetof(DumpDatabaseFacts, n_tables)},
};
static const JsonTable database_table = JSON_TABLE(DumpDatabaseFacts, database_fields);

static const JsonField contents_fields[] = {
	{"databases", &json_list, JSON_AT(DumpContents, databases), .of = &database_table,
     .count = offsetof(DumpContents, n_databases)},
};
static const JsonTable contents_table = JSON_TABLE(DumpContents, contents_fields);

DumpContents *
dump_contents_new(void)
{
	return NEW(DumpContents);
}

static void
release_table(DumpTableFacts *table)
{
	for (size_t i = 0; i < table->n_parts; i++)
		free(table->parts[i].name);
	free(table->parts);
	free(table->schema);
	free(table->name);
	free(table->owner);
}

static void
release_database(DumpDatabaseFacts *database)
{
	for (size_t i = 0; i < database->n_roles; i++)
		free(database->roles[i]);
	for (size_t i = 0; i < database->n_extensions; i++)
	{
		free(database->extensions[i].name);
		free(database->extensions[i].version);
	}
	for (size_t i = 0; i < database->n_tables; i++)
		release_table(&database->tables[i]);
	for (size_t i = 0; i < database->n_tablespaces; i++)
		free(database->tablespaces[i]);
	free(database->tablespaces);
	free(database->roles);
	free(database->extensions);
	free(database->tables);
	free(database->name);
	free(database->encoding);
	free(database->collate);
	free(database->ctype);
	free(database->provider);
	free(database->locale);
	free(database->icu_rules);
	free(database->owner);
	free(database->tablespace);
}

void
dump_contents_free(DumpContents *contents)
{
	if (contents == NULL)
		return;
	for (size_t i = 0; i < contents->n_databases; i++)
		release_database(&contents->databases[i]);
	free(contents->databases);
	free(contents);
}

const DumpDatabaseFacts *
dump_contents_database(const DumpContents *contents, const char *name)
{
	for (size_t i = 0; i < contents->n_databases; i++)
		if (strcmp(contents->databases[i].name, name) == 0)
			return &contents->databases[i];
	return NULL;
}

void
dump_contents_print(const DumpContents *contents, Buf *into)
{
	AUTO(Json) root = json_new_object();

	json_add_int(root, "format", DUMP_CONTENTS_FORMAT);
	json_put(root, &contents_table, contents);
	json_print(root, false, into); /* never denser than a reader allows */
}

void
dump_contents_put_database(const DumpDatabaseFacts *database, Json *into)
{
	json_put(into, &database_table, database);
}

Error *
dump_contents_parse(const char *text, size_t size, const char *what, DumpContents **ret_contents)
{
	AUTO(Json) root = NULL;
	AUTO(DumpContents) contents = dump_contents_new();
	int64_t format;

	TRY(json_parse(text, size, what, &root));
	TRY(error_context(json_get_int(root, "format", &format), "%s", what));
	if (format != DUMP_CONTENTS_FORMAT)
		return error_hint(error_new(ERR_CORRUPT, "%s: format version %" PRId64 " is unknown", what, format),
		                  "A newer walship wrote it. Update this one.");
	TRY(error_context(json_take(root, &contents_table, contents), "%s", what));
	*ret_contents = MOVE(contents);
	return NULL;
}
