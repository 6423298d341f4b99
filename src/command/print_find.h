/* What "walship find" found, for people and for programs. */
#pragma once

#include <stdio.h>

#include "walship/base/buf.h"
#include "walship/recovery/search.h"

typedef struct FindReport
{
	const Catalog *catalog;
	const SearchRequest *request;
	const Findings *findings;
	TimeUs now;
	const char *flags; /* of the command line, which "walship recover" needs as well: "" or " --store 'x'" */
} FindReport;

void print_find_text(const FindReport *report, FILE *into);
void print_find_json(const FindReport *report, FILE *into); /* docs/json.md */
