/* Sending, by HTTP or by a program; see walship/notify/send.h. */
#include "walship/notify/send.h"

#include <fcntl.h>
#include <string.h>

#include "walship/base/child.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/http/call.h"

#define ANSWER_MAX      200 /* bytes that are shown */
#define OUTPUT_MAX      4096
#define PROGRAM_MOST_MS 60000

/* Who answers may repeat what it was asked: the secret in it is not shown. */
static char *
shown(const char *text, const char *secret)
{
	AUTO_FREE char *line = mem_strndup(text, strcspn(text, "\r\n"));
	AUTO_BUF(masked, OUTPUT_MAX);
	size_t length = secret == NULL ? 0 : strlen(secret);

	for (const char *c = line; *c != '\0';)
	{
		bool hides = length > 0 && strncmp(c, secret, length) == 0;

		if (hides)
			buf_puts(&masked, "***");
		else
			buf_putc(&masked, *c);
		c += hides ? length : 1;
	}
	return notify_text(masked.data == NULL ? "" : masked.data, ANSWER_MAX);
}

static Error *
refused(const NotifyTarget *target, const HttpResponse *response)
{
	AUTO_FREE char *text = shown(response->body.data == NULL ? "" : response->body.data, target->secret);
	ErrorKind kind = response->status == 401 || response->status == 403 ? ERR_DENIED : ERR_TRANSIENT;

	return error_new(kind, "it answered HTTP %d%s%s", response->status, text[0] == '\0' ? "" : ": ", text);
}

static Error *
check_answer(void *context, const HttpResponse *response, HttpVerdict *ret_verdict)
{
	const NotifyTarget *const *target = context;
	int status = response->status;

	/* healthchecks.io answers 200 to every address: "OK (not found)" to one that is none. */
	if (status / 100 == 2 && !((*target)->kind == NOTIFY_HEARTBEAT && response->body.data != NULL &&
	                           strstr(response->body.data, "not found") != NULL))
		return NULL;
	if (status == 429 || status == 503)
		*ret_verdict = HTTP_AGAIN_SLOWLY;
	else if (status == 408 || status / 100 == 5)
		*ret_verdict = HTTP_AGAIN;
	return refused(*target, response);
}

static Error *
parse_body(const HttpResponse *response, Json **ret_root)
{
	return json_parse(response->body.data == NULL ? "" : response->body.data, response->body.size, "answer",
	                  ret_root);
}

/*
 * Telegram and Discord say it in the body: {"parameters": {"retry_after": 7}}, {"retry_after": 1.3}.  A
 * fraction is read as no number of seconds here, and then the header counts, which Discord sends as well.
 */
static int64_t
asked_pause_s(void *context, const HttpResponse *response)
{
	AUTO(Json) root = NULL;
	AUTO(Error) error = parse_body(response, &root);
	const Json *parameters = error == NULL ? json_get(root, "parameters") : NULL;
	const Json *pause = NULL;
	int64_t seconds = 0;

	(void) context;
	if (error == NULL)
		pause = json_get(parameters != NULL && json_is_object(parameters) ? parameters : root, "retry_after");
	return pause != NULL && json_int_value(pause, &seconds) && seconds > 0 ? seconds : 0;
}

static Error *
send_by_network(const NotifySender *sender, const NotifyTarget *target, const NotifyRequest *request,
                char **ret_answer)
{
	Slice body = slice_of_memory(request->body, strlen(request->body));
	const HttpMail mail = {.from = sender->services.mail_from,
	                       .to = target->address,
	                       .user = sender->services.smtp_user,
	                       .password = sender->services.smtp_password};
	HttpCall call = {.request = {.method = "POST",
	                             .url = request->url,
	                             .headers = &request->headers,
	                             .body = &body,
	                             .n_body = 1,
	                             .has_body = true,
	                             .mail = target->kind == NOTIFY_MAILTO ? &mail : NULL,
	                             .patience = sender->patience},
	                 .check_answer = check_answer,
	                 .asked_pause_s = asked_pause_s,
	                 .context = &target};
	AUTO_RESPONSE response = {0};

	TRY(http_call(sender->client, &call, &response));

	AUTO_FREE char *text = shown(response.body.data == NULL ? "" : response.body.data, target->secret);

	*ret_answer = mem_printf("%s %d%s%s", call.request.mail != NULL ? "SMTP" : "HTTP", response.status,
	                         text[0] == '\0' ? "" : ": ", text);
	return NULL;
}

