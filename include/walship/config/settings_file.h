/* Writing into a settings file: lines are added, and everything that is there stays as it is, byte for byte. */
#pragma once

#include "walship/base/buf.h"
#include "walship/base/error.h"

typedef struct SettingLine
{
	const char *name;
	const char *value;
} SettingLine;

/*
 * The text of a settings file ("" when there is none yet) with these lines in the section [cluster NAME], which is
 * made at the end when it is not there; NULL: above all sections.  Pure.  ERR_USAGE: a value that the syntax has no form for.
 */
Error *settings_file_add(const char *text, size_t size, const char *cluster, const SettingLine *lines,
                         size_t n_lines, Buf *into) MUST_CHECK;
