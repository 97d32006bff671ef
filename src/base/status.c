/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status codes and the last error of each thread. The message lives in thread-local storage of fixed size, so that
 * failing allocates nothing; a compiler's log, which can be longer, is cut at the end.
 */
#include "base_internal.h"

#define STRINGIFY_(x) #x
#define STRINGIFY(x)  STRINGIFY_(x)

static _Thread_local struct {
	clef_status status;
	char text[8192];
} last;

const char *clef_version(void)
{
	return STRINGIFY(CLEF_VERSION_MAJOR) "." STRINGIFY(CLEF_VERSION_MINOR) "." STRINGIFY(CLEF_VERSION_PATCH);
}

const char *clef_status_name(clef_status status)
{
	switch (status) {
#define NAME(name, value, text)                                                                                        \
	case CLEF_##name:                                                                                              \
		return "CLEF_" #name;
		CLEF_STATUS_MAP(NAME)
#undef NAME
	}
	return "CLEF_ERROR_?";
}

const char *clef_status_text(clef_status status)
{
	switch (status) {
#define TEXT(name, value, text)                                                                                        \
	case CLEF_##name:                                                                                              \
		return text;
		CLEF_STATUS_MAP(TEXT)
#undef TEXT
	}
	return "unknown status";
}

const char *clef_error(void)
{
	return last.text;
}

clef_status clef_error_status(void)
{
	return last.status;
}

void clef_error_clear(void)
{
	last.status = CLEF_OK;
	last.text[0] = '\0';
}

/* By way of a copy, because an argument may be the last message itself. */
static clef_status set_error(clef_status status, const char *format, va_list args)
{
	char text[sizeof(last.text)];

	vsnprintf(text, sizeof(text), format, args);
	memcpy(last.text, text, strlen(text) + 1);
	last.status = status;
	return status;
}

clef_status clef__fail(clef_status status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_error(status, format, args);
	va_end(args);
	return status;
}

void *clef__fail_null(clef_status status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_error(status, format, args);
	va_end(args);
	return NULL;
}

clef_status clef__null_argument(const char *what)
{
	if (last.status == CLEF_OK)
		return clef__fail(CLEF_ERROR_INVALID, "%s: given NULL", what);
	return last.status;
}
