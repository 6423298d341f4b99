/* The server's archives, cut where members end, and two of their files read in passing. */
#include <string.h>

#include "parts.h"
#include "walship/base/mem.h"
#include "walship/pipe/tar.h"

#define CAPTURE_MAX (64 * 1024) /* pg_control has 8 kB, backup_label some 200 bytes */

typedef enum Capture
{
	CAPTURE_NOTHING,
	CAPTURE_CONTROL,
	CAPTURE_LABEL,
} Capture;

struct BackupTar
{
	PartWriter *writer; /* owned */
	BackupFacts *facts;
	uint8_t header[TAR_BLOCK_SIZE];
	size_t header_size; /* bytes of it that are there */
	uint64_t contents;  /* bytes of the member still to come */
	uint64_t padding;   /* after them */
	bool ended;         /* a block of zeros came */
	Capture capture;
	Buf captured;
};

BackupTar *
backup_tar_new(PartWriter *writer, BackupFacts *facts)
{
	BackupTar *tar = NEW(BackupTar);

	tar->writer = writer;
	tar->facts = facts;
	buf_init(&tar->captured, CAPTURE_MAX);
	return tar;
}

static Error *
end_member(BackupTar *tar)
{
	tar->header_size = 0;
	switch (tar->capture)
	{
		case CAPTURE_CONTROL:
			TRY(error_hint(
				error_context(pg_control_parse(tar->captured.data, tar->captured.size, &tar->facts->control),
			                  "global/pg_control as the server sent it"),
				"It may have been read while the server wrote it. Take the backup again."));
			tar->facts->has_control = true;
			break;
		case CAPTURE_LABEL:
			TRY(error_context(backup_label_parse(tar->captured.data, tar->captured.size, &tar->facts->label),
			                  "backup_label as the server sent it"));
			tar->facts->has_label = true;
			break;
		case CAPTURE_NOTHING:
			break;
	}
	tar->capture = CAPTURE_NOTHING;
	return part_writer_end_member(tar->writer);
}

static Error *
begin_member(BackupTar *tar)
{
	TarEntry entry;

	if (tar_block_is_zero(tar->header))
	{
		tar->ended = true;
		return NULL;
	}
	TRY(error_context(tar_header_parse(tar->header, &entry), "backup as the server sent it"));
	TRY(part_writer_begin_member(tar->writer, &entry, tar->header));
	tar->contents = entry.size;
	tar->padding = tar_padding(entry.size);
	tar->capture = CAPTURE_NOTHING;
	if (tar->facts != NULL && entry.type == TAR_FILE && strcmp(entry.name, "global/pg_control") == 0)
		tar->capture = CAPTURE_CONTROL;
	if (tar->facts != NULL && entry.type == TAR_FILE && strcmp(entry.name, "backup_label") == 0)
		tar->capture = CAPTURE_LABEL;
	buf_clear(&tar->captured);
	return tar->contents == 0 ? end_member(tar) : NULL;
}

static size_t
least(uint64_t a, size_t b)
{
	return a < b ? (size_t) a : b;
}

Error *
backup_tar_write(BackupTar *tar, const void *data, size_t size)
{
	const char *at = data;

	while (size > 0 && !tar->ended)
	{
		size_t used;

		if (tar->header_size < sizeof(tar->header))
		{
			used = least(sizeof(tar->header) - tar->header_size, size);
			memcpy(tar->header + tar->header_size, at, used);
			tar->header_size += used;
			if (tar->header_size == sizeof(tar->header))
				TRY(begin_member(tar));
		}
		else
		{
			size_t contents = least(tar->contents, size);
			size_t padding = least(tar->padding, size - contents);

			used = contents + padding;
			if (tar->capture != CAPTURE_NOTHING)
				buf_append(&tar->captured, at, contents);
			TRY(part_writer_write(tar->writer, at, used));
			tar->contents -= contents;
			tar->padding -= padding;
			if (tar->contents + tar->padding == 0)
				TRY(end_member(tar));
		}
		at += used;
		size -= used;
	}
	for (; size > 0; at++, size--)
	{
		if (*at != '\0')
			return error_new(ERR_CORRUPT, "the server sent data after the end of an archive");
	}
	return NULL;
}

Error *
backup_tar_finish(BackupTar *tar)
{
	if (!tar->ended && tar->header_size > 0)
		return error_new(ERR_CORRUPT, "the server sent an archive that is cut short");
	return part_writer_finish(tar->writer);
}

void
backup_tar_free(BackupTar *tar)
{
	if (tar == NULL)
		return;
	part_writer_free(tar->writer);
	buf_release(&tar->captured);
	free(tar);
}
