/* One request by libcurl: its options, its callbacks, and the waiting for its answer. */
#include <curl/curl.h>
#include <inttypes.h>
#include <string.h>

#include "curl_library.h"
#include "flow.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"

#define WAIT_MOST_MS    200 /* between two looks at deadlines */
#define IDLE_MOST_S     4L  /* S3 closes what is idle for five seconds */
#define HEADERS_MAX     200
#define HEADER_MAX      4096 /* bytes; nothing that is looked at is as long */
#define TRANSFER_BUFFER (512L * 1024)
#define SIZE_UNKNOWN    ((curl_off_t) -1)

typedef struct Transfer
{
	const HttpRequest *request;
	HttpResponse *response;
	Connection *connection;
	CURL *easy;                 /* of it */
	struct curl_slist *headers; /* owned, as the next one */
	struct curl_slist *mail_to; /* of mail: whom it is for */
	const HttpGate *gate;       /* NULL once it is passed */
	Flow flow;
	Error *error; /* of a slice, the sink or "accept" */
	int slice;    /* where the body is read from next */
	uint64_t at;
	bool accepted;
	bool read_any;
	char reason[CURL_ERROR_SIZE];
} Transfer;

static uint64_t
body_size(const HttpRequest *request)
{
	uint64_t size = 0;

	for (int i = 0; i < request->n_body; i++)
		size += request->body[i].size;
	return size;
}

static size_t
on_read(char *into, size_t unit, size_t count, void *context)
{
	Transfer *transfer = context;
	size_t got = 0;

	while (transfer->slice < transfer->request->n_body)
	{
		transfer->error =
			slice_read(&transfer->request->body[transfer->slice], transfer->at, into, unit * count, &got);
		if (transfer->error != NULL)
		{
			transfer->response->callers_error = true;
			return CURL_READFUNC_ABORT;
		}
		if (got > 0)
			break;
		transfer->slice++;
		transfer->at = 0;
	}
	transfer->at += got;
	transfer->read_any = true;
	return got;
}

/* libcurl sends the body again when the server had closed the idle connection that it used. */
static int
on_seek(void *context, curl_off_t offset, int origin)
{
	Transfer *transfer = context;
	uint64_t left = (uint64_t) offset;

	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_FAIL;
	if (transfer->read_any)
		transfer->response->ambiguous = true;
	transfer->slice = 0;
	while (transfer->slice < transfer->request->n_body &&
	       left >= transfer->request->body[transfer->slice].size)
		left -= transfer->request->body[transfer->slice++].size;
	transfer->at = left;
	return CURL_SEEKFUNC_OK;
}

static size_t
on_header(char *line, size_t unit, size_t count, void *context)
{
	Transfer *transfer = context;
	size_t size = unit * count;
	AUTO_FREE char *text = NULL;

	if (size >= 5 && strncmp(line, "HTTP/", 5) == 0)
	{
		strlist_release(&transfer->response->headers); /* what came before was an interim answer */
		return size;
	}
	if (size > HEADER_MAX || transfer->response->headers.count == HEADERS_MAX)
		return size;
	text = mem_strndup(line, size);
	text[strcspn(text, "\r\n")] = '\0';
	if (text[0] != '\0')
		strlist_add(&transfer->response->headers, text);
	return size;
}

