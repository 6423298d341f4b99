/*
 * walship notifier: the process that sends what the targets of "notify" do not have yet;
 * started by the commands.
 */
#include "commands.h"
#include "notify_context.h"

/* A service may be away for some minutes.  What it does not have then a later command's process sends. */
#define GOES_ON_MS (10 * 60 * INT64_C(1000))
#define CONNECT_MS 10000
#define STALL_MS   20000

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO_NOTIFY_CONTEXT notify = {0};
	int64_t until_ms = clock_monotonic_ms() + GOES_ON_MS;

	TRY(notify_context_init(settings, &notify));
	notify_context_prepare(settings, &notify);
	notify.sender.patience = (Patience){.connect_ms = CONNECT_MS,
	                                    .stall_ms = STALL_MS,
	                                    .retry_until_ms = until_ms,
	                                    .abort_at_ms = until_ms + STALL_MS,
	                                    .quiet = true};
	return notify_send_waiting(&notify.notes, &notify.sender, &notify.targets, &notify.troubles, until_ms);
}

/* Never a death by signal, and never more than 1: whoever has adopted it must not take it for a crash. */
static int
error_status(const Invocation *invocation, const Error *error)
{
	(void) invocation;
	return error_is(error, ERR_CANCELLED) ? 0 : 1;
}

const Command command_notifier = {
	.name = "notifier",
	.summary = "sends what the targets of \"notify\" do not have yet; started by the commands",
	.arguments = "",
	.description =
		"Started by a command whose message a target did not take. It goes on for ten minutes, and leaves by\n"
		"itself: docs/operations.md, \"Alarms\".",
	.hidden = true,
	.error_status = error_status,
	.run = run,
};
