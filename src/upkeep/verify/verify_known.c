/* Gaps that somebody has acknowledged: no finding, as long as nothing that is kept needs them. */
#include <inttypes.h>
#include <string.h>

#include "verify_steps.h"
#include "walship/base/mem.h"
#include "walship/plan/gaps.h"

/* As segments of one timeline; false: the names say no such thing. */
static bool
range_of(const Verify *verify, const char *first, const char *last, WalRange *ret_range)
{
	uint32_t size = verify->catalog->segment_size;
	WalName names[2];
	AUTO(Error) first_error = wal_name_parse(first, &names[0]);
	AUTO(Error) last_error = wal_name_parse(last, &names[1]);

	if (first_error != NULL || last_error != NULL || size == 0)
		return false;
	ret_range->timeline = names[0].timeline;
	return names[0].kind == WAL_SEGMENT && names[1].kind == WAL_SEGMENT &&
	       names[0].timeline == names[1].timeline && wal_name_segno(&names[0], size, &ret_range->first) &&
	       wal_name_segno(&names[1], size, &ret_range->last) && ret_range->first <= ret_range->last;
}

/* Missing or damaged, it is all the same to a recovery. */
static bool
lies_in(const Finding *finding, const WalRange *range)
{
	return finding->object == FINDING_OF_SEGMENT && finding->wal.timeline == range->timeline &&
	       finding->wal.first >= range->first && finding->wal.last <= range->last;
}

static size_t
count_in(const Verify *verify, const WalRange *range)
{
	size_t count = 0;

	for (size_t i = 0; i < verify->findings.count; i++)
		count += lies_in(&verify->findings.items[i], range) && !verify->findings.items[i].acknowledged;
	return count;
}

static void
apply(Verify *verify, const KnownGap *gap)
{
	WalRange range;
	char time[TIME_TEXT_SIZE];

	if (!range_of(verify, gap->first, gap->last, &range) || count_in(verify, &range) == 0)
		return;

	AUTO_FREE char *objection = wal_gap_objection(verify->catalog, verify->kept, &range);

	if (objection != NULL)
	{
		verify_note(verify, "the gap from %s to %s was acknowledged, but counts again: %s", gap->first,
		            gap->last, objection);
		return;
	}
	for (size_t i = 0; i < verify->findings.count; i++)
	{
		Finding *finding = &verify->findings.items[i];

		if (!lies_in(finding, &range) || finding->acknowledged)
			continue;
		finding->acknowledged = true;
		verify->findings.found--;
	}
	verify_note(verify, "the gap from %s to %s is known since %s%s%s%s", gap->first, gap->last,
	            time_format_utc(gap->time, time), gap->note == NULL ? "" : " (",
	            gap->note == NULL ? "" : gap->note, gap->note == NULL ? "" : ")");
}

Error *
verify_apply_known(Verify *verify)
{
	KnownGapList known __attribute__((cleanup(known_gap_list_release))) = {0};

	TRY(known_gap_list_read(verify->store, verify->system_identifier, &known));
	for (size_t i = 0; i < known.count; i++)
		apply(verify, &known.items[i]);
	return NULL;
}

Error *
verify_acknowledge(Verify *verify, KnownGap *gap)
{
	WalRange range;

	gap->time = clock_now();
	if (!range_of(verify, gap->first, gap->last, &range))
		return error_hint(
			error_new(ERR_USAGE, "\"%s\" to \"%s\" are no segments of one timeline", gap->first, gap->last),
			"Say the first and the last one as verify names them, with a '-' between.");
	if (count_in(verify, &range) == 0)
		return error_hint(error_new(ERR_USAGE, "nothing is found from \"%s\" to \"%s\" that is not known",
		                            gap->first, gap->last),
		                  "\"walship verify\" names the gaps: all of one must be said.");

	AUTO_FREE char *objection = wal_gap_objection(verify->catalog, verify->kept, &range);

	if (objection != NULL)
		return error_hint(error_new(ERR_EXISTS, "the gap from \"%s\" to \"%s\" is needed: %s", gap->first,
		                            gap->last, objection),
		                  "Take a new backup, or let the one that needs it expire.");
	TRY(known_gap_write(verify->store, verify->system_identifier, gap));
	apply(verify, gap);
	return NULL;
}
