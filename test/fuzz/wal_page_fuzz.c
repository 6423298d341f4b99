/* The first page header of a segment: what is accepted is sane, and belongs to one name only. */
#include "fuzz.h"
#include "walship/wal/majors.h"
#include "walship/wal/name.h"
#include "walship/wal/page.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	WalPageHeader header;
	AUTO(Error) error = wal_page_header_parse(data, size, &header);

	if (error != NULL)
		return 0;
	must(size >= WAL_LONG_HEADER_SIZE);
	must(header.major == 0 ? header.magic > pg_major_oldest()->page_magic : pg_major(header.major) != NULL);
	must(wal_segment_size_is_valid(header.segment_size));
	must(header.page_address % header.segment_size == 0);

	XLogSegNo segno = lsn_segment(header.page_address, header.segment_size);
	WalName own = wal_name_of_segment(header.timeline, segno, header.segment_size);
	WalName next = wal_name_of_segment(header.timeline, segno + 1, header.segment_size);
	AUTO(Error) mismatch = wal_page_header_matches(&header, &own);
	AUTO(Error) expected = wal_page_header_matches(&header, &next);

	must(mismatch == NULL);
	must(expected != NULL);
	return 0;
}
