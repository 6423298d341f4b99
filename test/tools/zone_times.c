/*
 * zone_times: times in zones, for comparison with another implementation. One line each on standard input,
 *
 *   read TIME ZONE		answers with the time in UTC, "none" or "twice"
 *   write TIME ZONE	TIME as "2026-11-20T02:30:07Z"; answers with it in the zone
 *
 * where TIME has no blanks. What is refused for another reason is answered with "error: " and the message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walship/base/clock.h"

static const char *
reason(const Error *error)
{
	static char text[512];

	if (strstr(error_message(error), "does not exist in time zone") != NULL)
		return "none";
	if (strstr(error_message(error), "occurs twice in time zone") != NULL)
		return "twice";
	(void) snprintf(text, sizeof(text), "error: %s", error_message(error));
	return text;
}

int
main(void)
{
	char line[256];

	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		const char *verb = line;
		char *time_text = strchr(line, ' ');
		char *zone = time_text == NULL ? NULL : strchr(time_text + 1, ' ');
		char text[TIME_TEXT_SIZE] = "error: no such time";
		TimeUs time;
		AUTO(Error) error = NULL;

		if (zone == NULL)
			return 2;
		*time_text++ = '\0';
		*zone++ = '\0';
		zone[strcspn(zone, "\n")] = '\0';
		if (strcmp(verb, "read") == 0)
		{
			error = time_parse(time_text, zone, &time);
			if (error == NULL)
				(void) time_format_utc(time, text);
		}
		else if (time_parse_utc(time_text, &time))
			error = time_format_zone(time, zone, text);
		(void) printf("%s\n", error == NULL ? text : reason(error));
	}
	return 0;
}
