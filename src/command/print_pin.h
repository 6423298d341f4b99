/* That a backup or a dump is pinned, where it is. */
#pragma once

#include <stdio.h>

#include "walship/archive/pin.h"
#include "walship/base/json.h"

void print_pin(const PinList *pins, const char *id, FILE *into);
void put_pin(const PinList *pins, const char *id, Json *into); /* member "pinned": docs/json.md */
