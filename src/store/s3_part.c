/*
 * A part of a multipart upload, and what it carries beside the SHA-256 that is
 * signed: nothing, where that is enough, for an MD5 of everything costs as much time of
 * the processor as TLS.
 *
 * Most services compare what arrives with that SHA-256, and refuse what is damaged.  Others
 * take it for a text that is signed, as SeaweedFS does (getRequestDataReader() of its
 * weed/s3api), and notice only what a checksum tells.  So before the first part of the
 * first upload one goes whose SHA-256 is that of other bytes: who refuses it compares.
 * The real part of that number replaces one that was taken.
 *
 * Where objects are locked a checksum may be a condition: "Content-MD5 OR x-amz-checksum- HTTP
 * header is required for Put Part requests with Object Lock parameters" (InvalidRequest, HTTP 400)
 * is what AWS and those say that follow it, B2 for one (s3tools/s3cmd#1436,
 * redpanda-data/connect#2923, zmanda/amanda#275); Scality takes none but the MD5
 * (pgbackrest/pgbackrest#2615).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "s3_private.h"
#include "walship/base/mem.h"

bool
s3_part_was_compared(S3ErrorClass class, const char *code)
{
	/* Some compute the signature with the SHA-256 of what came; that of the upload's beginning was right. */
	return class == S3_DAMAGED || str_equal(code, "SignatureDoesNotMatch");
}

/* Whatever its code and text: they differ from service to service. */
bool
s3_part_wants_checksum(S3ErrorClass class, int status)
{
	return class == S3_REFUSED && status == 400;
}

static Error *
check_part(void *context, const HttpResponse *response)
{
	char **etag = context;
	const char *text = http_header(response, "etag");

	if (text == NULL || text[0] == '\0' || strpbrk(text, "<>&") != NULL)
		return error_new(ERR_TRANSIENT, "the answer has no ETag: it is not that of an S3 service");
	free(*etag);
	*etag = mem_strdup(text);
	return NULL;
}

static Error *
put_part(S3Store *store, const S3Part *part, const S3Payload *payload, const Patience *patience,
         char **ret_etag, S3Answer *answer)
{
	AUTO_FREE char *number = mem_printf("%d", part->number);
	AUTO_CALL call = {.action = "upload a part of object",
	                  .method = "PUT",
	                  .key = part->key,
	                  .payload = payload,
	                  .patience = patience,
	                  .check_answer = check_part,
	                  .context = ret_etag};

	s3_pairs_set(&call.query, "partNumber", number);
	s3_pairs_set(&call.query, "uploadId", part->upload_id);
	return s3_call(store, &call, answer);
}

/* The bytes and their SHA-256 are of one length, so that nothing but the comparison can find fault with them. */
static Error *
put_wrong_part(S3Store *store, const char *key, const char *upload_id, S3Answer *answer)
{
	static const char said[] = "walship asks: this is signed.";
	static const char sent[] = "walship asks: is it compared?";
	Slice slice = slice_of_memory(said, sizeof(said) - 1);
	Patience once = store->options.patience;
	AUTO_FREE char *etag = NULL;
	S3Payload payload;

	static_assert(sizeof(sent) == sizeof(said), "of one length");
	TRY(s3_payload(&slice, 1, S3_CHECKSUM_NONE, &payload));
	slice.data = sent;
	once.attempts = 1;
	return put_part(store, &(S3Part){.key = key, .upload_id = upload_id, .number = 1}, &payload, &once, &etag,
	                answer);
}

/*
 * Not kept for the next process: another one may meet another rule of the bucket, or
 * another version of the service, and the uploads of which this is a part are long.
 */
void
s3_part_prove(S3Store *store, const char *key, const char *upload_id)
{
	S3PartChecksum *parts = &store->part_checksum;

	(void) pthread_mutex_lock(&parts->mutex);
	if (!parts->known)
	{
		AUTO_ANSWER answer = {0};
		AUTO(Error) error = put_wrong_part(store, key, upload_id, &answer);

		parts->known = true;
		if (error != NULL && s3_part_was_compared(answer.class, answer.code))
			parts->checksum = S3_CHECKSUM_NONE;
		else
			notice(
				&store->options.notices, LOG_DEBUG, NULL,
				"parts of uploads carry a checksum: it is not proved that the store compares what arrives with the "
				"SHA-256 that is signed%s%s",
				error == NULL ? "" : ": ", error == NULL ? "" : error_message(error));
	}
	(void) pthread_mutex_unlock(&parts->mutex);
}

static S3Checksum
checksum_of_parts(S3Store *store)
{
	S3PartChecksum *parts = &store->part_checksum;
	S3Checksum checksum;

	(void) pthread_mutex_lock(&parts->mutex);
	checksum = parts->checksum;
	(void) pthread_mutex_unlock(&parts->mutex);
	return checksum;
}

Error *
s3_part_send(S3Store *store, const S3Part *part, const Patience *patience, char **ret_etag)
{
	const Slice slice = slice_of_memory(part->data, part->size);
	S3Checksum checksum = checksum_of_parts(store);

	for (;;)
	{
		AUTO_ANSWER answer = {0};
		S3Payload payload;
		Error *error;

		TRY(s3_payload(&slice, 1, checksum, &payload));
		error = put_part(store, part, &payload, patience, ret_etag, &answer);
		if (error == NULL || checksum != S3_CHECKSUM_NONE ||
		    !s3_part_wants_checksum(answer.class, answer.http.status))
			return error;

		/* And all that follow. */
		error_free(error);
		checksum = S3_CHECKSUM_MD5;
		(void) pthread_mutex_lock(&store->part_checksum.mutex);
		store->part_checksum.checksum = checksum;
		(void) pthread_mutex_unlock(&store->part_checksum.mutex);
	}
}
