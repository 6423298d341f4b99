/*
 * Requests for each kind of target.  Sources: Telegram: core.telegram.org/bots/api#sendmessage; Slack:
 * docs.slack.dev, "Sending messages using incoming webhooks" and "Formatting message text"; Discord:
 * docs.discord.com, "Execute Webhook", "Allowed Mentions"; Mattermost: developers.mattermost.com, "Incoming
 * webhooks"; ntfy: docs.ntfy.sh/publish; PagerDuty: developer.pagerduty.com, "Send an event" (Events API v2);
 * heartbeats: healthchecks.io/docs/http_api;
 * mail: RFC 5322, 2045, 2047, 3834.
 */
#include "walship/notify/request.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/crypto.h"
#include "walship/base/mem.h"

#define TEXT_MAX (64 * 1024)

/* Longer ones are refused.  Characters, of which no text has more than bytes. */
#define DISCORD_MAX    2000
#define MATTERMOST_MAX 4000

#define FORMAT       1
#define JSON_HEADER  "Content-Type: application/json"
#define PLAIN_HEADER "Content-Type: text/plain; charset=utf-8"

static bool
is_bad_news(const NotifyMessage *message)
{
	return message->event == NOTIFY_FAILED;
}

static char *
plain_text(const NotifyMessage *message)
{
	AUTO_FREE char *title = notify_title(message);
	AUTO_FREE char *body = notify_body(message);

	return mem_printf("%s\n%s", title, body);
}

static void
set_json(NotifyRequest *request, const Json *root)
{
	request->body = json_text(root, true);
	strlist_add(&request->headers, JSON_HEADER);
}

/* No parse_mode: then nothing in the text has to be escaped. */
static void
telegram(const NotifyTarget *target, const NotifyMessage *message, const NotifyServices *services,
         NotifyRequest *request)
{
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *text = plain_text(message);

	request->url = mem_printf("%s/bot%s/sendMessage", services->telegram_url, target->secret);
	json_add_string(root, "chat_id", target->address);
	json_add_string(root, "text", text);
	json_add_bool(root, "disable_notification", !is_bad_news(message));
	set_json(request, root);
}

/* Slack's own: three characters that begin links and mentions, of "<!channel>" too. */
static char *
slack_escaped(const char *text)
{
	AUTO_BUF(escaped, TEXT_MAX);

	for (; *text != '\0'; text++)
	{
		if (*text == '&')
			buf_puts(&escaped, "&amp;");
		else if (*text == '<')
			buf_puts(&escaped, "&lt;");
		else if (*text == '>')
			buf_puts(&escaped, "&gt;");
		else
			buf_putc(&escaped, *text);
	}
	return buf_steal(&escaped);
}

static void
slack(const NotifyTarget *target, const NotifyMessage *message, NotifyRequest *request)
{
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *text = plain_text(message);
	AUTO_FREE char *escaped = slack_escaped(text);

	request->url = mem_strdup(target->secret);
	json_add_string(root, "text", escaped);
	set_json(request, root);
}

/* With a character of no width behind it no '@' is a mention; the title is not code, for it is what a telephone shows. */
static void
put_harmless(const char *title, Buf *into)
{
	for (; *title != '\0'; title++)
	{
		buf_putc(into, *title == '`' ? '\'' : *title);
		if (*title == '@')
			buf_puts(into, "\xE2\x80\x8B");
	}
}

/* As code: then nothing in it is markup, or mentions anybody.  At most so many bytes. */
static char *
as_code(const NotifyMessage *message, size_t most)
{
	static const char begin[] = "\n```\n";
	static const char end[] = "```";
	AUTO_FREE char *title = notify_title(message);
	AUTO_FREE char *body = notify_body(message);
	AUTO_BUF(text, TEXT_MAX);

	for (char *c = body; *c != '\0'; c++)
		*c = *c == '`' ? '\'' : *c;
	put_harmless(title, &text);
	notify_cut(body, most - text.size - strlen(begin) - strlen(end));
	buf_printf(&text, "%s%s%s", begin, body, end);
	return buf_steal(&text);
}

static void
discord(const NotifyTarget *target, const NotifyMessage *message, NotifyRequest *request)
{
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *text = as_code(message, DISCORD_MAX);

	request->url = mem_strdup(target->secret);
	json_add_string(root, "content", text);
	(void) json_add_array(json_add_object(root, "allowed_mentions"), "parse");
	set_json(request, root);
}

static void
mattermost(const NotifyTarget *target, const NotifyMessage *message, NotifyRequest *request)
{
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *text = as_code(message, MATTERMOST_MAX);

	request->url = mem_strdup(target->secret);
	json_add_string(root, "text", text);
	set_json(request, root);
}

