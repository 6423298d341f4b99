/* What each kind of target is sent, byte for byte, and how targets are written. */
#include "scratch.h"
#include "walship/notify/request.h"

#define AT    (INT64_C(1796013007) * 1000000) /* 2026-11-30 04:30:07 UTC, a Monday */
#define SINCE (AT - INT64_C(7200) * 1000000)

static const NotifyServices services = {.telegram_url = "https://api.telegram.org",
                                        .pagerduty_url = "https://events.pagerduty.com",
                                        .mail_from = "walship@db1"};

static NotifyMessage
failed(void)
{
	return (NotifyMessage){.event = NOTIFY_FAILED,
	                       .item = (char *) "backup",
	                       .key = (char *) "backup-01234567",
	                       .host = (char *) "db1",
	                       .cluster = (char *) "billing",
	                       .store = (char *) "s3://bucket/prefix",
	                       .at = AT,
	                       .since = SINCE,
	                       .failures = 3,
	                       .exit_status = 4,
	                       .reason = (char *) "could not reach \"s3.example.com\": <timed out> & `gone`",
	                       .hint = (char *) "Does the service run?",
	                       .help = (char *) "walship check --cluster='billing'"};
}

#define TITLE "walship: backup failed on db1 (billing)"

static NotifyMessage
recovered(void)
{
	return (NotifyMessage){.event = NOTIFY_RECOVERED,
	                       .item = (char *) "backup",
	                       .key = (char *) "backup-01234567",
	                       .host = (char *) "db\xC3\xBC",
	                       .at = AT,
	                       .since = SINCE,
	                       .failures = 1,
	                       .help = (char *) "walship check"};
}

typedef struct RequestRow
{
	const char *target;
	const char *secret; /* NULL: the address */
	NotifyMessage (*message)(void);
	const char *url;
	const char *headers; /* each with a line feed */
	const char *body;
} RequestRow;

#define JSON     "Content-Type: application/json\n"
#define REASON   "could not reach \\\"s3.example.com\\\": <timed out> & `gone`"
#define REASON_Q "could not reach \\\"s3.example.com\\\": <timed out> & 'gone'"
#define SLACK    "could not reach \\\"s3.example.com\\\": &lt;timed out&gt; &amp; `gone`"
#define REST                                                                                               \
	"\\nhint: Does the service run?\\nfailing since 2026-11-30 02:30:07+00, 3 times so far\\nexit code: 4" \
	"\\nstore: s3://bucket/prefix\\nsee: walship check --cluster='billing'\\n"
#define AGAIN "failed from 2026-11-30 02:30:07+00 to 2026-11-30 04:30:07+00, 1 time\nsee: walship check\n"
#define AGAIN_JSON \
	"failed from 2026-11-30 02:30:07+00 to 2026-11-30 04:30:07+00, 1 time\\nsee: walship check\\n"
#define MEMBERS                                                                                                                    \
	"{\"format\":1,\"event\":\"failed\",\"item\":\"backup\",\"key\":\"backup-01234567\",\"host\":\"db1\",\"cluster\":\"billing\"," \
	"\"store\":\"s3://bucket/prefix\",\"time\":\"2026-11-30T04:30:07Z\",\"since\":\"2026-11-30T02:30:07Z\","                       \
	"\"failures\":3,\"exit_status\":4,\"reason\":\"" REASON "\",\"hint\":\"Does the service run?\","                               \
	"\"command\":\"walship check --cluster='billing'\",\"title\":\"" TITLE "\",\"text\":\"" REASON REST                            \
	"\"}"

