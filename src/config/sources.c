/*
 * Settings from their sources.  Each source assigns, in order of precedence, to
 * the same table of values; every assignment is checked, also one that a later
 * source replaces, and every section of the file, also one that is not selected.
 */
#include "walship/config/settings.h"

#include <string.h>

#include "private.h"
#include "walship/base/crypto.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/config/secret_file.h"

#define CLUSTER_SECTION "cluster"
#define STORE_SECTION   "store"
#define FORM_TEXT_MAX   1024

/* "unknown <what>", with the nearest of the known names as a hint. */
static Error *
unknown_name(const char *what, const char *name, const StrList *known)
{
	const char *nearest = str_nearest(name, (const char *const *) known->items, known->count);
	Error *error = error_new(ERR_USAGE, "unknown %s \"%s\"", what, name);

	if (nearest != NULL)
		return error_hint(error, "Did you mean \"%s\"?", nearest);
	return error_hint(error, "\"walship config\" lists the settings.");
}

static Error *
invalid_value(const SettingRow *row, const char *text)
{
	AUTO_BUF(form, FORM_TEXT_MAX);
	Error *error;

	AUTO_FREE char *shown = str_url_without_password(text);

	setting_describe_form(row, &form);
	if (row->secret || row->names_secret || row->hides_invalid)
		error = error_new(ERR_USAGE, "invalid value for setting \"%s\"", row->name);
	else
		error = error_new(ERR_USAGE, "invalid value for setting \"%s\": \"%s\"", row->name, shown);
	return error_hint(error, "Write %s.", form.data);
}

/* A key with its value, and where it stands. */
typedef struct Assignment
{
	const char *key; /* "jobs", "token_file" */
	const char *text;
	const char *source; /* for messages and "walship config" */
	SettingOrigin origin;
} Assignment;

/* Checks the assignment; "apply" false leaves it at that, and then no file of a secret is read. */
static Error *
assign(Settings *settings, const Assignment *assignment, bool apply)
{
	AUTO_FREE char *secret = NULL;
	AUTO_FREE char *canonical = NULL;
	const char *text = assignment->text;
	bool from_file;
	const SettingRow *row = setting_find_key(&settings->table, assignment->key, &from_file);
	SettingValue *value;
	int64_t number = 0;

	if (row == NULL)
	{
		AUTO_STRLIST known = {0};

		setting_list_keys(&settings->table, &known);
		return unknown_name("setting", assignment->key, &known);
	}
	if (from_file && *text != '/')
		return error_hint(error_new(ERR_USAGE, "invalid value for setting \"%s\"", assignment->key),
		                  "Write the absolute path of a file that holds it.");
	if (from_file && !apply)
		return NULL;
	if (from_file)
	{
		TRY(error_context(secret_file_read_line(text, &secret), "setting \"%s\"", assignment->key));
		text = secret;
	}
	if (!setting_parse(row, text, &number))
		return invalid_value(row, text);
	if (row->canonical != NULL)
	{
		TRY(error_context(row->canonical(text, &canonical), "setting \"%s\"", row->name));
		text = canonical;
	}
	if (!apply)
		return NULL;
	if (row->secret)
		secret_forbid_core_files();

	value = &settings->values[row - settings->table.rows];
	if (row->secret && value->source != NULL && value->origin == assignment->origin)
		return error_hint(error_new(ERR_USAGE,
		                            "settings \"%s\" and \"%s" SETTING_FILE_SUFFIX "\" are both given",
		                            row->name, row->name),
		                  "Remove one of them.");
	setting_value_set(value, text, number, assignment->origin, assignment->source);
	return NULL;
}

static Error *
assign_defaults(Settings *settings)
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

/* The index of the selected cluster's section, -1 when none is selected. */
static Error *
find_cluster(const Ini *ini, Settings *settings, int *ret_section)
{
	AUTO_BUF(known, SETTING_FILE_MAX);

	*ret_section = -1;
	if (settings->cluster == NULL)
	{
		for (size_t i = 0; ini != NULL && i < ini->n_sections; i++)
			if (strcmp(ini->sections[i].kind, CLUSTER_SECTION) == 0)
				buf_printf(&known, "%s%s", known.size > 0 ? ", " : "", ini->sections[i].name);
		settings->other_clusters = known.size > 0 ? mem_strdup(known.data) : NULL;
		return NULL;
	}
	for (size_t i = 0; ini != NULL && i < ini->n_sections; i++)
	{
		if (strcmp(ini->sections[i].kind, CLUSTER_SECTION) != 0)
			continue;
		if (strcmp(ini->sections[i].name, settings->cluster) == 0)
		{
			*ret_section = (int) i;
			return NULL;
		}
		buf_printf(&known, "%s%s", known.size > 0 ? ", " : "", ini->sections[i].name);
	}
	if (ini == NULL)
		return error_hint(
			error_new(ERR_USAGE, "unknown cluster \"%s\": there is no settings file", settings->cluster),
			"Name the file with --config or " CONFIG_PATH_VARIABLE ".");
	return error_hint(error_new(ERR_USAGE, "unknown cluster \"%s\" in file \"%s\"", settings->cluster,
	                            settings->config_path),
	                  "Its clusters are: %s.", known.size > 0 ? known.data : "none");
}

