/* The frame around a segment's payload. */
#include "wal_object_tar.h"

#include <stdio.h>
#include <string.h>

#include "walship/age/age.h"
#include "walship/archive/seal.h"

#define MEMBER_MODE 0640

static Error *
append_header(Buf *head, const char *name, uint64_t size, int64_t mtime)
{
	TarEntry entry = {.type = TAR_FILE, .size = size, .mode = MEMBER_MODE, .mtime = mtime};
	uint8_t block[TAR_BLOCK_SIZE];

	(void) snprintf(entry.name, sizeof(entry.name), "%s", name);
	TRY(tar_header_format(&entry, block));
	buf_append(head, block, sizeof(block));
	return NULL;
}

/* Of the last commit in the segment: the archive's dates then say when its contents happened. */
static int64_t
member_mtime(const WalIndex *index)
{
	return index->last_time == TIME_NONE ? 0 : index->last_time / 1000000;
}

Error *
wal_object_tar_head(WalIndex *index, Codec codec, Buf *head)
{
	static const uint8_t zeros[TAR_BLOCK_SIZE];
	char index_name[WAL_NAME_SIZE + 16];
	AUTO_BUF(text, WAL_OBJECT_INDEX_MAX);

	(void) snprintf(index_name, sizeof(index_name), "%s.json", index->segment);
	(void) snprintf(index->member, sizeof(index->member), "%s.%s%s", index->segment, codec_suffix(codec),
	                index->recipients[0] != '\0' ? AGE_SUFFIX : "");
	(void) snprintf(index->codec, sizeof(index->codec), "%s", codec_name(codec));

	wal_index_print(index, &text);
	seal_append(&text);
	TRY(append_header(head, index_name, text.size, member_mtime(index)));
	buf_append(head, text.data, text.size);
	buf_append(head, zeros, tar_padding(text.size));
	return append_header(head, index->member, index->stored_size, member_mtime(index));
}

Buf
wal_object_tar_tail(uint64_t stored_size, uint8_t bytes[WAL_OBJECT_TAIL_MAX])
{
	memset(bytes, 0, WAL_OBJECT_TAIL_MAX);
	return (Buf){.data = (char *) bytes, .size = tar_padding(stored_size) + TAR_END_SIZE};
}
