/* walship completion SHELL: the script by which a shell completes walship's command lines. */
#include <string.h>

#include "commands.h"
#include "completion_script.h"
#include "table.h"

static Error *
run(Invocation *invocation)
{
	const char *shell = invocation_argument(invocation, 0);
	AUTO_BUF(text, COMPLETION_SCRIPT_MAX);

	for (size_t i = 0; i < n_completion_shells; i++)
	{
		if (strcmp(completion_shells[i].name, shell) != 0)
			continue;
		completion_shells[i].script(&text);
		return print_buf(&text);
	}
	return error_hint(error_new(ERR_USAGE, "there is no completion for the shell \"%s\"", shell),
	                  "There is one for bash, zsh and fish.");
}

const Command command_completion = {
	.name = "completion",
	.summary = "prints what bash, zsh or fish need to complete walship's command lines",
	.arguments = "SHELL",
	.n_arguments = 1,
	.description =
		"Prints a script for the shell: bash, zsh or fish. cmake --install puts all three where the shells look.",
	.examples = "  source <(walship completion bash)\n"
				"  walship completion fish >~/.config/fish/completions/walship.fish\n",
	.statuses = "0 2 7",
	.without_settings = true,
	.run = run,
};