/* All of it fits into a pipe, so it is written before there is anybody who reads. */
static Error *
open_input(const char *text, int *ret_fd)
{
	AUTO_CLOSE int writer = -1;
	AUTO_CLOSE int reader = -1;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_errno("could not create a pipe");
	reader = ends[0];
	writer = ends[1];
	if (fcntl(writer, F_SETFL, O_NONBLOCK) != 0)
		return error_errno("could not prepare a pipe");
	TRY(file_write(writer, "pipe", text, strlen(text)));
	*ret_fd = reader;
	reader = -1;
	return NULL;
}

static int64_t
time_left_ms(const Patience *patience)
{
	int64_t left =
		patience->abort_at_ms == 0 ? PROGRAM_MOST_MS : patience->abort_at_ms - clock_monotonic_ms();

	return left < 0 ? 0 : left < PROGRAM_MOST_MS ? left : PROGRAM_MOST_MS;
}

static Error *
send_by_program(const NotifySender *sender, const char *const *argv, const NotifyRequest *request,
                char **ret_answer)
{
	AUTO_CLOSE int input = -1;
	AUTO_BUF(output, OUTPUT_MAX);
	int status = 0;

	TRY(open_input(request->body, &input));
	TRY(child_run(&(ChildOptions){.argv = argv, .input = input}, time_left_ms(&sender->patience), &output,
	              &status));

	AUTO_FREE char *text = shown(output.data == NULL ? "" : output.data, NULL);

	if (status != 0)
		return error_new(ERR_TRANSIENT, "program \"%s\" ended with exit code %d%s%s", argv[0], status,
		                 text[0] == '\0' ? "" : ": ", text);
	*ret_answer = mem_printf("exit code 0%s%s", text[0] == '\0' ? "" : ": ", text);
	return NULL;
}

Error *
notify_send(const NotifySender *sender, const NotifyTarget *target, const NotifyMessage *message,
            char **ret_answer)
{
	AUTO_NOTIFY_REQUEST request = {0};
	const char *const sendmail[] = {sender->services.sendmail, "-oi", "--", target->address, NULL};
	const char *const program[] = {target->address, NULL};

	*ret_answer = NULL;
	notify_request_make(target, message, &sender->services, &request);
	if (target->kind == NOTIFY_EXEC)
		return send_by_program(sender, program, &request, ret_answer);
	if (target->kind == NOTIFY_MAILTO && request.url == NULL)
		return send_by_program(sender, sendmail, &request, ret_answer);
	return send_by_network(sender, target, &request, ret_answer);
}

void
notify_answers_release(NotifyAnswers *answers)
{
	for (size_t i = 0; i < NOTIFY_TARGETS_MAX; i++)
	{
		free(answers->texts[i]);
		error_free(answers->errors[i]);
	}
	*answers = (NotifyAnswers){0};
}

/* A message on its way to all. */
typedef struct Sending
{
	const NotifySender *sender;
	const NotifyMessage *message;
	void (*delivered)(const void *context, const NotifyTarget *target);
	const void *context;
	pthread_mutex_t mutex; /* of "delivered" */
} Sending;

typedef struct SendJob
{
	Sending *sending;
	const NotifyTarget *target;
	char **ret_answer;
	Error **ret_error;
} SendJob;

/* One that fails does not keep the others from being asked. */
static Error *
send_one(void *argument)
{
	const SendJob *job = argument;
	Sending *sending = job->sending;

	*job->ret_error = notify_send(sending->sender, job->target, sending->message, job->ret_answer);
	if (*job->ret_error == NULL && sending->delivered != NULL)
	{
		(void) pthread_mutex_lock(&sending->mutex);
		sending->delivered(sending->context, job->target);
		(void) pthread_mutex_unlock(&sending->mutex);
	}
	return NULL;
}

void
notify_send_all(const NotifySender *sender, const NotifyTargets *targets, const StrList *ids,
                const NotifyMessage *message, NotifyAnswers *answers,
                void (*delivered)(const void *context, const NotifyTarget *target), const void *context)
{
	AUTO(Workers) workers = workers_new(NOTIFY_TARGETS_MAX);
	Sending sending = {.sender = sender,
	                   .message = message,
	                   .delivered = delivered,
	                   .context = context,
	                   .mutex = PTHREAD_MUTEX_INITIALIZER};
	SendJob jobs[NOTIFY_TARGETS_MAX];
	char id[NOTIFY_TARGET_ID_SIZE];

	for (size_t i = 0; i < targets->count; i++)
	{
		if (answers->errors[i] != NULL ||
		    (ids != NULL && !strlist_contains(ids, notify_target_id(&targets->items[i], id))))
			continue;
		jobs[i] = (SendJob){&sending, &targets->items[i], &answers->texts[i], &answers->errors[i]};
		workers_submit(workers, send_one, &jobs[i], NULL);
	}
	error_free(workers_wait(workers));
}
