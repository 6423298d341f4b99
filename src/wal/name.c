/* Names of files in pg_wal. */
#include "walship/wal/name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/base/strs.h"

#define TIMELINE_DIGITS 8
#define SEGMENT_DIGITS  24
#define FIELD_DIGITS    8

static bool
parse(const char *text, WalName *name)
{
	/* Timeline 0 does not exist; the server uses it for "none". */
	if (!str_hex_field(text, TIMELINE_DIGITS, &name->timeline) || name->timeline == 0)
		return false;
	if (strcmp(text + TIMELINE_DIGITS, ".history") == 0)
	{
		name->kind = WAL_HISTORY;
		return true;
	}
	if (!str_hex_field(text + TIMELINE_DIGITS, FIELD_DIGITS, &name->log) ||
	    !str_hex_field(text + TIMELINE_DIGITS + FIELD_DIGITS, FIELD_DIGITS, &name->seg))
		return false;

	const char *suffix = text + SEGMENT_DIGITS;

	if (*suffix == '\0')
		name->kind = WAL_SEGMENT;
	else if (strcmp(suffix, ".partial") == 0)
		name->kind = WAL_PARTIAL;
	else if (*suffix == '.' && str_hex_field(suffix + 1, FIELD_DIGITS, &name->offset) &&
	         name->offset < WAL_SEGMENT_SIZE_MAX && strcmp(suffix + 1 + FIELD_DIGITS, ".backup") == 0)
		name->kind = WAL_BACKUP; /* the offset counts bytes within the segment */
	else
		return false;
	return true;
}

Error *
wal_name_parse(const char *text, WalName *ret_name)
{
	WalName name = {0};

	if (!parse(text, &name))
		return error_hint(error_new(ERR_USAGE, "\"%s\" is not the name of a WAL file", text),
		                  "Names look like 000000010000000300000009, the same with .partial or "
		                  ".00000028.backup, or 00000002.history.");
	*ret_name = name;
	return NULL;
}

const char *
wal_name_format(const WalName *name, char text[WAL_NAME_SIZE])
{
	char segment[WAL_NAME_SIZE / 2];

	(void) snprintf(segment, sizeof segment, "%08" PRIX32 "%08" PRIX32 "%08" PRIX32, name->timeline,
	                name->log, name->seg);
	switch (name->kind)
	{
		case WAL_SEGMENT:
			(void) snprintf(text, WAL_NAME_SIZE, "%s", segment);
			break;
		case WAL_PARTIAL:
			(void) snprintf(text, WAL_NAME_SIZE, "%s.partial", segment);
			break;
		case WAL_HISTORY:
			(void) snprintf(text, WAL_NAME_SIZE, "%08" PRIX32 ".history", name->timeline);
			break;
		case WAL_BACKUP:
			(void) snprintf(text, WAL_NAME_SIZE, "%s.%08" PRIX32 ".backup", segment, name->offset);
			break;
	}
	return text;
}

static uint32_t
segments_per_log(uint32_t segment_size)
{
	return (uint32_t) ((UINT64_C(1) << 32) / segment_size);
}

bool
wal_name_segno(const WalName *name, uint32_t segment_size, XLogSegNo *ret_segno)
{
	if (name->seg >= segments_per_log(segment_size))
		return false;
	*ret_segno = (XLogSegNo) name->log * segments_per_log(segment_size) + name->seg;
	return true;
}

WalName
wal_name_of_segment(TimeLineID timeline, XLogSegNo segno, uint32_t segment_size)
{
	return (WalName){
		.kind = WAL_SEGMENT,
		.timeline = timeline,
		.log = (uint32_t) (segno / segments_per_log(segment_size)),
		.seg = (uint32_t) (segno % segments_per_log(segment_size)),
	};
}

const char *
wal_segment_name(TimeLineID timeline, XLogSegNo segno, uint32_t segment_size, char text[WAL_NAME_SIZE])
{
	WalName name = wal_name_of_segment(timeline, segno, segment_size);

	return wal_name_format(&name, text);
}
