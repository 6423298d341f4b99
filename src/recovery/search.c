/* See search.h. */
#include "walship/recovery/search.h"

#include <stdlib.h>

#include "search_way.h"
#include "walship/base/mem.h"

static int
in_order(const void *left, const void *right)
{
	const Finding *a = left;
	const Finding *b = right;

	if (a->timeline != b->timeline)
		return a->timeline < b->timeline ? -1 : 1;
	if (a->lsn != b->lsn)
		return a->lsn < b->lsn ? -1 : 1;
	return 0;
}

static void
finding_release(Finding *finding)
{
	free(finding->name);
	free(finding->loss.named_files);
	free(finding->loss.named_objects);
}

/* The copies that timelines have of the segment in which one left the other tell the same. */
static void
sort_findings(Findings *findings)
{
	size_t kept = 0;

	if (findings->count > 1)
		qsort(findings->items, findings->count, sizeof(*findings->items), in_order);
	for (size_t i = 0; i < findings->count; i++)
		if (kept > 0 && in_order(&findings->items[kept - 1], &findings->items[i]) == 0)
			finding_release(&findings->items[i]);
		else
			findings->items[kept++] = findings->items[i];
	findings->count = kept;
}

void
findings_release(Findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		finding_release(&findings->items[i]);
	free(findings->items);
	strlist_release(&findings->warnings);
	*findings = (Findings){0};
}

static void
warn_of_gaps(Search *search, const FindWays *ways)
{
	uint32_t size = search->catalog->segment_size;
	char first[WAL_NAME_SIZE];
	char last[WAL_NAME_SIZE];

	for (size_t i = 0; i < ways->n_gaps; i++)
	{
		const WalRange *gap = &ways->gaps[i];

		(void) wal_segment_name(gap->timeline, gap->first, size, first);
		(void) wal_segment_name(gap->timeline, gap->last, size, last);
		if (gap->first == gap->last)
			search_warn(search, "WAL segment %s is missing: what happened in it is not listed.", first);
		else
			search_warn(search, "WAL segments %s to %s are missing: what happened in them is not listed.",
			            first, last);
	}
}

Error *
search_run(Store *store, const Catalog *catalog, const AgeIdentities *identities,
           const SearchRequest *request, Findings *findings)
{
	AUTO(Workers) workers = workers_new(request->jobs);
	FindWays ways = {0};
	Search search = {.catalog = catalog,
	                 .request = request,
	                 .source = {.store = store,
	                            .identities = identities,
	                            .system_identifier = catalog->system_identifier,
	                            .segment_size = catalog->segment_size,
	                            .wants = search_wants(request->kind)},
	                 .workers = workers,
	                 .findings = findings};
	Error *error = NULL;

	find_ways(catalog, request->timeline, &ways);
	for (size_t i = 0; i < ways.count && error == NULL; i++)
		error = search_way(&search, &ways.items[i]);
	warn_of_gaps(&search, &ways);
	find_ways_release(&ways);
	sort_findings(findings);
	return error;
}
