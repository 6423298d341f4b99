/* Loads libcurl when the first request is about to be made (walship/base/library.h). */
#include "curl_library.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>

#include "walship/base/attributes.h"
#include "walship/base/library.h"

LIBRARY_NOTE(WALSHIP_CURL_SONAME, "s3", "stores in buckets of S3, and notifications");

/* clang-format off */
#define FUNCTIONS(VALUE, NOTHING) \
	VALUE(CURLcode, curl_global_init, (long flags), (flags)) \
	VALUE(curl_version_info_data *, curl_version_info, (CURLversion age), (age)) \
	VALUE(time_t, curl_getdate, (const char *text, const time_t *unused), (text, unused)) \
	VALUE(CURL *, curl_easy_init, (void), ()) \
	NOTHING(curl_easy_reset, (CURL *easy), (easy)) \
	NOTHING(curl_easy_cleanup, (CURL *easy), (easy)) \
	VALUE(const char *, curl_easy_strerror, (CURLcode code), (code)) \
	VALUE(struct curl_slist *, curl_slist_append, (struct curl_slist *list, const char *text), (list, text)) \
	NOTHING(curl_slist_free_all, (struct curl_slist *list), (list)) \
	VALUE(CURLM *, curl_multi_init, (void), ()) \
	VALUE(CURLMcode, curl_multi_cleanup, (CURLM *multi), (multi)) \
	VALUE(CURLMcode, curl_multi_add_handle, (CURLM *multi, CURL *easy), (multi, easy)) \
	VALUE(CURLMcode, curl_multi_remove_handle, (CURLM *multi, CURL *easy), (multi, easy)) \
	VALUE(CURLMcode, curl_multi_perform, (CURLM *multi, int *running), (multi, running)) \
	VALUE(CURLMcode, curl_multi_poll, \
	      (CURLM *multi, struct curl_waitfd fds[], unsigned int n_fds, int timeout_ms, int *ready), \
	      (multi, fds, n_fds, timeout_ms, ready)) \
	VALUE(CURLMsg *, curl_multi_info_read, (CURLM *multi, int *left), (multi, left))

/* Filled before any of the functions is called: there is no connection without curl_library_load(). */
static struct
{
	FUNCTIONS(LIBRARY_POINTER_VALUE, LIBRARY_POINTER_NOTHING)
	__typeof__(&(curl_easy_setopt)) setopt;
	__typeof__(&(curl_easy_getinfo)) getinfo;
} loaded;

static const LibrarySymbol symbols[] = {
	FUNCTIONS(LIBRARY_SYMBOL_VALUE, LIBRARY_SYMBOL_NOTHING)
	{"curl_easy_setopt", &loaded.setopt},
	{"curl_easy_getinfo", &loaded.getinfo},
};

FUNCTIONS(LIBRARY_DEFINE_VALUE, LIBRARY_DEFINE_NOTHING)
/* clang-format on */

static const LibraryTable table = {
	.soname = WALSHIP_CURL_SONAME,
	.remedy =
		"Stores on S3 and notifications need libcurl: install the package libcurl4 (Debian, Ubuntu) or libcurl (others).",
	.symbols = symbols,
	.n_symbols = lengthof(symbols),
};

/* curl_version_info() fills a variable of its own: once, for two threads at a time must not. */
static Error *
load(CurlCertificates *ret_certificates)
{
	TRY(library_load(&table));
	if (loaded.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_new(ERR_SYSTEM, "could not initialize libcurl");

	const curl_version_info_data *info = loaded.curl_version_info(CURLVERSION_NOW);

	*ret_certificates = (CurlCertificates){.file = info->cainfo, .directory = info->capath};
	return NULL;
}

Error *
curl_library_load(CurlCertificates *ret_certificates)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static CurlCertificates certificates;
	static bool done;
	Error *error = NULL;

	(void) pthread_mutex_lock(&mutex);
	if (!done)
		error = load(&certificates);
	done = error == NULL;
	*ret_certificates = certificates;
	(void) pthread_mutex_unlock(&mutex);
	return error;
}

/* The number of an option tells the type of its value (curl.h: CURLOPTTYPE_). */
CURLcode(curl_easy_setopt)(CURL *easy, CURLoption option, ...)
{
	CURLcode result;
	va_list values;

	va_start(values, option);
	if (option < CURLOPTTYPE_OBJECTPOINT)
		result = loaded.setopt(easy, option, va_arg(values, long));
	else if (option < CURLOPTTYPE_FUNCTIONPOINT)
		result = loaded.setopt(easy, option, va_arg(values, void *));
	else if (option < CURLOPTTYPE_OFF_T)
		result = loaded.setopt(easy, option, va_arg(values, void (*)(void)));
	else
		result = loaded.setopt(easy, option, va_arg(values, curl_off_t));
	va_end(values);
	return result;
}

/* What is asked for is always written where a pointer points to. */
CURLcode(curl_easy_getinfo)(CURL *easy, CURLINFO info, ...)
{
	CURLcode result;
	va_list values;

	va_start(values, info);
	result = loaded.getinfo(easy, info, va_arg(values, void *));
	va_end(values);
	return result;
}