/* The entries of one section; what is not selected is only checked. */
static Error *
assign_section(Settings *settings, const Ini *ini, int section, SettingOrigin origin, bool apply)
{
	for (size_t i = 0; i < ini->n_entries; i++)
	{
		const IniEntry *entry = &ini->entries[i];

		if (entry->section != section)
			continue;

		AUTO_FREE char *source = mem_printf("%s:%d", settings->config_path, entry->line);
		Assignment assignment = {entry->key, entry->value, source, origin};

		TRY(error_context(assign(settings, &assignment, apply), "%s", source));
	}
	return NULL;
}

static Error *
check_file(const Settings *settings, const Ini *ini, const struct stat *status)
{
	bool from_file;

	TRY(config_check_writers(settings->config_path, status));
	for (size_t i = 0; i < ini->n_entries; i++)
	{
		const SettingRow *row = setting_find_key(&settings->table, ini->entries[i].key, &from_file);

		if (row != NULL && row->secret && !from_file)
			return config_check_secrecy(settings->config_path, status);
	}
	return NULL;
}

/* *ret_ini is NULL when there is no file and none was asked for. */
static Error *
read_file(Settings *settings, const char *default_path, Ini **ret_ini)
{
	AUTO_BUF(contents, SETTING_FILE_MAX);
	AUTO(Ini) ini = NULL;
	struct stat status;
	bool asked_for = settings->config_path != NULL;
	Error *error;

	if (!asked_for)
		settings->config_path = mem_strdup(default_path);
	error = config_read_file(settings->config_path, &contents, &status);
	if (error_is(error, ERR_NOT_FOUND) && !asked_for)
	{
		error_free(error);
		free(MOVE(settings->config_path));
		return NULL;
	}
	if (error_is(error, ERR_NOT_FOUND))
		error = error_hint(error, "Name the settings file with --config or " CONFIG_PATH_VARIABLE ".");
	else if (error_is(error, ERR_DENIED))
		error = error_hint(error, "The user that runs walship must be able to read its settings.");
	TRY(error_context(error, "settings"));
	TRY(ini_parse(settings->config_path, contents.data != NULL ? contents.data : "", contents.size, &ini));
	TRY(check_file(settings, ini, &status));
	*ret_ini = MOVE(ini);
	return NULL;
}

/* A line of it that is of something else would say nothing, and look as if it did. */
static Error *
check_store_section(const Settings *settings, const Ini *ini, int section)
{
	for (size_t i = 0; i < ini->n_entries; i++)
	{
		const IniEntry *entry = &ini->entries[i];
		bool from_file;
		const SettingRow *row =
			entry->section == section ? setting_find_key(&settings->table, entry->key, &from_file) : NULL;

		if (row != NULL && !row->of_store)
			return error_hint(
				error_new(ERR_USAGE, "%s:%d: setting \"%s\" is not one of a store", settings->config_path,
			              entry->line, entry->key),
				"A section [store %s] says where the store is, and how to get there: store, s3_..., and "
				"its retention.",
				ini->sections[section].name);
	}
	return NULL;
}

static Error *
load_file(Settings *settings, const char *default_path)
{
	AUTO(Ini) ini = NULL;
	int selected;

	TRY(read_file(settings, default_path, &ini));
	TRY(find_cluster(ini, settings, &selected));
	if (ini == NULL)
		return NULL;
	for (size_t i = 0; i < ini->n_sections; i++)
	{
		const IniSection *section = &ini->sections[i];

		if (strcmp(section->kind, CLUSTER_SECTION) != 0 && strcmp(section->kind, STORE_SECTION) != 0)
			return error_hint(error_new(ERR_USAGE, "%s:%d: unknown kind of section \"%s\"",
			                            settings->config_path, section->line, section->kind),
			                  "Write [cluster %s], or [store %s].", section->name, section->name);
		if (strcmp(section->kind, STORE_SECTION) == 0)
			TRY(check_store_section(settings, ini, (int) i));
		else
			strlist_add(&settings->clusters, section->name);
	}
	TRY(assign_section(settings, ini, -1, SETTING_FROM_FILE, true));
	for (int i = 0; i < (int) ini->n_sections; i++)
		TRY(assign_section(settings, ini, i, SETTING_FROM_SECTION, i == selected));
	settings->ini = MOVE(ini);
	return NULL;
}

