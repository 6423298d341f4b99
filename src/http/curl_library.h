/* libcurl as http.c and transfer.c see it: the functions of <curl/curl.h>, once curl_library_load() has succeeded. */
#pragma once

#include "walship/base/error.h"

/* Where this machine's libcurl looks for certificates; NULL: nowhere. */
typedef struct CurlCertificates
{
	const char *file;
	const char *directory;
} CurlCertificates;

/* Loads and initializes libcurl, the first time; any thread. */
Error *curl_library_load(CurlCertificates *ret_certificates) MUST_CHECK;
