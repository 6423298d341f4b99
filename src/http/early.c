/* A connection that waits for its request: a thread of its own makes it, and stands at the gate. */
#include <string.h>

#include "private.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"

/* S3 closes what is idle for five seconds, and others what sends no request. */
#define WAITS_MOST_MS 4000

/* Longer than any connection may take, which has a limit of its own. */
#define CONNECTING_MOST_MS 600000

/* A connection that the server had closed while it waited shows that within a round trip. */
#define FAILS_WITHIN_MS 1000

struct HttpEarly
{
	HttpClient *client; /* not owned */
	char *url;
	int64_t connect_ms;
	int64_t begun_ms;
	pthread_t thread;
	bool joined;

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

static void *
connect_and_send(void *argument)
{
	HttpEarly *early = argument;
	const HttpGate gate = {.wait = wait_for_request, .context = early};
	const HttpRequest request = {.method = "PUT",
	                             .url = early->url,
	                             .has_body = true,
	                             .gate = &gate,
	                             .patience = {.connect_ms = early->connect_ms,
	                                          .stall_ms = CONNECTING_MOST_MS,
	                                          .stop = &early->given_up}};

	early->error = http_perform(early->client, &request, &early->response);
	return NULL;
}

void
http_expect_put(HttpClient *client, const char *url, int64_t connect_ms)
{
	AUTO(HttpEarly) early = NEW(HttpEarly);
	AUTO(Error) error = NULL;

	early->client = client;
	early->url = mem_strdup(url);
	early->connect_ms = connect_ms;
	early->begun_ms = clock_monotonic_ms();
	(void) pthread_mutex_init(&early->mutex, NULL);
	(void) pthread_cond_init(&early->changed, NULL);
	(void) pthread_mutex_lock(&client->mutex);
	early->joined = true;
	if (client->early == NULL)
	{
		error = thread_start(connect_and_send, early, &early->thread);
		early->joined = error != NULL;
		if (!early->joined)
			client->early = MOVE(early);
	}
	(void) pthread_mutex_unlock(&client->mutex);
}

HttpEarly *
http_early_take(HttpClient *client, const HttpRequest *request)
{
	HttpEarly *early = NULL;

	(void) pthread_mutex_lock(&client->mutex);
	if (client->early != NULL && request->gate == NULL && !request->fresh && request->has_body &&
	    strcmp(request->method, "PUT") == 0 && strcmp(request->url, client->early->url) == 0 &&
	    clock_monotonic_ms() - client->early->begun_ms < WAITS_MOST_MS)
		early = MOVE(client->early);
	(void) pthread_mutex_unlock(&client->mutex);
	return early;
}

Error *
http_early_perform(HttpEarly *early, const HttpRequest *request, HttpResponse *response)
{
	HttpClient *client = early->client;
	HttpRequest anew = *request;
	int64_t began_ms = clock_monotonic_ms();
	bool ambiguous;
	Error *error;

	(void) pthread_mutex_lock(&early->mutex);
	early->request = request;
	(void) pthread_cond_broadcast(&early->changed);
	(void) pthread_mutex_unlock(&early->mutex);
	(void) pthread_join(early->thread, NULL);
	early->joined = true;
	http_response_release(response);
	*response = early->response;
	early->response = (HttpResponse){0};
	error = MOVE(early->error);
	http_early_free(early);
	if (!error_is(error, ERR_TRANSIENT) || response->callers_error ||
	    clock_monotonic_ms() - began_ms >= FAILS_WITHIN_MS)
		return error;

	/*
	 * What befell the connection while it waited, or the attempt to make it, is
	 * nothing that this request has met: it gets a new one, at once.
	 */
	error_free(error);
	ambiguous = response->ambiguous;
	anew.fresh = true;
	error = http_perform(client, &anew, response);
	response->ambiguous |= ambiguous;
	return error;
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
	if (!early->joined)
		(void) pthread_join(early->thread, NULL);
	error_free(early->error);
	http_response_release(&early->response);
	(void) pthread_cond_destroy(&early->changed);
	(void) pthread_mutex_destroy(&early->mutex);
	free(early->url);
	free(early);
}