static Error *
load_variable(Settings *settings, const StrList *keys, const char *variable)
{
	const char *equals = strchr(variable, '=');
	AUTO_FREE char *name = NULL;
	AUTO_FREE char *source = NULL;
	AUTO_STRLIST known = {0};
	const char *key = NULL;
	Assignment assignment;

	if (equals == NULL || !str_starts_with(variable, SETTING_VARIABLES))
		return NULL;
	name = mem_strndup(variable, (size_t) (equals - variable));
	if (strcmp(name, CONFIG_PATH_VARIABLE) == 0 || strcmp(name, CLUSTER_VARIABLE) == 0)
		return NULL;

	strlist_add(&known, CONFIG_PATH_VARIABLE);
	strlist_add(&known, CLUSTER_VARIABLE);
	for (size_t i = 0; i < keys->count; i++)
	{
		AUTO_FREE char *variable_of_key = setting_variable_name(keys->items[i]);

		strlist_add(&known, variable_of_key);
		if (strcmp(variable_of_key, name) == 0)
			key = keys->items[i];
	}
	if (key == NULL)
		return unknown_name("environment variable", name, &known);

	if (equals[1] == '\0')
		return NULL; /* set and empty is unset, as for libpq */
	source = mem_printf("environment %s", name);
	assignment = (Assignment){key, equals + 1, source, SETTING_FROM_ENVIRONMENT};
	return error_context(assign(settings, &assignment, true), "environment variable %s", name);
}

static Error *
load_flag(Settings *settings, const SettingFlag *flag)
{
	AUTO_FREE char *name = setting_name_of_flag(flag->name);
	AUTO_FREE char *shown = setting_flag_name(name);
	AUTO_FREE char *source = mem_printf("flag --%s", shown);
	const SettingRow *row = setting_find(&settings->table, name);
	Assignment assignment = {name, flag->value, source, SETTING_FROM_FLAG};

	if (row == NULL || row->secret)
	{
		AUTO_STRLIST known = {0};

		setting_list_flags(&settings->table, &known);
		return unknown_name("option", flag->name, &known);
	}
	return error_context(assign(settings, &assignment, true), "option --%s", shown);
}

/* A value from the environment; NULL when it is not there or empty. */
static const char *
variable_value(char *const *environment, const char *name)
{
	size_t length = strlen(name);

	for (; environment != NULL && *environment != NULL; environment++)
	{
		if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
			return (*environment)[length + 1] != '\0' ? *environment + length + 1 : NULL;
	}
	return NULL;
}

static Error *
load_given(Settings *settings, const SettingsSources *sources)
{
	AUTO_STRLIST keys = {0};

	setting_list_keys(&settings->table, &keys);
	for (char *const *variable = sources->environment; variable != NULL && *variable != NULL; variable++)
		TRY(load_variable(settings, &keys, *variable));
	for (size_t i = 0; i < sources->n_flags; i++)
		TRY(load_flag(settings, &sources->flags[i]));
	return NULL;
}

static Error *
load_all(Settings *settings, const char *default_path, const SettingsSources *sources)
{
	const char *path = sources->config_path;
	const char *cluster = sources->cluster;

	if (path == NULL)
		path = variable_value(sources->environment, CONFIG_PATH_VARIABLE);
	if (cluster == NULL)
		cluster = variable_value(sources->environment, CLUSTER_VARIABLE);
	settings->config_path = path != NULL ? path_absolute(path) : NULL;
	settings->cluster = mem_strdup(cluster);

	TRY(assign_defaults(settings));
	TRY(load_file(settings, default_path));
	return load_given(settings, sources);
}

Error *
settings_load_table(const SettingTable *table, const char *default_path, const SettingsSources *sources,
                    Settings **ret_settings)
{
	AUTO(Settings) settings = settings_new(table);

	TRY(config_as_usage_error(load_all(settings, default_path, sources)));
	*ret_settings = MOVE(settings);
	return NULL;
}

static Error *
find_store_section(const Settings *settings, const char *name, int *ret_section)
{
	const Ini *ini = settings->ini;
	AUTO_BUF(known, SETTING_FILE_MAX);

	for (size_t i = 0; ini != NULL && i < ini->n_sections; i++)
	{
		if (strcmp(ini->sections[i].kind, STORE_SECTION) != 0)
			continue;
		*ret_section = (int) i;
		if (strcmp(ini->sections[i].name, name) == 0)
			return NULL;
		buf_printf(&known, "%s%s", known.size > 0 ? ", " : "", ini->sections[i].name);
	}
	return error_hint(
		error_new(ERR_USAGE, "unknown store \"%s\"", name),
		"Write a URL, such as s3://bucket/prefix or file:///directory, or the name of a section "
		"[store NAME] of the settings file: there are %s.",
		known.size > 0 ? known.data : "none");
}