/* A header is ASCII, and ends with its line. */
static char *
ascii(const char *text)
{
	char *copy = mem_strdup(text);

	for (char *c = copy; *c != '\0'; c++)
		*c = *c < ' ' || *c > '~' ? '?' : *c;
	return copy;
}

static void
ntfy(const NotifyTarget *target, const NotifyMessage *message, NotifyRequest *request)
{
	AUTO_FREE char *title = notify_title(message);
	AUTO_FREE char *title_ascii = ascii(title);
	AUTO_FREE char *header = mem_printf("Title: %s", title_ascii);

	request->url = mem_strdup(target->secret);
	request->body = notify_body(message);
	strlist_add(&request->headers, PLAIN_HEADER);
	strlist_add(&request->headers, header);
	strlist_add(&request->headers, is_bad_news(message) ? "Priority: high" : "Priority: default");
	strlist_add(&request->headers, is_bad_news(message) ? "Tags: rotating_light" : "Tags: white_check_mark");
}

/* docs/operations.md, "Alarms", has its members. */
static Json *
as_json(const NotifyMessage *message)
{
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *title = notify_title(message);
	AUTO_FREE char *body = notify_body(message);

	json_add_int(root, "format", FORMAT);
	json_put(root, &notify_message_table, message);
	json_add_string(root, "title", title);
	json_add_string(root, "text", body);
	return MOVE(root);
}

static void
webhook(const NotifyTarget *target, const NotifyMessage *message, NotifyRequest *request)
{
	AUTO(Json) root = as_json(message);

	request->url = mem_strdup(target->secret);
	set_json(request, root);
}

/* The key is the same for failure and recovery, so that the latter ends the incident of the former. */
static void
pagerduty(const NotifyTarget *target, const NotifyMessage *message, const NotifyServices *services,
          NotifyRequest *request)
{
	static const char *const severities[NOTIFY_EVENTS] = {[NOTIFY_FAILED] = "error",
	                                                      [NOTIFY_RECOVERED] = "info",
	                                                      [NOTIFY_SUCCEEDED] = "info",
	                                                      [NOTIFY_TEST] = "info",
	                                                      [NOTIFY_STARTED] = "info"};
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *title = notify_title(message);
	AUTO_FREE char *body = notify_body(message);
	AUTO_FREE char *key = mem_printf("walship/%s/%s/%s", message->host,
	                                 message->cluster == NULL ? "" : message->cluster, message->key);
	bool ends = message->event == NOTIFY_RECOVERED || message->event == NOTIFY_SUCCEEDED;

	request->url = mem_printf("%s/v2/enqueue", services->pagerduty_url);
	json_add_string(root, "routing_key", target->secret);
	json_add_string(root, "event_action", ends ? "resolve" : "trigger");
	json_add_string(root, "dedup_key", key);

	Json *payload = json_add_object(root, "payload");

	json_add_string(payload, "summary", title);
	json_add_string(payload, "source", message->host);
	json_add_string(payload, "severity", severities[message->event]);
	json_add_time(payload, "timestamp", message->at);
	json_add_string(payload, "component", message->item);
	if (message->cluster != NULL)
		json_add_string(payload, "group", message->cluster);
	json_add_string(json_add_object(payload, "custom_details"), "text", body);
	set_json(request, root);
}

static bool
is_ascii(const char *text)
{
	while (*text > 0 && *text <= '~')
		text++;
	return *text == '\0';
}

/* RFC 2047, in words of at most 75 characters, which are cut between characters. */
static void
put_subject(const char *title, Buf *mail)
{
	size_t most = 45; /* bytes, which are 60 digits of base64 */

	buf_puts(mail, "Subject:");
	if (is_ascii(title))
		buf_printf(mail, " %s\n", title);
	else
		while (*title != '\0')
		{
			char word[BASE64_TEXT_SIZE(45)];
			size_t length = strlen(title) < most ? strlen(title) : most;

			while (title[length] != '\0' && ((unsigned char) title[length] & 0xC0) == 0x80)
				length--;
			base64_encode(title, length, word);
			buf_printf(mail, " =?UTF-8?B?%s?=\n", word);
			title += length;
		}
}

/* RFC 5322: "Sun, 29 Nov 2026 02:30:07 +0000".  Day 0 of the calendar was a Thursday. */
static void
put_date(TimeUs at, Buf *mail)
{
	static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	int64_t seconds = at / 1000000;
	int64_t of_day = seconds % (24 * 3600);
	int64_t year;
	int month;
	int day;

	time_date(seconds, &year, &month, &day);
	buf_printf(mail, "Date: %s, %02d %s %04" PRId64 " %02d:%02d:%02d +0000\n",
	           days[seconds / (24 * 3600) % 7], day, months[month - 1], year, (int) (of_day / 3600),
	           (int) (of_day / 60 % 60), (int) (of_day % 60));
}

