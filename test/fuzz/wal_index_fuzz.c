/* The index: what can be read is printed within its bounds, and reads back as the same. */
#include <string.h>

#include "fuzz.h"
#include "walship/wal/index.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	WalIndex index;
	WalIndex again;
	AUTO_BUF(text, WAL_INDEX_TEXT_MAX);
	AUTO_BUF(same, WAL_INDEX_TEXT_MAX);
	AUTO(Error) error = wal_index_parse((const char *) data, size, "the index", &index);

	if (error != NULL)
		return 0;
	wal_index_print(&index, &text);
	must(!text.overflowed);
	must(wal_index_parse(text.data, text.size, "the index", &again) == NULL);
	wal_index_print(&again, &same);
	must(text.size == same.size && memcmp(text.data, same.data, text.size) == 0);
	return 0;
}
