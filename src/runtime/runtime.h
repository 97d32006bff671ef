/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime: OpenCL behind a few calls. No other layer sees an OpenCL type.
 *
 * One in-order queue per device carries everything, so a buffer that is given back while kernels that use it are still
 * queued can be handed out again at once: whatever is enqueued later runs later.
 */
#ifndef CLEF_RUNTIME_H
#define CLEF_RUNTIME_H

#include <clef/device.h>

#include "base_internal.h"

/* ---- life of a device: held by its user and by everything made on it ---- */

void clef__device_retain(clef_device *dev);
void clef__device_release(clef_device *dev);

/* The tape that was begun last, for the layer above; NULL if none. */
void *clef__device_get_tape(const clef_device *dev);
void clef__device_set_tape(clef_device *dev, void *tape);

/* The convolution to use on this device in place of $CLEF_CONV and of the library's choice, a constant; NULL: none. For
 * checks, which must not change the environment while threads of a driver may read it. */
const char *clef__device_get_conv(const clef_device *dev);
void clef__device_set_conv(clef_device *dev, const char *name);

/* As long as this number stays as it is, no leaf has changed: it counts launches, but for those between
 * clef__device_forward(dev, true) and (dev, false), which make results of a recording, and touches, for what writes to
 * a leaf without a launch. */
uint64_t clef__device_changes(const clef_device *dev);
void clef__device_forward(clef_device *dev, bool yes);
void clef__device_touch(clef_device *dev);

/* ---- buffers ---- */

/* Device memory with a reference count; from the pool where it has one of the size. Holds its device. */
typedef struct clef__buffer clef__buffer;

/* Contents undefined; 0 bytes give a small buffer. */
clef__buffer *clef__buffer_new(clef_device *dev, size_t bytes);

/* The same for what stays, weights for example: large ones do not share a block of memory with others, which could then
 * not be given back as a whole. */
clef__buffer *clef__buffer_new_whole(clef_device *dev, size_t bytes);

/* The same for what will be gone soon: it is put where it leaves no hole between what lives longer. */
clef__buffer *clef__buffer_new_brief(clef_device *dev, size_t bytes);

/* Between two recordings: puts the pool into one piece where it has been torn. */
void clef__pool_settle(clef_device *dev);

void clef__buffer_retain(clef__buffer *buffer);
void clef__buffer_release(clef__buffer *buffer); /* NULL is accepted */

/* Copies host memory into a buffer, behind what is enqueued. `data` may be reused at once. Offsets are in bytes. */
clef_status clef__buffer_write(clef__buffer *buffer, size_t offset, const void *data, size_t bytes);

/* Waits for what is enqueued and copies from a buffer. */
clef_status clef__buffer_read(const clef__buffer *buffer, size_t offset, void *data, size_t bytes);

/* ---- kernels ---- */

typedef enum clef__arg_kind {
	CLEF__ARG_END,
	CLEF__ARG_BUFFER, /* two parameters of the kernel: __global T *x, ulong x_offset (in elements) */
	CLEF__ARG_INT,
	CLEF__ARG_UINT,
	CLEF__ARG_ULONG,
	CLEF__ARG_FLOAT,
	CLEF__ARG_INT8,  /* int8: eight ints by value, for shapes and strides */
	CLEF__ARG_LOCAL, /* __local memory of so many bytes */
} clef__arg_kind;

typedef struct clef__arg {
	clef__arg_kind kind;
	const clef__buffer *buffer;
	union {
		int32_t i;
		uint32_t u;
		uint64_t ul;
		float f;
		int32_t i8[8];
	} value;
} clef__arg;

#define CLEF__BUFFER(b, o)                                                                                             \
	{                                                                                                              \
		.kind = CLEF__ARG_BUFFER, .buffer = (b), .value.ul = (uint64_t)(o)                                     \
	}
#define CLEF__INT(x)                                                                                                   \
	{                                                                                                              \
		.kind = CLEF__ARG_INT, .value.i = (int32_t)(x)                                                         \
	}
#define CLEF__UINT(x)                                                                                                  \
	{                                                                                                              \
		.kind = CLEF__ARG_UINT, .value.u = (uint32_t)(x)                                                       \
	}
#define CLEF__ULONG(x)                                                                                                 \
	{                                                                                                              \
		.kind = CLEF__ARG_ULONG, .value.ul = (uint64_t)(x)                                                     \
	}
#define CLEF__FLOAT(x)                                                                                                 \
	{                                                                                                              \
		.kind = CLEF__ARG_FLOAT, .value.f = (float)(x)                                                         \
	}
#define CLEF__LOCAL(bytes)                                                                                             \
	{                                                                                                              \
		.kind = CLEF__ARG_LOCAL, .value.ul = (uint64_t)(bytes)                                                 \
	}

#define CLEF__MAX_ARGS 24

