/* walship manual: the manual pages, printed or written where they are installed from. */
#include <string.h>

#include "commands.h"
#include "completion_script.h"
#include "manual_page.h"
#include "table.h"
#include "walship/base/dir.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

#define SETTINGS_PAGE "walship.conf"

static const CommandOption options[] = {
	{"into", OPTION_VALUE, "DIR", "write all pages and the shells' completions below this directory"},
};

static Error *
print_page(const char *name)
{
	AUTO_BUF(text, MANUAL_PAGE_MAX);
	const Command *command = name == NULL ? NULL : command_by_name(name);

	if (command != NULL)
		manual_page_command(command, &text);
	else if (name == NULL)
		manual_page_overview(&text);
	else if (strcmp(name, SETTINGS_PAGE) == 0)
		manual_page_settings(&text);
	else
		return error_hint(error_new(ERR_USAGE, "there is no manual page \"%s\"", name),
		                  "There is one for each command, and \"" SETTINGS_PAGE "\".");
	return print_buf(&text);
}

static Error *
write_file(const char *directory, const char *path, const Buf *text)
{
	AUTO_FREE char *whole = path_join(directory, path);
	AUTO_FREE char *parent = path_parent(whole);

	if (text->overflowed)
		return error_new(ERR_SYSTEM, "\"%s\" is longer than %zu bytes", path, text->cap);
	TRY(dir_make(parent, 0755));
	return file_replace_unsynced(whole, text->data, text->size, 0644);
}

static Error *
write_page(const char *directory, const char *path, const Command *command, void (*page)(Buf *into))
{
	AUTO_BUF(text, MANUAL_PAGE_MAX);

	if (command != NULL)
		manual_page_command(command, &text);
	else
		page(&text);
	return write_file(directory, path, &text);
}

static Error *
write_all(const char *directory)
{
	TRY(write_page(directory, "man/man1/walship.1", NULL, manual_page_overview));
	TRY(write_page(directory, "man/man5/walship.conf.5", NULL, manual_page_settings));
	for (size_t i = 0; i < n_commands; i++)
	{
		AUTO_FREE char *path = mem_printf("man/man1/walship-%s.1", commands[i]->name);

		if (!commands[i]->hidden)
			TRY(write_page(directory, path, commands[i], NULL));
	}
	for (size_t i = 0; i < n_completion_shells; i++)
		TRY(write_page(directory, completion_shells[i].path, NULL, completion_shells[i].script));
	return NULL;
}

static Error *
run(Invocation *invocation)
{
	const char *directory = invocation_value(invocation, "into");
	const char *name = invocation_argument(invocation, 0);

	if (directory == NULL)
		return print_page(name);
	if (name != NULL)
		return error_new(ERR_USAGE, "\"--into\" writes all pages: it goes without the name of one");
	return write_all(directory);
}

const Command command_manual = {
	.name = "manual",
	.summary = "prints the manual page of walship, of a command or of the settings file",
	.arguments = "[NAME]",
	.n_optional = 1,
	.description =
		"Prints a page in the macros of man(7): walship(1), walship-NAME(1), or walship.conf(5). They are made from\n"
		"the same tables as --help.",
	.examples = "  walship manual recover | man -l -\n"
				"  walship manual --into build/share\n",
	.statuses = "0 2 7",
	.without_settings = true,
	.options = options,
	.n_options = lengthof(options),
	.run = run,
};
