/*
 * What a client of S3 takes for a bucket and what keeps nearly nothing, so that a client's own work can be measured.
 *
 * usage: s3_sink [CERTIFICATE KEY]
 *
 * Listens on a free port of 127.0.0.1, with TLS if there is a certificate.  It checks no signature and, but for
 * small parts, no digest: nothing of it may serve as a test of correctness.
 *
 *   PUT of an object     200, with If-None-Match 412 for a ".json" that is kept, since walship proves once that a bucket
 *                        refuses; its body is dropped, but for the first KEPT_MAX of at most KEPT_SIZE bytes, since some
 *                        clients read small files of their own again
 *   PUT of a part        200; 400 for one of at most KEPT_SIZE bytes that is not what its x-amz-content-sha256 says,
 *                        since walship finds out once whether that is compared
 *   GET, HEAD            what was kept, else 404
 *   GET of a bucket      an empty listing
 *   HEAD, PUT of it      200
 *   POST                 a multipart upload, its end, and removals all succeed
 *   DELETE               204
 *
 * Prints {"port": N} at its start and, for each empty line that it reads, what it was asked so far: {"connections": N,
 * "PUT": N, "GET": N, "HEAD": N, "POST": N, "DELETE": N, "bytes": N}.  For a line "writes" it prints everything that was
 * written whole, in order, as [[PATH, BYTES, "object" | "part" | "parts"], ...]: an object, a part of one, the end of its
 * parts.  It ends with its standard input.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX  (64 * 1024)
#define KEPT_SIZE (16 * 1024)
#define KEPT_MAX  1024
#define KEY_MAX   1024
#define ETAG      "\"00000000000000000000000000000000\""
#define ETAG_SIZE sizeof(ETAG)
#define WRITE_MAX 1000000
#define XML       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"

typedef struct Kept
{
	char key[KEY_MAX];
	size_t size;
	char bytes[KEPT_SIZE];
} Kept;

/* "kind" is a literal, see the head. */
typedef struct Write
{
	char *path;
	uint64_t size;
	const char *kind;
} Write;

static const char *const methods[] = {"PUT", "GET", "HEAD", "POST", "DELETE"};
#define N_METHODS (sizeof(methods) / sizeof(methods[0]))

/* Of all threads. */
static struct
{
	SSL_CTX *tls; /* NULL: plain HTTP */
	int listener;
	atomic_uint_fast64_t n_connections;
	atomic_uint_fast64_t n_bytes;
	atomic_uint_fast64_t n_requests[N_METHODS];
	pthread_mutex_t lock; /* of what follows */
	size_t n_kept;
	Kept *kept[KEPT_MAX];
	size_t n_writes;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER};

static Write writes[WRITE_MAX];

typedef struct Client
{
	int fd;
	SSL *ssl; /* NULL: plain */
	char buffer[256 * 1024];
	size_t at; /* what of the buffer is taken */
	size_t end;
} Client;

typedef struct Request
{
	char method[8];
	char path[KEY_MAX];
	char etag[ETAG_SIZE];
	const char *query; /* in "path", "" without one */
	char sha256[2 * SHA256_DIGEST_LENGTH + 1];
	uint64_t size; /* of its body */
	bool wants_continue;
	bool if_absent;
	bool wants_close;
} Request;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

/* The connection */

