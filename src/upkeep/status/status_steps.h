/* Where the facts of a status come from; status_facts.c has the order. */
#pragma once

#include "walship/archive/catalog.h"
#include "walship/plan/windows.h"
#include "walship/upkeep/status.h"

/* WAL and what can be recovered: status_wal.c */
Error *status_describe_recoverable(StatusFacts *facts, Store *store, const Catalog *catalog, int jobs)
	MUST_CHECK;

/* When an object came; TIME_NONE when there is none with this key. */
Error *status_find_modified(Store *store, const char *key, TimeUs *ret_modified) MUST_CHECK;

/* Backups, after the leases were read: status_backups.c */
Error *status_describe_backups(StatusFacts *facts, Store *store, Catalog *catalog) MUST_CHECK;

/* Drills and verifications, dumps and files: status_evidence.c */
Error *status_read_evidence(StatusFacts *facts, Store *store) MUST_CHECK;

/* How far the second store is behind, when all else is known: status_second.c */
Error *status_compare_second(StatusFacts *facts, Store *store, Store *second) MUST_CHECK;

/* What ends by itself: status_ends.c.  "what" is given away. */
StatusEnd *status_add_end(StatusFacts *facts, StatusEndKind kind, char *what, TimeUs time);
void status_ends_release(StatusFacts *facts);

/* What a page shows: status_picture.c */
void status_draw_backups(StatusPicture *picture, const Catalog *catalog);
void status_draw_windows(StatusPicture *picture, const Catalog *catalog, const WindowList *windows);
void status_picture_release(StatusPicture *picture);
