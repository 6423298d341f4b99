/*
 * What the files of http share.  libcurl's handles are pointers to void in its own
 * header, too.
 */
#pragma once

#include <pthread.h>

#include "walship/http/http.h"

/* A multi handle with one easy handle: so the waiting is ours and ends at once when cancelled. */
typedef struct Connection
{
	struct Connection *next;
	void *multi;
	void *easy;
} Connection;

struct HttpClient
{
	pthread_mutex_t mutex;
	bool ready;       /* libcurl is loaded, and the certificates are chosen */
	Connection *idle; /* last used first */
	char *ca_file;    /* the one given, then the one chosen */
	char *ca_directory;
	char *user_agent;
	int64_t connect_ms;
};

/* Where a request is waited for on a connection that is made: the whole request, or NULL to give it up. */
typedef struct HttpGate
{
	const HttpRequest *(*wait)(void *context);
	void *context;
} HttpGate;

/*
 * One request by one connection, from its options to its answer.  With a "gate"
 * (may be NULL) the first request has method and URL, and says whether there is a
 * body; the rest comes from the gate.  *ret_connected: it may have been sent.
 */
Error *http_transfer(const HttpClient *client, const Connection *connection, const HttpRequest *request,
                     const HttpGate *gate, HttpResponse *response, bool *ret_connected) MUST_CHECK;

/* http_perform() with such a request. */
Error *http_perform_gated(HttpClient *client, const HttpRequest *request, const HttpGate *gate,
                          HttpResponse *ret_response) MUST_CHECK;
