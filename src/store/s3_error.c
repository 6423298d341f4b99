/* The table of what answers mean, and the errors that say so. */
#include "s3_error.h"

#include <string.h>

#include "walship/base/buf.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define REASON_MAX 300

#define HINT_KEYS "Look at the access key, its secret, and s3_endpoint: a key is good for one provider only."
#define HINT_POLICY \
	"The credentials may not do this. docs/providers.md has the permissions that walship needs."
#define HINT_ENDPOINT "Is \"s3_endpoint\" the address of an S3 service?"
#define HINT_BUCKET   "Create the bucket, or correct \"store\" and \"s3_endpoint\"."
#define HINT_REGION   "Set \"s3_region\" to the bucket's region."
#define HINT_CLOCK                                                                                                  \
	"Set this machine's clock: S3 takes no request that is more than 15 minutes off. If it is right, look whether " \
	"\"s3_endpoint\" is the address of your store."
#define HINT_LOCKED \
	"A rule of the bucket keeps objects for so long: keep them at least as long by \"retention\"."
#define HINT_TOKEN "Get new temporary credentials."

static const S3ErrorRule by_code[] = {
	{"NoSuchKey", 0, S3_ABSENT, NULL},
	{"NoSuchBucket", 0, S3_REFUSED, HINT_BUCKET},
	{"InvalidBucketName", 0, S3_REFUSED, HINT_BUCKET},
	{"NoSuchUpload", 0, S3_NO_UPLOAD, NULL},
	{"PreconditionFailed", 0, S3_TAKEN, NULL},
	{"InvalidRange", 0, S3_BEYOND, NULL},
	{"NotImplemented", 0, S3_UNSUPPORTED, NULL},

	{"SlowDown", 0, S3_THROTTLED, NULL},
	{"ServiceUnavailable", 0, S3_THROTTLED, NULL},
	{"Throttling", 0, S3_THROTTLED, NULL},
	{"ThrottlingException", 0, S3_THROTTLED, NULL},
	{"RequestLimitExceeded", 0, S3_THROTTLED, NULL},
	{"BandwidthLimitExceeded", 0, S3_THROTTLED, NULL},
	{"RequestRateLimitExceeded", 0, S3_THROTTLED, NULL}, /* Wasabi, with 400 */
	{"TooManyRequests", 0, S3_THROTTLED, NULL},          /* R2 */

	{"InternalError", 0, S3_TRANSIENT, NULL},
	{"InternalErrors", 0, S3_TRANSIENT, NULL},
	{"RequestTimeout", 0, S3_TRANSIENT, NULL}, /* 400: the body did not arrive */
	{"IncompleteBody", 0, S3_TRANSIENT, NULL},
	{"ClientDisconnect", 0, S3_TRANSIENT, NULL},   /* R2 */
	{"ClientDisconnected", 0, S3_TRANSIENT, NULL}, /* MinIO, 499 */
	{"PriorRequestNotComplete", 0, S3_TRANSIENT, NULL},
	{"ConditionalRequestConflict", 0, S3_TRANSIENT, NULL}, /* 409: another writer of this key is under way */
	{"OperationAborted", 0, S3_TRANSIENT, NULL},
	{"BadDigest", 0, S3_DAMAGED, NULL},
	{"XAmzContentSHA256Mismatch", 0, S3_DAMAGED, NULL},
	{"XAmzContentChecksumMismatch", 0, S3_DAMAGED, NULL},

	{"RequestTimeTooSkewed", 0, S3_CLOCK, HINT_CLOCK},
	{"PermanentRedirect", 0, S3_REGION, HINT_REGION},
	{"TemporaryRedirect", 0, S3_REGION, HINT_REGION},
	{"AuthorizationHeaderMalformed", 0, S3_REGION, HINT_REGION},
	{"IllegalLocationConstraintException", 0, S3_REGION, HINT_REGION},

	{"ExpiredToken", 0, S3_DENIED, HINT_TOKEN},
	{"ExpiredRequest", 0, S3_DENIED, HINT_TOKEN}, /* R2 */
	{"TokenRefreshRequired", 0, S3_DENIED, HINT_TOKEN},
	{"InvalidToken", 0, S3_DENIED, HINT_TOKEN},
	{"InvalidAccessKeyId", 0, S3_DENIED, HINT_KEYS},
	{"SignatureDoesNotMatch", 0, S3_DENIED, HINT_KEYS},
	{"Unauthorized", 0, S3_DENIED, HINT_KEYS}, /* R2 */
	{"AccessDenied", 0, S3_DENIED, HINT_POLICY},
	{"AllAccessDisabled", 0, S3_DENIED, HINT_POLICY},
	{"AccountProblem", 0, S3_DENIED, "Ask the provider: the account is suspended or not paid for."},
	{"QuotaExceeded", 0, S3_DENIED, "The account's or the bucket's quota is used up."},
	{"ObjectLockedByBucketPolicy", 0, S3_DENIED, HINT_LOCKED}, /* R2 */
	{"ObjectUnderRetention", 0, S3_DENIED, HINT_LOCKED},       /* IBM */
	{"FileImmutable", 0, S3_DENIED, HINT_LOCKED},              /* Alibaba */
	{"InvalidObjectState", 0, S3_DENIED,
     "The object lies in an archive class; restore it there first, or use a class that can be read."},

	{"InvalidStorageClass", 0, S3_WRONG, "Correct or remove \"s3_storage_class\"."},
	{"InvalidEncryptionAlgorithmError", 0, S3_WRONG, "Correct or remove \"s3_sse\"."},
	{"KMS.NotFoundException", 0, S3_WRONG, "Correct \"s3_sse_kms_key_id\"."},
	{"KMS.DisabledException", 0, S3_WRONG, "Enable the key, or correct \"s3_sse_kms_key_id\"."},
	{"EntityTooLarge", 0, S3_REFUSED, NULL},
};

