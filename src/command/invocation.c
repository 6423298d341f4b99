/* Parses the options of a command by its table, and those of all commands by the settings. */
#include "invocation.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "other_tools.h"
#include "walship/base/mem.h"

static bool
is_named(const char *text, size_t length, const char *name)
{
	return strlen(name) == length && strncmp(text, name, length) == 0;
}

/* "given" is what was typed, "name" the same without its dashes. */
static Error *
unknown_option(const Invocation *invocation, const char *given, const char *name)
{
	static const char *const common[] = {"help", "config", "cluster"};
	AUTO_STRLIST known = {0};

	for (size_t i = 0; i < lengthof(common); i++)
		strlist_add(&known, common[i]);
	for (size_t i = 0; i < invocation->command->n_options; i++)
		strlist_add(&known, invocation->command->options[i].name);
	settings_list_flags(&known);

	AUTO_FREE char *elsewhere = other_tools_option(given, strcspn(given, "="));
	const char *nearest = str_nearest(name, (const char *const *) known.items, known.count);
	Error *error = error_new(ERR_USAGE, "unknown option \"%s\"", given);

	if (elsewhere != NULL)
		return error_hint(error, "%s", elsewhere);
	if (nearest != NULL)
		return error_hint(error, "Did you mean \"--%s\"?", nearest);
	return error_hint(error, "Try \"walship %s --help\".", invocation->command->name);
}

/* The value after '=' or the next word, which is then used up. */
static Error *
take_value(const char *name, const char *equals, int argc, char **argv, int *position, const char **ret_value)
{
	if (equals != NULL)
		*ret_value = equals + 1;
	else if (*position + 1 < argc)
		*ret_value = argv[++*position];
	else
		return error_new(ERR_USAGE, "option \"--%s\" needs a value", name);
	return NULL;
}

static Error *
parse_command_option(Invocation *invocation, const CommandOption *option, const char *equals, int argc,
                     char **argv, int *position)
{
	const char *value = NULL;
	bool takes_value = option->kind != OPTION_FLAG;

	if (option->kind == OPTION_FLAG && equals != NULL)
		return error_new(ERR_USAGE, "option \"--%s\" takes no value", option->name);

	/* What looks like an option is not the value of one that needs none. */
	if (option->kind == OPTION_MAYBE && equals == NULL)
		takes_value = *position + 1 < argc && argv[*position + 1][0] != '-';
	if (takes_value)
		TRY(take_value(option->name, equals, argc, argv, position, &value));
	if (option->kind != OPTION_MANY && invocation_count(invocation, option->name) > 0)
		return error_new(ERR_USAGE, "option \"--%s\" is given twice", option->name);
	GROW(invocation->given, invocation->n_given, invocation->given_capacity);
	invocation->given[invocation->n_given++] = (GivenOption){option, value};
	return NULL;
}

/* The flag's name lives in argv: cut at '=' there, for settings_load() wants it alone. */
static Error *
parse_setting_flag(Invocation *invocation, char *name, char *equals, int argc, char **argv, int *position)
{
	const char *value = NULL;

	if (equals != NULL)
		*equals = '\0';
	if (!settings_is_flag(name))
		return unknown_option(invocation, name - 2, name);
	for (size_t i = 0; i < invocation->n_flags; i++)
		if (strcmp(invocation->flags[i].name, name) == 0)
			return error_new(ERR_USAGE, "option \"--%s\" is given twice", name);
	TRY(take_value(name, equals, argc, argv, position, &value));
	GROW(invocation->flags, invocation->n_flags, invocation->flags_capacity);
	invocation->flags[invocation->n_flags++] = (SettingFlag){name, value};
	return NULL;
}

/* --config and --cluster: they say which settings there are, so they are none themselves. */
static Error *
parse_source_option(const char *name, const char *equals, int argc, char **argv, int *position,
                    const char **value)
{
	if (*value != NULL)
		return error_new(ERR_USAGE, "option \"--%s\" is given twice", name);
	return take_value(name, equals, argc, argv, position, value);
}

static Error *
parse_option(Invocation *invocation, int argc, char **argv, int *position)
{
	char *name = argv[*position] + 2;
	char *equals = strchr(name, '=');
	size_t length = equals != NULL ? (size_t) (equals - name) : strlen(name);
	const Command *command = invocation->command;

	for (size_t i = 0; i < command->n_options; i++)
		if (is_named(name, length, command->options[i].name))
			return parse_command_option(invocation, &command->options[i], equals, argc, argv, position);
	if (strcmp(name, "help") == 0)
	{
		invocation->help = true;
		return NULL;
	}
	if (is_named(name, length, "config"))
		return parse_source_option("config", equals, argc, argv, position, &invocation->config_path);
	if (is_named(name, length, "cluster"))
		return parse_source_option("cluster", equals, argc, argv, position, &invocation->cluster);
	return parse_setting_flag(invocation, name, equals, argc, argv, position);
}

