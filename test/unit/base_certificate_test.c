/* Certificates: whose, and until when; made once by "openssl req -x509". */
#include "walship/base/certificate.h"

#include "scratch.h"
#include "walship/base/buf.h"

#define NAMED                                                            \
	"-----BEGIN CERTIFICATE-----\n"                                      \
	"MIIBuDCCAV2gAwIBAgIUFBwroCPdDp+6w/MGNAPDgpYDM5gwCgYIKoZIzj0EAwIw\n" \
	"MTEWMBQGA1UECgwNd2Fsc2hpcCB0ZXN0czEXMBUGA1UEAwwOczMuZXhhbXBsZS5j\n" \
	"b20wHhcNMjYxMTI5MTMxODE5WhcNMzYxMTI2MTMxODE5WjAxMRYwFAYDVQQKDA13\n" \
	"YWxzaGlwIHRlc3RzMRcwFQYDVQQDDA5zMy5leGFtcGxlLmNvbTBZMBMGByqGSM49\n" \
	"AgEGCCqGSM49AwEHA0IABNqbyGva4qOjZTN04wNrCYDy+a1O5V7O/KYWCazCh+pv\n" \
	"iIHAfwCersHtNNINKOIkexRPqpUsefYtoQDAJk8OQrajUzBRMB0GA1UdDgQWBBSt\n" \
	"9S6+LlflU3U359YuwDB1USyo+jAfBgNVHSMEGDAWgBSt9S6+LlflU3U359YuwDB1\n" \
	"USyo+jAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCYJirvNYHE\n" \
	"EgT80v2kA/quDhou1U2/yTPRtICkoXdjGgIhAPToZk7ejlOepkew+GZkUSqQqOow\n" \
	"bQHtaBpVWZYxR/wJ\n"                                                 \
	"-----END CERTIFICATE-----\n"

#define UNNAMED                                                          \
	"-----BEGIN CERTIFICATE-----\n"                                      \
	"MIIBVDCB+6ADAgECAhRj4FJLXtjCLlVJQT7FublYQV8zJjAKBggqhkjOPQQDAjAA\n" \
	"MB4XDTI2MTEyOTEzMTgxOVoXDTI2MTIyOTEzMTgxOVowADBZMBMGByqGSM49AgEG\n" \
	"CCqGSM49AwEHA0IABONdAgaYA3Mf5XO+429+cWy2VLh2vi3gYbFaEciEDacAjt8m\n" \
	"S5VE+PBTsly0qGFgLeOJpOf9P315l0xyhkpLuI6jUzBRMB0GA1UdDgQWBBTpG3iS\n" \
	"PW4EuCd7Tea3Vdg7IAkiRzAfBgNVHSMEGDAWgBTpG3iSPW4EuCd7Tea3Vdg7IAki\n" \
	"RzAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQCwrLnNS6yx5xib\n" \
	"xXdyYDOX12SCFRska4V6Ybjpm9xsJAIgcnMqyzPTMt69uqwP745DEOoZNcyFwxog\n" \
	"H6xWeyBLqhY=\n"                                                     \
	"-----END CERTIFICATE-----\n"

#define NAMED_ENDS   INT64_C(2111318299000000)
#define UNNAMED_ENDS INT64_C(1798550299000000)

static void
test_all_certificates_of_a_text_are_read(void **state)
{
	static const char text[] =
		"# authorities\n" NAMED "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n" UNNAMED;
	AUTO_CERTIFICATES certificates = {0};

	(void) state;
	assert_ok(certificates_parse(text, strlen(text), &certificates));
	assert_int_equal(certificates.count, 2);
	assert_string_equal(certificates.items[0].subject, "CN=s3.example.com,O=walship tests");
	assert_true(certificates.items[0].ends == NAMED_ENDS);
	assert_string_equal(certificates.items[1].subject, "");
	assert_true(certificates.items[1].ends == UNNAMED_ENDS);
}

static void
test_what_is_no_certificate_is_an_error(void **state)
{
	static const char damaged[] = NAMED "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
	static const char *const texts[] = {"", "no certificate", damaged, "-----BEGIN CERTIFICATE-----\n"};

	(void) state;
	for (size_t i = 0; i < lengthof(texts); i++)
	{
		AUTO_CERTIFICATES certificates = {0};

		assert_error(certificates_parse(texts[i], strlen(texts[i]), &certificates), ERR_CORRUPT,
		             "certificate");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_certificates_of_a_text_are_read),
		cmocka_unit_test(test_what_is_no_certificate_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
