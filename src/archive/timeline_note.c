/* Names of notes; see timeline_note.h. */
#include "walship/archive/timeline_note.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

/* Of the digest: what keeps apart the stores that one machine archives to. */
#define DIGEST_BYTES 8

char *
timeline_note_path(const char *state_dir, const char *kind, const WalArchive *archive, TimeLineID timeline)
{
	uint8_t digest[SHA256_SIZE];
	char store[2 * DIGEST_BYTES + 1];
	const char *identity = store_identity(archive->store);

	sha256_of(identity, strlen(identity), digest);
	hex_encode(digest, DIGEST_BYTES, store);
	return mem_printf("%s/%s-%" PRIu64 "-%08X-%s", state_dir, kind, archive->system_identifier, timeline,
	                  store);
}
