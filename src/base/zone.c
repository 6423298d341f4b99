/* Time zones out of the tz database's files (RFC 8536). */
#include "zone.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "walship/base/buf.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "zone_rule.h"

#define ZONE_DIRECTORY    "/usr/share/zoneinfo"
#define ZONE_LOCAL_FILE   "/etc/localtime"
#define ZONE_FILE_MAX     (256 * 1024)
#define ZONE_HEADER_SIZE  44
#define ZONE_TYPE_SIZE    6 /* offset, is summer time, index of the abbreviation */
#define ZONE_CHANGES_MOST 4096
#define ZONE_OFFSET_MOST  (26 * 3600) /* RFC 8536, 3.2 */

typedef struct ZoneChange
{
	int64_t moment;
	int32_t offset; /* from then on */
} ZoneChange;

struct Zone
{
	ZoneChange *changes; /* in order */
	size_t n_changes;
	int32_t first_offset; /* before the first change */
	ZoneRule rule;        /* after the last one */
	bool has_rule;
};

/* One of a tz file's two blocks: version 1 has times of 4 bytes, version 2 of 8. */
typedef struct ZoneBlock
{
	const uint8_t *times;
	const uint8_t *indexes;
	const uint8_t *types;
	uint32_t n_times;
	uint32_t n_types;
	size_t time_size;
	size_t end; /* offset of what follows */
} ZoneBlock;

void
zone_free(Zone *zone)
{
	if (zone == NULL)
		return;
	free(zone->changes);
	free(zone);
}

static Zone *
zone_fixed(int32_t offset)
{
	Zone *zone = NEW(Zone);

	zone->first_offset = offset;
	return zone;
}

static uint32_t
big_endian_32(const uint8_t *bytes)
{
	return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 | bytes[3];
}

static int64_t
change_moment(const ZoneBlock *block, size_t n)
{
	const uint8_t *bytes = block->times + n * block->time_size;

	if (block->time_size == 4)
		return (int32_t) big_endian_32(bytes);
	return (int64_t) ((uint64_t) big_endian_32(bytes) << 32 | big_endian_32(bytes + 4));
}

static int32_t
type_offset(const ZoneBlock *block, size_t n)
{
	return (int32_t) big_endian_32(block->types + n * ZONE_TYPE_SIZE);
}

static bool
block_read(const uint8_t *data, size_t size, size_t at, size_t time_size, ZoneBlock *ret_block)
{
	ZoneBlock block = {.time_size = time_size};
	const uint8_t *counts;
	uint64_t end;

	if (size - at < ZONE_HEADER_SIZE || memcmp(data + at, "TZif", 4) != 0)
		return false;
	counts = data + at + 20; /* of: UT flags, standard flags, leap seconds, times, types, letters */
	block.n_times = big_endian_32(counts + 12);
	block.n_types = big_endian_32(counts + 16);
	if (block.n_times > ZONE_CHANGES_MOST || block.n_types == 0 || block.n_types > 256)
		return false;

	block.times = data + at + ZONE_HEADER_SIZE;
	end = at + ZONE_HEADER_SIZE + (uint64_t) block.n_times * (time_size + 1) +
	      (uint64_t) block.n_types * ZONE_TYPE_SIZE + big_endian_32(counts + 20) +
	      (uint64_t) big_endian_32(counts + 8) * (time_size + 4) + big_endian_32(counts + 4) +
	      big_endian_32(counts);
	if (end > size)
		return false;
	block.indexes = block.times + block.n_times * time_size;
	block.types = block.indexes + block.n_times;
	block.end = (size_t) end;
	*ret_block = block;
	return true;
}

