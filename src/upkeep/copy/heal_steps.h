/* Between the files of a heal: walship/upkeep/heal.h. */
#pragma once

#include "copy_steps.h"
#include "walship/upkeep/heal.h"

/* heal.c */

/*
 * One object.  "replace": it is there, and damaged, of which the reading just before
 * is to tell, too: what was a fault of the network, or has been mended meanwhile, stays
 * as it is.  What the other store has not is a failure, and no error.
 */
Error *heal_bring(Heal *heal, CopyItem *item, bool replace) MUST_CHECK;

/* The other store is of no use here, and why: the reason becomes the heal's. */
void heal_add_failure(Heal *heal, const char *key, char *reason);

/* The other store's object is absent or damaged, too: a failure, and no error any more.  Which: "that is whole". */
bool heal_has_none(Heal *heal, const char *key, const char *which, Error **error);

/* heal_named.c: dumps and sets of files */

Error *heal_named(Heal *heal, const Finding *finding) MUST_CHECK;

/* Is this the record of a dump or set of files?  What that names is looked at once it is mended. */
bool heal_is_named_record(const Finding *finding);
