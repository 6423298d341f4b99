/* What "walship verify" shows, for people and for programs. */
#pragma once

#include <stdio.h>

#include "walship/upkeep/verify.h"

void print_verify_text(const Verify *verify, FILE *into);
void print_verify_json(const Verify *verify, FILE *into); /* docs/json.md */
