/* The rows of settings.def, what they allow, and the values of a Settings object. */
#include "walship/config/settings.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "private.h"
#include "walship/base/clock.h"
#include "walship/base/mem.h"
#include "walship/base/retention.h"
#include "walship/base/size.h"

static bool
check_url(const char *text)
{
	const char *rest = strstr(text, "://");

	if (rest == NULL || rest == text || rest[3] == '\0')
		return false;
	/* Credentials have settings of their own, which are never shown. */
	if (memchr(rest + 3, '@', strcspn(rest + 3, "/")) != NULL)
		return false;
	for (const char *c = text; c < rest; c++)
	{
		if (!islower((unsigned char) *c) && !isdigit((unsigned char) *c))
			return false;
	}
	return true;
}

bool
setting_is_store_name(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || !isalnum((unsigned char) text[0]))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char) text[i]) && strchr("_-.", text[i]) == NULL)
			return false;
	return true;
}

static bool
check_store(const char *text)
{
	return check_url(text) || setting_is_store_name(text);
}

static bool
check_smtp_url(const char *text)
{
	return (str_starts_with(text, "smtp://") || str_starts_with(text, "smtps://")) && check_url(text);
}

static bool
check_system(const char *text)
{
	uint64_t system;

	return str_to_uint64(text, &system) && system > 0;
}

static bool
check_absolute_path(const char *text)
{
	return text[0] == '/';
}

static bool
check_accept_plain(const char *text)
{
	static const char before[] = "before ";
	const char *digits = text + strlen(before);
	size_t high;

	if (!str_starts_with(text, before))
		return strcmp(text, "on") == 0 || strcmp(text, "off") == 0;
	high = strspn(digits, "0123456789ABCDEFabcdef");
	return high > 0 && digits[high] == '/' && digits[high + 1] != '\0' &&
	       strspn(digits + high + 1, "0123456789ABCDEFabcdef") == strlen(digits + high + 1);
}

/* It is printed, and carried on in command lines: a password belongs elsewhere. */
static bool
check_conninfo(const char *text)
{
	const char *at = strchr(text, '@');
	const char *user = strstr(text, "://");

	if (text[0] == '\0' || strstr(text, "password") != NULL)
		return false;
	if (user == NULL)
		return strchr(text, '=') != NULL;
	return at == NULL || memchr(user + 3, ':', (size_t) (at > user + 3 ? at - user - 3 : 0)) == NULL;
}

static bool
check_zone(const char *text)
{
	char unused[TIME_TEXT_SIZE];
	Error *error = time_format_zone(0, text, unused);

	/* What TZ says is right or wrong where it is asked, with the reason. */
	bool known = error == NULL || strcmp(text, "local") == 0;

	error_free(error);
	return known;
}

/* Digits, and perhaps a point among them. */
static bool
check_price(const char *text)
{
	size_t whole = strspn(text, "0123456789");
	size_t point = text[whole] == '.';
	size_t fraction = strspn(text + whole + point, "0123456789");

	return whole > 0 && whole <= 9 && point == (fraction > 0) && text[whole + point + fraction] == '\0';
}

static const SettingRow rows[] = {
#define SETTING(row_name, row_type, ...) \
	[SETTING_##row_name] = {.name = #row_name, .type = SETTING_TYPE_##row_type, __VA_ARGS__},
#include "walship/settings.def"
#undef SETTING
};

const SettingTable setting_table = {rows, lengthof(rows)};

const SettingRow *
setting_find(const SettingTable *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++)
	{
		if (strcmp(table->rows[i].name, name) == 0)
			return &table->rows[i];
	}
	return NULL;
}

const SettingRow *
setting_find_key(const SettingTable *table, const char *key, bool *ret_from_file)
{
	const SettingRow *row = setting_find(table, key);

	*ret_from_file = false;
	if (row == NULL && str_ends_with(key, SETTING_FILE_SUFFIX))
	{
		AUTO_FREE char *name = mem_strndup(key, strlen(key) - strlen(SETTING_FILE_SUFFIX));

		row = setting_find(table, name);
		if (row != NULL && !row->secret)
			row = NULL;
		*ret_from_file = row != NULL;
	}
	return row;
}

