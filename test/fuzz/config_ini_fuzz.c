/* The settings file: whatever is in it, it is entries of known sections with a key, or an error that names the line. */
#include <string.h>

#include "../../src/config/private.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(Ini) ini = NULL;
	AUTO(Error) error = ini_parse("file", (const char *) data, size, &ini);

	must((error == NULL) == (ini != NULL));
	must(error == NULL || (error_is(error, ERR_USAGE) && strstr(error_message(error), "file") != NULL));
	for (size_t i = 0; ini != NULL && i < ini->n_entries; i++)
	{
		must(ini->entries[i].section >= -1 && ini->entries[i].section < (int) ini->n_sections);
		must(ini->entries[i].key[0] != '\0' && ini->entries[i].line > 0);
		for (size_t j = 0; j < i; j++)
			must(ini->entries[i].section != ini->entries[j].section ||
			     strcmp(ini->entries[i].key, ini->entries[j].key) != 0);
	}
	return 0;
}
