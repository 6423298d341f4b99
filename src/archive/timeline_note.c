/* Notes of timelines; see timeline_note.h. */
#include "walship/archive/timeline_note.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/crc32c.h"
#include "walship/base/mem.h"

StateNote
timeline_note(const char *state_dir, const char *kind, const WalArchive *archive, TimeLineID timeline)
{
	const char *identity = store_identity(archive->store);

	/* The digest keeps apart the stores that one machine archives to; it proves nothing, the binding does. */
	return (StateNote){.directory = state_dir,
	                   .name = mem_printf("%s-%" PRIu64 "-%08X-%08" PRIx32, kind, archive->system_identifier,
	                                      timeline, crc32c(0, identity, strlen(identity))),
	                   .binding = mem_printf("%s\nstore %s\nsystem %" PRIu64 "\ntimeline %u\n", kind,
	                                         identity, archive->system_identifier, timeline)};
}
