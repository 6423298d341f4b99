/* The door to the dynamic loader. */
#include "walship/base/library.h"

#include <dlfcn.h>
#include <string.h>

static const char *
loader_reason(void)
{
	const char *reason = dlerror();

	return reason != NULL ? reason : "unknown reason";
}

Error *
library_load(const LibraryTable *table)
{
	void *handle = dlopen(table->soname, RTLD_NOW | RTLD_LOCAL);

	if (handle == NULL)
		return error_hint(
			error_new(ERR_SYSTEM, "could not load library \"%s\": %s", table->soname, loader_reason()), "%s",
			table->remedy);
	for (size_t i = 0; i < table->n_symbols; i++)
	{
		const LibrarySymbol *symbol = &table->symbols[i];
		void *address = dlsym(handle, symbol->name);

		if (address == NULL)
			return error_hint(error_new(ERR_SYSTEM, "library \"%s\" has no function %s(): %s", table->soname,
			                            symbol->name, loader_reason()),
			                  "It is older than the one walship was built with. %s", table->remedy);

		/* ISO C has no conversion from object to function pointers; POSIX gives them one form (dlsym). */
		memcpy(symbol->ret_function, &address, sizeof(address));
	}
	return NULL;
}
