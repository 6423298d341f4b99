/* Manual pages; see manual_page.h. */
#include "manual_page.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "help.h"
#include "walship/base/mem.h"
#include "walship/config/describe.h"

#define SETTINGS_FILE "/etc/walship/walship.conf"

/* Text as it is; of markdown what stands in backquotes is bold. */
static void
put_text(Buf *into, const char *text, size_t length)
{
	bool bold = false;

	for (size_t i = 0; i < length; i++)
	{
		bool begins_line = i == 0 || text[i - 1] == '\n';

		/* A request of roff begins a line so. */
		if (begins_line && (text[i] == '.' || text[i] == '\''))
			buf_puts(into, "\\&");
		if (text[i] == '`')
		{
			bold = !bold;
			buf_puts(into, bold ? "\\fB" : "\\fR");
		}
		else if (text[i] == '\\')
			buf_puts(into, "\\e");
		else if (text[i] == '-')
			buf_puts(into, "\\-");
		else
			buf_putc(into, text[i]);
	}
	if (bold)
		buf_puts(into, "\\fR");
}

static void
put_line(Buf *into, const char *text)
{
	put_text(into, text, strlen(text));
	buf_putc(into, '\n');
}

/* Paragraphs as --help has them: an empty line ends one, what begins with a blank stays as it is. */
static void
put_paragraphs(Buf *into, const char *text)
{
	bool as_it_is = false;

	for (const char *line = text; *line != '\0';)
	{
		size_t length = strcspn(line, "\n");
		bool indented = line[0] == ' ';

		if (indented != as_it_is)
			buf_puts(into, indented ? ".nf\n" : ".fi\n");
		as_it_is = indented;
		if (length == 0)
			buf_puts(into, ".PP\n");
		else
		{
			put_text(into, line, length);
			buf_putc(into, '\n');
		}
		line += length + (line[length] == '\n');
	}
	if (as_it_is)
		buf_puts(into, ".fi\n");
}

static void
put_head(Buf *into, const char *title, int section, const char *name, const char *summary)
{
	AUTO_FREE char *upper = mem_strdup(title);

	for (char *at = upper; *at != '\0'; at++)
		*at = (char) toupper((unsigned char) *at);
	buf_printf(into, ".TH \"%s\" \"%d\" \"\" \"walship " WALSHIP_VERSION "\" \"walship\"\n.SH NAME\n", upper,
	           section);
	put_text(into, name, strlen(name));
	buf_puts(into, " \\- ");
	put_line(into, summary);
}

/* "--name VALUE" and what it does. */
static void
put_option(Buf *into, const char *flag, const char *value, bool maybe, const char *help)
{
	buf_puts(into, ".TP\n\\fB\\-\\-");
	put_text(into, flag, strlen(flag));
	buf_puts(into, "\\fR");
	if (value != NULL)
	{
		buf_puts(into, maybe ? " [\\fI" : " \\fI");
		put_text(into, value, strlen(value));
		buf_puts(into, maybe ? "\\fR]" : "\\fR");
	}
	buf_putc(into, '\n');
	put_line(into, help);
}

static void
put_statuses(Buf *into, const char *statuses)
{
	buf_puts(into, ".SH EXIT STATUS\n");
	for (char *at = NULL; *statuses != '\0'; statuses = at + strspn(at, " "))
	{
		unsigned long status = strtoul(statuses, &at, 10);

		buf_printf(into, ".TP\n%lu\n", status);
		put_line(into, help_status(status));
	}
}

void
manual_page_overview(Buf *into)
{
	put_head(into, "walship", 1, "walship", "PostgreSQL's WAL and base backups to a store, and back");
	buf_puts(into,
	         ".SH SYNOPSIS\n.B walship\n\\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...\n"
	         ".SH DESCRIPTION\n"
	         "Each command has a page of its own, and \\fBwalship\\fR \\fICOMMAND\\fR \\fB\\-\\-help\\fR.\n");
	for (size_t i = 0; i < n_commands; i++)
	{
		if (commands[i]->hidden)
			continue;
		buf_printf(into, ".TP\n\\fBwalship\\-%s\\fR(1)\n", commands[i]->name);
		put_line(into, commands[i]->summary);
	}
	buf_puts(into, ".SH OPTIONS\n");
	put_option(into, "help", NULL, false, "of walship, or of a command after its name");
	put_option(into, "version", NULL, false, "prints the version");
	put_option(into, "config", "FILE", false, "settings file, instead of " SETTINGS_FILE);
	put_option(into, "cluster", "NAME", false, "use the section [cluster NAME] of that file");
	buf_puts(
		into,
		"Every setting is an option, too: \\fBwalship.conf\\fR(5).\n"
		".SH FILES\n.TP\n" SETTINGS_FILE "\nthe settings: \\fBwalship.conf\\fR(5)\n"
		".SH SEE ALSO\n\\fBwalship.conf\\fR(5), \\fBwalship\\-format\\fR(7), \\fBpg_basebackup\\fR(1), \\fBage\\fR(1)\n");
}

