/* Settings for people and programs: the manual page's text and the values in force. */
#pragma once

#include "walship/base/json.h"
#include "walship/config/settings.h"

/* docs/configuration.md */
void settings_describe_markdown(Buf *into);

/* One line per setting: name, value, origin.  Secrets are masked. */
void settings_list_text(const Settings *settings, Buf *into);

/*
 * Adds "config", "cluster" and "settings" to the object.  Of each setting: name,
 * value (a number for whole numbers, bytes and milliseconds; null when unset),
 * text (as it was written), origin (default, file, environment, flag) and source.
 */
void settings_list_json(const Settings *settings, Json *object);

/* A setting as its row has it, for other forms of documentation. */
typedef struct SettingText
{
	const char *name;
	const char *placeholder;
	const char *help;     /* one line */
	const char *doc;      /* a paragraph of markdown */
	const char *fallback; /* as it would be written; NULL: unset */
	const char *choices;  /* "a|b|c", or NULL */
	bool secret;          /* it has no option */
} SettingText;

size_t settings_text_count(void);
SettingText settings_text_nth(size_t n);
char *settings_flag_nth(size_t n); /* "store-url", without "--"; NULL for a secret.  The caller frees. */
