/* The part of "walship check" that is about the store and what is in it. */
#pragma once

#include <stdint.h>

#include "check_report.h"
#include "walship/config/settings.h"

/*
 * Is it written to, read, listed, and nothing overwritten?  Then what is stored of this
 * database system; 0: the only one in the store.  "data_directory" may be NULL.
 */
void check_store(const Settings *settings, const char *data_directory, uint64_t system, CheckReport *report);

/* Can it be read, where one is set? */
void check_second_store(const Settings *settings, CheckReport *report);
