/* What clocks that went back, or run ahead, do to backups: their times are told by servers.  Pure. */
#pragma once

#include "walship/archive/catalog.h"
#include "walship/base/clock.h"
#include "walship/base/strs.h"

/*
 * The newest backup in the order of the WAL, on the way to the timeline that began
 * last, or anywhere when there is none; NULL: there is no backup.
 */
const BackupRecord *clocks_newest_backup(const Catalog *catalog);

/* By the clocks: with the latest stop time. */
const BackupRecord *clocks_newest_by_time(const Catalog *catalog);

/* Sentences: backups in the future, and backups whose times are not in the order of their WAL. */
void clocks_warn(const Catalog *catalog, TimeUs now, StrList *warnings);
