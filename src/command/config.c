/* walship config: every setting with its value and where it comes from. */
#include "walship/config/describe.h"

#include "commands.h"
#include "table.h"

#define CONFIG_TEXT_MAX (64 * 1024 * 1024) /* more than environment and file can hold */

static const CommandOption options[] = {
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
	{"markdown", OPTION_FLAG, NULL, "print the documentation of all settings (docs/configuration.md)"},
};

static Error *
run(Invocation *invocation)
{
	AUTO_BUF(text, CONFIG_TEXT_MAX);
	AUTO(Json) object = json_new_object();
	bool json = invocation_flag(invocation, "json");
	bool markdown = invocation_flag(invocation, "markdown");

	if (json && markdown)
		return error_hint(error_new(ERR_USAGE, "options \"--json\" and \"--markdown\" exclude each other"),
		                  "Leave one of them out.");
	if (json)
	{
		settings_list_json(invocation_settings(invocation), object);
		print_object(object, stdout);
		return NULL;
	}
	if (markdown)
		settings_describe_markdown(&text);
	else
		settings_list_text(invocation_settings(invocation), &text);
	return print_buf(&text);
}

const Command command_config = {
	.name = "config",
	.summary = "shows every setting, its value and where it comes from",
	.arguments = "",
	.description =
		"Prints one line per setting: its name, its value and the value's origin, which is \"default\", a line\n"
		"of the settings file, an environment variable or an option. Secrets are masked.",
	.examples = "  walship config\n"
				"  walship config --json\n",
	.statuses = "0 2 7",
	.options = options,
	.n_options = lengthof(options),
	.run = run,
};
