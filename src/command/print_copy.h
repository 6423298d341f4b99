/* What "walship copy" shows, for people and for programs. */
#pragma once

#include <stdio.h>

#include "walship/upkeep/copy.h"

void print_copy_text(const StoreCopy *copy, bool dry_run, FILE *into);
void print_copy_json(const StoreCopy *copy, bool dry_run, FILE *into);
