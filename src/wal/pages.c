/* Pages without their records; see walship/wal/pages.h. */
#include "walship/wal/pages.h"

#include <string.h>

#include "little_endian.h"

void
wal_pages_begin(WalPages *pages, const WalPageHeader *header)
{
	*pages = (WalPages){
		.end = header->page_address, .blank = true, .first = *header, .timeline = header->timeline};
}

/* The remains of an older segment have other addresses, or an older timeline; zeros have neither. */
static void
page_begin(WalPages *pages)
{
	XLogRecPtr place = pages->first.page_address + pages->offset / XLOG_BLCKSZ * XLOG_BLCKSZ;
	TimeLineID timeline = le32(pages->header + 4);
	bool is_here = le64(pages->header + 8) == place && timeline >= pages->timeline;
	bool is_like_first = le16(pages->header) == pages->first.magic;

	if (is_here && !is_like_first)
		pages->is_damaged = true;
	if (!is_here || !is_like_first)
		pages->ended = true;
	if (pages->ended)
		return;
	pages->end = place + XLOG_BLCKSZ;
	pages->timeline = timeline;
}

static bool
is_zero(const uint8_t *bytes, size_t size)
{
	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

void
wal_pages_feed(WalPages *pages, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	while (size > 0 && pages->offset < pages->first.segment_size)
	{
		uint32_t within = pages->offset % XLOG_BLCKSZ;
		bool in_header = within < WAL_SHORT_HEADER_SIZE;
		size_t part = (in_header ? WAL_SHORT_HEADER_SIZE : XLOG_BLCKSZ) - within;

		if (part > size)
			part = size;
		if (in_header)
			memcpy(pages->header + within, bytes, part);
		if (in_header && within + part == WAL_SHORT_HEADER_SIZE)
			page_begin(pages);
		if (pages->ended && pages->blank)
			pages->blank = is_zero(in_header ? pages->header : bytes, in_header ? within + part : part);
		pages->offset += (uint32_t) part;
		bytes += part;
		size -= part;
	}
}
