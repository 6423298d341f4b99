/* Values of options that several commands have. */
#include "option_values.h"

#include "walship/base/strs.h"

#define FIRST_NORMAL_XID 3 /* PostgreSQL: access/transam.h */

Error *
option_time(const Invocation *invocation, const char *option, TimeUs *ret_time)
{
	const char *text = invocation_value(invocation, option);
	const char *zone = settings_text(invocation_settings(invocation), SETTING_timezone);

	*ret_time = TIME_NONE;
	if (text == NULL)
		return NULL;
	return error_context(time_parse(text, zone, ret_time), "option \"--%s\"", option);
}

Error *
option_timeline(const Invocation *invocation, TimeLineID *ret_timeline)
{
	const char *text = invocation_value(invocation, "timeline");
	uint64_t number = 0;

	if (text != NULL && (!str_to_uint64(text, &number) || number == 0 || number > UINT32_MAX))
		return error_new(ERR_USAGE, "\"%s\" is no timeline", text);
	*ret_timeline = (TimeLineID) number;
	return NULL;
}

bool
option_xid(const char *text, TransactionId *ret_xid)
{
	uint64_t number;

	if (!str_to_uint64(text, &number) || number < FIRST_NORMAL_XID || number > UINT32_MAX)
		return false;
	*ret_xid = (TransactionId) number;
	return true;
}