/* For answers without a code that we know.  A bare 404 proves nothing: it may be a proxy's. */
static const S3ErrorRule by_status[] = {
	{NULL, 301, S3_REGION, HINT_REGION},
	{NULL, 307, S3_REGION, HINT_REGION},
	{NULL, 308, S3_REGION, HINT_REGION},
	{NULL, 401, S3_DENIED, HINT_KEYS},
	{NULL, 403, S3_DENIED, HINT_POLICY},
	{NULL, 404, S3_TRANSIENT, HINT_ENDPOINT},
	{NULL, 407, S3_DENIED, "Look at the proxy's credentials in https_proxy."},
	{NULL, 408, S3_TRANSIENT, NULL},
	{NULL, 412, S3_TAKEN, NULL},
	{NULL, 416, S3_BEYOND, NULL},
	{NULL, 429, S3_THROTTLED, NULL},
	{NULL, 499, S3_TRANSIENT, NULL},
	{NULL, 500, S3_TRANSIENT, NULL},
	{NULL, 501, S3_TRANSIENT, HINT_ENDPOINT}, /* an S3 that does not know a header says NotImplemented */
	{NULL, 502, S3_TRANSIENT, NULL},
	{NULL, 503, S3_THROTTLED, NULL},
	{NULL, 504, S3_TRANSIENT, NULL},
	{NULL, 509, S3_THROTTLED, NULL},
};

static const S3ErrorRule success = {NULL, 200, S3_DONE, NULL};
static const S3ErrorRule server_error = {NULL, 500, S3_TRANSIENT, NULL};
static const S3ErrorRule anything_else = {NULL, 400, S3_REFUSED, NULL};

const S3ErrorRule *
s3_error_rule(const char *code, int status)
{
	for (size_t i = 0; code != NULL && i < lengthof(by_code); i++)
	{
		if (strcmp(by_code[i].code, code) == 0)
			return &by_code[i];
	}
	if (status / 100 == 2 && code == NULL)
		return &success;
	for (size_t i = 0; i < lengthof(by_status); i++)
	{
		if (by_status[i].status == status)
			return &by_status[i];
	}
	return status / 100 == 4 ? &anything_else : &server_error;
}

bool
s3_error_is_transient(S3ErrorClass class)
{
	return class == S3_NO_ANSWER || class == S3_TRANSIENT || class == S3_THROTTLED || class == S3_DAMAGED;
}

ErrorKind
s3_error_kind(S3ErrorClass class)
{
	switch (class)
	{
		case S3_ABSENT:
			return ERR_NOT_FOUND;
		case S3_TAKEN:
			return ERR_EXISTS;
		case S3_DENIED:
			return ERR_DENIED;
		case S3_UNSUPPORTED:
		case S3_WRONG:
			return ERR_USAGE;
		case S3_DONE:
		case S3_NO_ANSWER:
		case S3_TRANSIENT:
		case S3_THROTTLED:
		case S3_DAMAGED:
		case S3_NO_UPLOAD:
		case S3_BEYOND:
		case S3_CLOCK:
		case S3_REGION:
		case S3_REFUSED:
			break;
	}
	return ERR_TRANSIENT;
}

/* Text from the network: not too long, nothing that a terminal would act on. */
static void
append_clean(Buf *into, const char *text)
{
	AUTO_FREE char *cut = mem_strndup(text, strnlen(text, REASON_MAX));
	AUTO_FREE char *clean = str_printable(cut);

	buf_puts(into, clean);
}

Error *
s3_error_of(const S3ErrorRule *rule, const char *code, const char *message, const HttpResponse *response)
{
	/* What a provider's support asks for. */
	static const struct
	{
		const char *header;
		const char *label;
	} ids[] = {{"x-amz-request-id", "request id"}, {"x-amz-id-2", "host id"}, {"cf-ray", "ray"}};
	AUTO_BUF(reason, 8 * REASON_MAX);
	Error *error;

	append_clean(&reason, message != NULL && message[0] != '\0' ? message : "the server refused");
	buf_puts(&reason, " (");
	if (code != NULL)
	{
		append_clean(&reason, code);
		buf_puts(&reason, ", ");
	}
	buf_printf(&reason, "HTTP %d", response->status);
	for (size_t i = 0; i < lengthof(ids); i++)
	{
		const char *id = http_header(response, ids[i].header);

		if (id != NULL)
		{
			buf_printf(&reason, ", %s ", ids[i].label);
			append_clean(&reason, id);
		}
	}
	buf_putc(&reason, ')');
	error = error_new(s3_error_kind(rule->class), "%s", reason.data);
	return rule->hint == NULL ? error : error_hint(error, "%s", rule->hint);
}