void
setting_list_keys(const SettingTable *table, StrList *keys)
{
	for (size_t i = 0; i < table->count; i++)
	{
		strlist_add(keys, table->rows[i].name);
		if (table->rows[i].secret)
		{
			AUTO_FREE char *key = mem_printf("%s%s", table->rows[i].name, SETTING_FILE_SUFFIX);

			strlist_add(keys, key);
		}
	}
}

char *
setting_flag_name(const char *name)
{
	char *flag = mem_strdup(name);

	for (char *c = flag; *c != '\0'; c++)
		*c = *c == '_' ? '-' : *c;
	return flag;
}

char *
setting_name_of_flag(const char *flag)
{
	char *name = mem_strdup(flag);

	for (char *c = name; *c != '\0'; c++)
		*c = *c == '-' ? '_' : *c;
	return name;
}

char *
setting_variable_name(const char *name)
{
	char *variable = mem_printf("%s%s", SETTING_VARIABLES, name);

	for (char *c = variable; *c != '\0'; c++)
		*c = (char) toupper((unsigned char) *c);
	return variable;
}

void
setting_list_flags(const SettingTable *table, StrList *flags)
{
	for (size_t i = 0; i < table->count; i++)
	{
		if (!table->rows[i].secret)
		{
			AUTO_FREE char *flag = setting_flag_name(table->rows[i].name);

			strlist_add(flags, flag);
		}
	}
}

static bool
is_choice(const char *choices, const char *text)
{
	size_t length = strlen(text);

	for (const char *choice = choices; choice != NULL; choice = strchr(choice, '|'))
	{
		choice += *choice == '|';
		if (strcspn(choice, "|") == length && strncmp(choice, text, length) == 0)
			return true;
	}
	return false;
}

bool
setting_parse(const SettingRow *row, const char *text, int64_t *ret_number)
{
	bool is_valid = false;
	int64_t number = 0;
	uint64_t magnitude;

	*ret_number = 0;
	if (*text == '\0')
		return false;
	if (row->automatic && strcmp(text, SETTING_AUTO) == 0)
		return true;
	switch (row->type)
	{
		case SETTING_TYPE_TEXT:
			return row->check == NULL || row->check(text);
		case SETTING_TYPE_CHOICE:
			return is_choice(row->choices, text);
		case SETTING_TYPE_INTEGER:
			is_valid = str_to_uint64(text + (*text == '-'), &magnitude) && magnitude <= INT64_MAX;
			number = *text == '-' ? -(int64_t) magnitude : (int64_t) magnitude;
			break;
		case SETTING_TYPE_BYTES:
			is_valid = size_parse(text, &magnitude) && magnitude <= INT64_MAX;
			number = (int64_t) magnitude;
			break;
		case SETTING_TYPE_DURATION:
			is_valid = duration_parse(text, &number);
			break;
	}
	if (!is_valid || number < row->least || number > row->most)
		return false;
	*ret_number = number;
	return true;
}

/* The exact value in the largest unit that divides it. */
static void
print_exact(const SettingRow *row, int64_t value, Buf *into)
{
	static const struct
	{
		SettingType type;
		int64_t factor;
		const char *unit;
	} units[] = {
		{SETTING_TYPE_BYTES, INT64_C(1) << 30, "GB"}, {SETTING_TYPE_BYTES, INT64_C(1) << 20, "MB"},
		{SETTING_TYPE_BYTES, INT64_C(1) << 10, "kB"}, {SETTING_TYPE_DURATION, 24 * 3600 * 1000, "d"},
		{SETTING_TYPE_DURATION, 3600 * 1000, "h"},    {SETTING_TYPE_DURATION, 60 * 1000, "min"},
		{SETTING_TYPE_DURATION, 1000, "s"},           {SETTING_TYPE_DURATION, 1, "ms"},
	};

	for (size_t i = 0; i < lengthof(units); i++)
	{
		if (units[i].type == row->type && value != 0 && value % units[i].factor == 0)
		{
			buf_printf(into, "%" PRId64 "%s", value / units[i].factor, units[i].unit);
			return;
		}
	}
	buf_printf(into, "%" PRId64, value);
}

