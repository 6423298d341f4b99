/* What came of drills, for people and for programs. */
#pragma once

#include <stdio.h>

#include "walship/upkeep/drill.h"

void print_drill_text(const DrillReport *report, FILE *into);
void print_drill_json(const DrillReport *report, FILE *into); /* docs/format.md */

void print_drill_history_text(const DrillHistory *history, FILE *into);
void print_drill_history_json(const DrillHistory *history, FILE *into); /* docs/json.md */
