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

/*
 * What a door writes once per function of its library, in a list FUNCTIONS(VALUE, NOTHING) with rows
 *
 *   VALUE(type, name, (parameters), (arguments))	NOTHING(name, (parameters), (arguments)): returns none
 *
 * from which these make the members of a struct "loaded" that holds the addresses, the rows of its LibrarySymbols,
 * and functions of the library's own names that go on to them.  So users are written, and their types are checked,
 * as if the library were linked.  Names are in parentheses where a library may have macros of the same name.
 */
#define LIBRARY_POINTER_VALUE(type, name, parameters, arguments) __typeof__(&(name)) name;
#define LIBRARY_POINTER_NOTHING(name, parameters, arguments)     __typeof__(&(name)) name;

#define LIBRARY_SYMBOL_VALUE(type, name, parameters, arguments) {#name, &loaded.name},
#define LIBRARY_SYMBOL_NOTHING(name, parameters, arguments)     {#name, &loaded.name},

/* clang-format off */
#define LIBRARY_DEFINE_VALUE(type, name, parameters, arguments) type (name) parameters { return loaded.name arguments; }
#define LIBRARY_DEFINE_NOTHING(name, parameters, arguments)     void (name) parameters { loaded.name arguments; }
/* clang-format on */
