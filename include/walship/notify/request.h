/*
 * What is sent to a target, byte for byte: a message in, a request out.  Nothing here
 * has an effect.
 */
#pragma once

#include "walship/base/strs.h"
#include "walship/notify/message.h"
#include "walship/notify/target.h"

/* Where services are reached that have no address of their own in a target. */
typedef struct NotifyServices
{
	const char *telegram_url;  /* https://api.telegram.org */
	const char *pagerduty_url; /* https://events.pagerduty.com */
	const char *mail_from;     /* whom mail is from */
	const char *smtp_url;      /* the server that takes mail; NULL: the program sendmail does */
	const char *sendmail;      /* that program */
	const char *smtp_user;     /* NULL: no login */
	const char *smtp_password;
} NotifyServices;

typedef struct NotifyRequest
{
	char *url; /* of a POST, or of SMTP; a secret, also in part; NULL: the body goes to a program */
	StrList headers;
	char *body;
} NotifyRequest;

/* The target's secret is set. */
void notify_request_make(const NotifyTarget *target, const NotifyMessage *message,
                         const NotifyServices *services, NotifyRequest *ret_request);
void notify_request_release(NotifyRequest *request);

#define AUTO_NOTIFY_REQUEST __attribute__((cleanup(notify_request_release))) NotifyRequest