static const RequestRow rows[] = {
	{"telegram:-1001234", "123456:ABC", failed, "https://api.telegram.org/bot123456:ABC/sendMessage", JSON,
     "{\"chat_id\":\"-1001234\",\"text\":\"" TITLE "\\n" REASON REST "\",\"disable_notification\":false}"},
	{"telegram:@ops_channel", "123456:ABC", recovered, "https://api.telegram.org/bot123456:ABC/sendMessage",
     JSON,
     "{\"chat_id\":\"@ops_channel\",\"text\":\"walship: backup works again on db\xC3\xBC\\n" AGAIN_JSON
     "\",\"disable_notification\":true}"},
	{"slack:/etc/walship/slack", "https://hooks.slack.com/services/T/B/X", failed,
     "https://hooks.slack.com/services/T/B/X", JSON, "{\"text\":\"" TITLE "\\n" SLACK REST "\"}"},
	{"discord:/etc/walship/discord", "https://discord.com/api/webhooks/1/x", failed,
     "https://discord.com/api/webhooks/1/x", JSON,
     "{\"content\":\"" TITLE "\\n```\\n" REASON_Q REST "```\",\"allowed_mentions\":{\"parse\":[]}}"},
	{"mattermost:/etc/walship/mattermost", "https://chat.example.com/hooks/x", failed,
     "https://chat.example.com/hooks/x", JSON, "{\"text\":\"" TITLE "\\n```\\n" REASON_Q REST "```\"}"},
	{"ntfy:https://ntfy.example.com/ops", NULL, failed, "https://ntfy.example.com/ops",
     "Content-Type: text/plain; charset=utf-8\nTitle: " TITLE "\nPriority: high\nTags: rotating_light\n",
     "could not reach \"s3.example.com\": <timed out> & `gone`\nhint: Does the service run?\n"
     "failing since 2026-11-30 02:30:07+00, 3 times so far\nexit code: 4\nstore: s3://bucket/prefix\n"
     "see: walship check --cluster='billing'\n"},
	{"ntfy:https://ntfy.example.com/ops", NULL, recovered, "https://ntfy.example.com/ops",
     "Content-Type: text/plain; charset=utf-8\nTitle: walship: backup works again on db??\nPriority: default\n"
     "Tags: white_check_mark\n",
     AGAIN},
	{"webhook:https://hooks.example.com/x?y=1", NULL, failed, "https://hooks.example.com/x?y=1", JSON,
     MEMBERS},
	{"webhook:/etc/walship/webhook", "http://127.0.0.1:8080/", failed, "http://127.0.0.1:8080/", JSON,
     MEMBERS},
	{"exec:/usr/local/bin/alarm", NULL, failed, NULL, "", MEMBERS "\n"},
	{"pagerduty:/etc/walship/pagerduty", "0123456789abcdef", failed,
     "https://events.pagerduty.com/v2/enqueue", JSON,
     "{\"routing_key\":\"0123456789abcdef\",\"event_action\":\"trigger\",\"dedup_key\":\"walship/db1/billing/backup-01234567\","
     "\"payload\":{\"summary\":\"" TITLE "\",\"source\":\"db1\",\"severity\":\"error\","
     "\"timestamp\":\"2026-11-30T04:30:07Z\",\"component\":\"backup\",\"group\":\"billing\","
     "\"custom_details\":{\"text\":\"" REASON REST "\"}}}"},
	{"pagerduty:/etc/walship/pagerduty", "0123456789abcdef", recovered,
     "https://events.pagerduty.com/v2/enqueue", JSON,
     "{\"routing_key\":\"0123456789abcdef\",\"event_action\":\"resolve\",\"dedup_key\":\"walship/db\xC3\xBC//backup-01234567\","
     "\"payload\":{\"summary\":\"walship: backup works again on db\xC3\xBC\",\"source\":\"db\xC3\xBC\","
     "\"severity\":\"info\",\"timestamp\":\"2026-11-30T04:30:07Z\",\"component\":\"backup\","
     "\"custom_details\":{\"text\":\"" AGAIN_JSON "\"}}}"},
	{"mailto:ops@example.com", NULL, recovered, NULL, "",
     "From: walship@db1\nTo: ops@example.com\n"
     "Subject: =?UTF-8?B?d2Fsc2hpcDogYmFja3VwIHdvcmtzIGFnYWluIG9uIGRiw7w=?=\n"
     "Date: Mon, 30 Nov 2026 04:30:07 +0000\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
     "Content-Transfer-Encoding: base64\nAuto-Submitted: auto-generated\n\n"
     "ZmFpbGVkIGZyb20gMjAyNi0xMS0zMCAwMjozMDowNyswMCB0byAyMDI2LTExLTMwIDA0OjMwOjA3\n"
     "KzAwLCAxIHRpbWUKc2VlOiB3YWxzaGlwIGNoZWNrCg==\n"},
};

static NotifyMessage
succeeded(void)
{
	return (NotifyMessage){.event = NOTIFY_SUCCEEDED,
	                       .item = (char *) "check",
	                       .key = (char *) "check",
	                       .host = (char *) "db1",
	                       .at = AT,
	                       .since = TIME_NONE,
	                       .reason = (char *) "Everything is in place",
	                       .help = (char *) "walship check"};
}

