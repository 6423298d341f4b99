/* How data is shown to people: aligned columns, times, places. */
#pragma once

#include <stddef.h>

#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/wal/json.h"

/* Rows of text under a heading, printed once all widths are known. */
typedef struct Table Table;

/* "headings" are separated by '|'; one that begins with '>' is aligned to the right. */
Table *table_new(const char *headings);
void table_free(Table *table);
AUTO_DEFINE(Table, table_free);

void table_cell(Table *table, const char *format, ...) PRINTF_LIKE(2, 3); /* row by row, left to right */
size_t table_rows(const Table *table);
void table_print(const Table *table, const char *indent, Buf *into);

/* "-" for TIME_NONE and for an invalid LSN. */
void table_time(Table *table, TimeUs time);
void table_lsn(Table *table, XLogRecPtr lsn);
