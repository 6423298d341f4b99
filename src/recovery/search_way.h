/* One way of a search: indexes from the newest down, segments from the oldest up. */
#pragma once

#include "search_segment.h"
#include "walship/base/workers.h"
#include "walship/plan/find_ways.h"
#include "walship/recovery/search.h"

typedef struct Search
{
	const Catalog *catalog;
	const SearchRequest *request;
	SearchSource source;
	Workers *workers;
	Findings *findings;
} Search;

typedef bool (*SearchWants)(WalEventKind kind);

/* Which events of the segments this kind of search keeps. */
SearchWants search_wants(SearchKind kind);

/* Adds what is found, maybe twice, in no order across ways. */
Error *search_way(Search *search, const FindWay *way) MUST_CHECK;

/* A sentence for the reader, once. */
void search_warn(Search *search, const char *format, ...) PRINTF_LIKE(2, 3);
