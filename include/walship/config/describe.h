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
