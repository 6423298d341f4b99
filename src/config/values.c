/* The values of a Settings object, and what is asked of them. */
#include "values.h"

#include <assert.h>

#include "walship/base/mem.h"

Settings *
settings_new(const SettingTable *table)
{
	Settings *settings = NEW(Settings);

	settings->table = *table;
	settings->values = NEW_ARRAY(SettingValue, table->count + 1);
	return settings;
}

static void
setting_value_clear(SettingValue *value)
{
	free(value->text);
	free(value->source);
	*value = (SettingValue){0};
}

void
setting_value_set(SettingValue *value, const char *text, int64_t number, SettingOrigin origin,
                  const char *source)
{
	setting_value_clear(value);
	*value = (SettingValue){
		.text = mem_strdup(text),
		.number = number,
		.origin = origin,
		.source = mem_strdup(source),
	};
}

void
settings_free(Settings *settings)
{
	if (settings == NULL)
		return;
	for (size_t i = 0; i < settings->table.count; i++)
		setting_value_clear(&settings->values[i]);
	free(settings->values);
	free(settings->config_path);
	free(settings->cluster);
	free(settings);
}

static const SettingValue *
value_of(const Settings *settings, SettingId id)
{
	assert((size_t) id < settings->table.count);
	return &settings->values[id];
}

static int64_t
number_of(const Settings *settings, SettingId id, SettingType type)
{
	assert((size_t) id < settings->table.count && settings->table.rows[id].type == type);
	(void) type;
	return settings->values[id].number;
}

const char *
settings_text(const Settings *settings, SettingId id)
{
	assert(settings->table.rows[id].type == SETTING_TYPE_TEXT ||
	       settings->table.rows[id].type == SETTING_TYPE_CHOICE);
	return value_of(settings, id)->text;
}

int64_t
settings_integer(const Settings *settings, SettingId id)
{
	return number_of(settings, id, SETTING_TYPE_INTEGER);
}

uint64_t
settings_bytes(const Settings *settings, SettingId id)
{
	return (uint64_t) number_of(settings, id, SETTING_TYPE_BYTES);
}

int64_t
settings_ms(const Settings *settings, SettingId id)
{
	return number_of(settings, id, SETTING_TYPE_DURATION);
}

bool
settings_is_set(const Settings *settings, SettingId id)
{
	const SettingValue *value = value_of(settings, id);

	if (settings->table.rows[id].automatic && str_equal(value->text, SETTING_AUTO))
		return false;
	return value->origin != SETTING_FROM_DEFAULT;
}

bool
settings_is_flag(const char *name)
{
	AUTO_FREE char *key = setting_name_of_flag(name);
	const SettingRow *row = setting_find(&setting_table, key);

	return row != NULL && !row->secret;
}

void
settings_list_flags(StrList *names)
{
	setting_list_flags(&setting_table, names);
}

const char *
settings_config_path(const Settings *settings)
{
	return settings->config_path;
}

const char *
settings_cluster(const Settings *settings)
{
	return settings->cluster;
}

static void
append_flag(Buf *into, const char *name, const char *text)
{
	AUTO_FREE char *flag = setting_flag_name(name);
	AUTO_FREE char *quoted = str_shell_quote(text);

	buf_printf(into, " --%s=%s", flag, quoted);
}

void
settings_append_flags(const Settings *settings, Buf *into)
{
	/* Also the default file: the other process may have another WALSHIP_CONFIG. */
	if (settings->config_path != NULL)
		append_flag(into, "config", settings->config_path);
	if (settings->cluster != NULL)
		append_flag(into, "cluster", settings->cluster);
	for (size_t i = 0; i < settings->table.count; i++)
	{
		const SettingRow *row = &settings->table.rows[i];
		const SettingValue *value = &settings->values[i];

		if (value->origin >= SETTING_FROM_ENVIRONMENT && !row->secret)
			append_flag(into, row->name, value->text);
	}
}
