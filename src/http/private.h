/*
 * What http.c and transfer.c share.  libcurl's handles are pointers to void in its own
 * header, too.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "walship/http/http.h"

/* Open at the same time for one handle: IPv4 and IPv6 are tried side by side, and hosts change with the region. */
#define SOCKETS_MOST 8

/* A multi handle with one easy handle: so the waiting is ours and ends at once when cancelled. */
typedef struct Connection
{
	struct Connection *next;
	void *multi;
	void *easy;
	int sockets[SOCKETS_MOST]; /* libcurl's own, which are open */
	int n_sockets;
	uint64_t closed_acked; /* bytes that were acknowledged on sockets that are closed by now */
} Connection;

typedef struct HttpEarly HttpEarly; /* of http.c */

struct HttpClient
{
	pthread_mutex_t mutex; /* guards what follows */
	bool ready;            /* libcurl is loaded, and the certificates are chosen */
	Connection *idle;      /* last used first */
	HttpEarly *early;      /* NULL: none is expected */
	char *ca_file;         /* the one given, then the one chosen */
	char *ca_directory;
	char *certificate; /* the server's; NULL: not known */

	bool keeps_certificate;
	atomic_bool answered; /* by whatever is there, at least once */

	char *ca_setting;
	char *endpoint_setting;
	char *user_agent;
};

/* Where a request is waited for on a connection that is made: the whole request, or NULL to give it up. */
typedef struct HttpGate
{
	const HttpRequest *(*wait)(void *context);
	void *context;
} HttpGate;

/*
 * One request by one connection, from its options to its answer.  With a gate the
 * request has method and URL, and says whether there is a body; the rest comes
 * from the gate.  *ret_connected: it may have been sent.
 */
Error *http_transfer(HttpClient *client, Connection *connection, const HttpRequest *request,
                     HttpResponse *response, bool *ret_connected) MUST_CHECK;
