/* How data is shown: aligned columns for people, an object for programs. */
#pragma once

#include <stddef.h>
#include <stdio.h>

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
void table_print(const Table *table, const char *indent, FILE *into);

/* "-" for TIME_NONE and for an invalid LSN. */
void table_time(Table *table, TimeUs time);
void table_lsn(Table *table, XLogRecPtr lsn);

/* A line of text and its end, whatever is in it: see str_printable(); so do cells. */
void print_line(FILE *into, const char *format, ...) PRINTF_LIKE(2, 3);

/* Indented.  As of everything printed, only the stream knows whether it went well: print_flush() asks it. */
void print_object(const Json *root, FILE *into);

/* To standard output.  What could not be printed was not delivered: a text that is cut must not look like success, */
Error *print_buf(const Buf *text) MUST_CHECK;

/* nor a full disk. */
Error *print_flush(void) MUST_CHECK;
