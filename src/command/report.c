/* Aligned columns. */
#include "report.h"

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

static void
add_column(Table *table, const char *heading, size_t length)
{
	bool right = length > 0 && heading[0] == '>';
	Column column = {.heading = mem_strndup(heading + right, length - right),
	                 .right = right,
	                 .width = (int) (length - right)};

	GROW(table->columns, table->n_columns, table->capacity);
	table->columns[table->n_columns++] = column;
}

Table *
table_new(const char *headings)
{
	Table *table = NEW(Table);

	for (;;)
	{
		size_t length = strcspn(headings, "|");

		add_column(table, headings, length);
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
	AUTO_FREE char *text = mem_vprintf(format, arguments);
	va_end(arguments);

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

static void
end_line(Buf *into)
{
	while (into->size > 0 && into->data[into->size - 1] == ' ')
		into->data[--into->size] = '\0';
	buf_putc(into, '\n');
}

/* No blanks at the end of a line. */
static void
print_cell(const Table *table, size_t position, const char *text, Buf *into)
{
	const Column *column = &table->columns[position];
	bool last = position + 1 == table->n_columns;

	if (column->right)
		buf_printf(into, "%*s", column->width, text);
	else if (last)
		buf_puts(into, text);
	else
		buf_printf(into, "%-*s", column->width, text);
	if (last)
		end_line(into);
	else
		buf_printf(into, "%*s", COLUMN_GAP, "");
}

void
table_print(const Table *table, const char *indent, Buf *into)
{
	buf_puts(into, indent);
	for (size_t i = 0; i < table->n_columns; i++)
		print_cell(table, i, table->columns[i].heading, into);
	for (size_t i = 0; i < table->cells.count; i++)
	{
		if (i % table->n_columns == 0)
			buf_puts(into, indent);
		print_cell(table, i % table->n_columns, table->cells.items[i], into);
	}
}
