/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes, the last error, log messages, shapes, host arrays and random streams: what every other chapter uses. */
#ifndef CLEF_BASE_H
#define CLEF_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLEF_VERSION_MAJOR 0
#define CLEF_VERSION_MINOR 1
#define CLEF_VERSION_PATCH 0

#if defined(__GNUC__)
#define CLEF_API __attribute__((visibility("default")))
#else
#define CLEF_API
#endif

/* The number of elements of an array, as an int. */
#define CLEF_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library at run time, "MAJOR.MINOR.PATCH"; compare with the macros above. */
CLEF_API const char *clef_version(void);

/* ---- status ---- */

#define CLEF_STATUS_MAP(X)                                                                                             \
	X(OK, 0, "success")                                                                                            \
	X(ERROR_INVALID, -1, "invalid argument")                                                                       \
	X(ERROR_SHAPE, -2, "shapes do not fit")                                                                        \
	X(ERROR_DTYPE, -3, "wrong data type")                                                                          \
	X(ERROR_MEMORY, -4, "out of memory on the host")                                                               \
	X(ERROR_DEVICE_MEMORY, -5, "out of memory on the device")                                                      \
	X(ERROR_NO_DEVICE, -6, "no such device")                                                                       \
	X(ERROR_OPENCL, -7, "an OpenCL call failed")                                                                   \
	X(ERROR_BUILD, -8, "a kernel did not compile")                                                                 \
	X(ERROR_IO, -9, "a file could not be read or written")                                                         \
	X(ERROR_FORMAT, -10, "a file is malformed")                                                                    \
	X(ERROR_UNSUPPORTED, -11, "not supported")                                                                     \
	X(ERROR_STATE, -12, "called at the wrong time")

typedef enum clef_status {
#define CLEF_STATUS_ENUM(name, value, text) CLEF_##name = (value),
	CLEF_STATUS_MAP(CLEF_STATUS_ENUM)
#undef CLEF_STATUS_ENUM
} clef_status;

/* The enumerator's name ("CLEF_ERROR_SHAPE"), or "CLEF_ERROR_?" for a value that is none. */
CLEF_API const char *clef_status_name(clef_status status);

/* What the status means, in a few words ("shapes do not fit"). */
CLEF_API const char *clef_status_text(clef_status status);

/* This thread's latest error: one line or more that name the operation, the value and what was allowed; "" when there
 * was none. A NULL that an operation was given because another one failed is no error of its own, so what stands here
 * is the cause. Valid until the next call of the library in this thread. */
CLEF_API const char *clef_error(void);

/* The status that goes with clef_error(); CLEF_OK when there was none. */
CLEF_API clef_status clef_error_status(void);

/* Forgets this thread's error. */
CLEF_API void clef_error_clear(void);

/* ---- log ---- */

typedef enum clef_log_level {
	CLEF_LOG_WARN,  /* something was worked around: an unusable cache, a GEMM engine that computes wrong results */
	CLEF_LOG_INFO,  /* progress of slow things: a program is being compiled */
	CLEF_LOG_DEBUG, /* which device, which implementation, cache hits */
} clef_log_level;

typedef void (*clef_log_fn)(void *user, clef_log_level level, const char *message);

/* Sends messages up to `level` to `fn`, from any thread that uses the library; fn NULL (the start value) drops
 * them. `message` is one line without a newline, valid during the call. The library prints nothing by itself,
 * but for the table that CLEF_PROFILE=1 asks for (see device.h). Not thread-safe: call it first. */
CLEF_API void clef_log_set(clef_log_fn fn, void *user, clef_log_level level);

/* ---- data types ---- */

#define CLEF_DTYPE_MAP(X)                                                                                              \
	X(FLOAT32, "float32", 4)                                                                                       \
	X(INT32, "int32", 4)

typedef enum clef_dtype {
#define CLEF_DTYPE_ENUM(name, text, size) CLEF_##name,
	CLEF_DTYPE_MAP(CLEF_DTYPE_ENUM)
#undef CLEF_DTYPE_ENUM
} clef_dtype;

/* "float32", or "dtype?" for a value that is none. */
CLEF_API const char *clef_dtype_name(clef_dtype dtype);

/* Bytes of one element; 0 for a value that is none. */
CLEF_API size_t clef_dtype_size(clef_dtype dtype);

/* ---- shapes ---- */

#define CLEF_MAX_DIMS 8

/* Dimensions, outermost first (row-major, as in PyTorch and C). ndim 0 is a scalar, of one element. Sizes may be
 * 0; a tensor has at most 2^31 - 1 elements. */
typedef struct clef_shape {
	int ndim;
	int64_t dim[CLEF_MAX_DIMS];
} clef_shape;

/* The number of elements: the product of the dimensions, 1 for a scalar; -1 where ndim or a dimension is out of
 * range or the product exceeds 2^31 - 1. */
CLEF_API int64_t clef_shape_numel(clef_shape shape);

CLEF_API bool clef_shape_equal(clef_shape a, clef_shape b);

/* Writes "[64, 3, 32, 32]" into text, cut to size bytes with the terminating zero; returns text. 160 bytes hold any
 * shape. */
CLEF_API char *clef_shape_text(clef_shape shape, char *text, size_t size);

/* An array in host memory, row-major, contiguous. Whoever hands one out says who owns data and how long it lives. */
typedef struct clef_array {
	clef_dtype dtype;
	clef_shape shape;
	void *data;
} clef_array;

/* ---- streams of random numbers ---- */

/* A stream of random numbers, made by draws (see init.h). Each draw uses the counter and adds 1 to it, whatever its
 * size. Start with counter 0, or with another number for an independent stream. Copy it to replay. Plain data: nothing
 * to free. */
typedef struct clef_rng {
	uint64_t seed;
	uint64_t counter;
} clef_rng;

#ifdef __cplusplus
}

template <typename... D> inline clef_shape clef_shape_of(D... d)
{
	return clef_shape{ int(sizeof...(d)), { static_cast<int64_t>(d)... } };
}
#define CLEF_SHAPE(...) clef_shape_of(__VA_ARGS__)
#else
/* A shape of one to eight dimensions: CLEF_SHAPE(64, 3, 32, 32). */
#define CLEF_SHAPE(...) ((clef_shape){ .ndim = CLEF_COUNT(((int64_t[]){ __VA_ARGS__ })), .dim = { __VA_ARGS__ } })
#endif

/* The shape of a scalar. */
#define CLEF_SCALAR clef_shape_scalar()

static inline clef_shape clef_shape_scalar(void)
{
	clef_shape s = { 0, { 0, 0, 0, 0, 0, 0, 0, 0 } };

	return s;
}

#endif
