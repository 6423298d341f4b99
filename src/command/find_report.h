/* What "walship find" found, for people and for programs. */
#pragma once

#include "walship/base/buf.h"
#include "walship/recovery/search.h"

typedef struct FindReport
{
	const Catalog *catalog;
	const SearchRequest *request;
	const Findings *findings;
	const char *flags; /* of the command line, which "walship recover" needs as well: "" or " --store 'x'" */
} FindReport;

void find_report_text(const FindReport *report, Buf *into);
void find_report_json(const FindReport *report, Buf *into);
