/*
 * HTTP requests, and mail: one attempt each, no retries (see call.h), no redirects.  Only
 * http.c and transfer.c know libcurl, and curl_library.c loads it.  Connections
 * are kept alive and used again, the one used last first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/patience.h"
#include "walship/base/spool.h"
#include "walship/base/strs.h"
#include "walship/pipe/sink.h"

typedef struct HttpClient HttpClient; /* may be used by all threads at the same time */

typedef struct HttpOptions
{
	const char *ca_file;          /* NULL: the system's certificates */
	const char *ca_setting;       /* the setting that says "ca_file", for hints */
	const char *endpoint_setting; /* likewise, where the requests go */
	const char *user_agent;
	bool keeps_certificate; /* for http_client_certificate(): costs a millisecond with each handshake */
} HttpOptions;

/* Loads nothing yet: libcurl comes with the first request. */
HttpClient *http_client_new(const HttpOptions *options);
void http_client_free(HttpClient *client);
AUTO_DEFINE(HttpClient, http_client_free);

/*
 * The certificate that the server showed with the last handshake, in PEM; NULL: none did yet, or it is not kept.
 * The caller frees.
 */
char *http_client_certificate(HttpClient *client);

typedef struct HttpResponse
{
	int status;         /* 0: there was no answer */
	StrList headers;    /* "name: value" as they came; see http_header() */
	Buf body;           /* of an answer that went into no sink */
	uint64_t received;  /* bytes that went into the sink */
	bool ambiguous;     /* sent more than once, or perhaps not answered */
	bool callers_error; /* the error is the sink's or the body's */
} HttpResponse;

#define HTTP_BODY_MAX (8u * 1024 * 1024)

void http_response_release(HttpResponse *response);
#define AUTO_RESPONSE __attribute__((cleanup(http_response_release))) HttpResponse

/*
 * For a URL of SMTP (smtp://, smtps://) instead of HTTP: the body is the mail, with
 * lines that end with CR LF.  A password goes through TLS only; without one there is TLS where
 * the server offers it, and then its certificate must be right.
 */
typedef struct HttpMail
{
	const char *from; /* an address, as the next one */
	const char *to;
	const char *user; /* NULL: no login */
	const char *password;
} HttpMail;

typedef struct HttpRequest
{
	const char *method;
	const char *url;
	const StrList *headers; /* "name: value"; NULL: none */
	const Slice *body;      /* read from its beginning whenever it must be sent */
	int n_body;
	bool has_body; /* false: none at all, also no length of 0 */

	/* A 2xx answer's body goes "into", when that is not NULL, once "accept" agreed with its head. */
	Sink *into;
	Error *(*accept)(void *context, const HttpResponse *response);
	void *context;

	bool fresh; /* by a new connection and a new look at the name: the old ones failed */
	Patience patience;
	const struct HttpGate *gate; /* of http.c; NULL */
	const HttpMail *mail;        /* NULL: it is HTTP */
} HttpRequest;

/*
 * Success is a complete answer, of whatever status; of mail that the server has
 * taken it.  No or half an answer is ERR_TRANSIENT; a certificate that is not
 * trusted, and mail that is refused for good, ERR_DENIED; errors of the sink and of
 * "accept" come through.
 */
Error *http_perform(HttpClient *client, const HttpRequest *request, HttpResponse *ret_response) MUST_CHECK;

/*
 * A PUT with a body to this URL is to come: looking up the name, connecting and
 * TLS's handshake take two or three round trips, which go by while the body is
 * still being made.  Returns at once.  Nothing of the request is sent before it
 * is known; the next http_perform() that fits takes the connection, and what goes
 * wrong with it is no error of anybody.  One at a time: a second one is ignored.
 */
void http_expect_put(HttpClient *client, const char *url, int64_t connect_ms);

/* The value of the last header of that name (lower case), or NULL. */
const char *http_header(const HttpResponse *response, const char *name);

/* Of an answer: "Sat, 21 Nov 2026 03:14:17 GMT"; TIME_NONE when it is none. */
TimeUs http_time(const char *text);