static bool
zone_fill(Zone *zone, const ZoneBlock *block)
{
	zone->changes = NEW_ARRAY(ZoneChange, block->n_times + 1);
	zone->first_offset = type_offset(block, 0);
	for (size_t i = 0; i < block->n_times; i++)
	{
		ZoneChange *change = &zone->changes[zone->n_changes++];

		if (block->indexes[i] >= block->n_types)
			return false;
		change->moment = change_moment(block, i);
		change->offset = type_offset(block, block->indexes[i]);
		if (i > 0 && change->moment <= change[-1].moment)
			return false;
	}
	for (size_t i = 0; i < block->n_types; i++)
	{
		int32_t offset = type_offset(block, i);

		if (offset < -ZONE_OFFSET_MOST || offset > ZONE_OFFSET_MOST)
			return false;
	}
	return true;
}

/* The rule between two newlines that ends a file of version 2 and later; it may be empty. */
static bool
zone_read_footer(Zone *zone, const uint8_t *data, size_t size, size_t at)
{
	const char *begin = (const char *) data + at + 1;
	const char *end;

	if (at >= size || data[at] != '\n')
		return false;
	end = memchr(begin, '\n', size - at - 1);
	if (end == NULL)
		return false;
	if (end > begin)
	{
		AUTO_FREE char *rule = mem_strndup(begin, (size_t) (end - begin));

		zone->has_rule = zone_rule_parse(rule, &zone->rule);
		return zone->has_rule;
	}
	return true;
}

static bool
zone_read(Zone *zone, const uint8_t *data, size_t size)
{
	ZoneBlock block;

	if (!block_read(data, size, 0, 4, &block))
		return false;
	if (data[4] < '2')
		return zone_fill(zone, &block);
	return block_read(data, size, block.end, 8, &block) && zone_fill(zone, &block) &&
	       zone_read_footer(zone, data, size, block.end);
}

Error *
zone_from_file(const char *name, const void *data, size_t size, Zone **ret_zone)
{
	AUTO(Zone) zone = NEW(Zone);

	if (!zone_read(zone, data, size))
		return error_new(ERR_CORRUPT, "time zone \"%s\" is not a valid file of the tz database", name);
	*ret_zone = MOVE(zone);
	return NULL;
}

Error *
zone_from_rule(const char *rule, Zone **ret_zone)
{
	AUTO(Zone) zone = NEW(Zone);

	if (!zone_rule_parse(rule, &zone->rule))
		return error_new(ERR_USAGE, "invalid time zone rule \"%s\"", rule);
	zone->has_rule = true;
	*ret_zone = MOVE(zone);
	return NULL;
}

static Error *
zone_read_path(const char *name, const char *path, Zone **ret_zone)
{
	AUTO_BUF(contents, ZONE_FILE_MAX);

	TRY(file_read_all(path, &contents));
	return zone_from_file(name, contents.data, contents.size, ret_zone);
}

/* Only what can be a name of the database: nothing that leaves its directory. */
static bool
is_zone_name(const char *name)
{
	if (!isalpha((unsigned char) *name) || strstr(name, "//") != NULL || str_ends_with(name, "/"))
		return false;
	for (const char *c = name; *c != '\0'; c++)
	{
		if (!isalnum((unsigned char) *c) && strchr("_+-/", *c) == NULL)
			return false;
	}
	/* "right/" counts leap seconds, which neither Unix time nor PostgreSQL does. */
	return !str_starts_with(name, "right/");
}

/* Letters only and short: EST, CEST.  The database has a few of them as names, with another meaning. */
static bool
is_abbreviation(const char *name)
{
	size_t length = strlen(name);

	for (const char *c = name; *c != '\0'; c++)
	{
		if (!isupper((unsigned char) *c))
			return false;
	}
	return length > 0 && length <= 5;
}

static Error *
zone_open_named(const char *name, Zone **ret_zone)
{
	AUTO_FREE char *path = mem_printf("%s/%s", ZONE_DIRECTORY, name);
	Error *error;

	if (is_abbreviation(name))
		return error_hint(error_new(ERR_USAGE, "time zone \"%s\" is an abbreviation", name),
		                  "Write a numeric offset such as +02, or a full name such as Europe/Berlin.");
	if (!is_zone_name(name))
		return error_hint(error_new(ERR_USAGE, "invalid time zone \"%s\"", name),
		                  "Write a numeric offset such as +02, or a full name such as Europe/Berlin.");

	error = zone_read_path(name, path, ret_zone);
	/* A directory ("Europe") is ERR_USAGE there. */
	if (error_is(error, ERR_NOT_FOUND) || error_is(error, ERR_USAGE))
	{
		error_free(error);
		return error_hint(
			error_new(ERR_USAGE, "unknown time zone \"%s\": there is no file \"%s\"", name, path),
			"Write a numeric offset such as +02, or a full name such as Europe/Berlin; the "
			"names come with the package tzdata.");
	}
	return error;
}

