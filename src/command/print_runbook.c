/* A runbook as Markdown: what is read in a terminal, kept in a repository, and printed. */
#include "print_runbook.h"

#include <string.h>

#define WIDTH 120

/* Lines no longer than that; behind the first one they are indented. */
static void
put_wrapped(const char *text, const char *indent, size_t begin, Buf *into)
{
	size_t column = begin;

	while (*text != '\0')
	{
		size_t length = strcspn(text, " ");

		if (column > begin && column + 1 + length > WIDTH)
		{
			buf_printf(into, "\n%s", indent);
			column = strlen(indent);
		}
		else if (column > begin)
		{
			buf_putc(into, ' ');
			column++;
		}
		buf_append(into, text, length);
		column += length;
		text += length;
		text += strspn(text, " ");
	}
	buf_putc(into, '\n');
}

static void
put_cell(const char *text, Buf *into)
{
	buf_puts(into, *text == '\0' ? "|" : "| ");
	for (; *text != '\0'; text++)
	{
		if (*text == '|')
			buf_putc(into, '\\');
		buf_putc(into, *text);
	}
	buf_putc(into, ' ');
}

static void
put_row(const RunbookBlock *block, Buf *into)
{
	for (size_t i = 0; i < RUNBOOK_CELLS && block->cells[i] != NULL; i++)
		put_cell(block->cells[i], into);
	buf_puts(into, "|\n");
	if (block->kind != RUNBOOK_TABLE)
		return;
	for (size_t i = 0; i < RUNBOOK_CELLS && block->cells[i] != NULL; i++)
		buf_puts(into, "|---");
	buf_puts(into, "|\n");
}

/* A paragraph of its own, unless it goes on with what is before it. */
static void
separate(RunbookBlockKind before, RunbookBlockKind kind, Buf *into)
{
	bool rows = kind == RUNBOOK_ROW;
	bool steps = kind == RUNBOOK_STEP && (before == RUNBOOK_STEP || before == RUNBOOK_COMMAND);

	if (before == RUNBOOK_COMMAND && kind != RUNBOOK_COMMAND)
		buf_puts(into, "   ```\n");
	if (kind == RUNBOOK_COMMAND && before != RUNBOOK_COMMAND)
		buf_puts(into, "   ```\n");
	if (kind != RUNBOOK_COMMAND && kind != RUNBOOK_TITLE && !rows && !steps && before != RUNBOOK_HEADING)
		buf_putc(into, '\n');
}

void
print_runbook_text(const Runbook *runbook, Buf *into)
{
	RunbookBlockKind before = RUNBOOK_TITLE;
	unsigned step = 0;

	for (size_t i = 0; i < runbook->count; i++)
	{
		const RunbookBlock *block = &runbook->blocks[i];
		const char *text = block->cells[0];

		separate(before, block->kind, into);
		switch (block->kind)
		{
			case RUNBOOK_TITLE:
				buf_printf(into, "# %s\n", text);
				break;
			case RUNBOOK_HEADING:
				buf_printf(into, "## %s\n", text);
				step = 0;
				break;
			case RUNBOOK_TEXT:
				put_wrapped(text, "", 0, into);
				break;
			case RUNBOOK_TABLE:
			case RUNBOOK_ROW:
				put_row(block, into);
				break;
			case RUNBOOK_STEP:
				buf_printf(into, "%u. ", ++step);
				put_wrapped(text, "   ", 3, into);
				break;
			case RUNBOOK_COMMAND:
				buf_printf(into, "   %s\n", text);
				break;
		}
		before = block->kind;
	}
	if (before == RUNBOOK_COMMAND)
		buf_puts(into, "   ```\n");
}
