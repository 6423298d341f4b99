/*
 * A request that is to come: looking up the name, connecting and TLS's handshake
 * take two or three round trips, which go by while the body is still being made.
 * A thread of its own makes the connection and waits on it; nothing of the
 * request is sent before it is known.
 */
#pragma once

#include "walship/http/http.h"

typedef struct HttpEarly HttpEarly;

/* A PUT with a body to this URL.  Returns at once; what goes wrong is the request's error. */
HttpEarly *http_early_begin(HttpClient *client, const char *url);

/* Is it one for this URL, and has it not waited for so long that the server may have closed it? */
bool http_early_is_for(const HttpEarly *early, const char *url);

/* As http_perform(), once for each; the URL of the request is the one given. */
Error *http_early_perform(HttpEarly *early, const HttpRequest *request, HttpResponse *ret_response)
	MUST_CHECK;

/* When it was not performed, the connection is given up. */
void http_early_free(HttpEarly *early);
AUTO_DEFINE(HttpEarly, http_early_free);
