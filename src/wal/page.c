/* The first page header of a segment. */
#include "walship/wal/page.h"

#include <inttypes.h>
#include <stddef.h>

#include "little_endian.h"
#include "walship/base/attributes.h"
#include "walship/wal/majors.h"

/*
 * A magic is one more than the one before it, or a few more; what is none at all
 * should not be taken for one of the far future.
 */
#define MAGIC_MAX 0xDFFF

/* Not in the table of majors, but not older than that: a later version, or a development version of one that is. */
static bool
may_be_newer(uint16_t magic)
{
	return magic > pg_major_oldest()->page_magic && magic <= MAGIC_MAX;
}

static Error *
check_magic(const WalPageHeader *header)
{
	if (header->major != 0 || may_be_newer(header->magic))
		return NULL;

	Error *error = error_new(ERR_CORRUPT, "unknown WAL page magic %04" PRIX16, header->magic);

	if (header->magic == 0)
		return error_hint(error, "The file begins with zeros: it is not a written WAL segment.");
	return error_hint(error, "It is no WAL segment, or of a PostgreSQL before %d.", pg_major_oldest()->major);
}

static Error *
check_fields(const WalPageHeader *header)
{
	char address[LSN_TEXT_SIZE];

	uint16_t unknown_flags = header->info & (uint16_t) ~XLP_ALL_FLAGS;

	if ((unknown_flags != 0 && header->major != 0) || (header->info & XLP_LONG_HEADER) == 0)
		return error_hint(
			error_new(ERR_CORRUPT, "invalid flags %04" PRIX16 " in the first WAL page header", header->info),
			"The file is damaged, or it is not the beginning of a segment.");
	if (header->block_size != XLOG_BLCKSZ)
		return error_hint(
			error_new(ERR_CORRUPT, "WAL block size is %" PRIu32 ", not %d", header->block_size, XLOG_BLCKSZ),
			"Servers built with another --with-wal-blocksize are not supported.");
	if (!wal_segment_size_is_valid(header->segment_size))
		return error_hint(error_new(ERR_CORRUPT, "invalid WAL segment size %" PRIu32, header->segment_size),
		                  "The file is damaged: sizes are powers of two from 1 MB to 1 GB.");
	if (header->timeline == 0)
		return error_hint(error_new(ERR_CORRUPT, "timeline 0 in the first WAL page header"),
		                  "The file is damaged.");
	if (header->page_address % header->segment_size != 0)
		return error_hint(error_new(ERR_CORRUPT, "WAL page address %s is not the start of a segment",
		                            lsn_format(header->page_address, address)),
		                  "The file is damaged, or it is not the beginning of a segment.");
	return NULL;
}

Error *
wal_page_header_parse(const void *data, size_t size, WalPageHeader *ret_header)
{
	const uint8_t *bytes = data;
	const PgMajor *major;

	if (size < WAL_LONG_HEADER_SIZE)
		return error_hint(
			error_new(ERR_CORRUPT, "only %zu bytes long, too short for a WAL page header", size),
			"The file was cut off, or it is no WAL segment.");

	major = pg_major_of_magic(le16(bytes));

	WalPageHeader header = {
		.magic = le16(bytes),
		.info = le16(bytes + 2),
		.timeline = le32(bytes + 4),
		.page_address = le64(bytes + 8),
		.remaining_length = le32(bytes + 16),
		.system_identifier = le64(bytes + 24),
		.segment_size = le32(bytes + 32),
		.block_size = le32(bytes + 36),
		.major = major == NULL ? 0 : major->major,
	};

	TRY(check_magic(&header));
	TRY(check_fields(&header));
	*ret_header = header;
	return NULL;
}

Error *
wal_page_header_matches(const WalPageHeader *header, const WalName *name)
{
	char found[LSN_TEXT_SIZE];
	char expected[LSN_TEXT_SIZE];
	char segment[WAL_NAME_SIZE];
	XLogSegNo segno;

	if (name->kind != WAL_SEGMENT && name->kind != WAL_PARTIAL)
		return error_new(ERR_USAGE, "\"%s\" is not the name of a WAL segment",
		                 wal_name_format(name, segment));
	if (!wal_name_segno(name, header->segment_size, &segno))
		return error_hint(error_new(ERR_CORRUPT, "\"%s\" cannot be a segment of %" PRIu32 " bytes",
		                            wal_name_format(name, segment), header->segment_size),
		                  "The file is damaged, or it has another file's name.");
	if (header->page_address != segment_start(segno, header->segment_size))
		return error_hint(
			error_new(ERR_CORRUPT, "WAL page address is %s, but \"%s\" begins at %s",
		              lsn_format(header->page_address, found), wal_name_format(name, segment),
		              lsn_format(segment_start(segno, header->segment_size), expected)),
			"The file is an old one that was renamed for reuse, or it has another file's name.");
	if (header->timeline > name->timeline)
		return error_hint(error_new(ERR_CORRUPT,
		                            "WAL page is of timeline %" PRIu32 ", later than that of \"%s\"",
		                            header->timeline, wal_name_format(name, segment)),
		                  "The file has another file's name.");
	return NULL;
}