static void
read_status(Transfer *transfer)
{
	long status = 0;

	(void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	transfer->response->status = (int) status;
}

/* True when the answer is one whose body goes into the sink. */
static bool
goes_into_sink(Transfer *transfer)
{
	if (transfer->response->status == 0)
		read_status(transfer);
	return transfer->request->into != NULL && transfer->response->status / 100 == 2;
}

static Error *
accept_once(Transfer *transfer)
{
	if (transfer->accepted)
		return NULL;
	transfer->accepted = true;
	if (transfer->request->accept == NULL)
		return NULL;
	return transfer->request->accept(transfer->request->context, transfer->response);
}

static size_t
on_write(char *data, size_t unit, size_t count, void *context)
{
	Transfer *transfer = context;
	size_t size = unit * count;

	if (!goes_into_sink(transfer))
	{
		buf_append(&transfer->response->body, data, size);
		return transfer->response->body.overflowed ? 0 : size;
	}
	transfer->error = accept_once(transfer);
	if (transfer->error != NULL)
		return 0;
	transfer->error = sink_write(transfer->request->into, data, size);
	transfer->response->callers_error = transfer->error != NULL;
	if (transfer->error != NULL)
		return 0;
	transfer->response->received += size;
	return size;
}

static void
add_headers(Transfer *transfer, const StrList *headers)
{
	for (size_t i = 0; headers != NULL && i < headers->count; i++)
		transfer->headers = curl_slist_append(transfer->headers, headers->items[i]);
}

/*
 * Of an early connection, which is made now: the request is waited for.  The
 * headers are read from the list when the request is written, which is after this.
 */
static int
on_connected(void *context, char *remote, char *local, int remote_port, int local_port)
{
	Transfer *transfer = context;
	const HttpGate *gate = transfer->gate;
	const HttpRequest *request;

	(void) remote;
	(void) local;
	(void) remote_port;
	(void) local_port;
	if (gate == NULL)
		return CURL_PREREQFUNC_OK;
	request = gate->wait(gate->context);
	if (request == NULL)
	{
		transfer->error = error_new(ERR_CANCELLED, "request was given up");
		return CURL_PREREQFUNC_ABORT;
	}
	transfer->gate = NULL;
	transfer->request = request;
	transfer->flow = (Flow){0};
	add_headers(transfer, request->headers);
	if (request->has_body)
	{
		AUTO_FREE char *line = mem_printf("Content-Length: %" PRIu64, body_size(request));

		transfer->headers = curl_slist_append(transfer->headers, line);
	}
	return CURL_PREREQFUNC_OK;
}

/* For every socket before it connects. */
static int
on_socket(void *connection, curl_socket_t fd, curlsocktype purpose)
{
	(void) purpose;
	flow_opened(connection, fd);
	return CURL_SOCKOPT_OK;
}

static int
on_close(void *connection, curl_socket_t fd)
{
	return flow_close(connection, fd) ? 0 : 1;
}

/* libcurl's setters fail only for options that it does not know, and we ask for none of those. */
#define SET(option, value) ((void) curl_easy_setopt(transfer->easy, (option), (value)))

static void
set_connection_options(Transfer *transfer, const HttpClient *client)
{
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) transfer->request->patience.connect_ms);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, 30L);
	SET(CURLOPT_TCP_KEEPINTVL, 10L);
	SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
	SET(CURLOPT_SOCKOPTDATA, transfer->connection);
	SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
	SET(CURLOPT_CLOSESOCKETDATA, transfer->connection);
	SET(CURLOPT_MAXAGE_CONN, IDLE_MOST_S);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, TRANSFER_BUFFER);
	SET(CURLOPT_BUFFERSIZE, TRANSFER_BUFFER);
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_CAINFO, client->ca_file);
	SET(CURLOPT_CAPATH, client->ca_directory);
	SET(CURLOPT_USERAGENT, client->user_agent);
	SET(CURLOPT_CERTINFO, client->keeps_certificate ? 1L : 0L);
	SET(CURLOPT_ERRORBUFFER, transfer->reason);
	if (transfer->request->fresh)
	{
		SET(CURLOPT_FRESH_CONNECT, 1L);
		SET(CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	}
}

static void
set_mail_options(Transfer *transfer, const HttpMail *mail)
{
	transfer->mail_to = curl_slist_append(NULL, mail->to);
	SET(CURLOPT_MAIL_FROM, mail->from);
	SET(CURLOPT_MAIL_RCPT, transfer->mail_to);
	SET(CURLOPT_USERNAME, mail->user);
	SET(CURLOPT_PASSWORD, mail->password);
	SET(CURLOPT_USE_SSL, (long) (mail->password != NULL ? CURLUSESSL_ALL : CURLUSESSL_TRY));
}

