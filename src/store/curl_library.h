/* libcurl as http.c sees it: the functions of <curl/curl.h>, once curl_library_load() has succeeded. */
#pragma once

#include "walship/base/error.h"

/* Loads and initializes libcurl, the first time; any thread. */
Error *curl_library_load(void) MUST_CHECK;
