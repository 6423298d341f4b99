/* Time zones by libc: validated here, and asked with TZ set around each question. */
#include "zone.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "walship/base/buf.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define ZONE_DIRECTORY  "/usr/share/zoneinfo"
#define ZONE_LOCAL_FILE "/etc/localtime"
#define ZONE_FILE_MAX   (256 * 1024)

#define CAPITALS         "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ABBREVIATION_MAX 5

/*
 * The TZ string of POSIX (the environment variables chapter of its base definitions; RFC 8536, 3.3.1):
 * "CET-1CEST,M3.5.0,M10.5.0/3".  libc takes for UTC what it does not understand, so the form is looked at before.
 */
#define RULE_NAME   "(<[[:alnum:]+-]{3,}>|[[:alpha:]]{3,})"
#define RULE_OFFSET "[+-]?([01]?[0-9]|2[0-4])(:[0-5]?[0-9]){0,2}"
#define RULE_HOURS  "[+-]?([0-9]{1,2}|1[0-5][0-9]|16[0-7])(:[0-5]?[0-9]){0,2}"
#define RULE_NUMBER "([1-9][0-9]?|[12][0-9]{2}|3[0-5][0-9]|36[0-5])" /* of a day of the year */
#define RULE_DAY    ",(M(0?[1-9]|1[0-2])[.][1-5][.][0-6]|J?" RULE_NUMBER "|0)(/" RULE_HOURS ")?"
#define RULE        "^" RULE_NAME RULE_OFFSET "(" RULE_NAME "(" RULE_OFFSET ")?" RULE_DAY RULE_DAY ")?$"

static const char *const zone_form =
	"Write a numeric offset such as +02, or a full name such as Europe/Berlin.";

struct Zone
{
	bool is_fixed;
	int32_t offset; /* of a fixed one */
	char *variable; /* what TZ must be; NULL: unset */
};

void
zone_free(Zone *zone)
{
	if (zone == NULL)
		return;
	free(zone->variable);
	free(zone);
}