void
manual_page_command(const Command *command, Buf *into)
{
	AUTO_FREE char *title = mem_printf("walship-%s", command->name);

	put_head(into, title, 1, title, command->summary);
	buf_printf(into, ".SH SYNOPSIS\n\\fBwalship %s\\fR [\\fIOPTION\\fR]...", command->name);
	buf_puts(into, command->arguments[0] != '\0' ? " \\fI" : "");
	put_text(into, command->arguments, strlen(command->arguments));
	buf_puts(into, command->arguments[0] != '\0' ? "\\fR\n" : "\n");
	buf_puts(into, ".SH DESCRIPTION\n");
	put_paragraphs(into, command->description);
	buf_puts(into, ".SH OPTIONS\n");

	size_t heading = 0;

	for (size_t i = 0; i < command->n_options; i++)
	{
		const CommandOption *option = &command->options[i];

		if (heading < command->n_headings && strcmp(command->headings[heading].option, option->name) == 0)
		{
			buf_puts(into, ".SS ");
			put_line(into, command->headings[heading++].text);
		}
		put_option(into, option->name, option->value_name, option->kind == OPTION_MAYBE, option->help);
	}
	buf_puts(into, ".PP\nEvery setting is an option, too: \\fBwalship.conf\\fR(5).\n");
	if (command->statuses != NULL)
		put_statuses(into, command->statuses);
	if (command->examples != NULL)
	{
		buf_puts(into, ".SH EXAMPLES\n");
		put_paragraphs(into, command->examples);
	}
	buf_puts(into, ".SH SEE ALSO\n\\fBwalship\\fR(1), \\fBwalship.conf\\fR(5)\n");
}

static void
put_setting(Buf *into, size_t n)
{
	SettingText setting = settings_text_nth(n);

	buf_printf(into, ".TP\n\\fB%s\\fR%s = \\fI", setting.name, setting.secret ? ", \\fB..._file\\fR" : "");
	put_text(into, setting.placeholder, strlen(setting.placeholder));
	buf_puts(into, "\\fR\n");
	put_text(into, setting.help, strlen(setting.help));
	if (setting.choices != NULL)
	{
		buf_puts(into, ": ");
		put_text(into, setting.choices, strlen(setting.choices));
	}
	if (setting.fallback != NULL)
	{
		buf_puts(into, " (default ");
		put_text(into, setting.fallback, strlen(setting.fallback));
		buf_putc(into, ')');
	}
	buf_puts(into, ".\n");
	put_line(into, setting.doc);
}

void
manual_page_settings(Buf *into)
{
	put_head(into, "walship.conf", 5, "walship.conf", "settings of walship");
	buf_puts(
		into,
		".SH DESCRIPTION\n" SETTINGS_FILE
		" holds lines such as \\fBjobs = 8\\fR; \\fB#\\fR begins a comment. "
		"Lines above the first section hold for all clusters, those of a section [cluster NAME] for that "
		"one.\nThe same setting is an environment variable (\\fBWALSHIP_JOBS\\fR) and an option "
		"(\\fB\\-\\-jobs\\fR); of these the later wins. A secret is never an option; it may stand in a file "
		"of its own, named by the setting with \\fB_file\\fR behind it.\n.SH SETTINGS\n");
	for (size_t i = 0; i < settings_text_count(); i++)
		put_setting(into, i);
	buf_puts(into, ".SH SEE ALSO\n\\fBwalship\\fR(1), \\fBwalship\\-config\\fR(1)\n");
}
