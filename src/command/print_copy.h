/* What "walship copy" shows, for people and for programs. */
#pragma once

#include <stdio.h>

#include "walship/upkeep/copy.h"
#include "walship/upkeep/heal.h"

void print_copy_text(const StoreCopy *copy, bool dry_run, FILE *into);
void print_copy_json(const StoreCopy *copy, bool dry_run, FILE *into);
void print_heal_text(const Heal *heal, FILE *into);
void print_heal_json(const Heal *heal, FILE *into);
