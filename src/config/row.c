/* The table of settings, and what a row allows. */
#include "row.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "walship/base/clock.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

static bool
check_url(const char *text)
{
	const char *rest = strstr(text, "://");

	if (rest == NULL || rest == text || rest[3] == '\0')
		return false;
	for (const char *c = text; c < rest; c++)
	{
		if (!islower((unsigned char) *c) && !isdigit((unsigned char) *c))
			return false;
	}
	return true;
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
check_zone(const char *text)
{
	char unused[TIME_TEXT_SIZE];
	Error *error = time_format_zone(0, text, unused);
	bool known = error == NULL;

	error_free(error);
	return known;
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

static bool
parse_integer(const char *text, int64_t *ret_number)
{
	uint64_t magnitude;

	if (!str_to_uint64(text + (*text == '-'), &magnitude) || magnitude > INT64_MAX)
		return false;
	*ret_number = *text == '-' ? -(int64_t) magnitude : (int64_t) magnitude;
	return true;
}

static bool
parse_number(const SettingRow *row, const char *text, int64_t *ret_number)
{
	uint64_t bytes;

	switch (row->type)
	{
		case SETTING_TYPE_INTEGER:
			return parse_integer(text, ret_number);
		case SETTING_TYPE_DURATION:
			return duration_parse(text, ret_number);
		case SETTING_TYPE_BYTES:
			if (!size_parse(text, &bytes) || bytes > INT64_MAX)
				return false;
			*ret_number = (int64_t) bytes;
			return true;
		case SETTING_TYPE_TEXT:
		case SETTING_TYPE_CHOICE:
			break;
	}
	return false;
}

bool
setting_parse(const SettingRow *row, const char *text, int64_t *ret_number)
{
	int64_t number = 0;

	if (*text == '\0')
		return false;
	if (row->automatic && strcmp(text, SETTING_AUTO) == 0)
		number = 0;
	else if (row->type == SETTING_TYPE_TEXT)
	{
		if (row->check != NULL && !row->check(text))
			return false;
	}
	else if (row->type == SETTING_TYPE_CHOICE)
	{
		if (!is_choice(row->choices, text))
			return false;
	}
	else if (!parse_number(row, text, &number) || number < row->least || number > row->most)
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

static void
describe_choices(const char *choices, Buf *into)
{
	buf_puts(into, "one of ");
	for (const char *c = choices; *c != '\0'; c++)
	{
		if (*c == '|')
			buf_puts(into, ", ");
		else
			buf_putc(into, *c);
	}
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
			describe_choices(row->choices, into);
			return;
		case SETTING_TYPE_INTEGER:
			buf_puts(into, "a whole number from ");
			break;
		case SETTING_TYPE_BYTES:
			buf_puts(into, "a size such as 64MB or 1GB, from ");
			break;
		case SETTING_TYPE_DURATION:
			buf_puts(into, "a time such as 500ms, 10s or 5min, from ");
			break;
	}
	print_exact(row, row->least, into);
	buf_puts(into, " to ");
	print_exact(row, row->most, into);
	if (row->automatic)
		buf_puts(into, ", or " SETTING_AUTO);
}
