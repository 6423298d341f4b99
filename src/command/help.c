/* "walship --help" and "walship COMMAND --help", from the tables. */
#include "help.h"

#include <stdio.h>

#include "commands.h"
#include "table.h"
#include "walship/base/mem.h"

#define HELP_TEXT_MAX (256 * 1024)

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

void
help_print_command(const Command *command)
{
	printf("walship %s: %s\n\n", command->name, command->summary);
	printf("Usage: walship %s [OPTION]...%s%s\n\n", command->name, command->arguments[0] != '\0' ? " " : "",
	       command->arguments);
	printf("%s\n", command->description);
	if (command->n_options > 0)
		printf("\nOptions:\n");
	for (size_t i = 0; i < command->n_options; i++)
	{
		const CommandOption *option = &command->options[i];
		bool maybe = option->kind == OPTION_MAYBE;
		AUTO_FREE char *value = option->value_name == NULL
		                            ? mem_strdup("")
		                            : mem_printf(maybe ? " [%s]" : " %s", option->value_name);
		AUTO_FREE char *left = mem_printf("--%s%s", option->name, value);

		printf("  %-26s %s\n", left, option->help);
	}
	printf("\nEvery setting is an option too (--store, --state-dir, ...): see \"walship --help\".\n");
}