#define HOSTILE "@everyone <!channel> <https://evil|x> `a` **b**\r\nBcc: evil@example.com\n.\n\x1b[31m\xff"

/* As long as texts can be, of characters of three bytes, and hostile. */
static char *
long_text(size_t most)
{
	size_t size = 300 * 1024;
	char *raw = mem_alloc(size + 1);

	for (size_t i = 0; i < size; i++)
		raw[i] = "\xE2\x82\xAC"[i % 3];
	(void) memcpy(raw, HOSTILE, strlen(HOSTILE) - 1);
	raw[size] = '\0';

	char *text = notify_text(raw, most);

	free(raw);
	return text;
}

static void
test_nothing_in_a_text_is_more_than_text(void **state)
{
	static const struct
	{
		const char *target;
		const char *secret;
		size_t most; /* bytes that the service takes, or ours are allowed to be */
	} services_of[] = {
		{"telegram:-1", "1:A", 4096 + 512},        {"slack:/f", "https://slack/x", 40000},
		{"discord:/f", "https://discord/x", 4096}, {"mattermost:/f", "https://chat/x", 16383},
		{"ntfy:https://ntfy/x", NULL, 4096},       {"webhook:https://w/x", NULL, 65536},
		{"pagerduty:/f", "key", 512 * 1024},       {"mailto:ops@example.com", NULL, 65536},
		{"exec:/bin/alarm", NULL, 65536 / 2},
	};
	NotifyMessage message = failed();

	(void) state;
	message.host = long_text(NOTIFY_NAME_MAX);
	message.cluster = long_text(NOTIFY_NAME_MAX);
	message.store = long_text(NOTIFY_NAME_MAX);
	message.reason = long_text(NOTIFY_REASON_MAX);
	message.hint = long_text(NOTIFY_HINT_MAX);
	message.help = long_text(NOTIFY_HELP_MAX);
	for (size_t i = 0; i < lengthof(services_of); i++)
	{
		AUTO_NOTIFY_TARGETS targets = {0};
		AUTO_NOTIFY_REQUEST request = {0};

		assert_ok(notify_targets_parse(services_of[i].target, &targets));
		targets.items[0].secret =
			mem_strdup(services_of[i].secret != NULL ? services_of[i].secret : targets.items[0].address);
		notify_request_make(&targets.items[0], &message, &services, &request);
		assert_in_range(strlen(request.body), 1, services_of[i].most);
		for (size_t k = 0; k < request.headers.count; k++)
			assert_null(strpbrk(request.headers.items[k], "\r\n"));
		assert_null(strchr(request.body, '\x1b'));
		assert_null(strchr(request.body, '\r'));
		assert_null(strstr(request.body, "\nBcc:"));
		if (targets.items[0].kind == NOTIFY_SLACK)
			assert_null(strchr(request.body, '<'));
		if (targets.items[0].kind == NOTIFY_DISCORD)
		{
			assert_non_null(strstr(request.body, "...```\",\"allowed_mentions\":{\"parse\":[]}}"));
			assert_null(strstr(strstr(request.body, "```") + 3, "`a`"));
		}
		if (targets.items[0].kind == NOTIFY_DISCORD || targets.items[0].kind == NOTIFY_MATTERMOST)
			assert_in_range(strstr(request.body, "@everyone") - request.body, /* within the code */
			                strstr(request.body, "```") - request.body, strlen(request.body));
	}
	free(message.host);
	free(message.cluster);
	free(message.store);
	free(message.reason);
	free(message.hint);
	free(message.help);
}

static NotifyMessage
started(void)
{
	NotifyMessage message = succeeded();

	message.event = NOTIFY_STARTED;
	message.reason = NULL;
	return message;
}

