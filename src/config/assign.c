/* One value into the table of values. */
#include "assign.h"

#include "secret.h"
#include "walship/base/mem.h"

#define FORM_TEXT_MAX 1024

Error *
setting_unknown(const char *what, const char *name, const StrList *known)
{
	const char *nearest = str_nearest(name, (const char *const *) known->items, known->count);
	Error *error = error_new(ERR_USAGE, "unknown %s \"%s\"", what, name);

	if (nearest != NULL)
		return error_hint(error, "Did you mean \"%s\"?", nearest);
	return error_hint(error, "\"walship config\" lists the settings.");
}

static Error *
unknown_key(const SettingTable *table, const char *key)
{
	AUTO_STRLIST known = {0};

	setting_list_keys(table, &known);
	return setting_unknown("setting", key, &known);
}

static Error *
invalid_value(const SettingRow *row, const char *text)
{
	AUTO_BUF(form, FORM_TEXT_MAX);
	Error *error;

	setting_describe_form(row, &form);
	if (row->secret)
		error = error_new(ERR_USAGE, "invalid value for setting \"%s\"", row->name);
	else
		error = error_new(ERR_USAGE, "invalid value for setting \"%s\": \"%s\"", row->name, text);
	return error_hint(error, "Write %s.", form.data);
}

Error *
setting_assign(Settings *settings, const Assignment *assignment, bool apply)
{
	AUTO_FREE char *secret = NULL;
	const char *text = assignment->text;
	bool from_file;
	const SettingRow *row = setting_find_key(&settings->table, assignment->key, &from_file);
	SettingValue *value;
	int64_t number = 0;

	if (row == NULL)
		return unknown_key(&settings->table, assignment->key);
	if (from_file && *text != '/')
		return error_hint(
			error_new(ERR_USAGE, "invalid value for setting \"%s\": \"%s\"", assignment->key, text),
			"Write an absolute path.");
	if (from_file && !apply)
		return NULL;
	if (from_file)
	{
		TRY(error_context(config_read_secret(text, &secret), "setting \"%s\"", assignment->key));
		text = secret;
	}
	if (!setting_parse(row, text, &number))
		return invalid_value(row, text);
	if (!apply)
		return NULL;

	value = &settings->values[row - settings->table.rows];
	if (row->secret && value->source != NULL && value->origin == assignment->origin)
		return error_hint(error_new(ERR_USAGE,
		                            "settings \"%s\" and \"%s" SETTING_FILE_SUFFIX "\" are both given",
		                            row->name, row->name),
		                  "Remove one of them.");
	setting_value_set(value, text, number, assignment->origin, assignment->source);
	return NULL;
}

Error *
settings_assign_defaults(Settings *settings)
{
	for (size_t i = 0; i < settings->table.count; i++)
	{
		const SettingRow *row = &settings->table.rows[i];
		int64_t number;

		if (row->fallback == NULL)
			continue;
		if (!setting_parse(row, row->fallback, &number))
			return error_context(invalid_value(row, row->fallback), "default");
		setting_value_set(&settings->values[i], row->fallback, number, SETTING_FROM_DEFAULT, NULL);
	}
	return NULL;
}
