/*
 * Telling what became of a command.  It is noted in state_dir what there is to tell;
 * the command then makes one attempt of its own, for where it runs (a unit of systemd, a
 * container) all other processes may end with it.  What is left then is sent by a process
 * that nobody waits for, walship notifier, or by the one of a later command.
 */
#include "outcome.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "context.h"
#include "invocation.h"
#include "notify_context.h"
#include "walship/base/crc32c.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pg/pgdata.h"
#include "walship/ship/detach.h"

#define CONNECT_MS 1500
#define FLAGS_MAX  4096
#define APART_MAX  16384

/*
 * What was only planned or shown has no outcome, nor what somebody does by hand who waits for it.  Nor has what was
 * ended at a terminal, or by a server that stops; a timer's job that was ended has one.  Nagios tells itself, and its
 * exit codes are not ours.
 */
static bool
has_outcome(const Invocation *invocation, const Error *error)
{
	static const char *const without[] = {"dry-run", "plan", "list", "restore", "nagios"};

	for (size_t i = 0; i < lengthof(without); i++)
		if (invocation_flag(invocation, without[i]))
			return false;
	if (error_is(error, ERR_CANCELLED))
		return invocation->command->tells != TELLS_LATER && !isatty(STDERR_FILENO);
	return true;
}

/* Of push the one whose WAL it is, of the others the setting's; NULL: not known.  The caller frees. */
static char *
data_directory(const Invocation *invocation)
{
	if (invocation->command->tells == TELLS_LATER)
		return pgdata_of(invocation_argument(invocation, 0));
	return mem_strdup(settings_text(invocation->settings, SETTING_pgdata));
}

static bool
has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (; *words != '\0'; words += strcspn(words, " "), words += strspn(words, " "))
		if (strcspn(words, " ") == length && strncmp(words, word, length) == 0)
			return true;
	return false;
}

/*
 * "check", "push-1f2e3d4c": one that looks at a part, or goes elsewhere, is not the end of another one's failure.  So of
 * push the server, of other commands their arguments and the options that the row names.
 */
static char *
key_of(const Invocation *invocation, const char *pgdata)
{
	const Command *command = invocation->command;
	AUTO_BUF(apart, APART_MAX);

	if (command->tells == TELLS_LATER)
		buf_puts(&apart, pgdata == NULL ? "" : pgdata);
	for (int i = 0; command->tells != TELLS_LATER && invocation_argument(invocation, i) != NULL; i++)
		buf_printf(&apart, "%s\n", invocation_argument(invocation, i));
	for (size_t i = 0; i < invocation->n_given; i++)
	{
		const GivenOption *given = &invocation->given[i];

		if (command->tells_apart != NULL && has_word(command->tells_apart, given->option->name))
			buf_printf(&apart, "--%s=%s\n", given->option->name, given->value == NULL ? "" : given->value);
	}
	if (apart.size == 0)
		return mem_strdup(command->name);
	return mem_printf("%s-%08" PRIx32, command->name, crc32c(0, apart.data, apart.size));
}

static NotifyMessage
message_of(const Invocation *invocation, const Error *error, int status, const char *pgdata)
{
	const Settings *settings = invocation->settings;
	const char *cluster = settings_cluster(settings) != NULL ? settings_cluster(settings) : pgdata;
	const char *reason = error != NULL ? error_message(error) : invocation->summary;
	AUTO_BUF(flags, FLAGS_MAX);

	invocation_append_flags(invocation, &flags);

	AUTO_FREE char *help =
		mem_printf("walship %s%s", invocation->command->tells_more, flags.data == NULL ? "" : flags.data);

	return (NotifyMessage){
		.item = mem_strdup(invocation->command->name),
		.key = key_of(invocation, pgdata),
		.host = notify_host(),
		.cluster = notify_text(cluster, NOTIFY_NAME_MAX),
		.store = notify_text(settings_text(settings, SETTING_store), NOTIFY_NAME_MAX),
		.at = clock_now(),
		.since = TIME_NONE,
		.exit_status = status,
		.reason = notify_text(reason, NOTIFY_REASON_MAX),
		.hint = notify_text(error == NULL ? NULL : error_get_hint(error), NOTIFY_HINT_MAX),
		.help = notify_text(help, NOTIFY_HELP_MAX),
	};
}

/* By this process, and not for long. */
static void
send_first(const Invocation *invocation, NotifyContext *notify, const NotifyMessage *message, bool noted,
           size_t *ret_left)
{
	AUTO_NOTIFY_ANSWERS answers = {0};

	notify_context_prepare(invocation->settings, notify);
	for (size_t i = 0; i < notify->targets.count; i++)
		answers.errors[i] = MOVE(notify->troubles.errors[i]);
	notify->sender.patience = (Patience){.connect_ms = CONNECT_MS,
	                                     .attempts = 1,
	                                     .abort_at_ms = clock_monotonic_ms() + NOTIFY_FIRST_MS,
	                                     .even_when_cancelled = true};
	notify_deliver(&notify->notes, &notify->sender, &notify->targets, message, &answers, ret_left);
	for (size_t i = 0; i < notify->targets.count; i++)
		if (answers.errors[i] != NULL)
			log_line(LOG_WARNING, noted ? "It will be tried again." : error_get_hint(answers.errors[i]),
			         "could not notify \"%s\": %s", notify->targets.items[i].name,
			         error_message(answers.errors[i]));
}

/*
 * The process that goes on.  Where it would be adopted by the server it does not come
 * to be: *ret_started is false.  Where one runs there is none to start.
 */
