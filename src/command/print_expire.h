/* What "walship expire" shows, for people and for programs. */
#pragma once

#include <stdio.h>

#include "walship/upkeep/expire.h"

void print_expire_plan(const Expire *expire, FILE *into);
void print_expire_done(const Expire *expire, FILE *into);
void print_expire_json(const Expire *expire, bool dry_run, FILE *into); /* docs/json.md */
