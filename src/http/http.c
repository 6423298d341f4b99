/*
 * HTTP clients: certificates, and connections: kept and used again, new, or made
 * early, before their request is known.  With transfer.c the door to libcurl.
 */
#include <curl/curl.h>
#include <dirent.h>
#include <string.h>
#include <strings.h>

#include "curl_library.h"
#include "private.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"

/* S3 closes what is idle for five seconds, and others what sends no request. */
#define WAITS_MOST_MS 4000

/* Longer than any connection may take, which has a limit of its own. */
#define CONNECTING_MOST_MS 600000

/* A connection that the server had closed while it waited shows that within a round trip. */
#define FAILS_WITHIN_MS 1000

/* A connection that waits for its request: a thread of its own makes it, and stands at the gate. */
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

static void
connection_free(Connection *connection)
{
	curl_easy_cleanup(connection->easy);
	if (connection->multi != NULL)
		(void) curl_multi_cleanup(connection->multi);
	free(connection);
}

HttpClient *
http_client_new(const HttpOptions *options)
{
	HttpClient *client = NEW(HttpClient);

	(void) pthread_mutex_init(&client->mutex, NULL);
	client->ca_file = mem_strdup(options->ca_file);
	client->ca_setting = mem_strdup(options->ca_setting);
	client->endpoint_setting = mem_strdup(options->endpoint_setting);
	client->user_agent = mem_strdup(options->user_agent);
	client->keeps_certificate = options->keeps_certificate;
	return client;
}

static bool
is_hashed_directory(const char *path)
{
	DIR *directory = path == NULL ? NULL : opendir(path);
	bool found = false;

	if (directory == NULL)
		return false;
	for (const struct dirent *entry = readdir(directory); entry != NULL && !found; entry = readdir(directory))
		found = str_ends_with(entry->d_name, ".0");
	(void) closedir(directory);
	return found;
}

/* At the first request: a push that finds its segment safe makes none. */
static Error *
client_make_ready(HttpClient *client)
{
	CurlCertificates certificates;
	Error *error = NULL;

	(void) pthread_mutex_lock(&client->mutex);
	if (!client->ready)
	{
		error = curl_library_load(&certificates);
		client->ready = error == NULL;

		/* The bundle takes 15 ms to read, per connection; the hashed directory 1 ms (measured: OpenSSL 3.0). */
		if (error == NULL && client->ca_file == NULL && is_hashed_directory(certificates.directory))
			client->ca_directory = mem_strdup(certificates.directory);
		else if (error == NULL && client->ca_file == NULL)
			client->ca_file = mem_strdup(certificates.file);
	}
	(void) pthread_mutex_unlock(&client->mutex);
	return error;
}

static void
early_free(HttpEarly *early)
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
AUTO_DEFINE(HttpEarly, early_free);

void
http_client_free(HttpClient *client)
{
	if (client == NULL)
		return;
	early_free(client->early);
	while (client->idle != NULL)
	{
		Connection *connection = client->idle;

		client->idle = connection->next;
		connection_free(connection);
	}
	(void) pthread_mutex_destroy(&client->mutex);
	free(client->ca_file);
	free(client->ca_directory);
	free(client->certificate);
	free(client->ca_setting);
	free(client->endpoint_setting);
	free(client->user_agent);
	free(client);
}

char *
http_client_certificate(HttpClient *client)
{
	char *certificate;

	(void) pthread_mutex_lock(&client->mutex);
	certificate = mem_strdup(client->certificate);
	(void) pthread_mutex_unlock(&client->mutex);
	return certificate;
}

void
http_response_release(HttpResponse *response)
{
	strlist_release(&response->headers);
	buf_release(&response->body);
}

static Error *
connection_take(HttpClient *client, Connection **ret_connection)
{
	Connection *connection;

	(void) pthread_mutex_lock(&client->mutex);
	connection = client->idle;
	if (connection != NULL)
		client->idle = connection->next;
	(void) pthread_mutex_unlock(&client->mutex);
	if (connection == NULL)
	{
		connection = NEW(Connection);
		connection->multi = curl_multi_init();
		connection->easy = curl_easy_init();
	}
	if (connection->multi == NULL || connection->easy == NULL)
	{
		connection_free(connection);
		return error_new(ERR_SYSTEM, "could not set up libcurl: out of memory");
	}
	*ret_connection = connection;
	return NULL;
}

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

static HttpEarly *
early_take(HttpClient *client, const HttpRequest *request)
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

static Error *
early_perform(HttpEarly *early, const HttpRequest *request, HttpResponse *response)
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
	early_free(early);
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

Error *
http_perform(HttpClient *client, const HttpRequest *request, HttpResponse *response)
{
	HttpEarly *early = early_take(client, request);
	Connection *connection = NULL;
	bool connected = false;
	Error *error;

	if (early != NULL)
		return early_perform(early, request, response);
	http_response_release(response);
	*response = (HttpResponse){.body.cap = HTTP_BODY_MAX};
	TRY(client_make_ready(client));
	TRY(connection_take(client, &connection));
	error = http_transfer(client, connection, request, response, &connected);
	if (error != NULL)
	{
		response->ambiguous |= connected;
		connection_free(connection);
		return error;
	}
	atomic_store(&client->answered, true);
	(void) pthread_mutex_lock(&client->mutex);
	connection->next = client->idle;
	client->idle = connection;
	(void) pthread_mutex_unlock(&client->mutex);
	return NULL;
}

const char *
http_header(const HttpResponse *response, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = response->headers.count; i-- > 0;)
	{
		const char *line = response->headers.items[i];

		if (strncasecmp(line, name, length) == 0 && line[length] == ':')
			return line + length + 1 + strspn(line + length + 1, " \t");
	}
	return NULL;
}

TimeUs
http_time(const char *text)
{
	time_t seconds = text == NULL ? -1 : curl_getdate(text, NULL);

	return seconds < 0 ? TIME_NONE : (TimeUs) seconds * 1000000;
}
