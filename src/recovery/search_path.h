/* One path of a search: indexes from the newest down, records from the oldest up. */
#pragma once

#include "walship/archive/wal_facts.h"
#include "walship/recovery/search.h"

typedef struct Search
{
	WalFacts *facts;
	const Catalog *catalog;
	const SearchRequest *request;
	Findings *findings;
} Search;

/*
 * Looks through the path from segment "first" on; what lies before it is only read
 * for what open transactions did.  Adds what is found, maybe twice, in no order across paths.
 */
Error *search_path(const Search *search, const WalPath *path, XLogSegNo first) MUST_CHECK;

/* A sentence for the reader, once. */
void search_warn(const Search *search, const char *format, ...) PRINTF_LIKE(2, 3);