static char *
with_crlf(const char *text)
{
	AUTO_BUF(lines, 2 * TEXT_MAX);

	for (; *text != '\0'; text++)
	{
		if (*text == '\n')
			buf_putc(&lines, '\r');
		buf_putc(&lines, *text);
	}
	return buf_steal(&lines);
}

/* The body is base64, which no relay changes.  Lines end as SMTP has it, and for sendmail(8) with line feeds alone. */
static void
mail(const NotifyTarget *target, const NotifyMessage *message, const NotifyServices *services,
     NotifyRequest *request)
{
	AUTO_BUF(text, TEXT_MAX);
	AUTO_FREE char *title = notify_title(message);
	AUTO_FREE char *body = notify_body(message);
	AUTO_FREE char *encoded = mem_alloc(BASE64_TEXT_SIZE(strlen(body)));

	buf_printf(&text, "From: %s\nTo: %s\n", services->mail_from, target->address);
	put_subject(title, &text);
	put_date(message->at, &text);
	buf_puts(&text, "MIME-Version: 1.0\n" PLAIN_HEADER "\nContent-Transfer-Encoding: base64\n"
	                "Auto-Submitted: auto-generated\n");
	if (is_bad_news(message))
		buf_puts(&text, "Importance: high\n");
	buf_putc(&text, '\n');
	base64_encode(body, strlen(body), encoded);
	for (const char *line = encoded; *line != '\0';)
	{
		int length = (int) (strlen(line) < 76 ? strlen(line) : 76);

		buf_printf(&text, "%.*s\n", length, line);
		line += length;
	}
	request->url = mem_strdup(services->smtp_url);
	request->body = services->smtp_url != NULL ? with_crlf(text.data) : buf_steal(&text);
}

/*
 * As healthchecks.io has it, and others after it: the address alone is "all is well", with "/fail" it is not, and
 * "/start" that it is being looked at: where nothing follows that in time, whoever looks hangs.  A body is kept for
 * whoever reads it there (healthchecks.io/docs/http_api, /docs/measuring_script_run_time).
 */
static void
heartbeat(const NotifyTarget *target, const NotifyMessage *message, NotifyRequest *request)
{
	static const char *const ends[NOTIFY_EVENTS] = {
		[NOTIFY_FAILED] = "/fail", [NOTIFY_TEST] = "/fail", [NOTIFY_STARTED] = "/start"};
	const char *appended = ends[message->event];
	size_t path = strcspn(target->secret, "?#");
	size_t end = path;

	while (end > 0 && target->secret[end - 1] == '/')
		end--;
	request->url = appended == NULL
	                   ? mem_strdup(target->secret)
	                   : mem_printf("%.*s%s%s", (int) end, target->secret, appended, target->secret + path);
	request->body = plain_text(message);
	strlist_add(&request->headers, PLAIN_HEADER);
}

static void
program(const NotifyMessage *message, NotifyRequest *request)
{
	AUTO(Json) root = as_json(message);
	AUTO_FREE char *line = json_text(root, true);

	request->body = mem_printf("%s\n", line);
}

void
notify_request_make(const NotifyTarget *target, const NotifyMessage *message, const NotifyServices *services,
                    NotifyRequest *ret_request)
{
	*ret_request = (NotifyRequest){0};
	switch (target->kind)
	{
		case NOTIFY_TELEGRAM:
			telegram(target, message, services, ret_request);
			break;
		case NOTIFY_SLACK:
			slack(target, message, ret_request);
			break;
		case NOTIFY_DISCORD:
			discord(target, message, ret_request);
			break;
		case NOTIFY_MATTERMOST:
			mattermost(target, message, ret_request);
			break;
		case NOTIFY_NTFY:
			ntfy(target, message, ret_request);
			break;
		case NOTIFY_WEBHOOK:
			webhook(target, message, ret_request);
			break;
		case NOTIFY_PAGERDUTY:
			pagerduty(target, message, services, ret_request);
			break;
		case NOTIFY_MAILTO:
			mail(target, message, services, ret_request);
			break;
		case NOTIFY_EXEC:
			program(message, ret_request);
			break;
		case NOTIFY_HEARTBEAT:
			heartbeat(target, message, ret_request);
			break;
	}
}

void
notify_request_release(NotifyRequest *request)
{
	secret_free(request->url);
	strlist_release(&request->headers);
	secret_free(request->body); /* PagerDuty's key is in there */
	*request = (NotifyRequest){0};
}
