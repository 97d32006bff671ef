/* SPDX-License-Identifier: Apache-2.0 */
/* Weights with a structure: identities of matrices and convolutions, and sparse matrices. */
#include <math.h>

#include "init_internal.h"

/* See cl/structured.cl. */
static clef_status fill_identity(clef_tensor *x, int64_t kernel_size, int64_t centre, int64_t group)
{
	if (!x->buffer)
		return CLEF_OK;
	return clef__launch(x->dev,
			    &(clef__launch_opts){
				    .program = "structured",
				    .kernel = "identity",
				    .global = { (size_t)x->numel },
				    .bytes = 4.0 * (double)x->numel,
				    .args = { CLEF__TENSOR(x), CLEF__UINT(x->numel), CLEF__UINT(x->shape.dim[1]),
					      CLEF__UINT(kernel_size), CLEF__UINT(centre), CLEF__UINT(group) },
			    });
}

clef_status clef_init_eye(clef_tensor *x)
{
	clef_status status = clef__init_check("clef_init_eye", x, &(clef_rng){ 0 });

	if (status)
		return status;
	if (x->shape.ndim != 2)
		return clef__fail(CLEF_ERROR_SHAPE, "clef_init_eye: shape %s, expected two dimensions",
				  CLEF__SHAPE_TEXT(x->shape));
	return fill_identity(x, 1, 0, x->shape.dim[0]);
}

clef_status clef_init_dirac(clef_tensor *x, int groups)
{
	clef_status status = clef__init_check("clef_init_dirac", x, &(clef_rng){ 0 });
	int64_t kernel_size = 1, centre = 0;

	if (status)
		return status;
	if (x->shape.ndim < 3 || x->shape.ndim > 5)
		return clef__fail(CLEF_ERROR_SHAPE,
				  "clef_init_dirac: shape %s, expected the three to five dimensions of [out, in, "
				  "kernel...]",
				  CLEF__SHAPE_TEXT(x->shape));
	if (groups < 0)
		return clef__fail(CLEF_ERROR_INVALID, "clef_init_dirac: %d groups, expected 1 or more, or 0 for 1",
				  groups);
	if (x->shape.dim[0] % CLEF__MAX(groups, 1))
		return clef__fail(CLEF_ERROR_SHAPE,
				  "clef_init_dirac: shape %s and %d groups, expected a first dimension that is a "
				  "multiple of these",
				  CLEF__SHAPE_TEXT(x->shape), groups);
	if (!x->numel)
		return CLEF_OK;
	for (int i = 2; i < x->shape.ndim; i++) {
		centre = centre * x->shape.dim[i] + x->shape.dim[i] / 2;
		kernel_size *= x->shape.dim[i];
	}
	return fill_identity(x, kernel_size, centre, x->shape.dim[0] / CLEF__MAX(groups, 1));
}

/* The share of the rows, rounded up. 0.1 as a float is a little above a tenth, and of ten rows must yet give one. */
static int64_t count_zeros(float sparsity, int64_t rows)
{
	const double exact = (double)sparsity * (double)rows;

	return (int64_t)ceil(exact - exact * 0x1p-24);
}

static clef_status put_zeros(const clef_tensor *x, int64_t zeros, clef_rng rng)
{
	if (!x->buffer)
		return CLEF_OK;
	return clef__launch(x->dev,
			    &(clef__launch_opts){
				    .program = "structured",
				    .kernel = "sparse_zeros",
				    .exact = true,
				    .long_items = true,
				    .global = { x->numel ? (size_t)x->shape.dim[1] : 0 },
				    .bytes = 4.0 * (double)(zeros * x->shape.dim[1]),
				    .args = { CLEF__TENSOR(x), CLEF__UINT(x->shape.dim[0]), CLEF__UINT(x->shape.dim[1]),
					      CLEF__UINT(zeros), CLEF__ULONG(rng.seed), CLEF__ULONG(rng.counter) },
			    });
}

clef_status clef_init_sparse(clef_tensor *x, float sparsity, float std, clef_rng *rng)
{
	clef_status status = clef__init_check("clef_init_sparse", x, rng);
	clef_rng used;

	if (status)
		return status;
	if (x->shape.ndim != 2)
		return clef__fail(CLEF_ERROR_SHAPE, "clef_init_sparse: shape %s, expected two dimensions",
				  CLEF__SHAPE_TEXT(x->shape));
	if (!(sparsity >= 0) || !(sparsity <= 1))
		return clef__fail(CLEF_ERROR_INVALID, "clef_init_sparse: sparsity %g, expected a share from 0 to 1",
				  (double)sparsity);
	if (!(std >= 0) || !isfinite(std))
		return clef__fail(CLEF_ERROR_INVALID,
				  "clef_init_sparse: standard deviation %g, expected a finite number that is not "
				  "negative",
				  (double)std);
	used = *rng;
	status = clef_init_normal(x, 0, std, &used);
	if (!status)
		status = put_zeros(x, count_zeros(sparsity, x->shape.dim[0]), *rng);
	if (!status)
		*rng = used;
	return status;
}