static bool
client_send(Client *client, const char *bytes, size_t size)
{
	while (size > 0)
	{
		ssize_t n = client->ssl != NULL ? SSL_write(client->ssl, bytes, (int) size)
		                                : send(client->fd, bytes, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		bytes += n;
		size -= (size_t) n;
	}
	return true;
}

/* Into the rest of the buffer; false at the end. */
static bool
client_receive(Client *client)
{
	size_t room = sizeof(client->buffer) - client->end;
	ssize_t n = client->ssl != NULL ? SSL_read(client->ssl, client->buffer + client->end, (int) room)
	                                : recv(client->fd, client->buffer + client->end, room, 0);

	if (n <= 0)
		return false;
	client->end += (size_t) n;
	return true;
}

/* A request's head, ended by a zero byte in place of its empty line; NULL at the end or when there is none. */
static char *
client_read_head(Client *client)
{
	char *head = client->buffer;

	client->end -= client->at;
	memmove(head, head + client->at, client->end);
	client->at = 0;
	for (;;)
	{
		char *end = memmem(head, client->end, "\r\n\r\n", 4);

		if (end != NULL)
		{
			*end = '\0';
			client->at = (size_t) (end - head) + 4;
			return head;
		}
		if (client->end > HEAD_MAX || !client_receive(client))
			return NULL;
	}
}

/* The first "room" bytes of the body go to "start"; false at an early end. */
static bool
client_swallow(Client *client, uint64_t size, char *start, size_t room)
{
	uint64_t rest = size;

	while (rest > 0)
	{
		size_t n;
		size_t done = (size_t) (size - rest);

		if (client->at == client->end)
		{
			client->at = client->end = 0;
			if (!client_receive(client))
				return false;
		}
		n = client->end - client->at;
		n = n < rest ? n : (size_t) rest;
		if (done < room)
			memcpy(start + done, client->buffer + client->at, n < room - done ? n : room - done);
		client->at += n;
		rest -= n;
	}
	atomic_fetch_add(&sink.n_bytes, size);
	return true;
}

/* Requests */

static const char *
header_value(const char *head, const char *name)
{
	size_t size = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n"))
	{
		line += 2;
		if (strncasecmp(line, name, size) == 0 && line[size] == ':')
			return line + size + 1 + strspn(line + size + 1, " ");
	}
	return "";
}

/* As S3 does, the MD5 of what was sent: here what the client says it is. */
static void
etag_of(const char *md5_base64, char etag[ETAG_SIZE])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0;
	int n_bits = 0;
	int n = 0;

	(void) snprintf(etag, ETAG_SIZE, "%s", ETAG);
	for (const char *c = md5_base64; n < 32 && *c != '\0' && strchr(digits, *c) != NULL; c++)
	{
		bits = bits << 6 | (unsigned) (strchr(digits, *c) - digits);
		for (n_bits += 6; n_bits >= 4 && n < 32; n_bits -= 4)
			etag[1 + n++] = "0123456789abcdef"[bits >> (n_bits - 4) & 0xf];
	}
}

static bool
request_parse(const char *head, Request *request)
{
	char *question;

	*request = (Request){.query = ""};
	if (sscanf(head, "%7s %1023s", request->method, request->path) != 2)
		return false;
	question = strchr(request->path, '?');
	if (question != NULL)
	{
		*question = '\0';
		request->query = question + 1;
	}
	etag_of(header_value(head, "Content-MD5"), request->etag);
	(void) snprintf(request->sha256, sizeof(request->sha256), "%s",
	                header_value(head, "x-amz-content-sha256"));
	request->size = strtoull(header_value(head, "Content-Length"), NULL, 10);
	request->wants_continue = strncasecmp(header_value(head, "Expect"), "100-continue", 12) == 0;
	request->if_absent = *header_value(head, "If-None-Match") == '*';
	request->wants_close = strncasecmp(header_value(head, "Connection"), "close", 5) == 0;
	return strncasecmp(header_value(head, "Transfer-Encoding"), "chunked", 7) != 0;
}

static bool
is_bucket(const char *path)
{
	const char *slash = strchr(path + 1, '/');

	return slash == NULL || slash[1] == '\0';
}

static void
request_count(const Request *request)
{
	for (size_t i = 0; i < N_METHODS; i++)
		if (strcmp(methods[i], request->method) == 0)
			atomic_fetch_add(&sink.n_requests[i], 1);
}

/* "body" is all of it; some clients sign none. */
static bool
is_as_signed(const Request *request, const char *body)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char hex[sizeof(request->sha256)];

	if (strspn(request->sha256, "0123456789abcdef") < sizeof(hex) - 1)
		return true;
	(void) SHA256((const unsigned char *) body, (size_t) request->size, digest);
	for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
		(void) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return strcmp(hex, request->sha256) == 0;
}

/* What is kept */

static Kept *
kept_find(const char *key)
{
	for (size_t i = 0; i < sink.n_kept; i++)
		if (strcmp(sink.kept[i]->key, key) == 0)
			return sink.kept[i];
	return NULL;
}

