/* The table of commands, in the order of "walship --help". */
#include "commands.h"

#include <string.h>

/* clang-format off */
const Command *const commands[] = {
	&command_push,
	&command_fetch,
	&command_backup,
	&command_dump,
	&command_undump,
	&command_list,
	&command_find,
	&command_recover,
	&command_verify,
	&command_expire,
	&command_copy,
	&command_pin,
	&command_unpin,
	&command_drill,
	&command_status,
	&command_runbook,
	&command_files,
	&command_check,
	&command_init,
	&command_notify,
	&command_each,
	&command_key,
	&command_config,
	&command_manual,
	&command_completion,
	&command_prefetcher,
	&command_notifier,
};
/* clang-format on */

const size_t n_commands = lengthof(commands);

const Command *
command_by_name(const char *name)
{
	for (size_t i = 0; i < n_commands; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}
