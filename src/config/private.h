/*
 * What settings are made of: rows of settings.def, their values, and the syntax of
 * the settings file.  Functions on rows take the table as a parameter, so that tests
 * can bring rows of their own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "walship/base/buf.h"
#include "walship/base/strs.h"
#include "walship/config/settings.h"

/* Rows: settings.c */

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
	bool hides_invalid;              /* a value that is refused may hold a secret: it is not repeated */
	bool names_secret;               /* a file of secrets: a value that is no path may be one itself */
	bool secret;                     /* never a flag, never shown; may come from a file of its own */
	bool of_store;                   /* what a store is: a section [store NAME] has its own, or the default */
	bool (*check)(const char *text); /* of SETTING_TYPE_TEXT; NULL allows everything */
	const char *form;                /* what "check" allows, as in "Write <form>." */

	/* The one form of a text, which becomes the value; what it refuses, it says itself.  NULL: as it is written. */
	Error *(*canonical)(const char *text, char **ret_text);
	const char *help; /* one line */
	const char *doc;  /* a paragraph of markdown */
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

/* Values: settings.c */

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
	char *other_clusters; /* NULL: one was selected, or there are none */
	struct Ini *ini;      /* the file, for its sections of stores; NULL when none was read */
	char *store_name;     /* of the section that says what the store is; NULL: none does */
	bool store_is_flag;   /* that name came from the environment or the command line */
	StrList clusters;     /* all that the file has */
};

Settings *settings_new(const SettingTable *table);

/* Does this text name a section, rather than say where a store is? */
bool setting_is_store_name(const char *text);

void setting_value_clear(SettingValue *value);

/* Copies both texts. */
void setting_value_set(SettingValue *value, const char *text, int64_t number, SettingOrigin origin,
                       const char *source);

/* Sources: sources.c */

Error *settings_load_table(const SettingTable *table, const char *default_path,
                           const SettingsSources *sources, Settings **ret_settings) MUST_CHECK;

/*
 * The settings file: lines "key = value" and "[kind name]", comments from '#' or ';' on, where
 * these begin a line or follow a blank: ini.c
 */

typedef struct IniEntry
{
	int section; /* index into sections, -1 above the first one */
	int line;    /* counts from 1 */
	char *key;
	char *value; /* without its quotes */
} IniEntry;

typedef struct IniSection
{
	int line;
	char *kind; /* "cluster" */
	char *name;
} IniSection;

typedef struct Ini
{
	IniEntry *entries;
	size_t n_entries;
	size_t entries_capacity;
	IniSection *sections;
	size_t n_sections;
	size_t sections_capacity;
} Ini;

/*
 * Errors are ERR_USAGE and name path:line.  A key or a section that occurs
 * twice is one of them.
 */
Error *ini_parse(const char *path, const char *text, size_t size, Ini **ret_ini) MUST_CHECK;
void ini_free(Ini *ini);
AUTO_DEFINE(Ini, ini_free);

/* Files: secrets.c */

/* Reads a whole file, and says what it is: of the descriptor that was read, not of the name. */
Error *config_read_file(const char *path, Buf *into, struct stat *ret_stat) MUST_CHECK;

/* Nobody but its owner and perhaps root may write the file. */
Error *config_check_writers(const char *path, const struct stat *status) MUST_CHECK;

/* 0600 or stricter; or 0640, owned by root, with a group that this process is in. */
Error *config_check_secrecy(const char *path, const struct stat *status) MUST_CHECK;

/* Is this hardly the path of a file, where one is asked for?  Then it is not shown. */
bool config_may_be_secret(const char *path);

/* Every error of settings is ERR_USAGE, also when a file could not be read.  Takes and returns ownership. */
Error *config_as_usage_error(Error *error) MUST_CHECK;

/* Descriptions: describe.c */

void settings_describe_help_of(const SettingTable *table, Buf *into);
void settings_describe_markdown_of(const SettingTable *table, Buf *into);