static void
keep(const char *key, const char *bytes, size_t size)
{
	Kept *place;

	pthread_mutex_lock(&sink.lock);
	place = kept_find(key);
	if (place == NULL && sink.n_kept < KEPT_MAX && (place = calloc(1, sizeof(Kept))) != NULL)
	{
		snprintf(place->key, sizeof(place->key), "%s", key);
		sink.kept[sink.n_kept++] = place;
	}
	if (place != NULL)
	{
		memcpy(place->bytes, bytes, size);
		place->size = size;
	}
	pthread_mutex_unlock(&sink.lock);
}

/* False when it is not kept. */
static bool
recall(const char *key, char *bytes, size_t *size)
{
	const Kept *place;

	pthread_mutex_lock(&sink.lock);
	place = kept_find(key);
	if (place != NULL)
	{
		memcpy(bytes, place->bytes, place->size);
		*size = place->size;
	}
	pthread_mutex_unlock(&sink.lock);
	return place != NULL;
}

static bool
is_kept_json(const char *key)
{
	size_t size = strlen(key);
	bool kept;

	pthread_mutex_lock(&sink.lock);
	kept = size > 5 && strcmp(key + size - 5, ".json") == 0 && kept_find(key) != NULL;
	pthread_mutex_unlock(&sink.lock);
	return kept;
}

static void
note_write(const Request *request, const char *kind)
{
	pthread_mutex_lock(&sink.lock);
	if (sink.n_writes < WRITE_MAX)
		writes[sink.n_writes++] = (Write){strdup(request->path), request->size, kind};
	pthread_mutex_unlock(&sink.lock);
}

/* Answers */

/* "body" of "size" bytes is announced, but not sent in answer to HEAD. */
static bool
answer(Client *client, const Request *request, const char *status, const char *body, size_t size)
{
	char head[512];
	int n = snprintf(head, sizeof(head),
	                 "HTTP/1.1 %s\r\nContent-Length: %zu\r\nETag: %s\r\nContent-Type: application/xml\r\n"
	                 "Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT\r\nx-amz-request-id: sink\r\n\r\n",
	                 status, size, request->etag);

	return client_send(client, head, (size_t) n) &&
	       (strcmp(request->method, "HEAD") == 0 || client_send(client, body, size));
}

static bool
answer_text(Client *client, const Request *request, const char *status, const char *text)
{
	return answer(client, request, status, text, strlen(text));
}

static bool
answer_get(Client *client, const Request *request)
{
	char body[KEPT_SIZE];
	size_t size;

	if (is_bucket(request->path))
		return answer_text(client, request, "200 OK",
		                   strcmp(request->method, "HEAD") == 0 ? ""
		                                                        : XML
		                       "<ListBucketResult><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>"
		                       "<IsTruncated>false</IsTruncated></ListBucketResult>");
	if (recall(request->path, body, &size))
		return answer(client, request, "200 OK", body, size);
	return answer_text(client, request, "404 Not Found", XML "<Error><Code>NoSuchKey</Code></Error>");
}

static bool
answer_post(Client *client, const Request *request)
{
	if (strncmp(request->query, "uploads", 7) == 0)
		return answer_text(client, request, "200 OK",
		                   XML "<InitiateMultipartUploadResult><UploadId>upload</UploadId>"
		                       "</InitiateMultipartUploadResult>");
	if (strstr(request->query, "uploadId=") != NULL)
	{
		note_write(request, "parts");
		return answer_text(client, request, "200 OK",
		                   XML "<CompleteMultipartUploadResult><ETag>" ETAG
		                       "</ETag></CompleteMultipartUploadResult>");
	}
	return answer_text(client, request, "200 OK", XML "<DeleteResult></DeleteResult>");
}

