/* A connection that waits for its request; see http_early.h. */
#include "walship/http/early.h"

#include <pthread.h>
#include <string.h>

#include "private.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"

/* S3 closes what is idle for five seconds, and others what sends no request. */
#define WAITS_MOST_MS 4000

/* Longer than any connection may take. */
#define CONNECTING_MOST_MS 600000

struct HttpEarly
{
	HttpClient *client; /* not owned */
	char *url;
	int64_t begun_ms;
	Workers *thread;

	/* The thread's until it has ended. */
	HttpResponse response;
	Error *error;

	atomic_bool given_up;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	const HttpRequest *request; /* NULL: not known yet */
};

/* On a connection that is made, in the thread.  Whoever has begun it wakes it, by a request or by freeing it. */
static const HttpRequest *
wait_for_request(void *context)
{
	HttpEarly *early = context;
	const HttpRequest *request;

	(void) pthread_mutex_lock(&early->mutex);
	while (early->request == NULL && !atomic_load(&early->given_up))
		(void) pthread_cond_wait(&early->changed, &early->mutex);
	request = early->request;
	(void) pthread_mutex_unlock(&early->mutex);
	return request;
}

static Error *
carry_out(void *argument)
{
	HttpEarly *early = argument;
	const StrList no_headers = {0};
	const HttpGate gate = {.wait = wait_for_request, .context = early};

	/* What is known of it: enough to connect, which has a limit of its own. */
	const HttpRequest request = {.method = "PUT",
	                             .url = early->url,
	                             .headers = &no_headers,
	                             .has_body = true,
	                             .stop = &early->given_up,
	                             .stall_ms = CONNECTING_MOST_MS};

	early->error = http_perform_gated(early->client, &request, &gate, &early->response);
	return NULL;
}

HttpEarly *
http_early_begin(HttpClient *client, const char *url)
{
	HttpEarly *early = NEW(HttpEarly);

	early->client = client;
	early->url = mem_strdup(url);
	early->begun_ms = clock_monotonic_ms();
	(void) pthread_mutex_init(&early->mutex, NULL);
	(void) pthread_cond_init(&early->changed, NULL);
	early->thread = workers_new(1);
	workers_submit(early->thread, carry_out, early, NULL);
	return early;
}

bool
http_early_is_for(const HttpEarly *early, const char *url)
{
	return strcmp(early->url, url) == 0 && clock_monotonic_ms() - early->begun_ms < WAITS_MOST_MS;
}

Error *
http_early_perform(HttpEarly *early, const HttpRequest *request, HttpResponse *ret_response)
{
	(void) pthread_mutex_lock(&early->mutex);
	early->request = request;
	(void) pthread_cond_broadcast(&early->changed);
	(void) pthread_mutex_unlock(&early->mutex);
	TRY(workers_wait(early->thread));

	http_response_release(ret_response);
	*ret_response = early->response;
	early->response = (HttpResponse){0};
	return MOVE(early->error);
}

void
http_early_free(HttpEarly *early)
{
	if (early == NULL)
		return;
	(void) pthread_mutex_lock(&early->mutex);
	atomic_store(&early->given_up, true);
	(void) pthread_cond_broadcast(&early->changed);
	(void) pthread_mutex_unlock(&early->mutex);
	workers_free(early->thread);
	error_free(early->error);
	http_response_release(&early->response);
	(void) pthread_cond_destroy(&early->changed);
	(void) pthread_mutex_destroy(&early->mutex);
	free(early->url);
	free(early);
}
