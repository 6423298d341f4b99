/* What "walship expire" shows, for people and for programs. */
#pragma once

#include <stdio.h>

#include "walship/base/json.h"
#include "walship/upkeep/expire_backups.h"
#include "walship/upkeep/expire_records.h"

/* Of backups and WAL; docs/json.md. */
void print_expire_plan(const Expire *expire, FILE *into);
void expire_put(const Expire *expire, bool dry_run, Json *into);

/* Of dumps and of sets of files, as members "dumps" and "files_sets". */
void print_expire_records_plan(const Expire *expire, FILE *into);
void expire_records_put(const Expire *expire, bool dry_run, Json *into);

/* Of all: what was done. */
void print_expire_done(const Expire *expire, FILE *into);
void expire_put_removed(const Expire *expire, Json *into);

const char *expire_mark(bool keep); /* static */
