/* An archive's table of contents as "pg_restore --list" prints it, and what of it belongs to one table.  Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/archive/dump_contents.h"
#include "walship/base/buf.h"
#include "walship/base/error.h"

/* Tables of a dump that are to be restored, one and its partitions. */
typedef struct TableChoice
{
	const DumpTableFacts **tables; /* the contents' */
	size_t n_tables;
} TableChoice;

void table_choice_release(TableChoice *choice);
#define AUTO_TABLES __attribute__((cleanup(table_choice_release))) TableChoice

/* "orders" or "shop.orders"; ERR_NOT_FOUND, and ERR_USAGE when there are several. */
Error *table_choice_make(const DumpDatabaseFacts *database, const char *name, TableChoice *ret_choice)
	MUST_CHECK;

/*
 * The lines of "list" that make these tables, with rows, defaults, own sequences, indexes, constraints, comments
 * and privileges; but no foreign keys, triggers, rules and policies, which need what is not there.
 * "with_schema": also that which makes their schema.  *ret_count is the number of lines.
 */
void archive_entries_select(const char *list, const TableChoice *choice, bool with_schema, Buf *into,
                            size_t *ret_count);
