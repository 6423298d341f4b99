/* The S3 store's own parts. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "s3_creds.h"
#include "s3_error.h"
#include "s3_place.h"
#include "s3_sign.h"
#include "walship/base/base64.h"
#include "walship/http/early.h"
#include "walship/http/http.h"
#include "walship/store/s3_store.h"

/* Found out on the way, and the same for all threads. */
typedef struct S3Learned
{
	pthread_mutex_t mutex; /* guards what follows */
	bool loaded;           /* from the state directory; "state_path" is set with it */
	char *region;
	S3Conditional conditional;
	int64_t clock_offset_us; /* to be added to this machine's clock */
	S3SigningKey key;
} S3Learned;

/* The request that is expected, if any. */
typedef struct S3Expected
{
	pthread_mutex_t mutex;
	HttpEarly *early;
} S3Expected;

/* The parts of uploads that are in memory, of all writers together: what bounds it. */
typedef struct S3Turns
{
	pthread_mutex_t mutex; /* guards "taken" */
	pthread_cond_t changed;
	int taken;
} S3Turns;

typedef struct S3Store
{
	Store store;
	S3Place place;
	S3Credentials credentials;
	HttpClient *http;
	S3Options options; /* texts that are NULL here were only needed to open */
	char *asked_region;
	char *state_dir;  /* NULL: nothing is kept */
	char *state_path; /* in it; NULL before the first use */
	char *storage_class;
	char *sse;
	char *sse_kms_key_id;
	S3Learned learned;
	S3Turns upload_turns;
	S3Expected expected;
	atomic_bool removes_singly; /* learned, too: the provider has no request that removes many */
	atomic_bool told_of_md5;
} S3Store;

/* A body with the checksums that S3 wants. */
typedef struct S3Payload
{
	const Slice *slices;
	int n_slices;
	uint64_t size;
	char sha256[SHA256_TEXT_SIZE];
	char sha256_base64[BASE64_TEXT_SIZE(SHA256_SIZE)];
	char md5[BASE64_TEXT_SIZE(MD5_SIZE)]; /* "" where there is no MD5 */
} S3Payload;

Error *s3_payload(const Slice *slices, int n_slices, S3Payload *ret_payload) MUST_CHECK;

typedef struct S3Call S3Call;

struct S3Call
{
	const char *action; /* as in "could not <action> object" */
	const char *method;
	const char *key; /* NULL: the bucket */

	S3Pairs query;
	S3Pairs headers;
	const S3Payload *payload; /* NULL: no body */

	Sink *into; /* of HttpRequest, like "accept" and "context" */
	Error *(*accept)(void *context, const HttpResponse *response);
	void (*again)(S3Call *call); /* before every attempt but the first; may be NULL */
	Error *(*judge)(void *context, const HttpResponse *response); /* of a 2xx answer; may be NULL */
	void *context;

	int attempts_most; /* 0: until the deadlines */
	int64_t stall_ms;  /* 0: the store's */
	bool parting;      /* tidies up: also when cancelled, once, briefly */
	const atomic_bool *stop;
};

void s3_call_release(S3Call *call);
#define AUTO_CALL __attribute__((cleanup(s3_call_release))) S3Call

typedef struct S3Answer
{
	HttpResponse http; /* of the last attempt */
	S3Class class;
	char *code;     /* NULL: none */
	bool ambiguous; /* an attempt that failed may have taken effect */
} S3Answer;

void s3_answer_release(S3Answer *answer);
#define AUTO_ANSWER __attribute__((cleanup(s3_answer_release))) S3Answer

/* Signs, sends, tries again, corrects clock and region; success is a 2xx answer that "judge" accepts. */
Error *s3_call(S3Store *store, S3Call *call, S3Answer *answer) MUST_CHECK;

void s3_expect_put(Store *base, const char *key); /* the store's verb */

/* http_perform(), on the connection that was made for this very request when there is one. */
Error *s3_expected_perform(S3Store *store, const HttpRequest *request, HttpResponse *response) MUST_CHECK;

/* One attempt of a call, with a signature of its own; "fresh": by a new connection. */
Error *s3_request_send(S3Store *store, const S3Call *call, bool fresh, HttpResponse *response) MUST_CHECK;

/* Where requests for this key go (NULL: for the bucket). */
void s3_request_url(const S3Store *store, const char *region, const char *key, const S3Pairs *pairs,
                    Buf *url);

/* "Please reduce your request rate (SlowDown, HTTP 503, request id 1B3...)"; code and message may be NULL. */
Error *s3_error_of(const S3Meaning *meaning, const char *code, const char *message,
                   const HttpResponse *response) MUST_CHECK;

/* Appends the query's "&name=value". */
void s3_call_query(S3Call *call, const char *name, const char *value);
void s3_call_header(S3Call *call, const char *name, const char *value);

/* "s3://bucket/prefix/key", for messages; the caller frees. */
char *s3_object_url(const S3Store *store, const char *key);

void s3_notice(const S3Store *store, const char *format, ...) PRINTF_LIKE(2, 3);

/* What was learned, from and to the state directory. */
S3Conditional s3_learned_conditional(S3Store *store);
void s3_learn_conditional(S3Store *store, S3Conditional conditional);
char *s3_learned_region(S3Store *store); /* the caller frees */
void s3_learn_region(S3Store *store, const char *region);

/* Storage class and encryption, for what makes an object. */
void s3_add_object_headers(const S3Store *store, S3Call *call);

/* Sends a whole object in one request; "payload" is of its slices. */
Error *s3_put_payload(S3Store *store, const char *key, const S3Payload *payload, PutMode mode) MUST_CHECK;

/* Unfinished uploads of this key, which nobody else uses, but for one. */
Error *s3_abort_other_uploads(S3Store *store, const char *key, const char *keep_id) MUST_CHECK;

/* The verbs that have files of their own. */
Error *s3_get(Store *base, const char *key, uint64_t offset, uint64_t size, Sink *into) MUST_CHECK;
Error *s3_stat(Store *base, const char *key, StoreEntry *ret_entry) MUST_CHECK;
Error *s3_list(Store *base, const char *prefix, ListDepth depth, const char *start_after,
               StoreListCallback callback, void *context) MUST_CHECK;
Error *s3_remove(Store *base, const char *key) MUST_CHECK;
Error *s3_remove_many(Store *base, const char *const *keys, size_t count, StoreNotRemoved callback,
                      void *context) MUST_CHECK;
Error *s3_writer(Store *base, const char *key, Sink **ret_sink) MUST_CHECK;
Error *s3_tidy(Store *base, const char *prefix, TimeUs before) MUST_CHECK;
