/* WAL that streams in, as tar members of one segment each. */
#include <stdio.h>
#include <string.h>

#include "parts.h"
#include "walship/base/clock.h"
#include "walship/base/mem.h"
#include "walship/pipe/tar.h"
#include "walship/wal/name.h"

#define ZEROS_SIZE (64 * 1024)

struct WalTar
{
	PartWriter *writer; /* owned */
	TimeLineID timeline;
	uint32_t segment_size;
	XLogRecPtr position;
};

WalTar *
wal_tar_new(PartWriter *writer, TimeLineID timeline, XLogRecPtr from, uint32_t segment_size)
{
	WalTar *tar = NEW(WalTar);

	*tar = (WalTar){.writer = writer, .timeline = timeline, .segment_size = segment_size, .position = from};
	return tar;
}

static Error *
begin_member(WalTar *tar, const char *name, uint64_t size)
{
	TarEntry entry = {.type = TAR_FILE, .size = size, .mode = 0600, .mtime = clock_now() / 1000000};
	uint8_t header[TAR_BLOCK_SIZE];

	(void) snprintf(entry.name, sizeof(entry.name), "%s", name);
	TRY(tar_header_format(&entry, header));
	return part_writer_begin_member(tar->writer, &entry, header);
}

Error *
wal_tar_add_history(WalTar *tar, const char *text, size_t size)
{
	static const uint8_t zeros[TAR_BLOCK_SIZE];
	WalName name = {.kind = WAL_HISTORY, .timeline = tar->timeline};
	char name_text[WAL_NAME_SIZE];

	TRY(begin_member(tar, wal_name_format(&name, name_text), size));
	TRY(part_writer_write(tar->writer, text, size));
	return part_writer_write(tar->writer, zeros, tar_padding(size));
}

Error *
wal_tar_write(WalTar *tar, const void *data, size_t size)
{
	const char *at = data;

	while (size > 0)
	{
		uint64_t in_segment = tar->position % tar->segment_size;
		uint64_t left = tar->segment_size - in_segment;
		size_t now = left < size ? (size_t) left : size;
		char name[WAL_NAME_SIZE];

		if (in_segment == 0)
			TRY(begin_member(tar,
			                 wal_segment_name(tar->timeline, lsn_segment(tar->position, tar->segment_size),
			                                  tar->segment_size, name),
			                 tar->segment_size));
		TRY(part_writer_write(tar->writer, at, now));
		tar->position += now;
		at += now;
		size -= now;
		if (now == left)
			TRY(part_writer_end_member(tar->writer));
	}
	return NULL;
}

Error *
wal_tar_finish(WalTar *tar)
{
	static const uint8_t zeros[ZEROS_SIZE];

	while (tar->position % tar->segment_size != 0)
	{
		uint64_t left = tar->segment_size - tar->position % tar->segment_size;

		TRY(wal_tar_write(tar, zeros, left < sizeof(zeros) ? (size_t) left : sizeof(zeros)));
	}
	return part_writer_finish(tar->writer);
}

void
wal_tar_free(WalTar *tar)
{
	if (tar == NULL)
		return;
	part_writer_free(tar->writer);
	free(tar);
}
