/* SPDX-License-Identifier: Apache-2.0 */
/* The engines of matrix products, for the files that make them, check them and choose among them. */
#ifndef CLEF_GEMM_H
#define CLEF_GEMM_H

#include "opencl.h"

typedef struct clef__gemm_engine {
	const char *name;
	const char *version;        /* what tells its results from those of other builds, besides its program */
	const char *program;        /* its .cl file; NULL: it has none */
	const char *program_of_few; /* the one for few rows or columns; NULL: the same */
	bool (*fits)(const clef_device *dev);
	clef_status (*run)(clef_device *dev, const clef__gemm_opts *g); /* k and batch > 0 */
	bool finishes;  /* adds the bias and applies the epilogue; otherwise passes over C do */
	bool own_batch; /* several matrices take other kernels than one */
	int check[3];   /* m, n and k of the small known product */
} clef__gemm_engine;

/* Memory traffic and arithmetic of a product, for the profile. */
double clef__gemm_bytes(const clef__gemm_opts *g);
double clef__gemm_flops(const clef__gemm_opts *g);

/* gemm_cpu.c */
bool clef__gemm_cpu_fits(const clef_device *dev);
clef_status clef__gemm_cpu(clef_device *dev, const clef__gemm_opts *g);

/* gemm_dot.c: for the products of the one above that have few rows or columns. */
bool clef__gemm_dot_fits(const clef__gemm_opts *g);
clef_status clef__gemm_dot(clef_device *dev, const clef__gemm_opts *g);

/*
 * gemm_check.c: computes the small known product, unless the kernel cache says that this engine computed it right here
 * before. With CLEF_OK *good is the verdict, and clef_error() the reason for a bad one, "" where results are wrong.
 * Otherwise nothing is known of the engine: there is no memory, or its program cannot be read.
 */
clef_status clef__gemm_check(clef_device *dev, const clef__gemm_engine *e, bool *good);

#endif
