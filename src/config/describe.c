/* Settings for people and programs: everything is made from the rows. */
#include "walship/config/describe.h"

#include <string.h>

#include "private.h"
#include "walship/base/mem.h"

#define MASK          "********"
#define UNSET         "(unset)"
#define FORM_TEXT_MAX 1024

static const char *const help_head =
	"Settings (also as environment variable WALSHIP_NAME, or \"name = value\" in the settings file):\n";

static const char *const markdown_head =
	"# Settings\n"
	"\n"
	"This page is made by `walship config --markdown`.\n"
	"\n"
	"`walship config` prints every setting with its value and where the value comes from; secrets are masked.\n"
	"`walship config --json` prints an object: `config` (path of the settings file or null), `cluster` (or null) and\n"
	"`settings`, a list of objects with `name`, `value` (a number for whole numbers, bytes and milliseconds; null when\n"
	"unset), `text` (as it was written), `origin` (`default`, `file`, `environment` or `flag`) and `source` (the place).\n"
	"\n"
	"## Where a value comes from\n"
	"\n"
	"The later one wins: default, settings file, environment, command line. A variable that is set but empty counts\n"
	"as unset. An unknown name or a value that is not allowed ends walship with exit code 2 (200 for `fetch` during a\n"
	"recovery), wherever it stands, and the message names the place; so a misspelt line cannot go unnoticed.\n"
	"\n"
	"PostgreSQL starts `archive_command` with the server's environment, not with yours: the file is the usual place.\n"
	"\n"
	"## The file\n"
	"\n"
	"`/etc/walship/walship.conf`, or the file named by `--config` or `WALSHIP_CONFIG`. Only the former may be missing.\n"
	"\n"
	"```\n"
	"# comment\n"
	"store = file:///srv/walship\n"
	"jobs = 8\n"
	"\n"
	"[cluster billing]               # used with --cluster billing or WALSHIP_CLUSTER=billing\n"
	"store = 'file:///srv/walship billing'\n"
	"```\n"
	"\n"
	"Lines above the first section hold for all clusters; a section's own lines replace them. `#` and `;` begin a\n"
	"comment at the beginning of a line or after a blank. A value may stand in single or double quotes, and must where\n"
	"it contains a comment sign after a blank. A name may occur once in a section.\n"
	"\n"
	"A section `[store NAME]` describes another store by `store`, the settings `s3_...` and `retention`, for `--store NAME`,\n"
	"`walship copy --to NAME` and `second_store = NAME`. Only its own lines say what that store is: a setting of these that it\n"
	"does not have is at its default, whatever the file, the environment and the command line say of the first store.\n"
	"\n"
	"```\n"
	"[store offsite]\n"
	"store = s3://other-bucket/billing\n"
	"s3_region = eu-west-3\n"
	"s3_access_key_id = AKIA...\n"
	"s3_secret_access_key_file = /etc/walship/offsite.secret\n"
	"retention = window 30d, monthly 12\n"
	"```\n"
	"\n"
	"A file that everyone may write is refused, for it decides where backups go.\n"
	"\n"
	"## Secrets\n"
	"\n"
	"A secret is never an option, because command lines are visible to every user. It is a line of the file or an\n"
	"environment variable; or the same with `_file` (`_FILE`) appended to the name, and then the value is the path of a\n"
	"file with the secret as its only line. A file that holds a secret, the settings file included, must have mode 0600,\n"
	"or 0640 where it is owned by root and its group is one of the user's.\n";

void
settings_describe_help_of(const SettingTable *table, Buf *into)
{
	buf_puts(into, help_head);
	for (size_t i = 0; i < table->count; i++)
	{
		const SettingRow *row = &table->rows[i];
		AUTO_FREE char *flag = setting_flag_name(row->name);
		/* A secret has no flag. */
		AUTO_FREE char *left =
			row->secret ? setting_variable_name(row->name) : mem_printf("--%s %s", flag, row->placeholder);

		buf_printf(into, "  %-30s %s", left, row->help);
		if (row->choices != NULL)
			buf_printf(into, ": %s", row->choices);
		if (row->fallback != NULL)
			buf_printf(into, " (default %s)", row->fallback);
		buf_putc(into, '\n');
	}
}

void
settings_describe_help(Buf *into)
{
	settings_describe_help_of(&setting_table, into);
}