/* False when the connection is to be closed. */
static bool
serve_request(Client *client)
{
	const char *head = client_read_head(client);
	Request request;
	char start[KEPT_SIZE];
	bool is_put, is_part, is_sent;

	if (head == NULL || !request_parse(head, &request))
		return false;
	request_count(&request);
	if (request.wants_continue && !client_send(client, "HTTP/1.1 100 Continue\r\n\r\n", 25))
		return false;
	if (!client_swallow(client, request.size, start, sizeof(start)))
		return false;

	is_put = strcmp(request.method, "PUT") == 0;
	is_part = is_put && strstr(request.query, "uploadId=") != NULL;
	if (is_part && request.size <= KEPT_SIZE && !is_as_signed(&request, start))
		return answer_text(client, &request, "400 Bad Request",
		                   XML "<Error><Code>XAmzContentSHA256Mismatch</Code></Error>") &&
		       !request.wants_close;
	if (is_put && request.if_absent && is_kept_json(request.path))
		return answer_text(client, &request, "412 Precondition Failed",
		                   XML "<Error><Code>PreconditionFailed</Code></Error>") &&
		       !request.wants_close;
	if (is_put && request.size <= KEPT_SIZE && request.query[0] == '\0' && !is_bucket(request.path))
		keep(request.path, start, (size_t) request.size);
	if (is_put && !is_bucket(request.path))
		note_write(&request, is_part ? "part" : "object");
	if (is_put)
		is_sent = answer(client, &request, "200 OK", "", 0);
	else if (strcmp(request.method, "POST") == 0)
		is_sent = answer_post(client, &request);
	else if (strcmp(request.method, "DELETE") == 0)
		is_sent = client_send(client, "HTTP/1.1 204 No Content\r\n\r\n", 27);
	else
		is_sent = answer_get(client, &request);
	return is_sent && !request.wants_close;
}

static void *
serve_client(void *argument)
{
	Client *client = argument;

	if (client->ssl == NULL || SSL_accept(client->ssl) == 1)
		while (serve_request(client))
			;
	if (client->ssl != NULL)
	{
		(void) SSL_shutdown(client->ssl);
		SSL_free(client->ssl);
	}
	close(client->fd);
	free(client);
	return NULL;
}

static void *
accept_clients(void *argument)
{
	(void) argument;
	for (;;)
	{
		int on = 1;
		pthread_t thread;
		Client *client = calloc(1, sizeof(Client));

		if (client == NULL || (client->fd = accept(sink.listener, NULL, NULL)) < 0)
			fail("could not accept a connection");
		(void) setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (sink.tls != NULL)
		{
			client->ssl = SSL_new(sink.tls);
			SSL_set_fd(client->ssl, client->fd);
		}
		atomic_fetch_add(&sink.n_connections, 1);
		if (pthread_create(&thread, NULL, serve_client, client) != 0)
			fail("could not make a thread");
		pthread_detach(thread);
	}
	return NULL;
}

static void
start_tls(const char *certificate, const char *key)
{
	sink.tls = SSL_CTX_new(TLS_server_method());
	if (SSL_CTX_use_certificate_chain_file(sink.tls, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(sink.tls, key, SSL_FILETYPE_PEM) != 1)
		fail("could not read the certificate and its key");
}

static void
start_listening(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	pthread_t thread;

	sink.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(sink.listener, (struct sockaddr *) &address, size) != 0 || listen(sink.listener, 64) != 0 ||
	    getsockname(sink.listener, (struct sockaddr *) &address, &size) != 0 ||
	    pthread_create(&thread, NULL, accept_clients, NULL) != 0)
		fail("could not listen");
	printf("{\"port\": %d}\n", ntohs(address.sin_port));
	fflush(stdout);
}

static void
report(void)
{
	printf("{\"connections\": %" PRIuFAST64 ", ", atomic_load(&sink.n_connections));
	for (size_t i = 0; i < N_METHODS; i++)
		printf("\"%s\": %" PRIuFAST64 ", ", methods[i], atomic_load(&sink.n_requests[i]));
	printf("\"bytes\": %" PRIuFAST64 "}\n", atomic_load(&sink.n_bytes));
	fflush(stdout);
}

static void
report_writes(void)
{
	pthread_mutex_lock(&sink.lock);
	printf("[");
	for (size_t i = 0; i < sink.n_writes; i++)
		printf("%s[\"%s\", %" PRIu64 ", \"%s\"]", i > 0 ? ", " : "", writes[i].path, writes[i].size,
		       writes[i].kind);
	printf("]\n");
	fflush(stdout);
	pthread_mutex_unlock(&sink.lock);
}

int
main(int argc, char **argv)
{
	char line[256];

	if (argc != 1 && argc != 3)
	{
		fprintf(stderr, "usage: %s [CERTIFICATE KEY]\n", argv[0]);
		return 2;
	}
	(void) signal(SIGPIPE, SIG_IGN);
	if (argc == 3)
		start_tls(argv[1], argv[2]);
	start_listening();
	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		if (strcmp(line, "writes\n") == 0)
			report_writes();
		else
			report();
	}
	return 0;
}