static void
test_a_heartbeat_is_its_url_alone_while_all_is_well(void **state)
{
	static const struct
	{
		NotifyMessage (*message)(void);
		const char *secret;
		const char *url;
	} beats[] = {
		{succeeded, "https://hc-ping.com/5f1", "https://hc-ping.com/5f1"},
		{recovered, "https://hc-ping.com/5f1?rid=7", "https://hc-ping.com/5f1?rid=7"},
		{failed, "https://hc-ping.com/5f1", "https://hc-ping.com/5f1/fail"},
		{failed, "https://hc-ping.com/key/slug/", "https://hc-ping.com/key/slug/fail"},
		{failed, "https://hc-ping.com/key/slug?create=1", "https://hc-ping.com/key/slug/fail?create=1"},
		{started, "https://hc-ping.com/key/slug?create=1", "https://hc-ping.com/key/slug/start?create=1"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(beats); i++)
	{
		AUTO_NOTIFY_TARGETS targets = {.items = {notify_target_heartbeat("/f")}, .count = 1};
		AUTO_NOTIFY_REQUEST request = {0};
		NotifyMessage message = beats[i].message();

		assert_true(targets.items[0].in_file);
		assert_string_equal(targets.items[0].name, "heartbeat");
		targets.items[0].secret = mem_strdup(beats[i].secret);
		assert_ok(notify_target_check(&targets.items[0]));
		notify_request_make(&targets.items[0], &message, &services, &request);
		assert_string_equal(request.url, beats[i].url);
		assert_int_equal(request.headers.count, 1);
		if (beats[i].message == succeeded)
			assert_string_equal(request.body, "walship: check succeeded on db1\nEverything is in place\n"
			                                  "time: 2026-11-30 04:30:07+00\nsee: walship check\n");
	}
}

static void
test_every_target_is_sent_these_bytes(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_NOTIFY_TARGETS targets = {0};
		AUTO_NOTIFY_REQUEST request = {0};
		AUTO_BUF(headers, 4096);
		NotifyMessage message = rows[i].message();

		print_message("%s\n", rows[i].target);
		assert_ok(notify_targets_parse(rows[i].target, &targets));
		assert_int_equal(targets.count, 1);
		assert_true(targets.items[0].in_file ==
		            (rows[i].secret != NULL && targets.items[0].kind != NOTIFY_TELEGRAM));
		targets.items[0].secret =
			mem_strdup(rows[i].secret != NULL ? rows[i].secret : targets.items[0].address);
		assert_ok(notify_target_check(&targets.items[0]));
		notify_request_make(&targets.items[0], &message, &services, &request);
		buf_puts(&headers, "");
		for (size_t k = 0; k < request.headers.count; k++)
			buf_printf(&headers, "%s\n", request.headers.items[k]);
		if (rows[i].url == NULL)
			assert_null(request.url);
		else
			assert_string_equal(request.url, rows[i].url);
		assert_string_equal(headers.data, rows[i].headers);
		assert_string_equal(request.body, rows[i].body);
	}
}

static void
test_a_long_subject_is_cut_into_words_between_characters(void **state)
{
	AUTO_NOTIFY_TARGETS targets = {0};
	AUTO_NOTIFY_REQUEST request = {0};
	NotifyMessage message = recovered();

	(void) state;
	message.cluster = (char *) "\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4";
	assert_ok(notify_targets_parse("mailto:a@b", &targets));
	notify_request_make(&targets.items[0], &message, &services, &request);
	/* "walship: backup works again on dbü (ääääää" has 45 bytes if the last character were cut in two. */
	assert_non_null(strstr(
		request.body, "Subject: =?UTF-8?B?d2Fsc2hpcDogYmFja3VwIHdvcmtzIGFnYWluIG9uIGRiw7wgKMOkw6TDpMOk?=\n"
					  " =?UTF-8?B?w6TDpMOkw6Qp?=\n"));
}

static void
test_mail_by_smtp_has_its_line_ends(void **state)
{
	NotifyServices smtp = services;
	AUTO_NOTIFY_TARGETS targets = {0};
	AUTO_NOTIFY_REQUEST request = {0};
	NotifyMessage message = failed();

	(void) state;
	smtp.smtp_url = "smtps://mail.example.com";
	assert_ok(notify_targets_parse("mailto:ops@example.com", &targets));
	notify_request_make(&targets.items[0], &message, &smtp, &request);
	assert_string_equal(request.url, "smtps://mail.example.com");
	assert_non_null(
		strstr(request.body, "From: walship@db1\r\nTo: ops@example.com\r\nSubject: " TITLE "\r\n"));
	assert_non_null(strstr(request.body, "\r\nImportance: high\r\n\r\nY291bGQg"));
	for (const char *c = request.body; *c != '\0'; c++)
		assert_true(*c != '\n' || c[-1] == '\r');
}

