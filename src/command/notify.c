/* walship notify test: do those hear of it who should? */
#include <string.h>

#include "commands.h"
#include "notify_context.h"
#include "table.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"

#define STATUS_CHECKS_FAILED 8
#define REPORT_FORMAT        1
#define CONNECT_MS           10000
#define ATTEMPT_MOST_MS      20000

static const CommandOption options[] = {
	{"json", OPTION_FLAG, NULL, "print the answers as JSON"},
};

static void
print_text(const NotifyTargets *targets, const NotifyAnswers *answers, size_t failed)
{
	if (failed == 0)
		print_line(stdout, "All %zu targets took the test message.", targets->count);
	else
		print_line(stdout, "%zu of %zu targets did not take the test message.", failed, targets->count);
	(void) fputs("\n", stdout);
	for (size_t i = 0; i < targets->count; i++)
	{
		const Error *error = answers->errors[i];

		print_line(stdout, "%-4s  %s  %s", error == NULL ? "OK" : "FAIL", targets->items[i].name,
		           error == NULL ? answers->texts[i] : error_message(error));
		if (error != NULL && error_get_hint(error) != NULL)
			print_line(stdout, "      %s", error_get_hint(error));
	}
}

static void
print_json(const NotifyTargets *targets, const NotifyAnswers *answers, size_t failed)
{
	AUTO(Json) root = json_new_object();
	Json *list;

	json_add_int(root, "format", REPORT_FORMAT);
	list = json_add_array(root, "targets");
	for (size_t i = 0; i < targets->count; i++)
	{
		const Error *error = answers->errors[i];
		Json *item = json_add_object(list, NULL);

		json_add_string(item, "target", targets->items[i].name);
		json_add_bool(item, "ok", error == NULL);
		json_add_string(item, "answer", error == NULL ? answers->texts[i] : error_message(error));
		if (error != NULL && error_get_hint(error) != NULL)
			json_add_string(item, "hint", error_get_hint(error));
	}
	json_add_bool(root, "ok", failed == 0);
	print_object(root, stdout);
}

static Error *
test(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO_NOTIFY_CONTEXT notify = {0};
	AUTO_NOTIFY_MESSAGE message = {.event = NOTIFY_TEST,
	                               .item = mem_strdup("notify"),
	                               .key = mem_strdup("notify"),
	                               .host = notify_host(),
	                               .cluster = notify_text(settings_cluster(settings), NOTIFY_NAME_MAX),
	                               .store =
	                                   notify_text(settings_text(settings, SETTING_store), NOTIFY_NAME_MAX),
	                               .at = clock_now(),
	                               .since = TIME_NONE,
	                               .reason = mem_strdup("This is a test: nothing is wrong."),
	                               .help = mem_strdup("walship check")};
	size_t failed = 0;

	if (!settings_is_set(settings, SETTING_notify) && !settings_is_set(settings, SETTING_heartbeat_url))
		return error_hint(error_new(ERR_USAGE, "setting \"notify\" is not set, so nobody is told anything"),
		                  "Write targets into the settings file: docs/operations.md, \"Alarms\".");
	TRY(notify_context_init(settings, &notify));
	if (settings_is_set(settings, SETTING_heartbeat_url))
		notify.targets.items[notify.targets.count++] =
			notify_target_heartbeat(settings_text(settings, SETTING_heartbeat_url));
	notify_context_prepare(settings, &notify);
	notify.sender.patience = (Patience){
		.connect_ms = CONNECT_MS, .attempts = 1, .abort_at_ms = clock_monotonic_ms() + ATTEMPT_MOST_MS};
	notify_send_all(&notify.sender, &notify.targets, NULL, &message, &notify.troubles, NULL, NULL);
	TRY(cancel_check());
	for (size_t i = 0; i < notify.targets.count; i++)
		failed += notify.troubles.errors[i] != NULL;
	if (invocation_flag(invocation, "json"))
		print_json(&notify.targets, &notify.troubles, failed);
	else
		print_text(&notify.targets, &notify.troubles, failed);
	if (failed > 0)
		invocation_set_status(invocation, STATUS_CHECKS_FAILED);
	return NULL;
}

static Error *
run(Invocation *invocation)
{
	const char *what = invocation_argument(invocation, 0);

	if (strcmp(what, "test") == 0)
		return test(invocation);
	return error_hint(error_new(ERR_USAGE, "\"%s\" is nothing that notify does", what),
	                  "Write: walship notify test");
}

const Command command_notify = {
	.name = "notify",
	.summary = "sends a test message to everybody who is told of failures",
	.arguments = "test",
	.description =
		"Sends a message to each target of the setting \"notify\", and a failure to \"heartbeat_url\", once, and shows\n"
		"what they answer. The real ones are sent by the commands themselves: docs/operations.md, \"Alarms\".\n"
		"Exit 8: a target did not take it.",
	.examples = "  walship notify test\n"
				"  walship notify test --notify 'exec:/usr/local/bin/alarm'\n",
	.statuses = "0 2 8",
	.n_arguments = 1,
	.options = options,
	.n_options = lengthof(options),
	.run = run,
};
