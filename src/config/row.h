/*
 * Rows of settings.def, and the functions that depend on a row alone.  They take
 * the table as a parameter, so that tests can bring rows of their own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/strs.h"
#include "walship/config/settings.h"

typedef enum SettingType
{
	SETTING_TYPE_TEXT,
	SETTING_TYPE_CHOICE,
	SETTING_TYPE_INTEGER,
	SETTING_TYPE_BYTES,
	SETTING_TYPE_DURATION, /* milliseconds */
} SettingType;

typedef struct SettingRow
{
	const char *name;
	SettingType type;
	const char *placeholder;         /* in --help: "DIR" */
	const char *fallback;            /* the default as it would be written; NULL: unset */
	int64_t least;                   /* of the numeric types, in units, bytes or milliseconds */
	int64_t most;                    /* inclusive */
	const char *choices;             /* of SETTING_TYPE_CHOICE: "a|b|c" */
	bool automatic;                  /* "auto" is allowed, and the same as unset to settings_is_set() */
	bool secret;                     /* never a flag, never shown; may come from a file of its own */
	bool (*check)(const char *text); /* of SETTING_TYPE_TEXT; NULL allows everything */
	const char *form;                /* what "check" allows, as in "Write <form>." */
	const char *help;                /* one line */
	const char *doc;                 /* a paragraph of markdown */
} SettingRow;

typedef struct SettingTable
{
	const SettingRow *rows;
	size_t count;
} SettingTable;

extern const SettingTable setting_table; /* settings.def */

#define SETTING_AUTO        "auto"
#define SETTING_FILE_SUFFIX "_file" /* of a secret's name, for the file that holds it */
#define SETTING_VARIABLES   "WALSHIP_"

/* NULL when there is no such row. */
const SettingRow *setting_find(const SettingTable *table, const char *name);

/* As setting_find(), also for the names of secrets' files; *ret_from_file says so. */
const SettingRow *setting_find_key(const SettingTable *table, const char *key, bool *ret_from_file);

/* Every name that setting_find_key() knows. */
void setting_list_keys(const SettingTable *table, StrList *keys);

/* The names of all flags, as they are written. */
void setting_list_flags(const SettingTable *table, StrList *flags);

char *setting_flag_name(const char *name);     /* "state_dir" → "state-dir"; the caller frees */
char *setting_variable_name(const char *name); /* "state_dir" → "WALSHIP_STATE_DIR"; the caller frees */
char *setting_name_of_flag(const char *flag); /* "state-dir" or "state_dir" → "state_dir"; the caller frees */

/* Is this text allowed?  *ret_number is the value of the numeric types, 0 for "auto". */
bool setting_parse(const SettingRow *row, const char *text, int64_t *ret_number);

/* What is allowed: "a whole number from 1 to 64". */
void setting_describe_form(const SettingRow *row, Buf *into);

Error *settings_load_table(const SettingTable *table, const char *default_path,
                           const SettingsSources *sources, Settings **ret_settings) MUST_CHECK;
void settings_describe_help_of(const SettingTable *table, Buf *into);
void settings_describe_markdown_of(const SettingTable *table, Buf *into);
