/* Sets of files, and what is in one. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "walship/backup/files.h"

/* Of all names, or of one: ERR_NOT_FOUND when it has none. */
Error *print_files_sets(Store *store, uint64_t system_identifier, const char *name, int threads, bool json,
                        FILE *into) MUST_CHECK;

/* Its record, then its entries; as JSON a line for each. */
Error *print_files_entries(const FilesRestoreOptions *options, bool json, FILE *into) MUST_CHECK;

/* "uploads 20261120T023007Z-9f3c: 1034 files, 1.2 GiB, of which 12 files, 3.0 MiB, were new; stored 2.1 MiB in 3.4 s" */
void print_files_taken(const FilesRecord *record, FILE *into);
