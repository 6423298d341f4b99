/* "walship --help" and "walship COMMAND --help", from the tables. */
#include "help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "table.h"
#include "walship/base/mem.h"

#define HELP_TEXT_MAX (256 * 1024)
#define HELP_COLUMN   29  /* where what an option does begins */
#define HELP_WIDTH    110 /* a terminal that two windows share */

Error *
help_print_overview(void)
{
	AUTO_BUF(settings, HELP_TEXT_MAX);

	printf("walship ships PostgreSQL's WAL and base backups to a store, and back.\n\n"
	       "Usage: walship COMMAND [OPTION]... [ARGUMENT]...\n\n"
	       "Commands:\n");
	for (size_t i = 0; i < n_commands; i++)
		if (!commands[i]->hidden)
			printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	printf(
		"\nOptions:\n"
		"  --help                     of walship, or of a command after its name\n"
		"  --version                  prints the version\n"
		"  --config FILE              settings file (default $WALSHIP_CONFIG, then /etc/walship/walship.conf)\n"
		"  --cluster NAME             use the section [cluster NAME] of that file\n\n");
	settings_describe_help(&settings);
	return print_buf(&settings);
}

const char *
help_status(unsigned long status)
{
	static const char *const meanings[] = {
		"done",
		"not found, and that is certain",
		"usage or settings",
		"exists with other contents, or refused to overwrite",
		"store or server unreachable, or still failing at the deadline",
		"denied: credentials, permissions, key",
		"corrupt: checksum, tag, format",
		"operating system: disk full, cannot write, ...",
		"checks failed: standard output says which",
		"target not reachable, or no suitable backup",
	};

	return status < lengthof(meanings)
	           ? meanings[status]
	           : "in archive recovery: any failure that is not \"certainly not there\"";
}

/* The contract: docs/operations.md, "Exit codes". */
static void
print_statuses(const char *statuses)
{
	printf("\nExit codes:\n");
	for (char *at = NULL; *statuses != '\0'; statuses = at + strspn(at, " "))
	{
		unsigned long status = strtoul(statuses, &at, 10);

		printf("  %3lu  %s\n", status, help_status(status));
	}
}

/* From HELP_COLUMN on; a word that does not fit begins a line there. */
static void
print_wrapped(const char *text)
{
	size_t column = HELP_COLUMN;

	for (const char *word = text; *word != '\0';)
	{
		size_t length = strcspn(word, " ");
		bool first = word == text;

		if (!first && column + 1 + length > HELP_WIDTH)
		{
			printf("\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
			first = true;
		}
		printf("%s%.*s", first ? "" : " ", (int) length, word);
		column += length + !first;
		word += length + strspn(word + length, " ");
	}
	printf("\n");
}

void
help_print_command(const Command *command)
{
	printf("walship %s: %s\n\n", command->name, command->summary);
	printf("Usage: walship %s [OPTION]...%s%s\n\n", command->name, command->arguments[0] != '\0' ? " " : "",
	       command->arguments);
	printf("%s\n", command->description);
	size_t heading = 0;

	if (command->n_options > 0 && command->n_headings == 0)
		printf("\nOptions:\n");
	for (size_t i = 0; i < command->n_options; i++)
	{
		const CommandOption *option = &command->options[i];
		bool maybe = option->kind == OPTION_MAYBE;
		AUTO_FREE char *value = option->value_name == NULL
		                            ? mem_strdup("")
		                            : mem_printf(maybe ? " [%s]" : " %s", option->value_name);
		AUTO_FREE char *left = mem_printf("--%s%s", option->name, value);

		if (heading < command->n_headings && strcmp(command->headings[heading].option, option->name) == 0)
			printf("\n%s:\n", command->headings[heading++].text);
		printf("  %-*s ", HELP_COLUMN - 3, left);
		print_wrapped(option->help);
	}
	if (command->examples != NULL)
		printf("\nExamples:\n%s", command->examples);
	if (command->statuses != NULL)
		print_statuses(command->statuses);
	printf("\nEvery setting is an option too (--store, --state-dir, ...): see \"walship --help\".\n");
}
