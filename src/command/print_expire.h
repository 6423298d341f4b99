/* What "walship expire" shows, for people and for programs. */
#pragma once

#include <stdio.h>

#include "walship/base/json.h"
#include "walship/upkeep/expire.h"
#include "walship/upkeep/expire_dumps.h"
#include "walship/upkeep/expire_files.h"

void print_expire_plan(const Expire *expire, FILE *into);
void print_expire_done(const Expire *expire, FILE *into);
void expire_put(const Expire *expire, bool dry_run, Json *into); /* docs/json.md */

/* The same of dumps; as member "dumps". */
void print_expire_dumps_plan(const ExpireDumps *expire, FILE *into);
void expire_dumps_put(const ExpireDumps *expire, bool dry_run, Json *into);

/* The same of sets of files; as member "files_sets". */
void print_expire_files_plan(const ExpireFiles *expire, FILE *into);
void print_expire_files_done(const ExpireFiles *expire, FILE *into);
void expire_files_put(const ExpireFiles *expire, bool dry_run, Json *into);
