/*
 * Settings: one row each in settings.def, from which flag, environment variable,
 * ini key, --help and docs/configuration.md are derived.  Order of precedence:
 * default, file, environment, flag.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"
#include "walship/base/strs.h"

typedef enum SettingId
{
#define SETTING(name, ...) SETTING_##name,
#include "walship/settings.def"
#undef SETTING
	SETTING_COUNT,
} SettingId;

typedef struct Settings Settings;

#define SETTINGS_DEFAULT_PATH "/etc/walship/walship.conf"
#define CONFIG_PATH_VARIABLE  "WALSHIP_CONFIG"
#define CLUSTER_VARIABLE      "WALSHIP_CLUSTER"

/* A flag of the command line: --name=value. */
typedef struct SettingFlag
{
	const char *name; /* the setting's, with '_' or '-' */
	const char *value;
} SettingFlag;

typedef struct SettingsSources
{
	const char
		*config_path;    /* --config; NULL: $WALSHIP_CONFIG, else the default path, which may be missing */
	const char *cluster; /* --cluster; NULL: $WALSHIP_CLUSTER, else no section */
	char *const *environment; /* environ */
	const SettingFlag *flags;
	size_t n_flags;
} SettingsSources;

/* Every error is ERR_USAGE and names setting, source (file:line, variable, flag) and remedy. */
Error *settings_load(const SettingsSources *sources, Settings **ret_settings) MUST_CHECK;

/* Only what environment and command line say, whatever file there is; the rest is at its default. */
Error *settings_load_given(const SettingsSources *sources, Settings **ret_settings) MUST_CHECK;

void settings_free(Settings *settings);
AUTO_DEFINE(Settings, settings_free);

/*
 * The settings with another store: "store" is a URL, and everything else is as it is
 * here; or the name of a section [store NAME], and then only that section says what the
 * store is, where these settings' own credentials mean nothing.  These outlive nothing of it.
 */
Error *settings_of_store(const Settings *settings, const char *store, Settings **ret_settings) MUST_CHECK;

/* Typed by the row; asking for another type than the row's is a programming error. */
const char *settings_text(const Settings *settings, SettingId id); /* also choices; NULL when unset */
int64_t settings_integer(const Settings *settings, SettingId id);
uint64_t settings_bytes(const Settings *settings, SettingId id);
int64_t settings_ms(const Settings *settings, SettingId id);

/* Of any type, as it was written, for a settings file; not of a secret.  NULL when unset. */
const char *settings_as_written(const Settings *settings, SettingId id);

bool settings_is_set(const Settings *settings, SettingId id); /* by file, environment or flag */

bool settings_is_given(const Settings *settings, SettingId id); /* by environment or flag */

/* Adds the names of all flags, as they are written: for "did you mean". */
void settings_list_flags(StrList *names);

/* The part of "walship --help" that lists the settings. */
void settings_describe_help(Buf *into);

/* Is this the name of a setting's flag?  For the command line's parser. */
bool settings_is_flag(const char *name);

const char *settings_config_path(const Settings *settings); /* the file that was read, NULL when none */
const char *settings_cluster(const Settings *settings);     /* NULL when none */

/* The names of all [cluster NAME] sections of the file, in its order. */
const StrList *settings_clusters(const Settings *settings);

/* "a, b": those that the file has and that were not selected; NULL when one was selected, or there are none. */
const char *settings_other_clusters(const Settings *settings);

/*
 * The flags that make another process, without this one's environment and
 * command line, see the same values: for a restore_command.  Values that came
 * from the file are left to the file (--config, --cluster); no secret is ever among them.
 * Appends " --name=value ..." with every value quoted for the shell.
 */
void settings_append_flags(const Settings *settings, Buf *into);

/* The same, but for so many settings that are left out: a command may have an option of such a name. */
void settings_append_flags_without(const Settings *settings, const SettingId *left_out, size_t n_left_out,
                                   Buf *into);
