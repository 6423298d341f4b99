/* What somebody must hear of, as text; see walship/notify/message.h. */
#include "walship/notify/message.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define BODY_MAX 16384

static const char *const event_names[NOTIFY_EVENTS] = {
	[NOTIFY_FAILED] = "failed", [NOTIFY_RECOVERED] = "recovered", [NOTIFY_SUCCEEDED] = "succeeded",
	[NOTIFY_TEST] = "test",     [NOTIFY_STARTED] = "started",
};

static const JsonField message_fields[] = {
	{"event", &json_enum, JSON_AT(NotifyMessage, event), .names = event_names, .n_names = NOTIFY_EVENTS},
	{"item", &json_string, JSON_AT(NotifyMessage, item)},
	{"key", &json_string, JSON_AT(NotifyMessage, key)},
	{"host", &json_string, JSON_AT(NotifyMessage, host)},
	{"cluster", &json_string, JSON_AT(NotifyMessage, cluster), .flags = JSON_MAYBE},
	{"store", &json_string, JSON_AT(NotifyMessage, store), .flags = JSON_MAYBE},
	{"time", &json_time, JSON_AT(NotifyMessage, at)},
	{"since", &json_time, JSON_AT(NotifyMessage, since), .flags = JSON_MAYBE},
	{"failures", &json_uint, JSON_AT(NotifyMessage, failures)},
	{"exit_status", &json_int, JSON_AT(NotifyMessage, exit_status)},
	{"reason", &json_string, JSON_AT(NotifyMessage, reason), .flags = JSON_MAYBE},
	{"hint", &json_string, JSON_AT(NotifyMessage, hint), .flags = JSON_MAYBE},
	{"command", &json_string, JSON_AT(NotifyMessage, help)},
};
const JsonTable notify_message_table = JSON_TABLE(NotifyMessage, message_fields);

void
notify_message_release(NotifyMessage *message)
{
	free(message->item);
	free(message->key);
	free(message->host);
	free(message->cluster);
	free(message->store);
	free(message->reason);
	free(message->hint);
	free(message->help);
	*message = (NotifyMessage){0};
}

void
notify_cut(char *text, size_t most)
{
	size_t end = most - strlen("...");

	if (strlen(text) <= most)
		return;

	/* What follows the first byte of a character begins with the bits 10. */
	while (end > 0 && ((unsigned char) text[end] & 0xC0) == 0x80)
		end--;
	(void) memcpy(text + end, "...", sizeof("..."));
}

char *
notify_text(const char *text, size_t most)
{
	char *printable = text == NULL ? NULL : str_printable(text);

	if (printable != NULL)
		notify_cut(printable, most);
	return printable;
}

char *
notify_title(const NotifyMessage *message)
{
	static const char *const forms[NOTIFY_EVENTS] = {
		[NOTIFY_FAILED] = "%s failed",       [NOTIFY_RECOVERED] = "%s works again",
		[NOTIFY_SUCCEEDED] = "%s succeeded", [NOTIFY_TEST] = "test message",
		[NOTIFY_STARTED] = "%s begins",
	};
	AUTO_BUF(title, BODY_MAX);
	const char *form = forms[message->event];
	const char *rest = form + (str_starts_with(form, "%s") ? 2 : 0);

	buf_printf(&title, "walship: %s%s on %s", rest == form ? "" : message->item, rest, message->host);
	if (message->cluster != NULL)
		buf_printf(&title, " (%s)", message->cluster);
	return buf_steal(&title);
}

/* "failed since 2026-11-29 02:30:07+00, 3 times" */
static void
put_since(const NotifyMessage *message, Buf *body)
{
	char since[TIME_TEXT_SIZE];
	char at[TIME_TEXT_SIZE];

	/* Whole seconds: nobody needs more of an alarm. */
	(void) time_format_postgres(message->at - message->at % 1000000, at);
	if (message->since == TIME_NONE)
	{
		buf_printf(body, "time: %s\n", at);
		return;
	}
	(void) time_format_postgres(message->since - message->since % 1000000, since);
	if (message->event == NOTIFY_RECOVERED)
		buf_printf(body, "failed from %s to %s, %" PRIu64 " time%s\n", since, at, message->failures,
		           message->failures == 1 ? "" : "s");
	else
		buf_printf(body, "failing since %s, %" PRIu64 " time%s so far\n", since, message->failures,
		           message->failures == 1 ? "" : "s");
}

char *
notify_body(const NotifyMessage *message)
{
	AUTO_BUF(body, BODY_MAX);

	if (message->reason != NULL)
		buf_printf(&body, "%s\n", message->reason);
	if (message->hint != NULL)
		buf_printf(&body, "hint: %s\n", message->hint);
	put_since(message, &body);
	if (message->event == NOTIFY_FAILED)
		buf_printf(&body, "exit code: %" PRId64 "\n", message->exit_status);
	if (message->store != NULL)
		buf_printf(&body, "store: %s\n", message->store);
	buf_printf(&body, "see: %s\n", message->help);
	return buf_steal(&body);
}
