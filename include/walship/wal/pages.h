/*
 * The pages of a segment whose records cannot be read, because its PostgreSQL is
 * not in walship/wal/majors.h.  The header of a page has one form in all versions:
 * so much as it tells.  Bytes in, struct out; the bytes come in pieces, in order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/wal/page.h"

typedef struct WalPages
{
	XLogRecPtr end;  /* of the last page that was written for this segment: valid WAL ends on it, or beyond */
	bool blank;      /* nothing but zeros came after it: a switch, or WAL that was not written on */
	bool is_damaged; /* a page of just this place has another magic than the first one */

	WalPageHeader first;
	uint32_t offset;
	TimeLineID timeline; /* of the last page so far: the remains of an older one have a lower */
	bool ended;
	uint8_t header[WAL_SHORT_HEADER_SIZE];
} WalPages;

/* "header": the first page's, already checked; its page is fed like all others. */
void wal_pages_begin(WalPages *pages, const WalPageHeader *header);
void wal_pages_feed(WalPages *pages, const void *data, size_t size);