/*
 * What these settings say of their own store is not for another one: credentials least of all.
 */
static Error *
apply_store_section(Settings *settings, const char *name)
{
	const SettingRow *store = setting_find(&settings->table, "store");
	int section = 0;

	TRY(find_store_section(settings, name, &section));
	for (size_t i = 0; i < settings->table.count; i++)
	{
		const SettingRow *row = &settings->table.rows[i];
		int64_t number = 0;

		if (!row->of_store)
			continue;
		setting_value_clear(&settings->values[i]);
		if (row->fallback == NULL)
			continue;
		(void) setting_parse(row, row->fallback, &number);
		setting_value_set(&settings->values[i], row->fallback, number, SETTING_FROM_DEFAULT, NULL);
	}
	TRY(assign_section(settings, settings->ini, section, SETTING_FROM_SECTION, true));

	const char *url = settings->values[store - settings->table.rows].text;

	if (url == NULL || setting_is_store_name(url))
		return error_hint(error_new(ERR_USAGE, "%s:%d: section [store %s] does not say where the store is",
		                            settings->config_path, settings->ini->sections[section].line, name),
		                  "It needs a line such as store = s3://bucket/prefix.");
	free(settings->store_name);
	settings->store_name = mem_strdup(name);
	return NULL;
}

/* "--store NAME": the section is all that counts, so a flag beside it would say nothing. */
static Error *
resolve_store(Settings *settings)
{
	const SettingRow *store = setting_find(&settings->table, "store");
	const SettingValue *value = store == NULL ? NULL : &settings->values[store - settings->table.rows];

	if (value == NULL || value->text == NULL || !setting_is_store_name(value->text))
		return NULL;
	for (size_t i = 0; i < settings->table.count; i++)
	{
		AUTO_FREE char *flag = setting_flag_name(settings->table.rows[i].name);

		if (settings->table.rows[i].of_store && &settings->table.rows[i] != store &&
		    settings->values[i].origin == SETTING_FROM_FLAG)
			return error_hint(
				error_new(ERR_USAGE, "option --%s does not go with store \"%s\"", flag, value->text),
				"Write it into the section [store %s].", value->text);
	}

	AUTO_FREE char *name = mem_strdup(value->text);
	bool is_flag = value->origin >= SETTING_FROM_ENVIRONMENT;

	TRY(error_context(apply_store_section(settings, name), "setting \"store\""));
	settings->store_is_flag = is_flag;
	return NULL;
}

Error *
settings_of_store(const Settings *settings, const char *store, Settings **ret_settings)
{
	AUTO(Settings) other = settings_new(&settings->table);
	const SettingRow *row = setting_find(&settings->table, "store");

	for (size_t i = 0; i < settings->table.count; i++)
	{
		const SettingValue *value = &settings->values[i];

		if (value->text != NULL)
			setting_value_set(&other->values[i], value->text, value->number, value->origin, value->source);
	}
	other->config_path = mem_strdup(settings->config_path);
	other->cluster = mem_strdup(settings->cluster);
	if (!setting_is_store_name(store))
	{
		int64_t number;

		if (!setting_parse(row, store, &number))
			return config_as_usage_error(invalid_value(row, store));
		setting_value_set(&other->values[row - settings->table.rows], store, 0, SETTING_FROM_FLAG, "option");
		*ret_settings = MOVE(other);
		return NULL;
	}

	/* Lent, for its sections. */
	other->ini = settings->ini;

	Error *error = config_as_usage_error(apply_store_section(other, store));

	other->ini = NULL;
	TRY(error);
	*ret_settings = MOVE(other);
	return NULL;
}

Error *
settings_load(const SettingsSources *sources, Settings **ret_settings)
{
	AUTO(Settings) settings = NULL;

	TRY(settings_load_table(&setting_table, SETTINGS_DEFAULT_PATH, sources, &settings));
	TRY(config_as_usage_error(resolve_store(settings)));
	*ret_settings = MOVE(settings);
	return NULL;
}

Error *
settings_load_given(const SettingsSources *sources, Settings **ret_settings)
{
	AUTO(Settings) settings = settings_new(&setting_table);

	TRY(config_as_usage_error(assign_defaults(settings)));
	TRY(config_as_usage_error(load_given(settings, sources)));
	*ret_settings = MOVE(settings);
	return NULL;
}