/*
 * One launch of a kernel. Program and kernel are looked up, and compiled on first use: at once, or, where several are
 * compiled at a time, when something waits for the queue, which then has the errors too (deferred.c). Fields left out
 * are 0.
 *
 *   static clef_status fill(clef_device *dev, clef__buffer *y, size_t offset, int n, float value)
 *   {
 *       return clef__launch(dev, &(clef__launch_opts){
 *           .program = "tensor", .kernel = "fill", .global = { (size_t)n }, .bytes = 4.0 * n,
 *           .args = { CLEF__BUFFER(y, offset), CLEF__FLOAT(value), CLEF__INT(n) } });
 *   }
 */
typedef struct clef__launch_opts {
	const char *program; /* "tensor": cl/tensor.cl */
	const char *defines; /* lines of "#define NAME VALUE\n" in front of the source, or NULL; part of its identity */
	const char *kernel;  /* the __kernel function; this name and label are kept, so give constants */
	const char *label;   /* name in the profile; NULL: the kernel's */
	bool long_items;     /* each work-item loops over much data: many small work-groups are better than few */
	bool exact;          /* build with denormals kept: for random numbers, whose bits must agree everywhere */
	size_t global[3];    /* work-items wanted. Rounded up to whole work-groups: the kernel checks its bounds. A zero
			      * in global[0] launches nothing; zeros behind it count as 1. */
	size_t local[3];     /* work-group size, or 0 0 0: chosen for the kernel and the device */
	double bytes, flops; /* memory traffic and arithmetic, for the profile */
	clef__arg args[CLEF__MAX_ARGS + 1]; /* ends at the first of kind CLEF__ARG_END */
} clef__launch_opts;

clef_status clef__launch(clef_device *dev, const clef__launch_opts *opts);

/* ---- matrix products ---- */

/* An epilogue that raises what is below p to p: see cl/activation.clh. */
#define CLEF__FLOOR "#define FLOOR\n"

/*
 * C = value(alpha op(A) op(B) + beta C + bias), for `batch` matrices in a row; row-major; op(A) m x k, op(B) k x n,
 * C m x n. lda, ldb and ldc are the lengths of the stored rows. At beta 0 C is not read. Fields left out are 0.
 */
typedef struct clef__gemm_opts {
	bool trans_a, trans_b;
	int m, n, k;
	float alpha, beta;
	const clef__buffer *a, *b;
	clef__buffer *c;
	const clef__buffer *bias; /* n values, added to every row of every matrix; or NULL */
	size_t a_offset, b_offset, c_offset, bias_offset;
	int lda, ldb, ldc;
	int batch;                     /* 0 counts as 1 */
	size_t a_step, b_step, c_step; /* elements from one matrix to the next. 0 repeats that of A or B; those of C
					* must not overlap */
	const char *epilogue; /* the defines of a pointwise operation: VALUE over x, with PARAMETERS from p_ and q_, or
			       * CLEF__FLOOR; NULL: none. Each is a program of its own. */
	float p, q;
	bool packed; /* b is what clef__gemm_pack() made of B */
	/* As C, or NULL: C is 0 where it is 0 or less. Then there is no epilogue. */
	const clef__buffer *gate;
	size_t gate_offset;
	const struct clef__choice *with; /* for the engine: parameters other than its own rules give, or NULL */
} clef__gemm_opts;

clef_status clef__gemm(clef_device *dev, const clef__gemm_opts *opts);

/* For products with the same B again and again, a stored transpose, batch 1: how many floats it takes in the order that
 * the product here wants it in; 0: as it is. clef__gemm_pack() writes them; the result has the same bits. */
size_t clef__gemm_packed_size(clef_device *dev, const clef__gemm_opts *opts);
clef_status clef__gemm_pack(clef_device *dev, const clef__gemm_opts *opts, clef__buffer *to, size_t offset);

/* ---- what the device can do: one measurement each, a few milliseconds long where that can be ---- */

/* Seconds of one pass over a working set of so many bytes, 32 KiB or more: copying one half of it to the other, or
 * reading all of it. Small ones are repeated without waiting in between. */
clef_status clef__probe_memory(clef_device *dev, bool copying, size_t bytes, double *seconds);

/* Single-precision operations in a second, of which a multiply-add is two. */
clef_status clef__probe_multiply_add(clef_device *dev, double *flops_per_second);

/* Seconds for each of `count` launches of a kernel that does next to nothing, and a wait at the end. */
clef_status clef__probe_launch(clef_device *dev, int count, double *seconds);

/* Seconds of one transfer, waited for. */
clef_status clef__probe_transfer(clef_device *dev, bool to_host, size_t bytes, double *seconds);

/* Seconds from source to the end of the first launch of a small program: of one that no cache has seen, or out of the
 * cache; 0 where there is no cache. */
clef_status clef__probe_compile(clef_device *dev, bool cached, double *seconds);

#endif