static void
describe_row(const SettingRow *row, Buf *into)
{
	AUTO_FREE char *flag = setting_flag_name(row->name);
	AUTO_FREE char *variable = setting_variable_name(row->name);
	AUTO_BUF(form, FORM_TEXT_MAX);

	setting_describe_form(row, &form);

	buf_printf(into, "\n### `%s`: %s\n\n| | |\n|---|---|\n", row->name, row->help);
	if (row->secret)
	{
		buf_printf(into, "| file | `%s = ...` or `%s" SETTING_FILE_SUFFIX " = PATH` |\n", row->name,
		           row->name);
		buf_printf(into, "| environment | `%s` or `%s_FILE` |\n", variable, variable);
	}
	else
	{
		buf_printf(into, "| option | `--%s %s` |\n", flag, row->placeholder);
		buf_printf(into, "| environment | `%s` |\n", variable);
		buf_printf(into, "| file | `%s = %s` |\n", row->name, row->placeholder);
	}
	buf_printf(into, "| allowed | %s |\n", form.data);
	if (row->fallback != NULL)
		buf_printf(into, "| default | `%s` |\n", row->fallback);
	else
		buf_puts(into, "| default | unset |\n");
	buf_printf(into, "\n%s\n", row->doc);
}

void
settings_describe_markdown_of(const SettingTable *table, Buf *into)
{
	buf_puts(into, markdown_head);
	buf_puts(into, "\n## The settings\n");
	for (size_t i = 0; i < table->count; i++)
		describe_row(&table->rows[i], into);
}

void
settings_describe_markdown(Buf *into)
{
	settings_describe_markdown_of(&setting_table, into);
}

static const char *
shown_text(const SettingRow *row, const SettingValue *value)
{
	if (value->text == NULL)
		return UNSET;
	return row->secret || (row->names_secret && config_may_be_secret(value->text)) ? MASK : value->text;
}

void
settings_list_text(const Settings *settings, Buf *into)
{
	size_t name_width = 0;
	size_t value_width = 0;

	for (size_t i = 0; i < settings->table.count; i++)
	{
		size_t name = strlen(settings->table.rows[i].name);
		size_t value = strlen(shown_text(&settings->table.rows[i], &settings->values[i]));

		name_width = name > name_width ? name : name_width;
		value_width = value > value_width ? value : value_width;
	}
	for (size_t i = 0; i < settings->table.count; i++)
	{
		const SettingRow *row = &settings->table.rows[i];
		const SettingValue *value = &settings->values[i];

		buf_printf(into, "%-*s  %-*s  %s\n", (int) name_width, row->name, (int) value_width,
		           shown_text(row, value), value->source != NULL ? value->source : "default");
	}
}

static const char *const origin_names[] = {
	[SETTING_FROM_DEFAULT] = "default",         [SETTING_FROM_FILE] = "file", [SETTING_FROM_SECTION] = "file",
	[SETTING_FROM_ENVIRONMENT] = "environment", [SETTING_FROM_FLAG] = "flag",
};

void
settings_list_json(const Settings *settings, Json *object)
{
	Json *list;

	json_add_string(object, "config", settings->config_path);
	json_add_string(object, "cluster", settings->cluster);
	list = json_add_array(object, "settings");
	for (size_t i = 0; i < settings->table.count; i++)
	{
		const SettingRow *row = &settings->table.rows[i];
		const SettingValue *value = &settings->values[i];
		const char *text = value->text == NULL ? NULL : shown_text(row, value);
		Json *item = json_add_object(list, NULL);

		json_add_string(item, "name", row->name);
		if (text != NULL && row->type != SETTING_TYPE_TEXT && row->type != SETTING_TYPE_CHOICE &&
		    !(row->automatic && strcmp(text, SETTING_AUTO) == 0))
			json_add_int(item, "value", value->number);
		else
			json_add_string(item, "value", text);
		json_add_string(item, "text", text);
		json_add_string(item, "origin", origin_names[value->origin]);
		json_add_string(item, "source", value->source);
	}
}

size_t
settings_text_count(void)
{
	return setting_table.count;
}

SettingText
settings_text_nth(size_t n)
{
	const SettingRow *row = &setting_table.rows[n];

	return (SettingText){.name = row->name,
	                     .placeholder = row->placeholder,
	                     .help = row->help,
	                     .doc = row->doc,
	                     .fallback = row->fallback,
	                     .choices = row->choices,
	                     .secret = row->secret};
}

char *
settings_flag_nth(size_t n)
{
	const SettingRow *row = &setting_table.rows[n];

	return row->secret ? NULL : setting_flag_name(row->name);
}
