/* Addresses of buckets and objects. */
#include "s3_address.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "s3_sign.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define URL_SCHEME "s3://"

static bool
is_bucket_name(const char *name, size_t length)
{
	if (length < 3 || length > 63)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) name[i];
		bool inner = c == '.' || c == '-' || c == '_'; /* '_': old buckets, and other providers */

		if (!isdigit(c) && !isalpha(c) && !(inner && i > 0 && i + 1 < length))
			return false;
	}
	return true;
}

static Error *
parse_url(const char *url, S3Address *address)
{
	const char *bucket = url + strlen(URL_SCHEME);
	size_t length = strcspn(bucket, "/");
	size_t prefix_length;

	if (!str_starts_with(url, URL_SCHEME) || !is_bucket_name(bucket, length))
	{
		AUTO_FREE char *shown = str_url_without_password(url);

		return error_hint(error_new(ERR_USAGE, "store \"%s\" names no bucket", shown),
		                  "Write s3://bucket or s3://bucket/prefix.");
	}
	address->bucket = mem_strndup(bucket, length);
	address->prefix = mem_printf("%s/", bucket[length] == '/' ? bucket + length + 1 : "");
	prefix_length = strlen(address->prefix);
	if (prefix_length > 1 && address->prefix[prefix_length - 2] == '/')
		address->prefix[--prefix_length] = '\0';
	if (prefix_length == 1)
	{
		address->prefix[0] = '\0';
		return NULL;
	}

	AUTO_FREE char *key = mem_strndup(address->prefix, prefix_length - 1);
	AUTO(Error) error = store_check_key(key);

	if (error != NULL)
		return error_hint(error_new(ERR_USAGE, "store \"%s\" has a prefix that is no valid object name", url),
		                  "A prefix is made of letters, digits, \".\", \"_\", \"-\" and \"/\".");
	return NULL;
}

static Error *
invalid_endpoint(const char *endpoint)
{
	AUTO_FREE char *shown = str_url_without_password(endpoint);

	return error_hint(
		error_new(ERR_USAGE, "setting \"s3_endpoint\" is \"%s\", which is no endpoint", shown),
		"Write https://host or https://host:port, without a path and without a name or password.");
}

static Error *
parse_endpoint(const char *endpoint, S3Address *address)
{
	const char *separator = strstr(endpoint, "://");
	const char *authority = separator == NULL ? endpoint : separator + 3;
	size_t length = strcspn(authority, "/");
	const char *port;

	address->scheme =
		separator == NULL ? mem_strdup("https") : mem_strndup(endpoint, (size_t) (separator - endpoint));
	if (strcmp(address->scheme, "https") != 0 && strcmp(address->scheme, "http") != 0)
		return invalid_endpoint(endpoint);
	if (length == 0 || strcspn(authority, "@?#\\% \t") < length ||
	    (authority[length] == '/' && authority[length + 1] != '\0'))
		return invalid_endpoint(endpoint);

	/* libcurl leaves the scheme's own port out of the header "host", and the signature must agree. */
	port = strcmp(address->scheme, "https") == 0 ? ":443" : ":80";
	address->host = mem_strndup(authority, length);
	if (str_ends_with(address->host, port))
		address->host[length - strlen(port)] = '\0';
	for (char *c = address->host; *c != '\0'; c++)
		*c = (char) tolower((unsigned char) *c);
	return NULL;
}

bool
s3_region_is_valid(const char *region)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t length = strlen(region);

	return length > 0 && length < S3_SIGNED_REGIONS && strspn(region, allowed) == length;
}

static bool
is_aws(const char *host)
{
	return host == NULL || strstr(host, ".amazonaws.com") != NULL;
}

Error *
s3_address_parse(const char *url, const char *endpoint, S3PathStyle style, S3Address *ret_address)
{
	S3Address address = {0};
	Error *error = parse_url(url, &address);

	if (error == NULL && endpoint != NULL)
		error = parse_endpoint(endpoint, &address);
	else if (error == NULL)
		address.scheme = mem_strdup("https");
	if (error != NULL)
	{
		s3_address_release(&address);
		return error;
	}

	/* A certificate *.s3.region.amazonaws.com does not cover a bucket with dots. */
	if (style == S3_PATH_STYLE_AUTO)
		address.path_style = !is_aws(address.host) || strchr(address.bucket, '.') != NULL;
	else
		address.path_style = style == S3_PATH_STYLE_ON;
	*ret_address = address;
	return NULL;
}

void
s3_address_release(S3Address *address)
{
	free(address->scheme);
	free(address->host);
	free(address->bucket);
	free(address->prefix);
	*address = (S3Address){0};
}

void
s3_address_host(const S3Address *address, const char *region, Buf *into)
{
	if (!address->path_style)
		buf_printf(into, "%s.", address->bucket);
	if (address->host != NULL)
		buf_puts(into, address->host);
	else
		buf_printf(into, "s3.%s.amazonaws.com%s", region, str_starts_with(region, "cn-") ? ".cn" : "");
}

void
s3_address_path(const S3Address *address, const char *key, Buf *into)
{
	buf_putc(into, '/');
	if (address->path_style)
		buf_printf(into, "%s%s", address->bucket, key == NULL ? "" : "/");
	if (key != NULL)
	{
		s3_encode(address->prefix, true, into);
		s3_encode(key, true, into);
	}
}

static bool
host_is(const S3Address *address, const char *domain)
{
	AUTO_FREE char *host = NULL;
	AUTO_FREE char *below = mem_printf(".%s", domain);

	if (address->host == NULL)
		return false;
	host = mem_strndup(address->host, strcspn(address->host, ":"));
	return strcmp(host, domain) == 0 || str_ends_with(host, below);
}

S3Conditional
s3_address_preset(const S3Address *address)
{
	if (is_aws(address->host))
		return S3_CONDITIONAL_HONOURED;
	if (host_is(address, "backblazeb2.com"))
		return S3_CONDITIONAL_REFUSED;
	if (host_is(address, "storage.googleapis.com"))
		return S3_CONDITIONAL_IGNORED;
	return S3_CONDITIONAL_UNKNOWN;
}
