/* Certificates (X.509) in PEM: whose they are, and until when they are good.  Nothing is verified here. */
#pragma once

#include <stddef.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"

typedef struct Certificate
{
	char *subject; /* "CN=minio.example.com"; "" where it has none */
	TimeUs ends;
} Certificate;

typedef struct Certificates
{
	Certificate *items;
	size_t count;
	size_t capacity;
} Certificates;

void certificates_release(Certificates *certificates);
#define AUTO_CERTIFICATES __attribute__((cleanup(certificates_release))) Certificates

/* In their order; what is none of them (keys, comments) is passed over.  ERR_CORRUPT: there is none, or one is no certificate. */
Error *certificates_parse(const char *pem, size_t size, Certificates *ret_certificates) MUST_CHECK;
