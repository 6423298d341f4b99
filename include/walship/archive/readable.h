/*
 * May this host read an object of the archive: is it encrypted as it must be, and is
 * there a key for it?  Asked by everything that reads contents, and nowhere else.
 *
 * Nothing in the store can answer the first question for certain.  Who can write there
 * can make an object that is not encrypted, with an index or a record that says so and
 * whose seal is right; so only this host's settings tell.  Index, history and record
 * are never encrypted.
 */
#pragma once

#include "walship/age/age.h"
#include "walship/store/store.h"
#include "walship/wal/lsn.h"

/* What an object says of itself. */
typedef struct ReadableClaim
{
	const char *what;       /* as messages name it: "backup \"...\"" */
	const char *recipients; /* "": it is not encrypted */
	TimeLineID timeline;
	XLogRecPtr start_lsn; /* of the segment, or of the backup */
	uint32_t segment_size;
} ReadableClaim;

/*
 * ERR_DENIED: encrypted for others.  ERR_UNTRUSTED: not encrypted, while this host has
 * keys and the rule beside them (age_identities_plain()) does not allow it.
 *
 * By AGE_PLAIN_OLDER a claim is believed, with one warning, when nothing encrypted lies
 * before it, as far as three looks can tell: at the segment before it, at the first
 * segment in the store, and at the backups.
 */
Error *readable_check(Store *store, uint64_t system_identifier, const AgeIdentities *identities,
                      const ReadableClaim *claim) MUST_CHECK;
