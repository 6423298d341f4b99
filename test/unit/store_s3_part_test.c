/* What a part of an upload carries beside the SHA-256 that is signed, and the digests of a body. */
#include <sys/mman.h>
#include <unistd.h>

#include "scratch.h"

#include "s3_private.h"

typedef struct AnswerCase
{
	const char *name;
	int status;
	const char *code;
	bool compared; /* in answer to the part whose SHA-256 is wrong */
	bool wanted;   /* a checksum, in answer to a part without one */
} AnswerCase;

static const AnswerCase answer_cases[] = {
	{"AWS, MinIO, Ceph: it was compared", 400, "XAmzContentSHA256Mismatch", true, false},
	{"MinIO, of a checksum", 400, "XAmzContentChecksumMismatch", true, false},
	{"OpenStack Swift: it was compared", 400, "BadDigest", true, false},
	{"compared by way of the signature", 403, "SignatureDoesNotMatch", true, false},
	{"SeaweedFS: taken", 200, NULL, false, false},
	{"AWS, B2: objects are locked", 400, "InvalidRequest", false, true},
	{"a code of its own for it", 400, "MissingContentMD5", false, true},
	{"no code", 400, NULL, false, true},
	{"not allowed", 403, "AccessDenied", false, false},
	{"wrong keys", 403, "InvalidAccessKeyId", false, false},
	{"expired", 400, "ExpiredToken", false, false},
	{"no such bucket", 404, "NoSuchBucket", false, false},
	{"no such upload", 404, "NoSuchUpload", false, false},
	{"a 404 of somebody else", 404, NULL, false, false},
	{"a header that is not known", 501, "NotImplemented", false, false},
	{"another region", 400, "AuthorizationHeaderMalformed", false, false},
	{"a clock", 403, "RequestTimeTooSkewed", false, false},
	{"too large", 413, NULL, false, false},
	{"did not arrive", 400, "RequestTimeout", false, false},
	{"trouble", 500, "InternalError", false, false},
	{"too much to do", 503, "SlowDown", false, false},
	{"too much to do, with 400", 400, "RequestRateLimitExceeded", false, false},
};

static void
what_an_answer_says_of_the_parts(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(answer_cases); i++)
	{
		const AnswerCase *row = &answer_cases[i];
		S3ErrorClass class = s3_error_rule(row->code, row->status)->class;

		if (s3_part_was_compared(class, row->code) != row->compared)
			fail_msg("%s: compared is wrong", row->name);
		if (s3_part_wants_checksum(class, row->status) != row->wanted)
			fail_msg("%s: wanted is wrong", row->name);
	}
}

static void
no_answer_says_nothing(void **state)
{
	(void) state;
	assert_false(s3_part_was_compared(S3_NO_ANSWER, NULL));
	assert_false(s3_part_wants_checksum(S3_NO_ANSWER, 0));
}

#define BODY_SIZE (3u * 1024 * 1024 + 5)
#define BODY_MD5  "8c8923e9cf1b3912f350167acb1016c5" /* as md5sum says */

static void
digests_are_those_of_the_slices_together(void **state)
{
	AUTO_FREE uint8_t *body = scratch_bytes(BODY_SIZE, 1);
	AUTO_CLOSE int fd = memfd_create("body", MFD_CLOEXEC);
	uint64_t middle = BODY_SIZE / 3;
	const Slice memory = slice_of_memory(body, BODY_SIZE);
	const Slice file = {.fd = fd, .size = BODY_SIZE};
	const Slice both[] = {
		slice_of_memory(body, middle),
		slice_of_memory("", 0),
		{.fd = fd, .offset = middle, .size = BODY_SIZE - middle},
	};
	const struct
	{
		const Slice *slices;
		int n;
	} ways[] = {{&memory, 1}, {&file, 1}, {both, lengthof(both)}};
	uint8_t digest[SHA256_SIZE];
	char sha256[SHA256_TEXT_SIZE];

	(void) state;
	assert_int_equal(write(fd, body, BODY_SIZE), BODY_SIZE);
	sha256_of(body, BODY_SIZE, digest);
	hex_encode(digest, sizeof(digest), sha256);
	for (size_t i = 0; i < lengthof(ways); i++)
	{
		S3Payload payload;
		S3Payload bare;

		assert_ok(s3_payload(ways[i].slices, ways[i].n, S3_CHECKSUM_MD5, &payload));
		assert_ok(s3_payload(ways[i].slices, ways[i].n, S3_CHECKSUM_NONE, &bare));
		assert_string_equal(payload.sha256, sha256);
		assert_string_equal(bare.sha256, sha256);
		assert_int_equal(payload.size, BODY_SIZE);
		assert_int_equal(bare.size, BODY_SIZE);
		assert_string_equal(bare.md5, "");
		assert_string_equal(bare.md5_hex, "");
		if (payload.md5[0] != '\0') /* else this machine's policy has no MD5 */
			assert_string_equal(payload.md5_hex, BODY_MD5);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_answer_says_of_the_parts),
		cmocka_unit_test(no_answer_says_nothing),
		cmocka_unit_test(digests_are_those_of_the_slices_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
