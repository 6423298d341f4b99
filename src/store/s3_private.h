/* The S3 store's own parts. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "s3_address.h"
#include "s3_creds.h"
#include "s3_error.h"
#include "s3_sign.h"
#include "walship/base/crypto.h"
#include "walship/http/call.h"
#include "walship/store/s3_store.h"

/* What was found out about the provider on the way; the same for all threads.  Zeroed but for the mutex. */
typedef struct S3State
{
	pthread_mutex_t mutex; /* guards what follows */
	bool loaded;           /* from the note in the state directory; with the first use */
	char *region;          /* where the bucket is; at first the one that was asked for */
	S3Conditional conditional;
	int64_t clock_offset_us; /* to be added to this machine's clock */
	S3SigningKey key;
} S3State;

#define S3_UPLOAD_JOBS_MOST 8

/* The parts of uploads that are in memory, of all writers together: what bounds it. */
typedef struct S3UploadSlots
{
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	int taken;
	int n_spare;
	void *spare[S3_UPLOAD_JOBS_MOST]; /* buffers for the parts to come: fresh memory costs more than a copy */
} S3UploadSlots;

/* Whether the provider refuses to overwrite is found out by one thread at a time. */
typedef struct S3Proof
{
	pthread_mutex_t mutex; /* guards "denied", and is held while it is found out */
	bool denied;           /* not allowed to: not tried again */
} S3Proof;

/* What a body carries to be compared with, beside the SHA-256 that is signed. */
typedef enum S3Checksum
{
	S3_CHECKSUM_MD5, /* or, where this machine has none, the SHA-256 as a checksum */
	S3_CHECKSUM_NONE,
} S3Checksum;

/* What the parts of uploads carry; found out by one thread at a time, with the first upload (s3_part.c). */
typedef struct S3PartChecksum
{
	pthread_mutex_t mutex; /* guards what follows, and is held while it is found out */
	bool known;
	S3Checksum checksum; /* MD5 until it is known */
} S3PartChecksum;

typedef struct S3Store
{
	Store store;
	S3Options options; /* its texts are the caller's; "region" is never NULL */
	S3Address address;
	S3Credentials credentials;
	HttpClient *http;
	S3State state;
	S3Proof proof;
	S3UploadSlots upload_slots;
	atomic_int reading; /* connections, of all objects and ranges together; see s3_ranges.h */
	S3PartChecksum part_checksum;
	atomic_bool removes_singly; /* found out, too: the provider has no request that removes many */
	atomic_bool told_of_md5;
} S3Store;

/* "s3://bucket/prefix/key", for messages; the caller frees. */
char *s3_object_url(const S3Store *store, const char *key);

/* s3.c: one request, signed and repeated until it is done */

/* A body with its digests. */
typedef struct S3Payload
{
	const Slice *slices;
	int n_slices;
	uint64_t size;
	char sha256[SHA256_TEXT_SIZE];
	char sha256_base64[BASE64_TEXT_SIZE(SHA256_SIZE)];
	S3Checksum checksum;
	char md5[BASE64_TEXT_SIZE(MD5_SIZE)]; /* "" where there is no MD5, or none is to be sent */
	char md5_hex[2 * MD5_SIZE + 1];       /* likewise */
} S3Payload;

Error *s3_payload(const Slice *slices, int n_slices, S3Checksum checksum, S3Payload *ret_payload) MUST_CHECK;

typedef struct S3Call S3Call;

struct S3Call
{
	const char *action; /* as in "could not <action> object" */
	const char *method;
	const char *key; /* NULL: the bucket */

	S3Pairs query;
	S3Pairs headers;
	const S3Payload *payload; /* NULL: no body */
	const Patience *patience; /* NULL: the store's */

	Sink *into; /* of HttpRequest, like "accept" */
	Error *(*accept)(void *context, const HttpResponse *response);
	void (*prepare)(S3Call *call); /* before every attempt; may be NULL */
	Error *(*check_answer)(void *context, const HttpResponse *response); /* of a 2xx answer; may be NULL */
	void *context;
};

void s3_call_release(S3Call *call);
#define AUTO_CALL __attribute__((cleanup(s3_call_release))) S3Call

typedef struct S3Answer
{
	HttpResponse http;  /* of http_call() */
	S3ErrorClass class; /* of the last attempt, like "code" */
	char *code;         /* NULL: none */
} S3Answer;

void s3_answer_release(S3Answer *answer);
#define AUTO_ANSWER __attribute__((cleanup(s3_answer_release))) S3Answer

