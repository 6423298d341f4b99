/* backup_label and tablespace_map. */
#include "walship/wal/label.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/strs.h"
#include "walship/wal/name.h"

#define LABEL_FILE_MAX 8192 /* a label of 1024 bytes and eight short lines */

typedef struct LabelParser
{
	BackupLabel label;
	bool has_start;
	bool has_checkpoint;
	bool has_from;
	bool has_label;
	bool has_timeline;
	TimeLineID segment_timeline; /* of the segment that START WAL LOCATION names */
} LabelParser;

static Error *
invalid(const char *key)
{
	return error_new(ERR_CORRUPT, "backup_label has an invalid or repeated \"%s\"", key);
}

/* "0/2000028 (file 000000010000000000000002)" */
static Error *
parse_start(LabelParser *parser, const char *key, const char *value)
{
	static const char middle[] = " (file ";
	const char *blank = strchr(value, ' ');
	char lsn[LSN_TEXT_SIZE] = "";
	char segment[WAL_NAME_SIZE] = "";
	WalName name;

	if (blank == NULL || (size_t) (blank - value) >= sizeof lsn || !str_starts_with(blank, middle))
		return invalid(key);
	memcpy(lsn, value, (size_t) (blank - value));

	const char *file = blank + strlen(middle);
	size_t length = strlen(file);

	if (length < 1 || length > sizeof segment || file[length - 1] != ')')
		return invalid(key);
	memcpy(segment, file, length - 1);
	if (parser->has_start || !lsn_parse(lsn, &parser->label.start_lsn))
		return invalid(key);

	AUTO(Error) error = wal_name_parse(segment, &name);

	if (error != NULL || name.kind != WAL_SEGMENT)
		return invalid(key);
	parser->segment_timeline = name.timeline;
	parser->has_start = true;
	return NULL;
}

static Error *
parse_checkpoint(LabelParser *parser, const char *key, const char *value)
{
	if (parser->has_checkpoint || !lsn_parse(value, &parser->label.checkpoint_lsn))
		return invalid(key);
	parser->has_checkpoint = true;
	return NULL;
}

static Error *
parse_from(LabelParser *parser, const char *key, const char *value)
{
	/* PostgreSQL 13 says "master". */
	bool from_primary = strcmp(value, "primary") == 0 || strcmp(value, "master") == 0;

	parser->label.from_standby = strcmp(value, "standby") == 0;
	if (parser->has_from || (!parser->label.from_standby && !from_primary))
		return invalid(key);
	parser->has_from = true;
	return NULL;
}

static Error *
parse_label(LabelParser *parser, const char *key, const char *value)
{
	if (parser->has_label || strlen(value) >= sizeof parser->label.label)
		return invalid(key);
	memcpy(parser->label.label, value, strlen(value) + 1);
	parser->has_label = true;
	return NULL;
}

static Error *
parse_timeline(LabelParser *parser, const char *key, const char *value)
{
	uint64_t timeline;

	if (parser->has_timeline || !str_to_uint64(value, &timeline) || timeline == 0 || timeline > UINT32_MAX)
		return invalid(key);
	parser->label.timeline = (TimeLineID) timeline;
	parser->has_timeline = true;
	return NULL;
}

static Error *
parse_incremental(LabelParser *parser, const char *key, const char *value)
{
	XLogRecPtr lsn;

	if (parser->label.incremental || !lsn_parse(value, &lsn))
		return invalid(key);
	parser->label.incremental = true;
	return NULL;
}

/* START TIME and BACKUP METHOD say nothing that anyone here needs; later servers may add lines. */
static const struct
{
	const char *key;
	Error *(*parse)(LabelParser *parser, const char *key, const char *value);
} keys[] = {
	{"START WAL LOCATION", parse_start}, {"CHECKPOINT LOCATION", parse_checkpoint},
	{"BACKUP FROM", parse_from},         {"LABEL", parse_label},
	{"START TIMELINE", parse_timeline},  {"INCREMENTAL FROM LSN", parse_incremental},
};

static Error *
parse_line(LabelParser *parser, char *line)
{
	char *colon = strstr(line, ": ");

	if (colon == NULL)
		return NULL;
	*colon = '\0';
	for (size_t i = 0; i < lengthof(keys); i++)
		if (strcmp(line, keys[i].key) == 0)
			return keys[i].parse(parser, keys[i].key, colon + 2);
	return NULL;
}

static Error *
check_whole(const LabelParser *parser)
{
	if (!parser->has_start || !parser->has_checkpoint || !parser->has_from || !parser->has_timeline)
		return error_new(ERR_CORRUPT, "backup_label lacks \"%s\"",
		                 !parser->has_start        ? "START WAL LOCATION"
		                 : !parser->has_checkpoint ? "CHECKPOINT LOCATION"
		                 : !parser->has_from       ? "BACKUP FROM"
		                                           : "START TIMELINE");
	if (parser->label.timeline != parser->segment_timeline)
		return error_new(ERR_CORRUPT,
		                 "backup_label names a segment of timeline %" PRIu32 ", but its timeline is %" PRIu32,
		                 parser->segment_timeline, parser->label.timeline);
	return NULL;
}

Error *
backup_label_parse(const char *text, size_t size, BackupLabel *ret_label)
{
	LabelParser parser = {0};
	AUTO_BUF(copy, LABEL_FILE_MAX);

	if (size > 0)
		buf_append(&copy, text, size);
	if (copy.overflowed || (size > 0 && memchr(text, '\0', size) != NULL))
		return error_new(ERR_CORRUPT, "backup_label is no text, or longer than %d bytes", LABEL_FILE_MAX);

	/* Every line ends in a newline: a last one without it was cut off. */
	for (char *line = copy.data, *newline; line != NULL && (newline = strchr(line, '\n')) != NULL;
	     line = newline + 1)
	{
		*newline = '\0';
		if (newline > line && newline[-1] == '\r')
			newline[-1] = '\0';
		TRY(parse_line(&parser, line));
	}
	TRY(check_whole(&parser));
	*ret_label = parser.label;
	return NULL;
}

/* The last line but its newline; NULL: it was cut off. */
static const char *
last_line(const char *text, size_t size)
{
	const char *line;

	if (size == 0 || text[size - 1] != '\n')
		return NULL;
	for (line = text + size - 1; line > text && line[-1] != '\n'; line--)
		;
	return line;
}

Error *
backup_file_parse(const char *text, size_t size, XLogRecPtr *ret_start_lsn)
{
	static const char end[] = "STOP TIMELINE: ";
	const char *last = last_line(text, size);
	BackupLabel label;

	if (last == NULL || size - (size_t) (last - text) < strlen(end) || memcmp(last, end, strlen(end)) != 0)
		return error_new(ERR_CORRUPT, "backup history file is cut off: it lacks the backup's end");
	TRY(backup_label_parse(text, size, &label));
	*ret_start_lsn = label.start_lsn;
	return NULL;
}

void
tablespace_map_append(Buf *map, uint32_t oid, const char *path)
{
	buf_printf(map, "%" PRIu32 " ", oid);
	for (; *path != '\0'; path++)
	{
		if (*path == '\\' || *path == '\n' || *path == '\r')
			buf_putc(map, '\\');
		buf_putc(map, *path);
	}
	buf_putc(map, '\n');
}
