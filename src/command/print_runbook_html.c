/* A runbook as a page for a browser and, before all, for paper. */
#include <string.h>

#include "print_runbook.h"
#include "print_status_picture.h"
#include "walship/base/mem.h"

static const char style[] =
	":root{--text:#1b1f24;--dim:#57606a;--back:#fff;--line:#d0d7de;--code:#f6f8fa}"
	"@media(prefers-color-scheme:dark){:root{--text:#e6edf3;--dim:#9198a1;--back:#0d1117;--line:#3d444d;--code:#161b22}}"
	"@media print{:root{--text:#000;--dim:#333;--back:#fff;--line:#888;--code:#fff}}"
	"body{font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);max-width:60rem;margin:0 auto;"
	"padding:1rem;overflow-wrap:break-word}h1{font-size:1.4rem}h2{font-size:1.15rem;margin-top:2rem;"
	"break-after:avoid}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border:1px solid "
	"var(--line);vertical-align:top;overflow-wrap:anywhere}td:first-child{overflow-wrap:normal}code,pre{font-family:"
	"ui-monospace,monospace;font-size:.9em;background:var(--code)}pre{border:1px solid var(--line);padding:.4rem .6rem;"
	"margin:.3rem 0;white-space:pre-wrap;overflow-wrap:anywhere}li{margin:.5rem 0}tr,li,pre{break-inside:avoid}"
	"@media print{body{max-width:none;font-size:11pt}}";

/* `...` is what is typed, **...** what must not be overlooked; all else is text. */
static void
put_inline(const char *text, Buf *into)
{
	bool code = false;
	bool bold = false;

	while (*text != '\0')
	{
		size_t length = strcspn(text, "`*");
		AUTO_FREE char *plain = mem_strndup(text, length);

		html_put_text(into, plain);
		text += length;
		if (*text == '`')
		{
			buf_puts(into, code ? "</code>" : "<code>");
			code = !code;
			text++;
		}
		else if (!code && strncmp(text, "**", 2) == 0)
		{
			buf_puts(into, bold ? "</b>" : "<b>");
			bold = !bold;
			text += 2;
		}
		else if (*text != '\0')
			buf_putc(into, *text++);
	}
	if (code)
		buf_puts(into, "</code>");
	if (bold)
		buf_puts(into, "</b>");
}

static void
put_element(const char *name, const char *text, Buf *into)
{
	buf_printf(into, "<%s>", name);
	put_inline(text, into);
	buf_printf(into, "</%s>\n", name);
}

static void
put_row(const RunbookBlock *block, Buf *into)
{
	buf_puts(into, "<tr>");
	for (size_t i = 0; i < RUNBOOK_CELLS && block->cells[i] != NULL; i++)
		put_element(block->kind == RUNBOOK_TABLE ? "th" : "td", block->cells[i], into);
	buf_puts(into, "</tr>\n");
}

/* Tags that one kind of block has around several of its kind: what ends before, and what begins. */
static void
put_between(RunbookBlockKind before, RunbookBlockKind kind, Buf *into)
{
	bool in_steps = before == RUNBOOK_STEP || before == RUNBOOK_COMMAND;
	bool to_steps = kind == RUNBOOK_STEP || kind == RUNBOOK_COMMAND;

	if (before == RUNBOOK_COMMAND && kind != RUNBOOK_COMMAND)
		buf_puts(into, "</pre>\n");
	if (in_steps && kind != RUNBOOK_COMMAND)
		buf_puts(into, "</li>\n");
	if (in_steps && !to_steps)
		buf_puts(into, "</ol>\n");
	if ((before == RUNBOOK_ROW || before == RUNBOOK_TABLE) && kind != RUNBOOK_ROW)
		buf_puts(into, "</table>\n");
	if (kind == RUNBOOK_TABLE)
		buf_puts(into, "<table>\n");
	if (kind == RUNBOOK_STEP && !in_steps)
		buf_puts(into, "<ol>\n");
	if (kind == RUNBOOK_COMMAND)
		buf_puts(into, before == RUNBOOK_COMMAND ? "\n" : "<pre>");
}

static void
put_block(const RunbookBlock *block, Buf *into)
{
	switch (block->kind)
	{
		case RUNBOOK_TITLE:
			put_element("h1", block->cells[0], into);
			break;
		case RUNBOOK_HEADING:
			put_element("h2", block->cells[0], into);
			break;
		case RUNBOOK_TEXT:
			put_element("p", block->cells[0], into);
			break;
		case RUNBOOK_TABLE:
		case RUNBOOK_ROW:
			put_row(block, into);
			break;
		case RUNBOOK_STEP:
			buf_puts(into, "<li>");
			put_inline(block->cells[0], into);
			buf_putc(into, '\n');
			break;
		case RUNBOOK_COMMAND:
			html_put_text(into, block->cells[0]);
			break;
	}
}

void
print_runbook_html(const Runbook *runbook, Buf *into)
{
	RunbookBlockKind before = RUNBOOK_TEXT;

	buf_puts(into, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	               "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	               "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
	               "'unsafe-inline'\">\n"
	               "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
	html_put_text(into, runbook->count == 0 ? "Runbook" : runbook->blocks[0].cells[0]);
	buf_printf(into, "</title>\n<style>%s</style></head>\n<body>\n", style);
	for (size_t i = 0; i < runbook->count; i++)
	{
		put_between(before, runbook->blocks[i].kind, into);
		put_block(&runbook->blocks[i], into);
		before = runbook->blocks[i].kind;
	}
	put_between(before, RUNBOOK_TEXT, into);
	buf_puts(into, "</body></html>\n");
}