/* What libc does: the variable TZ (a name, a path or a rule), else the machine's file, else UTC. */
static Error *
zone_open_local(Zone **ret_zone)
{
	const char *variable = getenv("TZ");
	ZoneRule rule;
	Error *error;

	if (variable != NULL && *variable == ':')
		variable++;
	if (variable != NULL && *variable == '/')
		return zone_read_path(variable, variable, ret_zone);
	if (variable != NULL && zone_rule_parse(variable, &rule))
		return zone_from_rule(variable, ret_zone);
	if (variable != NULL)
		return error_context(zone_open(*variable == '\0' ? "UTC" : variable, ret_zone),
		                     "environment variable TZ");

	error = zone_read_path("local", ZONE_LOCAL_FILE, ret_zone);
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		*ret_zone = zone_fixed(0);
		return NULL;
	}
	return error;
}

static bool
two_digits(const char *text, int most, int *ret_number)
{
	if (!isdigit((unsigned char) text[0]) || !isdigit((unsigned char) text[1]))
		return false;
	*ret_number = (text[0] - '0') * 10 + (text[1] - '0');
	return *ret_number <= most;
}

/* "[+-]HH[[:]MM[[:]SS]]", at most 15:59:59 as in PostgreSQL. */
static bool
parse_offset(const char *text, int32_t *ret_offset)
{
	const char *cursor = text + 1;
	int parts[3] = {0};

	if (*text != '+' && *text != '-')
		return false;
	for (int i = 0; i < 3 && (i == 0 || *cursor != '\0'); i++)
	{
		if (i > 0 && *cursor == ':')
			cursor++;
		else if (i == 2)
			return false;
		if (!two_digits(cursor, i == 0 ? 15 : 59, &parts[i]))
			return false;
		cursor += 2;
	}
	if (*cursor != '\0')
		return false;
	*ret_offset = (*text == '-' ? -1 : 1) * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
	return true;
}

Error *
zone_open(const char *name, Zone **ret_zone)
{
	int32_t offset;

	if (strcasecmp(name, "UTC") == 0 || strcasecmp(name, "GMT") == 0 || strcasecmp(name, "Z") == 0)
	{
		*ret_zone = zone_fixed(0);
		return NULL;
	}
	if (parse_offset(name, &offset))
	{
		*ret_zone = zone_fixed(offset);
		return NULL;
	}
	if (strcmp(name, "local") == 0)
		return zone_open_local(ret_zone);
	return zone_open_named(name, ret_zone);
}

int32_t
zone_offset(const Zone *zone, int64_t moment)
{
	size_t low = 0;
	size_t high = zone->n_changes;

	/* How many changes lie at or before the moment? */
	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (zone->changes[middle].moment <= moment)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == zone->n_changes && zone->has_rule)
		return zone_rule_offset(&zone->rule, moment);
	return low == 0 ? zone->first_offset : zone->changes[low - 1].offset;
}

int
zone_moments(const Zone *zone, int64_t local, int64_t ret_moments[2])
{
	/* No zone is further from UTC than a day, and none changes twice within two: one offset holds
	 * before, one after, and each that makes a moment at which it holds is an answer. */
	int32_t before = zone_offset(zone, local - 86400);
	int32_t after = zone_offset(zone, local + 86400);
	int count = 0;

	if (zone_offset(zone, local - before) == before)
		ret_moments[count++] = local - before;
	if (after != before && zone_offset(zone, local - after) == after)
		ret_moments[count++] = local - after;
	return count;
}