void
setting_describe_form(const SettingRow *row, Buf *into)
{
	switch (row->type)
	{
		case SETTING_TYPE_TEXT:
			buf_puts(into, row->form != NULL ? row->form : "text that is not empty");
			return;
		case SETTING_TYPE_CHOICE:
			buf_puts(into, "one of ");
			for (const char *c = row->choices; *c != '\0'; c++)
			{
				buf_putc(into, *c == '|' ? ',' : *c);
				if (*c == '|')
					buf_putc(into, ' ');
			}
			return;
		case SETTING_TYPE_INTEGER:
			buf_puts(into, "a whole number from ");
			break;
		case SETTING_TYPE_BYTES:
			buf_puts(into, "a size such as 64MB or 1GB, from ");
			break;
		case SETTING_TYPE_DURATION:
			buf_puts(into, "a time such as 500ms, 10s or 5min (a bare number is seconds), from ");
			break;
	}
	print_exact(row, row->least, into);
	buf_puts(into, " to ");
	print_exact(row, row->most, into);
	if (row->automatic)
		buf_puts(into, ", or " SETTING_AUTO);
}

Settings *
settings_new(const SettingTable *table)
{
	Settings *settings = NEW(Settings);

	settings->table = *table;
	settings->values = NEW_ARRAY(SettingValue, table->count + 1);
	return settings;
}

void
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
	free(settings->other_clusters);
	ini_free(settings->ini);
	free(settings->store_name);
	strlist_release(&settings->clusters);
	free(settings);
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
	assert((size_t) id < settings->table.count && (settings->table.rows[id].type == SETTING_TYPE_TEXT ||
	                                               settings->table.rows[id].type == SETTING_TYPE_CHOICE));
	return settings->values[id].text;
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

const char *
settings_as_written(const Settings *settings, SettingId id)
{
	return settings->table.rows[id].secret ? NULL : settings->values[id].text;
}

bool
settings_is_set(const Settings *settings, SettingId id)
{
	const SettingValue *value = &settings->values[id];

	if (settings->table.rows[id].automatic && str_equal(value->text, SETTING_AUTO))
		return false;
	return value->origin != SETTING_FROM_DEFAULT;
}

bool
settings_is_given(const Settings *settings, SettingId id)
{
	return settings->values[id].origin >= SETTING_FROM_ENVIRONMENT && settings_is_set(settings, id);
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
settings_other_clusters(const Settings *settings)
{
	return settings->other_clusters;
}

const StrList *
settings_clusters(const Settings *settings)
{
	return &settings->clusters;
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

static bool
is_left_out(const SettingId *left_out, size_t n_left_out, size_t id)
{
	for (size_t i = 0; i < n_left_out; i++)
		if (left_out[i] == (SettingId) id)
			return true;
	return false;
}

void
settings_append_flags(const Settings *settings, Buf *into)
{
	settings_append_flags_without(settings, NULL, 0, into);
}

void
settings_append_flags_without(const Settings *settings, const SettingId *left_out, size_t n_left_out,
                              Buf *into)
{
	/* Also the default file: the other process may have another WALSHIP_CONFIG. */
	if (settings->config_path != NULL)
		append_flag(into, "config", settings->config_path);
	if (settings->cluster != NULL)
		append_flag(into, "cluster", settings->cluster);
	if (settings->store_is_flag && !is_left_out(left_out, n_left_out, SETTING_store))
		append_flag(into, "store", settings->store_name);
	for (size_t i = 0; i < settings->table.count; i++)
	{
		const SettingRow *row = &settings->table.rows[i];
		const SettingValue *value = &settings->values[i];

		/* What is no path where the file of a secret may stand, as a URL, may be the secret itself. */
		if (value->origin >= SETTING_FROM_ENVIRONMENT && !row->secret &&
		    !is_left_out(left_out, n_left_out, i) && !(row->names_secret && value->text[0] != '/'))
			append_flag(into, row->name, value->text);
	}
}