static void
set_request_options(Transfer *transfer)
{
	const HttpRequest *request = transfer->request;

	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_HTTPHEADER, transfer->headers);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_WRITEFUNCTION, on_write);
	SET(CURLOPT_WRITEDATA, transfer);
	if (request->has_body)
	{
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE,
		    transfer->gate != NULL ? SIZE_UNKNOWN : (curl_off_t) body_size(request));
		SET(CURLOPT_READFUNCTION, on_read);
		SET(CURLOPT_READDATA, transfer);
		SET(CURLOPT_SEEKFUNCTION, on_seek);
		SET(CURLOPT_SEEKDATA, transfer);
	}
	if (transfer->gate != NULL)
	{
		SET(CURLOPT_PREREQFUNCTION, on_connected);
		SET(CURLOPT_PREREQDATA, transfer);
#if LIBCURL_VERSION_NUM >= 0x075700
		SET(CURLOPT_QUICK_EXIT, 1L); /* nobody waits for a name that is not needed any more */
#endif
	}
	if (request->mail != NULL)
		set_mail_options(transfer, request->mail);
	else if (strcmp(request->method, "HEAD") == 0)
		SET(CURLOPT_NOBODY, 1L);
	else
		SET(CURLOPT_CUSTOMREQUEST, request->method);
}

static Error *
wait_for_answer(Transfer *transfer, CURLM *multi, CURLcode *ret_result)
{
	struct curl_waitfd signal = {.fd = cancel_fd(), .events = CURL_WAIT_POLLIN};
	bool heeds_signal = signal.fd >= 0 && !transfer->request->patience.even_when_cancelled;
	const CURLMsg *message;
	int running = 1;
	int left;

	for (;;)
	{
		if (curl_multi_perform(multi, &running) != CURLM_OK)
			return error_new(ERR_TRANSIENT, "libcurl failed");
		if (running == 0)
			break;
		TRY(patience_check(&transfer->request->patience));
		TRY(flow_check(&transfer->flow, transfer->connection, &transfer->request->patience));
		if (curl_multi_poll(multi, &signal, heeds_signal ? 1 : 0, WAIT_MOST_MS, NULL) != CURLM_OK)
			return error_new(ERR_TRANSIENT, "libcurl could not wait");
	}
	message = curl_multi_info_read(multi, &left);
	*ret_result = message == NULL ? CURLE_RECV_ERROR : message->data.result;
	return NULL;
}

/* "hint" has a place for the setting's name. */
static Error *
hint_endpoint(Error *error, const HttpClient *client, const char *hint)
{
	const char *place = strstr(hint, "%s");

	if (client->endpoint_setting == NULL)
		return error;
	return error_hint(error, "%.*s%s%s", (int) (place - hint), hint, client->endpoint_setting, place + 2);
}