/* Success is a 2xx answer that "check_answer" accepts; clock and region are corrected on the way. */
Error *s3_call(S3Store *store, S3Call *call, S3Answer *answer) MUST_CHECK;

/* For tidying up: once, briefly, and also when cancelled. */
Patience s3_cleanup_patience(const S3Store *store);

/* Where requests for this key go. */
void s3_object_address(S3Store *store, const char *key, Buf *url);

/* s3_state.c */
void s3_notice(const S3Store *store, const char *format, ...) PRINTF_LIKE(2, 3);
S3Conditional s3_state_conditional(S3Store *store);
void s3_state_set_conditional(S3Store *store, S3Conditional conditional);
char *s3_state_region(S3Store *store); /* the caller frees */
TimeUs s3_state_time(S3Store *store);  /* now, by the server's clock */
void s3_state_signing_key(S3Store *store, const char *date, const char *region, S3SigningKey *ret_key);

/* From an answer that finds fault with them; false when it does not say what would be right.  "asked": the region that was. */
bool s3_state_correct_clock(S3Store *store, const HttpResponse *response);
bool s3_state_correct_region(S3Store *store, const char *asked, const HttpResponse *response);

/* s3_object.c */

/* Storage class and encryption, for what makes an object. */
void s3_add_object_headers(const S3Store *store, S3Call *call);

void s3_expect_put(Store *base, const char *key);
Error *s3_put(Store *base, const char *key, const Slice *slices, int n_slices, PutMode mode) MUST_CHECK;
Error *s3_probe(Store *base, Buf *report) MUST_CHECK;
Error *s3_stat(Store *base, const char *key, StoreEntry *ret_entry) MUST_CHECK;

/* s3_read.c */
Error *s3_get(Store *base, const char *key, uint64_t offset, uint64_t size, Sink *into) MUST_CHECK;

/*
 * That many bytes, all of them, by one request, of the object that has this ETag: ERR_CORRUPT when it has another one now.
 * "stop" ends it early, like a cancellation.
 */
Error *s3_get_range(S3Store *store, const char *key, const char *etag, uint64_t offset, uint64_t size,
                    const atomic_bool *stop, Sink *into) MUST_CHECK;

/* s3_list.c */
Error *s3_list(Store *base, const char *prefix, ListDepth depth, const char *start_after,
               StoreListCallback callback, void *context) MUST_CHECK;
Error *s3_tidy(Store *base, const char *prefix, TimeUs before, StoreTidied callback, void *context)
	MUST_CHECK;

/* Unfinished uploads of this key, which nobody else uses, but for one. */
Error *s3_abort_other_uploads(S3Store *store, const char *key, const char *keep_id) MUST_CHECK;

/* s3_remove.c */
Error *s3_remove(Store *base, const char *key) MUST_CHECK;
Error *s3_remove_many(Store *base, const char *const *keys, size_t count, StoreNotRemoved callback,
                      void *context) MUST_CHECK;

#define S3_REMOVE_MOST 1000 /* keys in one request */

/* The text of DeleteObjects; its answer names only what could not be removed.  Of every key, "prefix" is the beginning. */
void s3_remove_request(const char *prefix, const char *const *keys, size_t count, Buf *into);

/* What the answer does not say is NULL.  The key is whole, with the prefix. */
typedef Error *(*S3RemoveCallback)(void *context, const char *key, const char *code, const char *message);

/* Calls for every key that was not removed.  ERR_CORRUPT when it is not one whole answer. */
Error *s3_remove_answer(const char *text, size_t size, S3RemoveCallback callback, void *context) MUST_CHECK;

/* s3_part.c */
typedef struct S3Part
{
	const char *key;
	const char *upload_id;
	int number; /* counts from 1 */
	const void *data;
	size_t size;
} S3Part;

/* Finds out what the parts carry, once in the life of a store: a request, before the first part of an upload. */
void s3_part_prove(S3Store *store, const char *key, const char *upload_id);

/* The ETag is what the end of the upload names; the caller frees. */
Error *s3_part_send(S3Store *store, const S3Part *part, const Patience *patience, char **ret_etag) MUST_CHECK;

/* Does this answer to a part of which the signed SHA-256 is wrong prove that it was compared?  "code" may be NULL. */
bool s3_part_was_compared(S3ErrorClass class, const char *code);

/* May this answer to a part without a checksum mean that it must have one? */
bool s3_part_wants_checksum(S3ErrorClass class, int status);

/* s3_upload.c */
Error *s3_writer(Store *base, const char *key, Sink **ret_sink) MUST_CHECK;