static void
test_targets_are_a_list(void **state)
{
	AUTO_NOTIFY_TARGETS targets = {0};
	char first[NOTIFY_TARGET_ID_SIZE];
	char second[NOTIFY_TARGET_ID_SIZE];

	(void) state;
	assert_ok(notify_targets_parse(" exec:/a, mailto:ops@example.com\texec:/b ,", &targets));
	assert_int_equal(targets.count, 3);
	assert_int_equal(targets.items[0].kind, NOTIFY_EXEC);
	assert_string_equal(targets.items[0].address, "/a");
	assert_string_equal(targets.items[1].name, "mailto:ops@example.com");
	assert_string_equal(targets.items[2].address, "/b");
	assert_string_not_equal(notify_target_id(&targets.items[0], first),
	                        notify_target_id(&targets.items[2], second));
}

static void
test_what_is_no_target_is_named_and_no_secret_is_repeated(void **state)
{
	static const struct
	{
		const char *text;
		const char *part;
	} wrong[] = {
		{"https://hooks.slack.com/services/SECRET", "target 1 is a URL, and does not say of what kind"},
		{"exec:/a smoke:/b", "target 2 is of no known kind"},
		{"slack", "target 1 is of no known kind"},
		{"slack:https://hooks.slack.com/services/SECRET", "\"slack\", is not well formed"},
		{"discord:SECRET", "\"discord\", is not well formed"},
		{"pagerduty:SECRET", "\"pagerduty\", is not well formed"},
		{"webhook:https://user:SECRET@host/", "\"webhook\", is not well formed"},
		{"webhook:ftp://host/", "\"webhook\", is not well formed"},
		{"webhook:https:///path", "\"webhook\", is not well formed"},
		{"ntfy:topic", "\"ntfy\", is not well formed"},
		{"telegram:123:SECRET", "\"telegram\", is not well formed"},
		{"telegram:", "\"telegram\", is not well formed"},
		{"mailto:ops", "\"mailto\", is not well formed"},
		{"mailto:-f@x", "\"mailto\", is not well formed"},
		{"mailto:a@b@c", "\"mailto\", is not well formed"},
		{"exec:alarm", "\"exec\", is not well formed"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(wrong); i++)
	{
		AUTO_NOTIFY_TARGETS targets = {0};
		AUTO(Error) error = notify_targets_parse(wrong[i].text, &targets);

		assert_non_null(error);
		assert_non_null(strstr(error_message(error), wrong[i].part));
		assert_null(strstr(error_message(error), "SECRET"));
		assert_non_null(error_get_hint(error));
		assert_null(strstr(error_get_hint(error), "SECRET"));
	}
}

static void
test_what_a_file_holds_is_looked_at(void **state)
{
	AUTO_NOTIFY_TARGETS targets = {0};

	(void) state;
	assert_ok(notify_targets_parse("slack:/f pagerduty:/k", &targets));
	targets.items[0].secret = mem_strdup("xoxb-SECRET");
	assert_error(notify_target_check(&targets.items[0]), ERR_USAGE, "target \"slack:/f\" has no URL");
	targets.items[1].secret = mem_strdup("SEC RET");
	assert_error(notify_target_check(&targets.items[1]), ERR_USAGE, "has a blank");
}

static void
test_texts_are_cut_between_characters_and_hold_no_controls(void **state)
{
	static const struct
	{
		const char *text;
		size_t most;
		const char *cut;
	} cuts[] = {
		{"short", 10, "short"},
		{"0123456789", 10, "0123456789"},
		{"0123456789a", 10, "0123456..."},
		{"012345\xC3\xA4xyz", 10, "012345..."},
		{"a\nb\x1B[0m", 20, "a?b?[0m"},
		{"\xFF", 20, "?"},
	};

	(void) state;
	assert_null(notify_text(NULL, 10));
	for (size_t i = 0; i < lengthof(cuts); i++)
	{
		AUTO_FREE char *cut = notify_text(cuts[i].text, cuts[i].most);

		assert_string_equal(cut, cuts[i].cut);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_target_is_sent_these_bytes),
		cmocka_unit_test(test_nothing_in_a_text_is_more_than_text),
		cmocka_unit_test(test_a_heartbeat_is_its_url_alone_while_all_is_well),
		cmocka_unit_test(test_a_long_subject_is_cut_into_words_between_characters),
		cmocka_unit_test(test_mail_by_smtp_has_its_line_ends),
		cmocka_unit_test(test_targets_are_a_list),
		cmocka_unit_test(test_what_is_no_target_is_named_and_no_secret_is_repeated),
		cmocka_unit_test(test_what_a_file_holds_is_looked_at),
		cmocka_unit_test(test_texts_are_cut_between_characters_and_hold_no_controls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