static Error *
start_notifier(const Invocation *invocation, const NotifyNotes *notes, const char *pgdata, bool *ret_started)
{
	AUTO_STRLIST words = {0};
	AUTO_CLOSE int lock = -1;
	AUTO_FREE char **argv = NULL;
	pid_t postmaster = 0;
	Error *error = notify_lock(notes, &lock);

	*ret_started = error_is(error, ERR_TRANSIENT);
	if (*ret_started)
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	strlist_add(&words, "walship");
	strlist_add(&words, "notifier");
	invocation_list_sources(invocation, &words);
	argv = NEW_ARRAY(char *, words.count + 1);
	for (size_t i = 0; i < words.count; i++)
		argv[i] = words.items[i];
	if (pgdata != NULL)
		(void) postmaster_of(pgdata, &postmaster);
	return detach_start(argv, lock, postmaster, ret_started);
}

static Error *
tell(const Invocation *invocation, const Error *error, int status)
{
	bool later = invocation->command->tells == TELLS_LATER;
	AUTO_FREE char *pgdata = data_directory(invocation);
	AUTO_NOTIFY_MESSAGE message = message_of(invocation, error, status, pgdata);
	AUTO_NOTIFY_CONTEXT notify = {0};
	bool told = false;
	bool due = false;
	bool started = false;
	size_t left = 0;

	TRY(notify_context_init(invocation->settings, &notify));
	if (later)
		notify.policy.alarm_after_ms = settings_ms(invocation->settings, SETTING_push_alarm_after);

	Error *unnoted = notify_decide(&notify.notes, &notify.policy, &notify.targets, &message, &told, &due);

	if (told && !later)
		send_first(invocation, &notify, &message, unnoted == NULL, &left);
	TRY(unnoted);

	/* What is left; of earlier commands, too, and of push where it could not be sent. */
	if (later ? !due : left == 0 && !notify_items_claim_due(&notify.notes, message.at))
		return NULL;
	TRY(start_notifier(invocation, &notify.notes, pgdata, &started));

	/* In a container whose PID 1 is the postmaster.  Better a push that takes two seconds, once, than no alarm. */
	if (told && later && !started)
		send_first(invocation, &notify, &message, true, &left);
	return NULL;
}

/* Of the whole, or not at all: what only a part was looked at says nothing of. */
static bool
beats(const Invocation *invocation)
{
	return invocation->settings != NULL && invocation->command->beats &&
	       settings_is_set(invocation->settings, SETTING_heartbeat_url) &&
	       !invocation_flag(invocation, "store-only");
}

static Error *
send_beat(const Invocation *invocation, const NotifyMessage *message)
{
	AUTO_NOTIFY_CONTEXT heartbeat = {0};

	notify_context_init_heartbeat(invocation->settings, &heartbeat);
	notify_context_prepare(invocation->settings, &heartbeat);
	heartbeat.sender.patience = (Patience){.connect_ms = CONNECT_MS,
	                                       .retry_ms = NOTIFY_FIRST_MS,
	                                       .abort_at_ms = clock_monotonic_ms() + NOTIFY_FIRST_MS};
	notify_send_all(&heartbeat.sender, &heartbeat.targets, NULL, message, &heartbeat.troubles, NULL, NULL);
	return MOVE(heartbeat.troubles.errors[0]);
}

typedef struct StartPing
{
	const Invocation *invocation;
	NotifyMessage message;
} StartPing;

/* One that does not arrive is no trouble: not all services know it, and the verdict says what counts. */
static void *
send_start(void *argument)
{
	StartPing *ping = argument;
	AUTO(Error) error = send_beat(ping->invocation, &ping->message);

	if (error != NULL)
		log_line(LOG_DEBUG, NULL, "could not ping \"heartbeat_url\" at the start: %s", error_message(error));
	notify_message_release(&ping->message);
	free(ping);
	return NULL;
}

/* The message is made before the work goes on, which may say by then what came of it. */
void
outcome_begin(Invocation *invocation)
{
	if (!beats(invocation) || !has_outcome(invocation, NULL))
		return;

	AUTO_FREE char *pgdata = data_directory(invocation);
	StartPing *ping = NEW(StartPing);
	AUTO(Error) error = NULL;

	*ping = (StartPing){invocation, message_of(invocation, NULL, 0, pgdata)};
	ping->message.event = NOTIFY_STARTED;
	error = thread_start(send_start, ping, &invocation->start_thread);
	invocation->has_start_thread = error == NULL;
	if (error == NULL)
		return;
	notify_message_release(&ping->message);
	free(ping);
}

/* One that does not arrive is not made up for: the next verdict sends its own, and what listens waits for more than one. */
static void
ping_heartbeat(const Invocation *invocation, const Error *error, int status)
{
	AUTO_FREE char *pgdata = data_directory(invocation);
	AUTO_NOTIFY_MESSAGE message = message_of(invocation, error, status, pgdata);

	message.event = status == 0 ? NOTIFY_SUCCEEDED : NOTIFY_FAILED;

	AUTO(Error) trouble = send_beat(invocation, &message);

	if (trouble != NULL)
		log_line(LOG_WARNING, error_get_hint(trouble), "could not ping \"heartbeat_url\": %s",
		         error_message(trouble));
}

void
outcome_tell(Invocation *invocation, const Error *error, int status)
{
	AUTO(Error) trouble = NULL;

	/* What was begun comes before what came of it. */
	if (invocation->has_start_thread)
		(void) pthread_join(invocation->start_thread, NULL);
	invocation->has_start_thread = false;
	if (invocation->settings == NULL || !has_outcome(invocation, error))
		return;
	if (beats(invocation))
		ping_heartbeat(invocation, error, status);
	if (invocation->command->tells != TELLS_NOBODY && settings_is_set(invocation->settings, SETTING_notify))
		trouble = tell(invocation, error, status);
	if (trouble != NULL)
		log_line(LOG_WARNING, error_get_hint(trouble), "could not notify: %s", error_message(trouble));
}
