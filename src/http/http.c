/*
 * HTTP clients: certificates, and connections that are kept and used again.  With
 * transfer.c the door to libcurl.
 */
#include <curl/curl.h>
#include <dirent.h>
#include <string.h>
#include <strings.h>

#include "curl_library.h"
#include "private.h"
#include "walship/base/mem.h"

static void
connection_free(Connection *connection)
{
	curl_easy_cleanup(connection->easy);
	if (connection->multi != NULL)
		(void) curl_multi_cleanup(connection->multi);
	free(connection);
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

/* The bundle takes 15 ms to read, per connection; the hashed directory 1 ms (measured: OpenSSL 3.0). */
static void
choose_certificates(HttpClient *client, const CurlCertificates *certificates)
{
	if (client->ca_file != NULL)
		return;
	if (is_hashed_directory(certificates->directory))
		client->ca_directory = mem_strdup(certificates->directory);
	else
		client->ca_file = mem_strdup(certificates->file);
}

HttpClient *
http_client_new(const HttpOptions *options)
{
	HttpClient *client = NEW(HttpClient);

	(void) pthread_mutex_init(&client->mutex, NULL);
	client->ca_file = mem_strdup(options->ca_file);
	client->ca_setting = mem_strdup(options->ca_setting);
	client->user_agent = mem_strdup(options->user_agent);
	return client;
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
		if (error == NULL)
			choose_certificates(client, &certificates);
		client->ready = error == NULL;
	}
	(void) pthread_mutex_unlock(&client->mutex);
	return error;
}

void
http_client_free(HttpClient *client)
{
	if (client == NULL)
		return;
	http_early_free(client->early);
	while (client->idle != NULL)
	{
		Connection *connection = client->idle;

		client->idle = connection->next;
		connection_free(connection);
	}
	(void) pthread_mutex_destroy(&client->mutex);
	free(client->ca_file);
	free(client->ca_directory);
	free(client->ca_setting);
	free(client->user_agent);
	free(client);
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

Error *
http_perform(HttpClient *client, const HttpRequest *request, HttpResponse *response)
{
	HttpEarly *early = http_early_take(client, request);
	Connection *connection = NULL;
	bool connected = false;
	Error *error;

	if (early != NULL)
		return http_early_perform(early, request, response);
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
