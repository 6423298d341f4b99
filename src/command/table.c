/* Aligned columns, objects, and standard output. */
#include "table.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define COLUMN_GAP 2

typedef struct Column
{
	char *heading;
	bool right;
	int width;
} Column;

struct Table
{
	Column *columns;
	size_t n_columns;
	size_t capacity;
	StrList cells; /* row by row */
};

Table *
table_new(const char *headings)
{
	Table *table = NEW(Table);

	for (;;)
	{
		size_t length = strcspn(headings, "|");
		bool right = length > 0 && headings[0] == '>';

		GROW(table->columns, table->n_columns, table->capacity);
		table->columns[table->n_columns++] =
			(Column){.heading = mem_strndup(headings + right, length - right),
		             .right = right,
		             .width = (int) (length - right)};
		if (headings[length] == '\0')
			return table;
		headings += length + 1;
	}
}

void
table_free(Table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->n_columns; i++)
		free(table->columns[i].heading);
	free(table->columns);
	strlist_release(&table->cells);
	free(table);
}

void
table_cell(Table *table, const char *format, ...)
{
	Column *column = &table->columns[table->cells.count % table->n_columns];
	va_list arguments;

	va_start(arguments, format);
	AUTO_FREE char *raw = mem_vprintf(format, arguments);
	va_end(arguments);
	AUTO_FREE char *text = str_printable(raw);

	int width = (int) strlen(text);

	if (width > column->width)
		column->width = width;
	strlist_add(&table->cells, text);
}

size_t
table_rows(const Table *table)
{
	return table->cells.count / table->n_columns;
}

void
table_time(Table *table, TimeUs time)
{
	char text[TIME_TEXT_SIZE];

	table_cell(table, "%s", time == TIME_NONE ? "-" : time_format_postgres(time, text));
}

void
table_lsn(Table *table, XLogRecPtr lsn)
{
	char text[LSN_TEXT_SIZE];

	table_cell(table, "%s", lsn == InvalidXLogRecPtr ? "-" : lsn_format(lsn, text));
}

/* No blanks at the end of a line: the last cell with something in it is not filled up. */
static void
print_row(const Table *table, const char *const *cells, const char *indent, FILE *into)
{
	size_t last = table->n_columns - 1;

	while (last > 0 && cells[last][strspn(cells[last], " ")] == '\0')
		last--;
	(void) fputs(indent, into);
	for (size_t i = 0; i < last; i++)
		(void) fprintf(into, table->columns[i].right ? "%*s%*s" : "%-*s%*s", table->columns[i].width,
		               cells[i], COLUMN_GAP, "");

	size_t length = strlen(cells[last]);

	while (length > 0 && cells[last][length - 1] == ' ')
		length--;
	(void) fprintf(into, "%*.*s\n", table->columns[last].right ? table->columns[last].width : 0, (int) length,
	               cells[last]);
}

void
table_print(const Table *table, const char *indent, FILE *into)
{
	AUTO_FREE const char **headings = NEW_ARRAY(const char *, table->n_columns);

	for (size_t i = 0; i < table->n_columns; i++)
		headings[i] = table->columns[i].heading;
	print_row(table, headings, indent, into);
	for (size_t i = 0; i < table->cells.count; i += table->n_columns)
		print_row(table, (const char *const *) &table->cells.items[i], indent, into);
}

void
print_line(FILE *into, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	AUTO_FREE char *text = mem_vprintf(format, arguments);
	va_end(arguments);
	AUTO_FREE char *clean = str_printable(text);

	(void) fprintf(into, "%s\n", clean);
}

void
print_object(const Json *root, FILE *into)
{
	AUTO_FREE char *text = json_text(root, false);

	(void) fprintf(into, "%s\n", text);
}

Error *
print_buf(const Buf *text)
{
	if (text->overflowed)
		return error_new(ERR_SYSTEM, "output is longer than %zu bytes and cannot be printed", text->cap);
	(void) fwrite(text->data, 1, text->size, stdout);
	return NULL;
}

/* Longer output is written before it is flushed: then only the stream knows that it failed. */
Error *
print_flush(void)
{
	if (fflush(stdout) != 0)
		return error_errno("could not write to standard output");
	return ferror(stdout) ? error_new(ERR_SYSTEM, "could not write to standard output") : NULL;
}
