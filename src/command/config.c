/* walship config: every setting with its value and where it comes from. */
#include "walship/config/describe.h"

#include <stdio.h>

#include "commands.h"

#define CONFIG_TEXT_MAX (1024 * 1024)

static const CommandOption options[] = {
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
	{"markdown", OPTION_FLAG, NULL, "print the documentation of all settings (docs/configuration.md)"},
};

static void
print_json(const Settings *settings, Buf *into)
{
	AUTO(Json) object = json_new_object();

	settings_list_json(settings, object);
	json_print(object, false, into);
}

static Error *
run(Invocation *invocation)
{
	AUTO_BUF(text, CONFIG_TEXT_MAX);
	bool json = invocation_flag(invocation, "json");
	bool markdown = invocation_flag(invocation, "markdown");

	if (json && markdown)
		return error_hint(error_new(ERR_USAGE, "options \"--json\" and \"--markdown\" exclude each other"),
		                  "Leave one of them out.");
	if (markdown)
		settings_describe_markdown(&text);
	else if (json)
		print_json(invocation_settings(invocation), &text);
	else
		settings_list_text(invocation_settings(invocation), &text);
	(void) fwrite(text.data, 1, text.size, stdout); /* command_main() looks for write errors */
	return NULL;
}

const Command command_config = {
	.name = "config",
	.summary = "shows every setting, its value and where it comes from",
	.arguments = "",
	.description =
		"Prints one line per setting: its name, its value and the value's origin, which is \"default\", a line\n"
		"of the settings file, an environment variable or an option. Secrets are masked.",
	.options = options,
	.n_options = lengthof(options),
	.run = run,
};
