/*
 * The settings file's syntax: lines "key = value" and "[kind name]", comments
 * from '#' or ';' on, where these begin a line or follow a blank.
 */
#pragma once

#include <stddef.h>

#include "walship/base/error.h"

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
