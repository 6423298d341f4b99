/* One value into the table of values: looked up, checked, set. */
#pragma once

#include "values.h"

/* A key with its value, and where it stands. */
typedef struct Assignment
{
	const char *key; /* "jobs", "token_file" */
	const char *text;
	const char *source; /* for messages and "walship config" */
	SettingOrigin origin;
} Assignment;

/* Checks the assignment; "apply" false leaves it at that, and then no file of a secret is read. */
Error *setting_assign(Settings *settings, const Assignment *assignment, bool apply) MUST_CHECK;

Error *settings_assign_defaults(Settings *settings) MUST_CHECK;

/* "unknown <what>", with the nearest of the known names as a hint. */
Error *setting_unknown(const char *what, const char *name, const StrList *known) MUST_CHECK;