static Error *
error_of_result(Transfer *transfer, const HttpClient *client, CURLcode result)
{
	const char *reason = transfer->reason[0] != '\0' ? transfer->reason : curl_easy_strerror(result);
	Error *error;

	if (transfer->response->body.overflowed)
		return error_new(ERR_TRANSIENT, "answer is longer than %u bytes", HTTP_BODY_MAX);

	/* RFC 5321, 4.2.1: 5yz is the negative answer that stays so. */
	if (transfer->request->mail != NULL && result != CURLE_OK && transfer->response->status / 100 == 5)
		return error_new(ERR_DENIED, "the mail server refused: %s", reason);
	switch (result)
	{
		case CURLE_OK:
			return NULL;
		case CURLE_SSL_CACERT_BADFILE:
			return error_hint(error_new(ERR_USAGE, "could not read certificates: %s", reason),
			                  "Correct \"%s\".", client->ca_setting);
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_ISSUER_ERROR:
			error = error_new(ERR_DENIED, "the server is not trusted: %s", reason);
			if (client->ca_directory != NULL)
				return error_hint(error,
				                  "Where the certificate is from an authority of your own, name its "
				                  "certificate with \"%s\".",
				                  client->ca_setting);
			return error_hint(error,
			                  "Look whether \"%s\" is that of the right authority, and whether the server's "
			                  "certificate names this host.",
			                  client->ca_setting);
		case CURLE_COULDNT_RESOLVE_HOST:
			return hint_endpoint(error_new(ERR_TRANSIENT, "%s", reason), client,
			                     "Is the host's name in \"%s\" right, and can this machine look up names?");
		case CURLE_COULDNT_CONNECT:
			return hint_endpoint(error_new(ERR_TRANSIENT, "%s", reason), client,
			                     "Are host and port in \"%s\" right, and does the service run?");
		case CURLE_SSL_CONNECT_ERROR:
			return hint_endpoint(error_new(ERR_TRANSIENT, "%s", reason), client,
			                     "Does the service in \"%s\" speak TLS? If not, write http:// there.");
		case CURLE_GOT_NOTHING:
		case CURLE_WEIRD_SERVER_REPLY:
		case CURLE_UNSUPPORTED_PROTOCOL:
			return hint_endpoint(
				error_new(ERR_TRANSIENT, "%s", reason), client,
				"Is \"%s\" the address of an S3 service? If it speaks TLS, write https:// there.");
		case CURLE_URL_MALFORMAT:
			return error_new(ERR_USAGE, "%s", reason);
		default:
			return error_new(ERR_TRANSIENT, "%s", reason);
	}
}

/* The first of the chain is the server's own.  A connection that is used again had no handshake, and shows none. */
static void
keep_certificate(HttpClient *client, CURL *easy)
{
	static const char name[] = "Cert:";
	struct curl_certinfo *chain = NULL;

	if (!client->keeps_certificate || curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK ||
	    chain == NULL || chain->num_of_certs == 0)
		return;
	for (const struct curl_slist *line = chain->certinfo[0]; line != NULL; line = line->next)
		if (str_starts_with(line->data, name))
		{
			(void) pthread_mutex_lock(&client->mutex);
			free(client->certificate);
			client->certificate = mem_strdup(line->data + strlen(name));
			(void) pthread_mutex_unlock(&client->mutex);
		}
}

Error *
http_transfer(HttpClient *client, Connection *connection, const HttpRequest *request, HttpResponse *response,
              bool *ret_connected)
{
	Transfer transfer = {.request = request,
	                     .response = response,
	                     .connection = connection,
	                     .easy = connection->easy,
	                     .gate = request->gate};
	CURLcode result = CURLE_OK;
	Error *error;

	/*
	 * libcurl asks for the size of a body before it connects.  Where that is not
	 * known yet, the header that says it is ours, and the one for a body of unknown
	 * size is taken away.  libcurl then learns only after the last byte that it was
	 * the last: a refusal that comes in between costs the connection.
	 */
	transfer.headers = curl_slist_append(NULL, "Expect:");
	if (transfer.gate != NULL)
		transfer.headers = curl_slist_append(transfer.headers, "Transfer-Encoding:");
	add_headers(&transfer, request->headers);
	set_connection_options(&transfer, client);
	set_request_options(&transfer);

	(void) curl_multi_add_handle(connection->multi, connection->easy);
	error = wait_for_answer(&transfer, connection->multi, &result);
	if (error == NULL)
	{
		read_status(&transfer);
		keep_certificate(client, transfer.easy);
		error = transfer.error != NULL ? MOVE(transfer.error) : error_of_result(&transfer, client, result);
	}
	if (error == NULL && goes_into_sink(&transfer))
		error = accept_once(&transfer);
	error_free(transfer.error);
	(void) curl_multi_remove_handle(connection->multi, connection->easy);
	curl_easy_reset(connection->easy); /* it must not remember this frame */
	curl_slist_free_all(transfer.headers);
	curl_slist_free_all(transfer.mail_to);
	*ret_connected =
		transfer.gate == NULL && result != CURLE_COULDNT_CONNECT && result != CURLE_COULDNT_RESOLVE_HOST;
	return error;
}
