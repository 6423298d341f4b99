/* What a Settings object is made of. */
#pragma once

#include "row.h"

/* In order of precedence. */
typedef enum SettingOrigin
{
	SETTING_FROM_DEFAULT,
	SETTING_FROM_FILE,
	SETTING_FROM_SECTION, /* the file's [cluster NAME] */
	SETTING_FROM_ENVIRONMENT,
	SETTING_FROM_FLAG,
} SettingOrigin;

typedef struct SettingValue
{
	char *text; /* as it was written; NULL when unset */
	int64_t number;
	SettingOrigin origin;
	char *source; /* "/etc/walship/walship.conf:3"; NULL for the default */
} SettingValue;

struct Settings
{
	SettingTable table;
	SettingValue *values; /* as many as the table has rows */
	char *config_path;    /* absolute; NULL when no file was read */
	char *cluster;
};

Settings *settings_new(const SettingTable *table);

/* Copies both texts. */
void setting_value_set(SettingValue *value, const char *text, int64_t number, SettingOrigin origin,
                       const char *source);
