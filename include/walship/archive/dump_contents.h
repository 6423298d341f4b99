/*
 * What is in a dump, by names: an object of its own beside the record, encrypted
 * where the dump is (docs/format.md).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/crypto.h"
#include "walship/base/error.h"
#include "walship/base/json.h"

#define DUMP_CONTENTS_MAX (64u * 1024 * 1024) /* bytes of JSON: some 100,000 tables */

typedef struct DumpExtension
{
	char *name;
	char *version;
} DumpExtension;

/* What belongs to a table and is restored with it: an index, a default, a constraint, an owned sequence. */
typedef struct DumpPart
{
	uint32_t oid;
	char *name; /* of an index or a sequence; NULL: of something else */
} DumpPart;

/* A table, or a materialized view. */
typedef struct DumpTableFacts
{
	uint32_t oid;
	char *schema;
	char *name;
	char *owner;
	uint64_t rows; /* the server's estimate */
	uint64_t size; /* bytes on its disk, without indexes */
	bool unlogged;
	bool has_rows;   /* that can be dumped alone; not in the object */
	uint32_t parent; /* of a partition; 0: it is none */
	DumpPart *parts;
	size_t n_parts;
} DumpTableFacts;

typedef struct DumpDatabaseFacts
{
	uint32_t oid;
	char *name;
	char *encoding;
	char *collate;
	char *ctype;
	char *provider;     /* "c", "i" or "b", as datlocprovider; NULL before PostgreSQL 15 */
	char *locale;       /* of the provider; NULL: it has none */
	char *icu_rules;    /* NULL: none, as always before PostgreSQL 16 */
	char *owner;        /* NULL: not noted */
	char *tablespace;   /* the database's own; NULL: the usual one */
	char **tablespaces; /* that it uses beside the usual one */
	size_t n_tablespaces;
	uint8_t schema_sha256[SHA256_SIZE]; /* of schema-<OID>.sql without what differs from run to run */
	uint64_t entries;                   /* of the archive's table of contents */
	uint64_t large_objects;
	uint64_t unlogged_left_out; /* tables without their rows: a standby has none of them */
	char **roles;               /* that own something or were granted something */
	size_t n_roles;
	DumpExtension *extensions;
	size_t n_extensions;
	DumpTableFacts *tables; /* by schema and name */
	size_t n_tables;
} DumpDatabaseFacts;

typedef struct DumpContents
{
	DumpDatabaseFacts *databases; /* by OID */
	size_t n_databases;
} DumpContents;

DumpContents *dump_contents_new(void);
void dump_contents_free(DumpContents *contents);
AUTO_DEFINE(DumpContents, dump_contents_free);

/* NULL when there is none of this name. */
const DumpDatabaseFacts *dump_contents_database(const DumpContents *contents, const char *name);

void dump_contents_print(const DumpContents *contents, Buf *into);
void dump_contents_put_database(const DumpDatabaseFacts *database,
                                Json *into); /* all members, for programs */
Error *dump_contents_parse(const char *text, size_t size, const char *what, DumpContents **ret_contents)
	MUST_CHECK;
