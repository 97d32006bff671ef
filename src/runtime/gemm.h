/* SPDX-License-Identifier: Apache-2.0 */
/* The engines of matrix products, for the files that make them, check them and choose among them. */
#ifndef CLEF_GEMM_H
#define CLEF_GEMM_H

#include "opencl.h"
#include "tuning.h"

typedef struct clef__gemm_engine {
	const char *name;
	const char *version;        /* what tells its results from those of other builds, besides its program */
	const char *program;        /* its .cl file; NULL: it has none */
	const char *program_of_few; /* the one for few rows or columns; NULL: the same */
	bool (*fits)(const clef_device *dev);
	clef_status (*run)(clef_device *dev, const clef__gemm_opts *g); /* k and batch > 0 */
	/* Whether the parameters make sense for the product; NULL: it has none. */
	bool (*takes)(const clef_device *dev, const clef__gemm_opts *g, const clef__choice *c);
	/* Writes choices with parameters worth a try, `max` at most, and returns their number; NULL: none. */
	int (*candidates)(const clef_device *dev, const clef__gemm_opts *g, clef__choice *list, int max);
	/* See clef__gemm_packed_size(); NULL: it reads B as it is. */
	size_t (*packed_size)(const clef_device *dev, const clef__gemm_opts *g);
	clef_status (*pack)(clef_device *dev, const clef__gemm_opts *g, clef__buffer *to, size_t offset);
	bool finishes;  /* adds the bias and applies the epilogue; otherwise passes over C do */
	bool gates;     /* heeds the gate; otherwise a pass over C does */
	bool own_batch; /* several matrices take other kernels than one */
	int check[3];   /* m, n and k of the small known product */
} clef__gemm_engine;

/* Memory traffic and arithmetic of a product, for the profile. */
double clef__gemm_bytes(const clef__gemm_opts *g);
double clef__gemm_flops(const clef__gemm_opts *g);

/* gemm.c: engine i, or NULL behind the last one. */
const clef__gemm_engine *clef__gemm_engine_get(int i);

/* Whether it may run here: it fits, or is the one that is forced, and it computes right. */
clef_status clef__gemm_usable(clef_device *dev, int i, bool *usable);

/* The first that may; NULL on failure. */
const clef__gemm_engine *clef__gemm_choose(clef_device *dev);

/* Never again here: it computes wrong results now. */
void clef__gemm_give_up(clef_device *dev, const char *name);

/* gemm_tune.c: compares one product of an engine with the plain one and, unless `seconds` is NULL, times it. */
clef_status clef__gemm_verify(clef_device *dev, const char *name, const clef__gemm_opts *g, bool *good,
			      double *seconds);

/* gemm_cpu.c */
bool clef__gemm_cpu_fits(const clef_device *dev);
clef_status clef__gemm_cpu(clef_device *dev, const clef__gemm_opts *g);
bool clef__gemm_cpu_takes(const clef_device *dev, const clef__gemm_opts *g, const clef__choice *c);
size_t clef__gemm_cpu_packed_size(const clef_device *dev, const clef__gemm_opts *g);
clef_status clef__gemm_cpu_pack(clef_device *dev, const clef__gemm_opts *g, clef__buffer *to, size_t offset);
int clef__gemm_cpu_candidates(const clef_device *dev, const clef__gemm_opts *g, clef__choice *list, int max);

/* gemm_dot.c: for the products of the one above that have few rows or columns: where it is right, and where it is a
 * good choice as well. */
bool clef__gemm_dot_fits(const clef__gemm_opts *g);
bool clef__gemm_dot_pays(const clef__gemm_opts *g);
clef_status clef__gemm_dot(clef_device *dev, const clef__gemm_opts *g);

/* gemm_clblast.c */
clef_status clef__gemm_clblast(clef_device *dev, const clef__gemm_opts *g);

/* The kernels that CLBlast has for products: the direct one for small ones, the other, with copies in front of it, from
 * a size on. What is kept about their parameters is under these texts. */
typedef enum clef__clblast_kernel {
	CLEF__CLBLAST_DIRECT,
	CLEF__CLBLAST_INDIRECT,
	CLEF__CLBLAST_KERNELS
} clef__clblast_kernel;
const char *clef__clblast_problem(clef__clblast_kernel kernel);

/* With what is kept, which its results depend on. */
uint64_t clef__clblast_hash(clef_device *dev, uint64_t hash);

/* Makes CLBlast use these parameters from its next call on, for which it compiles. Without parameters nothing happens.
 * ERROR_INVALID for some that it refuses. */
clef_status clef__clblast_override(clef_device *dev, clef__clblast_kernel kernel, const clef__choice *c);

/* From which m n k on, as the root of the third degree, CLBlast takes the indirect kernel. */
clef_status clef__clblast_threshold(clef_device *dev, int size);

/* gemm_tune.c: what is kept or measured about the product, with g->with for parameters; `shipped` where that is
 * nothing. NULL on failure. */
const clef__gemm_engine *clef__gemm_tuned(clef_device *dev, const clef__gemm_engine *shipped, clef__gemm_opts *g);

/*
 * gemm_check.c: computes the small known product, unless the kernel cache says that this engine computed it right here
 * before. With CLEF_OK *good is the verdict, and clef_error() the reason for a bad one, "" where results are wrong.
 * Otherwise nothing is known of the engine: there is no memory, or its program cannot be read.
 */
clef_status clef__gemm_check(clef_device *dev, const clef__gemm_engine *e, bool *good);

#endif
