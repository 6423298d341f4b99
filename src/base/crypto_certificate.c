/* The door to OpenSSL's certificates; see walship/base/certificate.h. */
#include "walship/base/certificate.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define SUBJECT_MAX 200
#define DAY_S       86400
#define US          1000000

void
certificates_release(Certificates *certificates)
{
	for (size_t i = 0; i < certificates->count; i++)
		free(certificates->items[i].subject);
	free(certificates->items);
	*certificates = (Certificates){0};
}

static char *
subject_of(const X509 *certificate)
{
	char text[SUBJECT_MAX] = "";
	BIO *memory = BIO_new(BIO_s_mem());
	int size = 0;

	if (memory != NULL &&
	    X509_NAME_print_ex(memory, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) > 0)
		size = BIO_read(memory, text, sizeof(text) - 1);
	BIO_free(memory);
	text[size > 0 ? size : 0] = '\0';
	return str_printable(text);
}

static bool
end_of(const X509 *certificate, TimeUs *ret_end)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0;
	int seconds = 0;
	bool known =
		epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(certificate)) == 1;

	ASN1_TIME_free(epoch);
	*ret_end = ((int64_t) days * DAY_S + seconds) * US;
	return known;
}

/* At the end of the text, and only there, OpenSSL finds no line that begins something. */
static bool
is_at_end(void)
{
	unsigned long code = ERR_peek_last_error();

	return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static bool
read_all(BIO *text, Certificates *certificates)
{
	for (;;)
	{
		X509 *certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);
		TimeUs end;

		if (certificate == NULL)
			return is_at_end();

		bool known = end_of(certificate, &end);

		if (known)
		{
			GROW(certificates->items, certificates->count, certificates->capacity);
			certificates->items[certificates->count++] = (Certificate){subject_of(certificate), end};
		}
		X509_free(certificate);
		if (!known)
			return false;
	}
}

Error *
certificates_parse(const char *pem, size_t size, Certificates *ret_certificates)
{
	AUTO_CERTIFICATES certificates = {0};
	BIO *text = size > INT_MAX ? NULL : BIO_new_mem_buf(pem, (int) size);
	bool whole;

	ERR_clear_error();
	whole = text != NULL && read_all(text, &certificates);
	BIO_free(text);
	ERR_clear_error();
	if (!whole)
		return error_new(ERR_CORRUPT, "a certificate is damaged");
	if (certificates.count == 0)
		return error_new(ERR_CORRUPT, "there is no certificate");
	*ret_certificates = certificates;
	certificates = (Certificates){0};
	return NULL;
}