Error *
invocation_parse(Invocation *invocation, int argc, char **argv)
{
	const Command *command = invocation->command;
	bool options_ended = false;

	for (int i = 0; i < argc; i++)
	{
		if (!options_ended && strcmp(argv[i], "--") == 0)
			options_ended = true;
		else if (!options_ended && strcmp(argv[i], "-h") == 0)
			invocation->help = true;
		else if (!options_ended && strncmp(argv[i], "--", 2) == 0)
			TRY(parse_option(invocation, argc, argv, &i));
		else if (!options_ended && argv[i][0] == '-' && argv[i][1] != '\0')
			return unknown_option(invocation, argv[i], argv[i] + 1);
		else if (invocation->n_arguments == command->n_arguments + command->n_optional)
			return error_hint(error_new(ERR_USAGE, "too many arguments, the first one is \"%s\"", argv[i]),
			                  "Try \"walship %s --help\".", command->name);
		else
			invocation->arguments[invocation->n_arguments++] = argv[i];
		if (command->takes_rest && invocation->n_arguments > 0)
		{
			invocation->rest = argv + i;
			invocation->n_rest = (size_t) (argc - i);
			break;
		}
	}
	if (invocation->help || invocation->n_arguments >= command->n_arguments)
		return NULL;
	return error_hint(error_new(ERR_USAGE, "missing argument"), "Usage: walship %s [OPTION]... %s",
	                  command->name, command->arguments);
}

void
invocation_release(Invocation *invocation)
{
	free(invocation->program);
	free(invocation->given);
	free(invocation->flags);
	settings_free(invocation->settings);
	free(invocation->summary);
}

const char *
invocation_nth(const Invocation *invocation, const char *option, size_t n)
{
	for (size_t i = 0; i < invocation->n_given; i++)
		if (strcmp(invocation->given[i].option->name, option) == 0 && n-- == 0)
			return invocation->given[i].value;
	return NULL;
}

size_t
invocation_count(const Invocation *invocation, const char *option)
{
	size_t count = 0;

	for (size_t i = 0; i < invocation->n_given; i++)
		count += strcmp(invocation->given[i].option->name, option) == 0;
	return count;
}

bool
invocation_flag(const Invocation *invocation, const char *option)
{
	return invocation_count(invocation, option) > 0;
}

const char *
invocation_value(const Invocation *invocation, const char *option)
{
	return invocation_nth(invocation, option, 0);
}

Error *
invocation_choice(const Invocation *invocation, const char *const *options, size_t n_options, int *ret_choice)
{
	*ret_choice = -1;
	for (size_t i = 0; i < n_options; i++)
	{
		if (options[i] == NULL || !invocation_flag(invocation, options[i]))
			continue;
		if (*ret_choice >= 0)
			return error_new(ERR_USAGE, "options \"--%s\" and \"--%s\" exclude each other",
			                 options[*ret_choice], options[i]);
		*ret_choice = (int) i;
	}
	return NULL;
}

const char *
invocation_argument(const Invocation *invocation, int n)
{
	return n < invocation->n_arguments ? invocation->arguments[n] : NULL;
}

char *const *
invocation_rest(const Invocation *invocation, size_t *ret_count)
{
	*ret_count = invocation->n_rest;
	return invocation->rest;
}

const char *
invocation_program(const Invocation *invocation)
{
	return invocation->program;
}

const Settings *
invocation_settings(const Invocation *invocation)
{
	return invocation->settings;
}

Error *
invocation_load_cluster(const Invocation *invocation, const char *cluster, Settings **ret_settings)
{
	SettingsSources sources = {.config_path = invocation->config_path,
	                           .cluster = cluster,
	                           .environment = environ,
	                           .flags = invocation->flags,
	                           .n_flags = invocation->n_flags};

	return settings_load(&sources, ret_settings);
}

Error *
invocation_load_given(const Invocation *invocation, Settings **ret_settings)
{
	SettingsSources sources = {
		.environment = environ, .flags = invocation->flags, .n_flags = invocation->n_flags};

	return settings_load_given(&sources, ret_settings);
}

/* A variable that is set and empty is unset. */
static const char *
given_or_variable(const char *given, const char *variable)
{
	const char *value = given != NULL ? given : getenv(variable);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

const char *
invocation_config(const Invocation *invocation)
{
	return given_or_variable(invocation->config_path, CONFIG_PATH_VARIABLE);
}

const char *
invocation_cluster(const Invocation *invocation)
{
	return given_or_variable(invocation->cluster, CLUSTER_VARIABLE);
}

static void
add_option(StrList *words, const char *name, const char *value)
{
	AUTO_FREE char *word = mem_printf("--%s=%s", name, value);

	strlist_add(words, word);
}

void
invocation_list_sources(const Invocation *invocation, StrList *words)
{
	if (invocation->config_path != NULL)
		add_option(words, "config", invocation->config_path);
	if (invocation->cluster != NULL)
		add_option(words, "cluster", invocation->cluster);
	for (size_t i = 0; i < invocation->n_flags; i++)
		add_option(words, invocation->flags[i].name, invocation->flags[i].value);
}

void
invocation_append_flags(const Invocation *invocation, Buf *into)
{
	AUTO_STRLIST words = {0};

	invocation_list_sources(invocation, &words);
	for (size_t i = 0; i < words.count; i++)
	{
		size_t name = strcspn(words.items[i], "=");
		AUTO_FREE char *value = str_shell_quote(words.items[i] + name + 1);

		buf_printf(into, " %.*s=%s", (int) name, words.items[i], value);
	}
}

void
invocation_set_status(Invocation *invocation, int status)
{
	invocation->status = status;
}

void
invocation_set_summary(Invocation *invocation, const char *format, ...)
{
	va_list arguments;

	free(invocation->summary);
	va_start(arguments, format);
	invocation->summary = mem_vprintf(format, arguments);
	va_end(arguments);
}