static bool
is_posix_rule(const char *text)
{
	regex_t rule;
	bool matches;

	if (regcomp(&rule, RULE, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	matches = regexec(&rule, text, 0, NULL, 0) == 0;
	regfree(&rule);
	return matches;
}

/* What localtime_r() says of the moment, false when it cannot; afterwards TZ is as it was before. */
static bool
ask_libc(const Zone *zone, int64_t moment, struct tm *ret_fields)
{
	const char *variable = getenv("TZ");
	AUTO_FREE char *before = variable == NULL ? NULL : mem_strdup(variable);
	time_t time = moment;
	bool answered;

	if (zone->variable != NULL)
		(void) setenv("TZ", zone->variable, 1);
	else
		(void) unsetenv("TZ");
	tzset();
	answered = localtime_r(&time, ret_fields) != NULL && *ret_fields->tm_zone != '\0';

	if (before != NULL)
		(void) setenv("TZ", before, 1);
	else
		(void) unsetenv("TZ");
	tzset();
	return answered;
}

/*
 * A file of the tz database (RFC 8536) begins with a magic number and ends, from version 2 on, with a line of text
 * that says what holds after its last change.  libc silently makes UTC of a file that it cannot use, and of a cut one
 * loses the future.
 */
static bool
looks_like_zone_file(const Buf *contents)
{
	const char *data = contents->data;
	size_t at = contents->size;

	if (at < 44 || memcmp(data, "TZif", 4) != 0)
		return false;
	if (data[4] < '2')
		return true;
	if (data[--at] != '\n')
		return false;
	while (at > 44 && isprint((unsigned char) data[at - 1]))
		at--;
	return data[at - 1] == '\n';
}

static Error *
zone_of_file(const char *name, const char *path, Zone **ret_zone)
{
	const int64_t full_minute = 1700000040; /* after all leap seconds so far */
	AUTO(Zone) zone = NEW(Zone);
	AUTO_BUF(contents, ZONE_FILE_MAX);
	struct tm fields;

	TRY(file_read_all(path, &contents));
	/* With the path, for a mere name would be looked up in $TZDIR. */
	zone->variable = mem_printf(":%s", path);
	if (!looks_like_zone_file(&contents) || !ask_libc(zone, full_minute, &fields))
		return error_new(ERR_CORRUPT, "time zone \"%s\" is not a valid file of the tz database", name);

	/* Those below "right/" count leap seconds, which neither Unix time nor PostgreSQL does. */
	if ((fields.tm_sec - fields.tm_gmtoff) % 60 != 0)
		return error_hint(error_new(ERR_CORRUPT, "time zone \"%s\" counts leap seconds", name), "%s",
		                  zone_form);
	*ret_zone = MOVE(zone);
	return NULL;
}

/* Nothing can be there: what else goes wrong in opening it is told then. */
static bool
is_absent(const char *path)
{
	return access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG);
}

static Error *
zone_fixed(int32_t offset, Zone **ret_zone)
{
	*ret_zone = NEW(Zone);
	(*ret_zone)->is_fixed = true;
	(*ret_zone)->offset = offset;
	return NULL;
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

static Error *
zone_of_name(const char *name, Zone **ret_zone)
{
	AUTO_FREE char *path = mem_printf("%s/%s", ZONE_DIRECTORY, name);
	size_t length = strlen(name);
	Error *error;
	bool absent;

	/* Capitals only and few: EST, CEST.  The database has some of them as names, with another meaning. */
	if (length > 0 && length <= ABBREVIATION_MAX && strspn(name, CAPITALS) == length)
		return error_hint(error_new(ERR_USAGE, "time zone \"%s\" is an abbreviation", name), "%s", zone_form);
	if (!is_zone_name(name))
		return error_hint(error_new(ERR_USAGE, "invalid time zone \"%s\"", name), "%s", zone_form);

	absent = is_absent(path);
	error = absent ? NULL : zone_of_file(name, path, ret_zone);
	/* A directory ("Europe") is ERR_USAGE there. */
	if (absent || error_is(error, ERR_USAGE))
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
zone_local(Zone **ret_zone)
{
	const char *variable = getenv("TZ");
	Error *error;

	if (variable != NULL)
	{
		variable += *variable == ':';
		if (*variable == '/' && is_absent(variable))
			return error_new(ERR_USAGE, "environment variable TZ: there is no file \"%s\"", variable);
		if (*variable == '/')
			return zone_of_file(variable, variable, ret_zone);
		if (is_posix_rule(variable))
		{
			*ret_zone = NEW(Zone);
			(*ret_zone)->variable = mem_strdup(variable);
			return NULL;
		}
		/* "local" is this very variable: as its value it is no name. */
		return error_context(strcmp(variable, "local") == 0
		                         ? zone_of_name(variable, ret_zone)
		                         : zone_open(*variable == '\0' ? "UTC" : variable, ret_zone),
		                     "environment variable TZ");
	}

	error = zone_of_file("local", ZONE_LOCAL_FILE, ret_zone);
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return zone_fixed(0, ret_zone);
	}
	return error;
}

bool
zone_parse_fixed(const char *text, int32_t *ret_offset)
{
	const char *cursor = text + 1;
	int parts[3] = {0};

	if (strcasecmp(text, "UTC") == 0 || strcasecmp(text, "GMT") == 0 || strcasecmp(text, "Z") == 0)
	{
		*ret_offset = 0;
		return true;
	}

	/* "[+-]HH[[:]MM[[:]SS]]", at most 15:59:59 as in PostgreSQL. */
	if (*text != '+' && *text != '-')
		return false;
	for (int i = 0; i < 3 && (i == 0 || *cursor != '\0'); i++)
	{
		if (i > 0 && *cursor == ':')
			cursor++;
		else if (i == 2)
			return false;
		if (!isdigit((unsigned char) cursor[0]) || !isdigit((unsigned char) cursor[1]))
			return false;
		parts[i] = (cursor[0] - '0') * 10 + (cursor[1] - '0');
		if (parts[i] > (i == 0 ? 15 : 59))
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

	if (zone_parse_fixed(name, &offset))
		return zone_fixed(offset, ret_zone);
	if (strcmp(name, "local") == 0)
		return zone_local(ret_zone);
	return zone_of_name(name, ret_zone);
}

int32_t
zone_offset(const Zone *zone, int64_t moment)
{
	struct tm fields;

	if (zone->is_fixed || !ask_libc(zone, moment, &fields))
		return zone->offset;
	return (int32_t) fields.tm_gmtoff;
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
