/* What "walship list --dumps" and "walship undump --list" show. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "walship/age/age.h"
#include "walship/archive/dump_contents.h"
#include "walship/archive/dump_record.h"
#include "walship/archive/pin.h"
#include "walship/base/clock.h"

void print_dumps_text(const DumpList *dumps, const PinList *pins, const AgeIdentities *identities, TimeUs now,
                      bool verbose, FILE *into);
/* docs/json.md */
void print_dumps_json(const DumpList *dumps, const PinList *pins, const AgeIdentities *identities,
                      FILE *into);

/* Of one dump its databases; of "database", when it is not NULL, its tables. */
void print_contents_text(const DumpRecord *record, const DumpContents *contents,
                         const DumpDatabaseFacts *database, FILE *into);
void print_contents_json(const DumpRecord *record, const DumpContents *contents, FILE *into);
