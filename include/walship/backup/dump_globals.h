/*
 * What must be known of globals.sql before it is restored into a new server: what
 * pg_dumpall --globals-only printed.  Pure.
 */
#pragma once

#include "walship/base/strs.h"

typedef struct DumpGlobals
{
	char *
		superuser; /* who may log in; as initdb made it, as far as that can be told; "postgres" where there is none */
	StrList tablespaces; /* identifiers as in SQL, quoted where they must be */
} DumpGlobals;

void dump_globals_parse(const char *text, DumpGlobals *ret_globals);
void dump_globals_release(DumpGlobals *globals);
#define AUTO_DUMP_GLOBALS __attribute__((cleanup(dump_globals_release))) DumpGlobals
