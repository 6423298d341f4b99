/*
 * Times and zones as people write them.  First byte: 0 the text alone, 1 with a zone, 2 with the
 * machine's, whose variable TZ it is; the zone ends at the first line feed.  What is understood is
 * written in that zone, in another one and in UTC, and read back as the same moment.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "walship/base/clock.h"
#include "walship/base/mem.h"

/* The years 2 to 9997: at the ends a zone may make it a year without four digits. */
#define FIRST INT64_C(-62104060800000000)
#define LAST  INT64_C(253339228800000000)

/* False: there is no such zone, or it is further from UTC than a time can say (a rule in TZ may be: 24 hours). */
static bool
reads_back(TimeUs time, const char *zone)
{
	char text[TIME_TEXT_SIZE];
	TimeUs again = TIME_NONE;
	AUTO(Error) error = time_format_zone(time, zone, text);

	if (error == NULL)
		error = time_parse(text, NULL, &again);
	must(error != NULL || again == time);
	return error == NULL;
}

static void
parse(const char *text, const char *zone)
{
	char utc[TIME_TEXT_SIZE];
	TimeUs time = TIME_NONE;
	TimeUs again = TIME_NONE;
	AUTO(Error) error = time_parse(text, zone, &time);

	/* ERR_SYSTEM: of a name such as "CET/x", below a file. */
	must(error == NULL || error_is(error, ERR_USAGE) || error_is(error, ERR_CORRUPT) ||
	     error_is(error, ERR_SYSTEM));
	if (time_parse_iso(text, &again) && error == NULL)
		must(zone != NULL || time == again);
	if (error != NULL || time < FIRST || time > LAST)
		return;
	must(time_parse_utc(time_format_utc(time, utc), &again) && again == time);
	must(reads_back(time, "UTC") && reads_back(time, "-11:30"));
	must(reads_back(time, "Europe/Berlin"));

	/* A time with a zone of its own does not ask for this one. */
	if (zone != NULL)
		(void) reads_back(time, zone);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);

	if (size == 0)
		return 0;
	if (data[0] % 3 == 0 || end == NULL)
	{
		AUTO_FREE char *text = mem_strndup((const char *) data + 1, size - 1);

		parse(text, NULL);
		return 0;
	}

	size_t at = (size_t) (end - data);
	AUTO_FREE char *zone = at == 0 ? mem_strdup("") : mem_strndup((const char *) data + 1, at - 1);
	AUTO_FREE char *text = mem_strndup((const char *) end + 1, size - 1 - at);

	if (data[0] % 3 == 1)
	{
		parse(text, zone);
		return 0;
	}

	/* A path is the file of whoever sets the variable: not looked for here. */
	if (zone[0] == '/' || (zone[0] == ':' && zone[1] == '/'))
		return 0;
	must(setenv("TZ", zone, 1) == 0);
	parse(text, "local");
	must(unsetenv("TZ") == 0);
	return 0;
}
