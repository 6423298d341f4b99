/*
 * Shared libraries that are loaded when they are first needed.  libcurl and
 * libpq bring thirty others along: linked, they would cost every start of the
 * program more than all the rest of it, also of calls that use neither.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "walship/base/error.h"

typedef struct LibrarySymbol
{
	const char *name;
	void *ret_function; /* of a pointer to function: where the address goes */
} LibrarySymbol;

typedef struct LibraryTable
{
	const char *soname;
	const char *remedy; /* hint when it cannot be loaded */
	const LibrarySymbol *symbols;
	size_t n_symbols;
} LibraryTable;

/* Once per library, by its door.  It stays loaded.  ERR_SYSTEM when it or one of the functions is missing. */
Error *library_load(const LibraryTable *table) MUST_CHECK;

/*
 * Tells packaging tools of a library that no ELF header names (systemd.io,
 * "dlopen() Metadata for ELF Files"); at file scope, once per library.
 */
#define LIBRARY_NOTE(soname, feature, description)                                                        \
	__attribute__((used, section(".note.dlopen"), aligned(4))) static const struct                        \
	{                                                                                                     \
		uint32_t name_size;                                                                               \
		uint32_t text_size;                                                                               \
		uint32_t type;                                                                                    \
		char name[sizeof("FDO")];                                                                         \
		_Alignas(4) char text[sizeof(LIBRARY_NOTE_TEXT(soname, feature, description))];                   \
	} library_note = {sizeof("FDO"), sizeof(LIBRARY_NOTE_TEXT(soname, feature, description)), 0x407c0c0a, \
	                  "FDO", LIBRARY_NOTE_TEXT(soname, feature, description)}

#define LIBRARY_NOTE_TEXT(soname, feature, description)                                        \
	"[{\"soname\":[\"" soname "\"],\"feature\":\"" feature "\",\"description\":\"" description \
	"\",\"priority\":\"recommended\"}]"
