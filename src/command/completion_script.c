/* Scripts for bash, zsh and fish; see completion_script.h. */
#include "completion_script.h"

#include <string.h>

#include "commands.h"
#include "walship/base/mem.h"
#include "walship/config/describe.h"

/* Between apostrophes, for all three shells: an apostrophe itself is no part of any text here but help. */
static void
put_quoted(Buf *into, const char *text, const char *also_escaped)
{
	for (; *text != '\0'; text++)
	{
		if (*text == '\'')
			buf_puts(into, "'\\''");
		else if (strchr(also_escaped, *text) != NULL)
			buf_printf(into, "\\%c", *text);
		else
			buf_putc(into, *text);
	}
}

static bool
takes_value(const CommandOption *option)
{
	return option->kind == OPTION_VALUE || option->kind == OPTION_MANY;
}

/* ---- bash ---- */

static void
bash_words(Buf *into, const Command *command)
{
	buf_printf(into, "\t%s) words='--help", command->name);
	for (size_t i = 0; i < command->n_options; i++)
		buf_printf(into, " --%s", command->options[i].name);
	buf_puts(into, "' ;;\n");
}

/* Where a value is expected nothing is offered: then bash offers files. */
static void
bash_script(Buf *into)
{
	buf_puts(
		into,
		"# walship(1) completion for bash; made by walship completion bash\n"
		"_walship()\n{\n"
		"\tlocal current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= words= i\n"
		"\tlocal commands='");
	for (size_t i = 0; i < n_commands; i++)
		if (!commands[i]->hidden)
			buf_printf(into, "%s%s", i == 0 ? "" : " ", commands[i]->name);
	buf_puts(into, "'\n\tlocal settings='--config --cluster");
	for (size_t i = 0; i < settings_text_count(); i++)
	{
		AUTO_FREE char *flag = settings_flag_nth(i);

		if (flag != NULL)
			buf_printf(into, " --%s", flag);
	}
	buf_puts(
		into,
		"'\n\tCOMPREPLY=()\n"
		"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		"\t\tcase \" $commands \" in *\" ${COMP_WORDS[i]} \"*) command=${COMP_WORDS[i]} && break ;; esac\n"
		"\tdone\n"
		"\tcase \" $settings \" in *\" $before \"*) return ;; esac\n"
		"\tcase $command:$before in\n");
	for (size_t i = 0; i < n_commands; i++)
		for (size_t j = 0; !commands[i]->hidden && j < commands[i]->n_options; j++)
			if (takes_value(&commands[i]->options[j]))
				buf_printf(into, "\t%s:--%s) return ;;\n", commands[i]->name, commands[i]->options[j].name);
	buf_puts(into, "\tesac\n\tcase $command in\n\t'') words=\"$commands --help --version\" ;;\n");
	for (size_t i = 0; i < n_commands; i++)
		if (!commands[i]->hidden)
			bash_words(into, commands[i]);
	buf_puts(into, "\tesac\n"
	               "\tcase $current in\n"
	               "\t-*) words=\"$words $settings\" ;;\n"
	               "\t*) [ -z \"$command\" ] || return ;;\n"
	               "\tesac\n"
	               "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
	               "}\n"
	               "complete -o default -F _walship walship\n");
}

/* ---- zsh ---- */

static void
zsh_option(Buf *into, const char *flag, const char *value, const char *help)
{
	buf_printf(into, " \\\n\t\t\t'--%s[", flag);
	put_quoted(into, help, "[]:\\");
	buf_putc(into, ']');
	if (value != NULL)
		buf_printf(into, ":%s:_files", value);
	buf_putc(into, '\'');
}

static void
zsh_script(Buf *into)
{
	buf_puts(into, "#compdef walship\n# made by walship completion zsh\n"
	               "_walship()\n{\n\tlocal -a commands settings\n\tlocal state\n\tcommands=(\n");
	for (size_t i = 0; i < n_commands; i++)
	{
		if (commands[i]->hidden)
			continue;
		buf_printf(into, "\t\t'%s:", commands[i]->name);
		put_quoted(into, commands[i]->summary, ":\\");
		buf_puts(into, "'\n");
	}
	buf_puts(into, "\t)\n\tsettings=(");
	for (size_t i = 0; i < settings_text_count(); i++)
	{
		SettingText setting = settings_text_nth(i);
		AUTO_FREE char *flag = settings_flag_nth(i);

		if (flag == NULL)
			continue;
		buf_printf(into, "\n\t\t'--%s[", flag);
		put_quoted(into, setting.help, "[]:\\");
		buf_printf(into, "]:%s:_files'", setting.placeholder);
	}
	buf_puts(into, "\n\t)\n"
	               "\tif ((CURRENT == 2)); then\n"
	               "\t\t_describe command commands\n"
	               "\t\treturn\n"
	               "\tfi\n"
	               "\tlocal command=$words[2]\n"
	               "\tshift words\n"
	               "\t((CURRENT--))\n"
	               "\tcase $command in\n");
	for (size_t i = 0; i < n_commands; i++)
	{
		const Command *command = commands[i];

		if (command->hidden)
			continue;
		buf_printf(into, "\t%s)\n\t\t_arguments '--help[prints what it does]'", command->name);
		for (size_t j = 0; j < command->n_options; j++)
			zsh_option(into, command->options[j].name,
			           takes_value(&command->options[j]) ? command->options[j].value_name : NULL,
			           command->options[j].help);
		buf_puts(into, " \\\n\t\t\t$settings '*:argument:_files' ;;\n");
	}
	buf_puts(into, "\tesac\n}\n_walship \"$@\"\n");
}

/* ---- fish ---- */

static void
fish_line(Buf *into, const char *condition, const char *flag, bool value, const char *help)
{
	buf_printf(into, "complete -c walship -n '%s' -l %s%s -d '", condition, flag, value ? " -r" : "");
	for (; *help != '\0'; help++)
		buf_printf(into, *help == '\'' || *help == '\\' ? "\\%c" : "%c", *help);
	buf_puts(into, "'\n");
}

static void
fish_script(Buf *into)
{
	buf_puts(into, "# made by walship completion fish\ncomplete -c walship -n __fish_use_subcommand -f\n");
	for (size_t i = 0; i < n_commands; i++)
	{
		const Command *command = commands[i];
		AUTO_FREE char *seen = mem_printf("__fish_seen_subcommand_from %s", command->name);

		if (command->hidden)
			continue;
		buf_printf(into, "complete -c walship -n __fish_use_subcommand -a %s -d '", command->name);
		put_quoted(into, command->summary, "\\");
		buf_puts(into, "'\n");
		for (size_t j = 0; j < command->n_options; j++)
			fish_line(into, seen, command->options[j].name, takes_value(&command->options[j]),
			          command->options[j].help);
	}
	for (size_t i = 0; i < settings_text_count(); i++)
	{
		AUTO_FREE char *flag = settings_flag_nth(i);

		if (flag != NULL)
			fish_line(into, "not __fish_use_subcommand", flag, true, settings_text_nth(i).help);
	}
}

const CompletionShell completion_shells[] = {
	{"bash", "bash-completion/completions/walship", bash_script},
	{"zsh", "zsh/site-functions/_walship", zsh_script},
	{"fish", "fish/vendor_completions.d/walship.fish", fish_script},
};

const size_t n_completion_shells = lengthof(completion_shells);
